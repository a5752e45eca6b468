/**
 * <thermal-picture src>: fetches the data of a picture and shows it in <thermal-view>, with the findings outlined.
 *
 * What stands inside is shown until then. Pointing at a row of the findings brings the cross to its hottest place. A box
 * `[data-heatmap]` beside it lays the picture of that address over it, fetched when it is first asked for.
 */

import "./viewer/thermal-view.js";

async function loaded(src) {
  const answer = await fetch(src);
  if (!answer.ok) {
    const data = await answer.json().catch(() => ({}));
    throw new Error(data.detail ?? `The heatmap cannot be shown (${answer.status}).`);
  }
  return createImageBitmap(await answer.blob());
}

class ThermalPicture extends HTMLElement {
  connectedCallback() {
    if (this.started) return;
    this.started = true;
    this.querySelector("[data-loading]")?.removeAttribute("hidden");
    this.#open().catch((error) => this.#say(error.message));
  }

  async #open() {
    const answer = await fetch(this.getAttribute("src"), { headers: { Accept: "application/json" } });
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(data.detail ?? `The thermal picture cannot be shown (${answer.status}).`);
    const findings = JSON.parse(this.querySelector("[data-findings]")?.textContent ?? "[]");
    const view = document.createElement("thermal-view");
    // It must be in the page before it draws, because it draws as large as it is shown.
    this.replaceChildren(view);
    await view.show(data);
    view.mark(findings);
    const [first] = findings;
    if (first) view.goTo(...first.peak);
    this.#follow(view, findings);
    this.#layers(view);
    // Ready is what is on the screen.
    requestAnimationFrame(() => requestAnimationFrame(() => this.setAttribute("ready", "")));
  }

  #follow(view, findings) {
    const rows = this.closest("[data-image-detail]").querySelectorAll("tbody[data-peak]");
    rows.forEach((row, number) => {
      row.addEventListener("pointerenter", () => {
        view.goTo(...findings[number].peak);
        view.mark(findings.map((finding, place) => ({ ...finding, chosen: place === number })));
      });
      row.addEventListener("pointerleave", () => view.mark(findings));
    });
  }

  #layers(view) {
    const box = this.closest("[data-image-detail]").querySelector("[data-heatmap]");
    if (!box) return;
    const said = box.closest("label").nextElementSibling;
    let image = null;
    const lay = async () => {
      if (!box.checked) return view.lay(null);
      said.textContent = image ? "" : "The heatmap is being made …";
      try {
        image ??= await loaded(box.dataset.heatmap);
        said.textContent = "";
        if (box.checked) view.lay(image);
      } catch (error) {
        box.checked = false;
        said.textContent = error.message;
      }
    };
    box.addEventListener("change", lay);
    box.disabled = false;
    lay();
  }

  #say(text) {
    const line = this.querySelector("[data-loading]");
    if (!line) return;
    line.hidden = false;
    line.textContent = text;
    this.setAttribute("failed", "");
  }
}

customElements.define("thermal-picture", ThermalPicture);
