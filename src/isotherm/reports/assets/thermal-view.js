/**
 * <thermal-view>: a thermal picture that tells the temperature under the pointer and measures what is drawn on it.
 *
 * Give it its data (made by isotherm.reports.view_data) as a child `<script type="application/json">`, or call
 * `show(data)`. It fires `ready` when the picture is drawn, and `sidecar` (cancelable, the sidecar in `detail`) before it
 * offers the sidecar as a file, and `scene` (`{before, now}` in the detail) when the scene is changed. `session` holds the regions; `read(x, y)` gives the value of a pixel.
 * A page that knows of findings has them outlined by `mark(findings)`, and brings the cross to a place by `goTo(x, y)`;
 * `lay(image)` lays another picture of the same view over it, which may be transparent.
 */

import { about, bytesOf, paint, shown, UNITS } from "./plane.js";
import { describe, hit, KINDS, moved, shapeBetween } from "./shapes.js";
import { usual } from "./deltas.js";
import { drawCross, drawExtremes, drawFinding, drawShape } from "./marks.js";
import { choice, make, numberField, optionsOf, regionTable, removable, save, STATISTICS } from "./parts.js";
import { drawEdges, drawField, edgesOf, inPhoto, nudged } from "./photo.js";
import { drawProfile, drawScale, prepared, profileText } from "./plots.js";
import { sceneCard } from "./scene-card.js";
import { Session } from "./session.js";
import { verdict } from "./severity.js";
import { STYLE } from "./style.js";

const TOOLS = [["read", "Read", "r"], ...Object.entries(KINDS).map(([kind, { name, letter }]) => [kind, name, letter.toLowerCase()])];
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = "In the picture: arrow keys move the cross (with Shift by 10), Enter or Space draws with the chosen tool (twice for a " +
  "box, an ellipse or a line; at one corner after the other for a polygon, twice at the last one), Escape gives up, Delete removes " +
  "the chosen region; M hottest, N coldest, C centre; R S B E L P choose the tool.";

const STORED = "as stored";

async function loaded(src) {
  const image = new Image();
  image.src = src;
  await image.decode();
  return image;
}

