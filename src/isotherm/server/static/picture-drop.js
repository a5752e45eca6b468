/**
 * <picture-drop>: a form with files becomes a place to drop them; each file is sent by itself, with its own result.
 *
 * The form names by `data-list` the list that the results go into; with `data-open` the first result is shown below.
 */

import { enliven, nodesOf } from "./pages.js";

const AT_ONCE = 2;
const AGAIN_S = 2;

class PictureDrop extends HTMLElement {
  #waiting = [];
  #running = 0;
  #counts = { all: 0, done: 0, refused: 0 };

  connectedCallback() {
    this.form = this.querySelector("form");
    this.list = document.getElementById(this.form.dataset.list);
    this.box = document.getElementById("results-box");
    this.shown = document.getElementById("shown");
    const input = this.form.querySelector("input[type=file]");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take([...input.files]);
      input.value = "";
    });
    const chosen = () => {
      if (this.form.hasAttribute("data-open") && input.files.length) this.form.requestSubmit();
    };
    input.addEventListener("change", chosen);
    // Somebody may have been quicker than this module.
    chosen();
    this.#dropping();
    if (this.form.hasAttribute("data-open")) this.list.addEventListener("click", (event) => this.#click(event));
  }

  #dropping() {
    const over = (event, on) => {
      event.preventDefault();
      this.form.classList.toggle("over", on);
    };
    // Anywhere in the window, so that a file that misses the frame does not replace the page.
    addEventListener("dragover", (event) => over(event, true));
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(event, false); });
    addEventListener("drop", (event) => {
      over(event, false);
      const missing = [...this.form.elements].find((field) => field.type !== "file" && !field.checkValidity());
      if (missing) missing.reportValidity();
      else this.#take([...event.dataTransfer.files]);
    });
  }

  #take(files) {
    if (!files.length) return;
    const fields = [...new FormData(this.form)].filter(([, value]) => typeof value === "string");
    this.box.hidden = false;
    this.#counts.all += files.length;
    for (const file of files) {
      const line = document.createElement("li");
      line.className = "wait";
      const name = document.createElement("span"), bar = document.createElement("progress");
      name.className = "name";
      name.textContent = file.name;
      bar.setAttribute("aria-label", `Sending ${file.name}`);
      Object.assign(bar, { max: 1, value: 0 });
      line.append(name, bar);
      this.list.prepend(line);
      this.#waiting.push({ file, fields, line, bar });
    }
    this.#next();
  }

  #next() {
    while (this.#running < AT_ONCE && this.#waiting.length) {
      const item = this.#waiting.shift();
      this.#running += 1;
      this.#send(item).catch((error) => this.#refused(item, error.message)).then(() => {
        this.#running -= 1;
        this.#counts.done += 1;
        this.#say();
        this.#next();
      });
    }
    this.#say();
  }

  async #send(item) {
    const body = new FormData();
    item.fields.forEach(([name, value]) => body.append(name, value));
    body.append("files", item.file);
    for (;;) {
      const request = await posted(`${this.form.getAttribute("action")}?part=1`, body, (share) => {
        if (share < 1) item.bar.value = share;
        else item.bar.removeAttribute("value");
      });
      if (request.status === 429) {
        await new Promise((wait) => setTimeout(wait, 1000 * (Number(request.getResponseHeader("Retry-After")) || AGAIN_S)));
        continue;
      }
      if (request.status !== 200) throw new Error(reason(request));
      return this.#result(item, nodesOf(request.responseText));
    }
  }

  #result({ line }, [list]) {
    const result = list.firstElementChild;
    line.replaceWith(result);
    if (!result.dataset.image) this.#counts.refused += 1;
    else if (this.shown && this.form.hasAttribute("data-open") && !this.shown.childElementCount) this.#open(result.dataset.image);
  }

  #refused({ line, file }, text) {
    this.#counts.refused += 1;
    const name = document.createElement("b"), why = document.createElement("span");
    name.textContent = file.name;
    why.textContent = text;
    line.className = "";
    line.replaceChildren(name, " ", why);
  }

  #say() {
    const { all, done, refused } = this.#counts;
    const failed = refused ? `, ${refused} not taken` : "";
    this.box.querySelector("[data-summary]").textContent = done < all ? `${done} of ${all} done${failed} …` : `All ${all} done${failed}.`;
    if (done === all) this.dispatchEvent(new CustomEvent("done", { bubbles: true }));
  }

  #click(event) {
    const link = event.target.closest("a.go");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#open(link.closest("[data-image]").dataset.image, true);
  }

  async #open(image, move = false) {
    this.shown.replaceChildren(document.createElement("div"));
    const answer = await fetch(`/images/${image}?part=1`);
    if (!answer.ok) return;
    this.shown.replaceChildren(...nodesOf(await answer.text()));
    enliven(this.shown);
    if (move) this.shown.scrollIntoView({ block: "start" });
  }
}

/** Send a form; `progress` gets the share that has been sent. */
function posted(url, body, progress) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onload = () => done(request);
    request.onerror = () => failed(new Error("The server cannot be reached."));
    request.send(body);
  });
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).detail;
  } catch {
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    return page.querySelector(".empty p")?.textContent ?? `It was not taken (${request.status}).`;
  }
}

customElements.define("picture-drop", PictureDrop);
