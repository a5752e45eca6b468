/**
 * The plane of temperatures: as it travels in a page, as colours, as numbers.
 *
 * Values are °C, or grey levels for a picture without temperatures; NaN where a pixel has none. Pixels are numbered row
 * by row from the upper left corner.
 */

/** Return the bytes of base64 text. */
export function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Return the bytes that were deflated (zlib) and written as base64. */
async function inflated(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Decode the plane of a page; see `encode_plane` in view_data.py for its form. */
export async function decodePlane({ encoding, width, height, data, table }) {
  const bytes = await inflated(data);
  const size = width * height;
  if (encoding === "float32") return new Plane(width, height, floats(joined(bytes, size)));
  const indexes = summed(bytes, size);
  const steps = floats(await inflated(table));
  return new Plane(width, height, Float32Array.from(indexes, (index) => steps[index]), { indexes, steps });
}

/** Return the numbers of a table of float32. */
export async function decodeTable(text) {
  return floats(await inflated(text));
}

function floats(bytes) {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** Put four planes of bytes, lowest first, together again. */
function joined(bytes, size) {
  const together = new Uint8Array(4 * size);
  for (let place = 0; place < 4 * size; place += 1) together[place] = bytes[(place % 4) * size + (place >> 2)];
  return together;
}

/** Undo the differences between neighbours: low bytes of all, then high bytes of all. */
function summed(bytes, size) {
  const indexes = new Uint16Array(size);
  let index = 0;
  for (let place = 0; place < size; place += 1) {
    const step = bytes[place] | (bytes[place + size] << 8);
    index = (index + ((step >> 1) ^ -(step & 1))) & 0xffff;
    indexes[place] = index;
  }
  return indexes;
}

export class Plane {
  /** `indexes` of the pixels into `steps`, their temperatures, where the plane has such a table. */
  constructor(width, height, values, { indexes = null, steps = null } = {}) {
    Object.assign(this, { width, height, values, indexes, steps });
    this.whole = statistics(this, everyPixel(width * height));
  }

  at(x, y) {
    return this.values[y * this.width + x];
  }

  holds(x, y) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height;
  }

  /** The same pixels seen through another table: other scene parameters, the same counts. */
  through(steps) {
    const { width, height, indexes } = this;
    return new Plane(width, height, Float32Array.from(indexes, (index) => steps[index]), { indexes, steps });
  }
}

function everyPixel(size) {
  return Uint32Array.from({ length: size }, (_, place) => place);
}

/** Return count, min, max, mean, std (population), median and the places of the extremes; null where no pixel has a value. */
export function statistics(plane, pixels) {
  const known = [];
  let sum = 0, low = -1, high = -1;
  for (const pixel of pixels) {
    const value = plane.values[pixel];
    if (Number.isNaN(value)) continue;
    known.push(value);
    sum += value;
    if (low < 0 || value < plane.values[low]) low = pixel;
    if (high < 0 || value > plane.values[high]) high = pixel;
  }
  if (!known.length) return null;
  const mean = sum / known.length;
  let squares = 0;
  for (const value of known) squares += (value - mean) ** 2;
  const place = (pixel) => [pixel % plane.width, Math.floor(pixel / plane.width)];
  return {
    count: known.length, mean, std: Math.sqrt(squares / known.length), median: median(known),
    min: plane.values[low], max: plane.values[high], minAt: place(low), maxAt: place(high),
  };
}

function median(values) {
  const sorted = Float32Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Write the colours of a plane into RGBA pixels. `look` = {palette, low, high, isotherm}. */
export function paint(pixels, plane, look) {
  const { palette, low, high } = look;
  const scale = 255 / (high - low);
  const inside = isothermTest(look.isotherm);
  for (let place = 0, at = 0; place < plane.values.length; place += 1, at += 4) {
    const value = plane.values[place];
    if (Number.isNaN(value)) {
      pixels.set(INVALID, at);
    } else if (inside && inside(value)) {
      pixels.set(look.isotherm.colour, at);
    } else {
      const step = 3 * Math.max(0, Math.min(255, Math.floor((value - low) * scale)));
      pixels[at] = palette[step];
      pixels[at + 1] = palette[step + 1];
      pixels[at + 2] = palette[step + 2];
      pixels[at + 3] = 255;
    }
  }
}

const INVALID = [120, 126, 134, 255];

/** Return the test that an isotherm makes, or null where it is off. */
export function isothermTest(isotherm) {
  const { mode, low, high } = isotherm ?? {};
  if (mode === "above") return (value) => value > low;
  if (mode === "below") return (value) => value < high;
  if (mode === "between") return (value) => value >= low && value <= high;
  return null;
}

/** Return how many pixels lie in each of `bins` equal parts of the span. */
export function histogram(plane, low, high, bins) {
  const counts = new Uint32Array(bins);
  const scale = bins / (high - low);
  for (const value of plane.values) {
    const bin = Math.floor((value - low) * scale);
    if (bin >= 0 && bin < bins) counts[bin] += 1;
  }
  return counts;
}

const CELSIUS = { symbol: "°C", difference: "K", from: (c) => c, to: (c) => c, factor: 1, digits: 2 };
const FAHRENHEIT = {
  symbol: "°F", difference: "°F", from: (f) => (f - 32) / 1.8, to: (c) => c * 1.8 + 32, factor: 1.8, digits: 2,
};
const KELVIN = { symbol: "K", difference: "K", from: (k) => k - 273.15, to: (c) => c + 273.15, factor: 1, digits: 2 };
const LEVEL = { symbol: "", difference: "", from: (level) => level, to: (level) => level, factor: 1, digits: 0 };

/** The units that values are shown in, by their letter; "l" is for grey levels. */
export const UNITS = { c: CELSIUS, f: FAHRENHEIT, k: KELVIN, l: LEVEL };

/** Return a unit for values that are estimated: they are said with "about" and one digit. */
export function about(unit) {
  return { ...unit, digits: Math.min(1, unit.digits), about: "about " };
}

/** Return a value as text in a unit; "none" where the pixel has none. */
export function shown(value, unit, digits = unit.digits) {
  if (value === null || Number.isNaN(value)) return "none";
  return `${unit.about ?? ""}${unit.to(value).toFixed(digits)}${unit.symbol ? ` ${unit.symbol}` : ""}`;
}
