/**
 * What both threshold tools share: a slider and a field, the cut in the drawing, what is counted, the images that change.
 *
 * `rows` begin with image and name; a tool says where its value is, how it is written, and what lies on which side.
 */

const SHOWN = 48;

export class ThresholdElement extends HTMLElement {
  connectedCallback() {
    this.now = Number(this.dataset.now);
    this.read();
    this.field = this.querySelector("#at");
    this.slide = this.querySelector("[data-slide]");
    this.slide.hidden = false;
    this.slide.addEventListener("input", () => this.slid(this.slide.valueAsNumber));
    this.field.addEventListener("input", () => { if (this.field.checkValidity()) this.show(this.field.valueAsNumber); });
    this.querySelector("[data-try]").addEventListener("submit", (event) => event.preventDefault());
    this.querySelectorAll("[data-without-script]").forEach((element) => { element.hidden = true; });
    // Typed before this script was there.
    if (this.field.value !== this.field.defaultValue && this.field.checkValidity()) this.show(this.field.valueAsNumber);
  }

  slid(threshold) {
    this.show(threshold);
  }

  show(threshold) {
    this.slide.value = threshold;
    this.plot(threshold, this.querySelector(".plot"));
    const cells = this.querySelectorAll("[data-tried] td");
    this.counts(threshold).forEach((text, place) => { cells[place].textContent = text; });
    this.#flips(threshold);
    const keep = this.querySelector("[data-keep]");
    if (!keep) return;
    keep.elements.at.value = threshold;
    const button = keep.querySelector("button");
    button.textContent = `Keep ${this.text(threshold)}`;
    button.disabled = threshold === this.now;
  }

  plot(threshold, plot) {
    const x = Number(plot.dataset.left) + this.share(threshold) * Number(plot.dataset.across);
    for (const end of ["x1", "x2"]) plot.querySelector("[data-cut]").setAttribute(end, x);
    plot.setAttribute("aria-label", this.label(threshold));
  }

  #flips(threshold) {
    const [low, high] = [Math.min(this.now, threshold), Math.max(this.now, threshold)];
    const away = (row) => Math.abs(this.value(row) - threshold);
    const changed = this.rows.filter((row) => this.between(this.value(row), low, high)).sort((a, b) => away(a) - away(b));
    this.querySelector("#flip-title").textContent = `${changed.length.toLocaleString("en")} ${changed.length === 1 ? "verdict" : "verdicts"} would change`;
    const higher = threshold > this.now;
    this.querySelector("[data-flips]").replaceChildren(...changed.slice(0, SHOWN).map((row) => tile(row, this.said(row), this.change(row, higher))));
  }
}

function tile([image, name], said, change) {
  const link = Object.assign(document.createElement("a"), { className: "title name", href: `/images/${image}`, textContent: name });
  const picture = Object.assign(document.createElement("img"), { alt: "", loading: "lazy", width: 176, height: 132, src: `/api/v1/images/${image}/thumbnail` });
  const verdict = Object.assign(document.createElement("span"), { textContent: said });
  const text = Object.assign(document.createElement("div"), { className: "text" });
  text.append(link, verdict, Object.assign(document.createElement("span"), { className: "quiet", textContent: change }));
  const item = Object.assign(document.createElement("li"), { className: "tile" });
  item.append(picture, text);
  return item;
}
