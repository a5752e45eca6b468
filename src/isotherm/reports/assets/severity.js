/** What a severity table says about a difference; the tables are those of isotherm.measurement.severity. */

const FOR = { similar: "similar parts under similar load", ambient: "air around" };

/** Return the verdict on a difference [K] over a "similar" part or "ambient" air, in words. */
export function verdict(table, difference, comparison) {
  if (!table.accepts.includes(comparison)) return `${table.id} is not applicable: it is for ${table.accepts.map((kind) => FOR[kind]).join(" or ")}`;
  const row = table.intervals.find((interval) => includes(interval, difference));
  const condition = conditions(table, comparison);
  if (!row) return `no action by ${table.id}${condition}`;
  return `class ${row.grade} by ${table.id}: ${row.action}${condition}`;
}

function includes({ low, high, low_closed, high_closed }, value) {
  const above = low_closed ? value >= low : value > low;
  return above && (high === null || (high_closed ? value <= high : value < high));
}

/** A picture tells neither what is similar nor the load: the reader of a verdict must know. */
function conditions({ min_load_percent }, comparison) {
  const asked = [
    comparison === "similar" ? "if the two are similar parts under similar load" : "",
    min_load_percent === null ? "" : `at a load of at least ${min_load_percent} % of rating, which is not known here`,
  ].filter(Boolean);
  return asked.length ? ` (${asked.join(", ")})` : "";
}
