/** Differences between two regions, in the words of the sidecar: "a.max-b.max", "a.mean-ambient". */

const FORM = /^(\w+)(?:\.(max|mean|min|median))?\s*-\s*(?:(ambient)|(\w+)(?:\.(max|mean|min|median))?)$/;

/** Return the statistic of a kind of shape where none is named: a spot is read by its mean, all else by its maximum. */
export function usual(kind) {
  return kind === "spot" ? "mean" : "max";
}

/** Return {a, aStat, b, bStat} of a difference that the page can compute; null for the others, which it keeps as text. */
export function parseDelta(text, kindOf) {
  const found = FORM.exec(text.trim());
  if (!found) return null;
  const [, a, aStat, ambient, b, bStat] = found;
  if (!kindOf(a) || (b && !kindOf(b))) return null;
  return { a, aStat: aStat ?? usual(kindOf(a)), b: ambient ?? b, bStat: ambient ? null : bStat ?? usual(kindOf(b)) };
}

export function deltaText({ a, aStat, b, bStat }) {
  return `${a}.${aStat}-${b}${bStat ? `.${bStat}` : ""}`;
}

/** Return what finds a label where it is a word of its own, and no function's name. */
function word(label) {
  return new RegExp(`(?<![\\w.])${label.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&")}(?![\\w(])`, "g");
}

/** Say whether a difference speaks of a region. */
export function mentions(text, label) {
  return word(label).test(text);
}

/** Return the text with one label replaced by another. */
export function renamedIn(text, from, to) {
  return text.replace(word(from), to);
}

/** Return the isotherm that a text of the sidecar means; null where the page cannot show it. */
export function parseIsotherm(text) {
  const number = String.raw`\s*(-?\d+(?:\.\d+)?)\s*`;
  const above = new RegExp(`^>${number}$`).exec(text);
  if (above) return { mode: "above", low: Number(above[1]), high: null };
  const below = new RegExp(`^<${number}$`).exec(text);
  if (below) return { mode: "below", low: null, high: Number(below[1]) };
  const between = new RegExp(`^${number}\\.\\.${number}$`).exec(text);
  return between ? { mode: "between", low: Number(between[1]), high: Number(between[2]) } : null;
}

export function isothermText({ mode, low, high }) {
  const number = (value) => String(Math.round(value * 1000) / 1000);
  return { above: `>${number(low)}`, below: `<${number(high)}`, between: `${number(low)}..${number(high)}` }[mode];
}
