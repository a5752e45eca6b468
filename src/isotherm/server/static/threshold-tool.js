/**
 * <threshold-tool data-now>: moves the threshold over the histogram and shows at once what would change.
 *
 * The server counts in the same way (pages/threshold.py); `[image, name, nearest, confidence, truth]` are its rows.
 */

const SHOWN = 48;

class ThresholdTool extends HTMLElement {
  connectedCallback() {
    this.now = Number(this.dataset.now);
    this.rows = JSON.parse(this.querySelector("[data-rows]").textContent);
    this.field = this.querySelector("#at");
    this.slide = this.querySelector("[data-slide]");
    this.slide.hidden = false;
    this.slide.addEventListener("input", () => this.#show(this.slide.valueAsNumber));
    this.field.addEventListener("input", () => { if (this.field.checkValidity()) this.#show(this.field.valueAsNumber); });
    this.querySelector("[data-try]").addEventListener("submit", (event) => event.preventDefault());
    this.querySelectorAll("[data-without-script]").forEach((element) => { element.hidden = true; });
    // Typed before this script was there.
    if (this.field.value !== this.field.defaultValue && this.field.checkValidity()) this.#show(this.field.valueAsNumber);
  }

  #show(least) {
    this.field.value = least.toFixed(2);
    this.slide.value = least;
    this.#plot(least);
    const cells = this.querySelectorAll("[data-tried] td");
    outcome(this.rows, least).forEach((number, place) => { cells[place].textContent = number; });
    this.#flips(least);
    const keep = this.querySelector("[data-keep]");
    if (!keep) return;
    keep.elements.at.value = least;
    const button = keep.querySelector("button");
    button.textContent = `Keep ${least.toFixed(2)}`;
    button.disabled = least === this.now;
  }

  #plot(least) {
    const plot = this.querySelector(".plot");
    const x = Number(plot.dataset.left) + least * Number(plot.dataset.across);
    for (const end of ["x1", "x2"]) plot.querySelector("[data-cut]").setAttribute(end, x);
    for (const bar of plot.querySelectorAll(".bar")) bar.classList.toggle("out", Number(bar.dataset.low) < least);
    plot.setAttribute("aria-label", `Histogram of confidences; the threshold is ${Math.round(100 * least)} %`);
  }

  #flips(least) {
    const [low, high] = [Math.min(this.now, least), Math.max(this.now, least)];
    const changed = this.rows.filter(([, , , sure]) => sure >= low && sure < high).sort((a, b) => Math.abs(a[3] - least) - Math.abs(b[3] - least));
    this.querySelector("#flip-title").textContent = `${changed.length.toLocaleString("en")} ${changed.length === 1 ? "verdict" : "verdicts"} would change`;
    const what = least > this.now ? "would be held back" : "would be said";
    this.querySelector("[data-flips]").replaceChildren(...changed.slice(0, SHOWN).map((row) => tile(row, what)));
  }
}

function outcome(rows, least) {
  const counts = [0, 0, 0, 0, 0, 0];
  for (const [, , nearest, sure, truth] of rows) {
    const held = sure < least;
    counts[held ? 1 : 0] += 1;
    if (truth) counts[held ? (truth === nearest ? 5 : 4) : (truth === nearest ? 2 : 3)] += 1;
  }
  return counts;
}

function tile([image, name, nearest, sure, truth], what) {
  const link = Object.assign(document.createElement("a"), { className: "title name", href: `/images/${image}`, textContent: name });
  const picture = Object.assign(document.createElement("img"), { alt: "", loading: "lazy", width: 176, height: 132, src: `/api/v1/images/${image}/thumbnail` });
  const said = document.createElement("span"), change = document.createElement("span"), text = document.createElement("div");
  said.textContent = `${nearest} ${Math.round(100 * sure)} %`;
  Object.assign(change, { className: "quiet", textContent: truth ? `${what}; is ${truth}` : what });
  text.className = "text";
  text.append(link, said, change);
  const item = document.createElement("li");
  item.className = "tile";
  item.append(picture, text);
  return item;
}

customElements.define("threshold-tool", ThresholdTool);
