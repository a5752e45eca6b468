/** What the user has drawn and chosen, without any page: regions, differences, isotherm, and the sidecar that keeps them. */

import { decodePlane, decodeTable, isothermTest, statistics } from "./plane.js";
import { deltaText, isothermText, mentions, parseDelta, parseIsotherm, renamedIn } from "./deltas.js";
import { PARAMETERS, Planck } from "./radiometry.js";
import { KINDS, pixelsOf } from "./shapes.js";

const LABEL = /^\w{1,24}$/;
const RESERVED = ["ambient", "median", "phases", "image"];

export class Session {
  /** Decode a page's data and the tables of regions that have scene parameters of their own. */
  static async open(data) {
    const plane = await decodePlane(data.plane);
    const session = new Session(data, plane);
    if (data.physics) session.physics = new Planck(data.physics, await decodeTable(data.physics.counts));
    for (const region of session.regions) {
      if (region.table) session.planes.set(region.label, plane.through(await decodeTable(region.table)));
    }
    return session;
  }

  constructor(data, plane) {
    this.data = data;
    this.plane = plane;
    this.planes = new Map();
    this.physics = null;
    this.first = plane;
    this.scene = data.physics ? { ...data.physics.scene } : null;
    this.kept = { scene: {}, ...data.sidecar };
    this.regions = data.regions.map((region) => ({ ...region }));
    this.deltas = [...data.deltas];
    this.otherIsotherms = data.isotherms.filter((text) => !parseIsotherm(text));
    const [first] = data.isotherms.map(parseIsotherm).filter(Boolean);
    this.isotherm = { mode: "off", low: null, high: null, colour: [64, 255, 96, 255], ...first };
  }

  /** Return the statistics of a region, or of the whole picture. */
  measure(region = null) {
    if (!region) return this.plane.whole;
    const plane = this.planes.get(region.label) ?? this.plane;
    const pixels = pixelsOf(region, plane.width, plane.height);
    // A line may meet a pixel twice, but it is measured once; of equal extremes the first in raster order gives the place.
    return statistics(plane, region.shape === "line" ? Uint32Array.from(new Set(pixels)).sort() : pixels);
  }

  profile(line) {
    const plane = this.planes.get(line.label) ?? this.plane;
    return pixelsOf(line, plane.width, plane.height).map((pixel) => plane.values[pixel]);
  }

  // ---- scene parameters ---------------------------------------------------------------------------------------------

  /** Return the scene parameters of a region, or of the picture; null where they cannot be changed here. */
  sceneOf(region = null) {
    return this.scene && { ...this.scene, ...region?.scene };
  }

  /** Change parameters of a region, or of the picture; null takes the changes back. `material` = {name, sigma}. */
  rescene(region, changes, material = null) {
    if (region) this.replace(region, withScene(region, changes && { ...region.scene, ...changes }));
    else this.#resceneAll(changes, material);
    for (const each of this.regions) {
      this.planes.delete(each.label);
      if (each.scene) this.planes.set(each.label, this.first.through(this.physics.table(this.sceneOf(each))));
    }
  }