export class ThermalView extends HTMLElement {
  #tool = "read";
  #draft = null;
  #drag = null;
  #cursor = null;
  #selected = null;
  #unit = UNITS.c;
  #look = {};
  #hand = { dx: 0, dy: 0, zoom: 1 };
  #parts = {};
  #edges = null;
  #spanName = null;
  #findings = [];
  #laid = null;
  #due = false;

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
  }

  connectedCallback() {
    const inside = this.querySelector('script[type="application/json"]');
    if (inside && !this.session) this.show(JSON.parse(inside.textContent));
  }

  disconnectedCallback() {
    this.resizing?.disconnect();
  }

  /** Show a picture; see isotherm.reports.view_data for the form of the data. */
  async show(data) {
    this.session = await Session.open(data);
    const palettes = Object.fromEntries(Object.entries(data.palettes).map(([name, text]) => [name, bytesOf(text)]));
    this.#unit = this.#unitOf(data.kind === "levels" ? "l" : data.unit);
    this.#look = { palettes, palette: palettes[data.palette], stored: null, low: data.span[0], high: data.span[1] };
    this.#spanName = Object.keys(data.spans).find((name) => data.spans[name].every((end, place) => end === data.span[place])) ?? null;
    this.#cursor = [data.plane.width >> 1, data.plane.height >> 1];
    this.#build(data);
    if (data.photo) await this.#loadPhoto(data.photo);
    if (data.stored) this.#look.stored = await loaded(data.stored);
    this.resizing = new ResizeObserver(() => this.#schedule());
    this.resizing.observe(this.#parts.stage);
    this.#changed();
    this.#draw();
    this.setAttribute("ready", "");
    this.dispatchEvent(new Event("ready"));
  }

  /** Return the value of a pixel: °C, or a grey level; NaN where it has none. */
  read(x, y) {
    return this.session.plane.at(x, y);
  }

  /** Outline findings: [{contour: [[x, y], ...], label, chosen}], in thermal pixels. */
  mark(findings) {
    this.#findings = findings;
    this.#parts.outlined.hidden = !findings.length;
    this.#schedule();
  }

  /** Lay a picture over this one, as a map of what is strange in it; null takes it away. */
  lay(image) {
    this.#laid = image;
    this.#schedule();
  }

  /** Bring the cross to a pixel. */
  goTo(x, y) {
    this.#cursor = [x, y];
    this.#schedule();
  }

  /** Draw again, as after a change of the page's colours. */
  redraw() {
    if (this.session) this.#schedule();
  }

  #unitOf(letter) {
    return this.session.data.kind === "estimated" ? about(UNITS[letter]) : UNITS[letter];
  }

  /** Return the photo's alignment when it is moved by hand so: {dx, dy, zoom}, in thermal pixels. */
  placed(hand) {
    const { width, height } = this.session.plane;
    return nudged(this.session.data.photo.alignment, hand, width, height);
  }

  /** What a severity table says; see severity.js. */
  static verdict(...difference) {
    return verdict(...difference);
  }

  // ---- building -----------------------------------------------------------------------------------------------------

  #build(data) {
    const left = make("div", {}, this.#toolbar(), this.#view(data), this.#under(), this.#colours(data));
    if (this.session.scene) left.append(this.#scene());
    const right = make("div", {}, this.#measurements(), this.#profileCard());
    if (data.photo) right.append(this.#photoCard(data.photo));
    this.shadowRoot.replaceChildren(make("div", { className: "layout" }, left, right));
  }

  #toolbar() {
    const buttons = TOOLS.map(([tool, text, key]) => make("button", {
      type: "button", "aria-pressed": String(tool === this.#tool), title: `${text} (${key.toUpperCase()})`, "data-tool": tool,
      onclick: () => this.#choose(tool),
    }, text));
    this.#parts.tools = buttons;
    return make("div", { className: "row", role: "group", "aria-label": "Tools" }, ...buttons);
  }

  #view({ plane, name }) {
    const picture = make("canvas", { className: "picture", width: plane.width, height: plane.height });
    const marks = make("canvas", { className: "marks" });
    const stage = make("div", {
      className: "stage reading", tabIndex: 0, role: "application", "aria-label": `Thermal picture ${name}`, "aria-describedby": "keys reading",
      onpointermove: (event) => this.#point(event), onpointerdown: (event) => this.#press(event),
      onpointerup: (event) => this.#release(event), onpointercancel: () => this.#giveUp(),
      ondblclick: () => this.#closePolygon(), onkeydown: (event) => this.#key(event),
    }, picture, marks);
    const scale = make("canvas", { className: "scale", role: "img", "aria-label": "Colour scale" });
    Object.assign(this.#parts, { picture, marks, stage, scale });
    return make("div", { className: "view" }, stage, scale);
  }

  #under() {
    const reading = make("output", { id: "reading" });
    this.#parts.reading = reading;
    const buttons = [
      make("button", { type: "button", onclick: () => this.#saveSidecar() }, "Save sidecar"),
      make("button", { type: "button", onclick: () => this.#savePicture() }, "Save picture"),
    ];
    const keys = make("p", { id: "keys", className: "quiet" }, KEYS);
    return make("div", {}, reading, make("div", { className: "row" }, ...buttons), keys);
  }

  #measurements() {
    const table = make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of measurements" });
    const said = make("p", { className: "warn", role: "status" });
    const first = choice("", [], () => this.#usualStatistics(0)), firstStat = choice("", STATISTICS.map((name) => [name, name]), () => {});
    const second = choice("", [], () => this.#usualStatistics(1)), secondStat = choice("", STATISTICS.map((name) => [name, name]), () => {});
    const names = ["First region", "Statistic of the first region", "Second region", "Statistic of the second region"];
    [first, firstStat, second, secondStat].forEach(({ field }, number) => field.setAttribute("aria-label", names[number]));
    const add = make("button", { type: "button", onclick: () => this.#addDelta() }, "Add");
    const pick = make("div", { className: "row" }, first.field, firstStat.field, "−", second.field, secondStat.field, add);
    const deltas = make("div", {});
    const tables = this.session.data.severity.map(({ id, title }) => [id, `${id}: ${title}`]);
    const severity = choice("Severity", [["", "not judged"], ...tables], () => this.#changed());
    severity.field.value = this.session.data.severity_table;
    const judged = tables.length ? [make("div", { className: "row" }, severity.label)] : [];
    Object.assign(this.#parts, { severity: severity.field, table, said, deltas, pick, delta: [first, firstStat, second, secondStat].map(({ field }) => field) });
    return make(
      "section", { className: "card", "aria-label": "Measurements" }, make("h2", {}, "Measurements"), table, said,
      make("h2", {}, "Differences"), pick, ...judged, deltas,
    );
  }

  #profileCard() {
    const plot = make("canvas", { className: "plot", role: "img" });
    const text = make("p", { className: "quiet" });
    const card = make("section", { className: "card", hidden: true, "aria-label": "Profile" }, make("h2", {}, "Profile"), plot, text);
    Object.assign(this.#parts, { plot, plotText: text, profile: card });
    return card;
  }

  #colours(data) {
    const names = [...Object.keys(data.palettes), ...(data.stored ? [STORED] : [])];
    const palette = choice("Palette", names.map((name) => [name, name]), (name) => {
      this.#look.palette = this.#look.palettes[name] ?? this.#look.palette;
      this.#schedule();
    });
    palette.field.value = data.stored && data.kind === "levels" ? STORED : data.palette;
    this.#parts.palette = palette.field;
    const unit = choice("Unit", [["c", "°C"], ["f", "°F"], ["k", "K"]], (letter) => {
      this.#unit = this.#unitOf(letter);
      this.#changed();
    });
    unit.field.value = data.unit;
    const low = numberField("From", { onvalue: (value) => this.#span(null, this.#unit.from(value), this.#look.high) });
    const high = numberField("to", { onvalue: (value) => this.#span(null, this.#look.low, this.#unit.from(value)) });
    const ends = Object.keys(data.spans).map((name) => make("button", { type: "button", onclick: () => this.#span(name, ...this.#ends(name)) }, name));
    const extremes = make("input", { type: "checkbox", checked: true, onchange: () => this.#schedule() });
    const outlines = make("input", { type: "checkbox", checked: true, onchange: () => this.#schedule() });
    const outlined = make("label", { hidden: true }, outlines, "outline the findings");
    Object.assign(this.#parts, { low: low.field, high: high.field, extremes, outlines, outlined });
    return make(
      "section", { className: "card", "aria-label": "Colours" }, make("h2", {}, "Colours"),
      make("div", { className: "row" }, palette.label, ...(data.kind === "levels" ? [] : [unit.label])),
      make("div", { className: "row", role: "group", "aria-label": "Span of the colours" }, low.label, high.label, ...ends),
      ...this.#isothermRows(),
      make("div", { className: "row" }, make("label", {}, extremes, "mark the hottest and the coldest pixel"), outlined),
    );
  }

  #scene() {
    const { card, fill } = sceneCard(this.session, () => {
      const [from, to] = this.#ends(this.#spanName) ?? [this.#look.low, this.#look.high];
      if (to > from) Object.assign(this.#look, { low: from, high: to });
      this.dispatchEvent(new CustomEvent("scene", { detail: { before: this.session.data.physics.scene, now: this.session.sceneOf() } }));
      this.#changed();
    });
    this.#parts.fillScene = fill;
    return card;
  }

  /** Return the ends of a span by its name, where it has moved with the scene; null for one that the user typed. */
  #ends(name) {
    const ends = this.session.data.spans[name];
    const { whole } = this.session.plane;
    if (name === "full" && whole) return [whole.min, whole.max];
    return ends && (name === "set" ? ends : ends.map((end) => this.session.movedTo(end)));
  }

  #isothermRows() {
    const isotherm = this.session.isotherm;
    const modes = [["off", "off"], ["above", "above"], ["below", "below"], ["between", "between"]];
    const mode = choice("Isotherm", modes, (name) => {
      Object.assign(isotherm, { mode: name, low: isotherm.low ?? this.#middle(), high: isotherm.high ?? this.#look.high });
      this.#changed();
    });
    mode.field.value = isotherm.mode;
    const low = numberField("over", { onvalue: (value) => this.#isotherm({ low: this.#unit.from(value) }) });
    const high = numberField("under", { onvalue: (value) => this.#isotherm({ high: this.#unit.from(value) }) });
    const share = make("p", { className: "quiet" });
    Object.assign(this.#parts, { isoLow: low, isoHigh: high, isoShare: share });
    return [make("div", { className: "row" }, mode.label, low.label, high.label), share];
  }

  #photoCard(photo) {
    const canvas = make("canvas", { className: "photo", role: "img", "aria-label": `Photo of the same view (${photo.origin})` });
    const edges = make("input", { type: "checkbox", onchange: () => this.#schedule() });
    const strength = make("input", { type: "range", min: 0.1, max: 1, step: 0.1, value: 0.8, "aria-label": "Strength of the edges", oninput: () => this.#schedule() });
    const fields = [["dx", "Right px", 1], ["dy", "Down px", 1], ["zoom", "Size ×", 0.01]].map(([name, text, step]) => numberField(text, {
      step, value: this.#hand[name], onvalue: (value) => this.#nudge(name, value),
    }).label);
    const text = make("p", { className: "quiet" });
    Object.assign(this.#parts, { photo: canvas, edges, strength, photoText: text });
    return make(
      "section", { className: "card", "aria-label": "Photo" }, make("h2", {}, "Photo"), canvas,
      make("div", { className: "row" }, make("label", {}, edges, "its edges over the thermal picture"), strength),
      make("div", { className: "row", role: "group", "aria-label": "Move the photo" }, ...fields), text,
    );
  }

  async #loadPhoto(photo) {
    const image = await loaded(photo.src);
    Object.assign(this.#parts.photo, { width: image.naturalWidth, height: image.naturalHeight });
    this.#parts.image = image;
  }

  // ---- what the user does -------------------------------------------------------------------------------------------

  #choose(tool) {
    this.#tool = tool;
    this.#draft = null;
    this.#parts.tools.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.tool === tool)));
    this.#parts.stage.classList.toggle("reading", tool === "read");
    this.#schedule();
  }

  #pixel(event) {
    const { width, height } = this.session.plane;
    const box = this.#parts.stage.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * width), y = Math.floor(((event.clientY - box.top) / box.height) * height);
    return [Math.max(0, Math.min(width - 1, x)), Math.max(0, Math.min(height - 1, y))];
  }

  #point(event) {
    this.#cursor = this.#pixel(event);
    if (this.#drag) this.#dragTo(this.#cursor);
    this.#parts.reading.setAttribute("aria-live", "off");
    this.#schedule();
  }

  #press(event) {
    this.#cursor = this.#pixel(event);
    if (event.button !== 0) return;
    if (this.#tool === "read") {
      const region = hit(this.session.regions, ...this.#cursor, 6 / this.#scale());
      this.#selected = region?.label ?? null;
      if (region && region.origin !== "camera") this.#drag = { region, from: this.#cursor, start: region };
      this.#changed();
    } else if (this.#tool === "polygon") this.#corner(this.#cursor);
    else this.#drag = { from: this.#cursor };
    if (this.#drag) this.#parts.stage.setPointerCapture(event.pointerId);
  }

  #dragTo(to) {
    const { from, start, region } = this.#drag;
    if (start) this.#drag.region = this.session.replace(region, moved(start, to[0] - from[0], to[1] - from[1]));
    else this.#draft = shapeBetween(this.#tool, from, to);
  }

  #release(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    if (drag.start) this.#changed();
    else this.#finish(shapeBetween(this.#tool, drag.from, this.#pixel(event)));
  }

  #finish(shape) {
    this.#draft = null;
    const flat = shape.shape === "line" && shape.x0 === shape.x1 && shape.y0 === shape.y1;
    if (!flat) this.#selected = this.session.add(shape).label;
    this.#changed();
  }

  #corner([x, y]) {
    const corners = this.#draft?.corners ?? [];
    const last = corners.at(-1);
    if (last && last[0] === x && last[1] === y) return this.#closePolygon();
    this.#draft = { shape: "polygon", corners: [...corners, [x, y]], open: true };
    return this.#schedule();
  }

  #closePolygon() {
    const corners = this.#draft?.corners;
    if (this.#tool === "polygon" && corners?.length >= 3) this.#finish({ shape: "polygon", corners });
  }

  #giveUp() {
    if (this.#drag?.start) this.session.replace(this.#drag.region, this.#drag.start);
    this.#draft = this.#drag = null;
    this.#changed();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    const tool = TOOLS.find(([, , letter]) => letter === key.toLowerCase());
    const whole = this.session.plane.whole;
    const jumps = { m: whole?.maxAt, n: whole?.minAt, c: [this.session.plane.width >> 1, this.session.plane.height >> 1] };
    if (STEPS[key]) this.#step(STEPS[key], event.shiftKey ? 10 : 1);
    else if (key === "Enter" || key === " ") this.#enter();
    else if (key === "Escape") this.#giveUp();
    else if (key === "Delete" || key === "Backspace") this.#removeSelected();
    else if (jumps[key.toLowerCase()]) this.#cursor = jumps[key.toLowerCase()];
    else if (tool) this.#choose(tool[0]);
    else return;
    event.preventDefault();
    this.#parts.reading.setAttribute("aria-live", "polite");
    this.#schedule();
  }

  #step([dx, dy], step) {
    const { width, height } = this.session.plane;
    const [x, y] = this.#cursor;
    this.#cursor = [Math.max(0, Math.min(width - 1, x + dx * step)), Math.max(0, Math.min(height - 1, y + dy * step))];
    if (this.#draft?.from) this.#draft = { ...shapeBetween(this.#tool, this.#draft.from, this.#cursor), from: this.#draft.from };
  }

  #enter() {
    if (this.#tool === "read") {
      this.#selected = hit(this.session.regions, ...this.#cursor, 1)?.label ?? null;
      this.#changed();
    } else if (this.#tool === "polygon") this.#corner(this.#cursor);
    else if (this.#tool === "spot" || this.#draft?.from) this.#finish(shapeBetween(this.#tool, this.#draft?.from ?? this.#cursor, this.#cursor));
    else this.#draft = { ...shapeBetween(this.#tool, this.#cursor, this.#cursor), from: this.#cursor };
  }

  #removeSelected() {
    if (this.#draft?.corners) {
      const corners = this.#draft.corners.slice(0, -1);
      this.#draft = corners.length ? { ...this.#draft, corners } : null;
      return;
    }
    const region = this.session.find(this.#selected);
    if (region && region.origin !== "camera") this.session.remove(region);
    this.#selected = null;
    this.#changed();
  }

  #rename(region, label) {
    const before = region.label;
    const done = this.session.rename(region, label.trim());
    this.#parts.said.textContent = done ? "" : `A name is 1 to 24 letters, digits or _, and no other region's; ${before} keeps its name.`;
    if (this.#selected === before) this.#selected = region.label;
    this.#changed();
  }

  #addDelta() {
    const [a, aStat, b, bStat] = this.#parts.delta.map((field) => field.value);
    if (a && b && !(a === b && aStat === bStat)) this.session.addDelta({ a, aStat, b, bStat: b === "ambient" ? null : bStat });
    this.#changed();
  }

  #span(name, low, high) {
    this.#spanName = name;
    if (high > low) Object.assign(this.#look, { low, high });
    this.#changed();
  }

  #middle() {
    return (this.#look.low + this.#look.high) / 2;
  }

  #isotherm(change) {
    Object.assign(this.session.isotherm, change);
    this.#changed();
  }

  #nudge(name, value) {
    if (name !== "zoom" || value > 0) this.#hand[name] = value;
    this.#schedule();
  }

  #alignment() {
    return this.placed(this.#hand);
  }

  #saveSidecar() {
    const sidecar = this.session.sidecar();
    if (!this.dispatchEvent(new CustomEvent("sidecar", { detail: sidecar, cancelable: true, bubbles: true, composed: true }))) return;
    save(`${this.session.data.name}.isotherm.json`, new Blob([JSON.stringify(sidecar, null, 2)], { type: "application/json" }));
  }

  #savePicture() {
    const { picture, marks, scale } = this.#parts;
    const whole = make("canvas", { width: marks.width + scale.width + 24, height: marks.height });
    const context = whole.getContext("2d");
    context.fillStyle = this.#ink().paper;
    context.fillRect(0, 0, whole.width, whole.height);
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, 0, 0, marks.width, marks.height);
    context.drawImage(marks, 0, 0);
    context.drawImage(scale, marks.width + 12, 0);
    whole.toBlob((blob) => save(`${this.session.data.name}.png`, blob));
  }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  #scale() {
    return this.#parts.stage.clientWidth / this.session.plane.width;
  }

  #ink() {
    const style = getComputedStyle(this);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return { text: colour("ink"), quiet: colour("quiet"), line: colour("line"), accent: colour("accent"), paper: colour("paper") };
  }

  #schedule() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#draw();
    });
  }

  /** Write the tables and fields anew, and draw. */
  #changed() {
    this.#fillTable();
    this.#fillDeltas();
    this.#parts.fillScene?.();
    this.#fillFields();
    this.#schedule();
  }

  #fillTable() {
    const { session } = this;
    const act = {
      rename: (region, label) => this.#rename(region, label),
      remove: (region) => { this.#selected = region.label; this.#removeSelected(); },
      select: (region) => { this.#selected = region.label; this.#schedule(); },
    };
    const rows = [null, ...session.regions].map((region) => {
      const found = session.measure(region);
      const spread = region?.scene ? "" : this.#spread(found?.max);
      return { region, found, uncertainty: spread && `maximum${spread}` };
    });
    this.#parts.table.replaceChildren(regionTable(rows, { unit: this.#unit, selected: this.#selected, act }));
  }

  #fillDeltas() {
    const { session } = this;
    const [first, , second] = this.#parts.delta;
    const regions = session.regions.map(({ label }) => [label, label]);
    const ambient = session.ambient === null ? [] : [["ambient", `air ${shown(session.ambient, { ...this.#unit, about: "" }, 1)}`]];
    const before = [first.value, second.value];
    first.replaceChildren(...optionsOf(regions));
    second.replaceChildren(...optionsOf([...regions, ...ambient]));
    first.value = session.find(before[0]) ? before[0] : regions[0]?.[0] ?? "";
    second.value = [...second.options].some(({ value }) => value === before[1]) && before[1] !== first.value ? before[1] : second.options[1]?.value ?? "";
    this.#parts.pick.hidden = !regions.length;
    [first, second].forEach((field, side) => { if (field.value !== before[side]) this.#usualStatistics(side); });
    this.#sayStatistics();
    const lines = session.deltas.map((text) => ({ name: text, text: this.#deltaLine(text), note: this.#verdict(text) }));
    this.#parts.deltas.replaceChildren(lines.length ? removable(lines, (number) => {
      session.deltas.splice(number, 1);
      this.#changed();
    }) : make("p", { className: "quiet" }, regions.length ? "None yet." : "Draw a region first, for example a spot."));
  }

  /** A region that is newly chosen is compared by what `isotherm measure` would compare it by. */
  #usualStatistics(side) {
    const [field, statistic] = this.#parts.delta.slice(2 * side);
    statistic.value = usual(this.session.find(field.value)?.shape);
    this.#sayStatistics();
  }

  /** Air has one temperature, so there is no statistic to choose. */
  #sayStatistics() {
    const [, , second, statistic] = this.#parts.delta;
    statistic.hidden = second.value === "ambient";
  }

  #verdict(text) {
    const table = this.session.data.severity.find(({ id }) => id === this.#parts.severity.value);
    const difference = this.session.difference(text);
    return table && difference !== null ? verdict(table, difference, this.session.comparison(text)) : "";
  }

  #deltaLine(text) {
    const value = this.session.difference(text);
    if (value === null) return `${text}: see isotherm measure`;
    const { factor, difference, digits, about: said = "" } = this.#unit;
    return `${text.replace("-", " − ")} = ${said}${(value * factor).toFixed(said ? digits : 2)} ${difference}`;
  }

  #fillFields() {
    const { low, high, isoLow, isoHigh, isoShare } = this.#parts;
    const unit = this.#unit, { isotherm } = this.session;
    const write = (field, value) => { if (value !== null) field.value = String(Number(unit.to(value).toFixed(2))); };
    write(low, this.#look.low);
    write(high, this.#look.high);
    write(isoLow.field, isotherm.low);
    write(isoHigh.field, isotherm.high);
    isoLow.label.hidden = !["above", "between"].includes(isotherm.mode);
    isoHigh.label.hidden = !["below", "between"].includes(isotherm.mode);
    isoShare.hidden = isotherm.mode === "off";
    isoShare.textContent = `${(100 * this.session.isothermShare()).toFixed(1)} % of the picture`;
  }

  #draw() {
    const { picture, scale, stage } = this.#parts;
    if (!stage.clientWidth) return;
    const { plane } = this.session;
    const context = picture.getContext("2d", { willReadFrequently: true });
    const pixels = context.createImageData(plane.width, plane.height);
    paint(pixels.data, plane, { ...this.#look, isotherm: this.session.isotherm });
    context.putImageData(pixels, 0, 0);
    if (this.#parts.palette.value === STORED) context.drawImage(this.#look.stored, 0, 0, plane.width, plane.height);
    drawScale(scale, plane, this.#look, this.#unit, this.#ink());
    this.#drawMarks();
    this.#drawPhoto();
    this.#drawProfile();
    this.#sayReading();
  }

  #drawMarks() {
    const { context } = prepared(this.#parts.marks);
    const scale = this.#scale();
    if (this.#laid) context.drawImage(this.#laid, 0, 0, this.session.plane.width * scale, this.session.plane.height * scale);
    if (this.#parts.edges?.checked) {
      this.#edges ??= edgesOf(this.#parts.image);
      drawEdges(context, this.#edges, this.#alignment(), scale, this.#parts.strength.valueAsNumber);
    }
    const taken = [];
    if (this.#parts.extremes.checked) drawExtremes(context, this.session.plane.whole, scale, this.#unit, taken);
    if (this.#parts.outlines.checked) this.#findings.forEach((finding) => drawFinding(context, finding, { scale, taken }));
    for (const region of this.session.regions) drawShape(context, region, { scale, selected: region.label === this.#selected, taken });
    if (this.#draft) drawShape(context, this.#draft, { scale, selected: true });
    drawCross(context, (this.#cursor[0] + 0.5) * scale, (this.#cursor[1] + 0.5) * scale);
  }

  #drawPhoto() {
    const { photo, image, photoText } = this.#parts;
    if (!photo) return;
    const context = photo.getContext("2d");
    context.drawImage(image, 0, 0);
    const [x, y] = inPhoto(this.#alignment(), ...this.#cursor);
    const size = photo.width / Math.max(1, photo.clientWidth);
    drawField(context, this.#alignment(), this.session.plane, size);
    drawCross(context, x + 0.5, y + 0.5, size);
    const { dx, dy, zoom } = this.#hand;
    const { source } = this.session.data.photo.alignment;
    const flag = dx || dy || zoom !== 1 ? `; moved by hand, to keep it: --align ${dx},${dy},${zoom}` : "";
    photoText.textContent = `${this.session.data.photo.origin}; alignment: ${source}${flag}`;
  }

  #drawProfile() {
    const { profile, plot, plotText } = this.#parts;
    const lines = this.session.regions.filter(({ shape }) => shape === "line");
    const drawn = this.#draft?.shape === "line" ? this.#draft : null;
    const line = drawn ?? lines.find(({ label }) => label === this.#selected) ?? lines.at(-1);
    profile.hidden = !line;
    if (!line) return;
    drawProfile(plot, this.session.profile(line), this.#unit, this.#ink());
    const text = profileText(line.label ?? describe(line), this.session.measure(line), this.#unit);
    if (plotText.textContent !== text) plotText.textContent = text;
    plot.setAttribute("aria-label", text);
  }

  /** Return the expanded uncertainty of a temperature as text; empty where it is not known. */
  #spread(value) {
    const spread = this.session.uncertainty(value);
    return spread === null ? "" : ` ± ${(spread * this.#unit.factor).toFixed(1)} ${this.#unit.difference}`;
  }

  #sayReading() {
    const [x, y] = this.#cursor;
    const value = this.read(x, y);
    const text = Number.isNaN(value) ? `x ${x}, y ${y}: no value` : `x ${x}, y ${y}: ${shown(value, this.#unit)}${this.#spread(value)}`;
    const { reading } = this.#parts;
    reading.value = text;
    Object.assign(reading.dataset, { x, y, value });
  }
}

customElements.define("thermal-view", ThermalView);