  #resceneAll(changes, material) {
    this.scene = { ...this.data.physics.scene, ...(changes && { ...this.scene, ...changes }) };
    this.kept = changes ? { ...this.kept, scene: { ...this.kept.scene, ...changes } } : { scene: {}, ...this.data.sidecar };
    if (changes && "emissivity" in changes) {
      const { material: before, sigma: { emissivity, ...sigma } = {}, ...kept } = this.kept;
      if (material) Object.assign(sigma, { emissivity: material.sigma });
      this.kept = { ...kept, ...(Object.keys(sigma).length && { sigma }), ...(material && { material: material.name }) };
    }
    this.plane = changes ? this.first.through(this.physics.table(this.scene)) : this.first;
  }

  /** Return which parameters differ from those that the page was made with, in words; empty where none does. */
  changes(region = null) {
    const before = region ? this.scene : this.data.physics.scene;
    const now = this.sceneOf(region);
    const differ = PARAMETERS.filter(([name]) => now[name] !== before[name]);
    return differ.map(([name, text]) => `${text.toLowerCase()} ${now[name]}`).join(", ");
  }

  /** The temperature of the air [°C], null where nobody has said it. */
  get ambient() {
    const said = this.data.ambient_c !== null || this.scene?.atmosphere_c !== this.data.physics?.scene.atmosphere_c;
    return said ? this.scene?.atmosphere_c ?? this.data.ambient_c : null;
  }

  /** Return the expanded uncertainty [K] at a temperature, between the values that the data have; null without them. */
  uncertainty(celsius) {
    // They are those of the first scene.
    const known = this.rescened ? null : this.data.uncertainty;
    if (!known || !Number.isFinite(celsius)) return null;
    const { at_c: at, expanded_k: expanded } = known;
    const after = at.findIndex((place) => place >= celsius);
    if (after <= 0) return after === 0 ? expanded[0] : expanded.at(-1);
    const share = (celsius - at[after - 1]) / (at[after] - at[after - 1]);
    return expanded[after - 1] + share * (expanded[after] - expanded[after - 1]);
  }

  get rescened() {
    return this.plane !== this.first;
  }

  /** Return where a temperature of the page's first scene has moved to; as it is where nothing was changed. */
  movedTo(celsius) {
    if (!this.rescened) return celsius;
    const { steps } = this.first;
    const known = steps.reduce((best, step, place) => (
      Math.abs(step - celsius) < Math.abs(steps[best] - celsius) || Number.isNaN(steps[best]) ? place : best), 0);
    return this.plane.steps[known];
  }

  // ---- regions ------------------------------------------------------------------------------------------------------

  find(label) {
    return this.regions.find((region) => region.label === label);
  }

  add(shape) {
    const { letter } = KINDS[shape.shape];
    let number = 1;
    while (this.find(`${letter}${number}`)) number += 1;
    const region = { label: `${letter}${number}`, ...shape, origin: "user" };
    this.regions.push(region);
    return region;
  }

  replace(region, changed) {
    this.regions = this.regions.map((other) => (other === region ? changed : other));
    return changed;
  }

  remove(region) {
    this.regions = this.regions.filter((other) => other !== region);
    this.deltas = this.deltas.filter((text) => !mentions(text, region.label));
  }

  /** Give a region another name; false where the name is taken or has other characters than letters, digits and _. */
  rename(region, label) {
    if (label === region.label) return true;
    if (!LABEL.test(label) || this.find(label) || RESERVED.includes(label)) return false;
    this.deltas = this.deltas.map((text) => renamedIn(text, region.label, label));
    if (this.planes.has(region.label)) this.planes.set(label, this.planes.get(region.label));
    this.planes.delete(region.label);
    region.label = label;
    return true;
  }

  addDelta(delta) {
    const text = deltaText(delta);
    if (!this.deltas.includes(text)) this.deltas.push(text);
  }

  /** Return a difference in kelvin (or levels), null where it cannot be computed here. */
  difference(text) {
    const delta = parseDelta(text, (label) => this.find(label)?.shape);
    if (!delta) return null;
    const first = this.measure(this.find(delta.a))?.[delta.aStat];
    const second = delta.b === "ambient" ? this.ambient : this.measure(this.find(delta.b))?.[delta.bStat];
    return Number.isFinite(first) && Number.isFinite(second) ? first - second : null;
  }

  /** Return over what a difference is taken: "similar" for another region, "ambient" for the air; null where unknown. */
  comparison(text) {
    const delta = parseDelta(text, (label) => this.find(label)?.shape);
    return delta && (delta.b === "ambient" ? "ambient" : "similar");
  }

  /** Return which share of the pixels with a value the isotherm holds. */
  isothermShare() {
    const test = isothermTest(this.isotherm);
    const values = this.plane.values;
    return test ? values.reduce((count, value) => count + test(value), 0) / Math.max(1, this.plane.whole?.count ?? 0) : 0;
  }

  /** Return the sidecar: what it held before, with the regions, differences and isotherm of now. */
  sidecar() {
    const { name, digest } = this.data;
    const { scene, ...kept } = this.kept;
    const shown = isothermText(this.isotherm);
    const filled = {
      regions: this.regions.filter((region) => region.origin !== "camera").map(written),
      deltas: this.deltas,
      isotherms: [...(shown ? [shown] : []), ...this.otherIsotherms],
    };
    const lists = Object.fromEntries(Object.entries(filled).filter(([, list]) => list.length));
    return { isotherm_sidecar: 1, image: name, ...(digest && { image_sha256: digest }), ...(Object.keys(scene).length && { scene }), ...kept, ...lists };
  }
}

/** Return a region with scene parameters of its own, or without any. */
function withScene({ scene, table, note, ...region }, changes) {
  return changes ? { ...region, scene: changes, note: `with ${Object.entries(changes).map((pair) => pair.join(" ")).join(", ")}` } : region;
}

/** Leave out what only the page knows. */
function written({ origin, table, note, ...region }) {
  return region;
}
