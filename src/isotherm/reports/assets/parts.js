/** Pieces of the page: elements, tables and lists, made of text nodes so that no name of a stranger becomes markup. */

import { shown } from "./plane.js";
import { describe } from "./shapes.js";

export const STATISTICS = ["max", "mean", "min", "median"];

/** Make an element: attributes, `on...` listeners and properties by name, children as nodes or text. */
export function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Make a number field with its label; `onvalue` gets the number once it is one. */
export function numberField(text, { onvalue, step = "any", ...settings }) {
  const field = make("input", {
    type: "number", step, ...settings,
    onchange: () => Number.isFinite(field.valueAsNumber) && onvalue(field.valueAsNumber),
  });
  return { field, label: labelled(text, field) };
}

let fields = 0;

/** Put a label before its field. */
function labelled(text, field) {
  fields += 1;
  field.id = `field-${fields}`;
  return make("span", { className: "field" }, make("label", { htmlFor: field.id }, text), field);
}

/** Make a choice with its label; `options` is a list of [value, text]. */
export function choice(text, options, onchoice) {
  const field = make("select", { onchange: () => onchoice(field.value) }, ...optionsOf(options));
  return { field, label: labelled(text, field) };
}

export function optionsOf(options) {
  return options.map(([value, text]) => make("option", { value }, text));
}

/** Make the table of measurements. `rows` = [{region, found}], `act` = {select, rename, remove}. */
export function regionTable(rows, { unit, selected, act }) {
  const head = ["Region", ...["Max", "Mean", "Min"].map((name) => `${name} ${unit.symbol}`), `Std ${unit.difference}`, ""].map((text) => make("th", { scope: "col" }, text || blank("Action")));
  const body = rows.flatMap((row) => regionRows(row, { unit, selected, act }));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

/** Text for screen readers where the eye needs none. */
function blank(text) {
  const hidden = make("span", {}, text);
  hidden.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";
  return hidden;
}

function regionRows({ region, found, uncertainty }, { unit, selected, act }) {
  const chosen = region && region.label === selected;
  const spread = found ? `${(found.std * unit.factor).toFixed(2)}` : "";
  const cells = ["max", "mean", "min"].map((name) => make("td", { className: name }, found ? shown(found[name], { ...unit, symbol: "" }) : "none"));
  const numbers = make(
    "tr", { className: `numbers${chosen ? " selected" : ""}` }, nameCell(region, act), ...cells, make("td", {}, spread), actionCell(region, act),
  );
  const text = [region ? describe(region) : "", place(found), region?.note, uncertainty].filter(Boolean).join(" · ");
  return [numbers, make("tr", { className: `where${chosen ? " selected" : ""}` }, make("td", { colSpan: 6 }, text))];
}

function place(found) {
  return found ? `${found.count} px · hottest at ${found.maxAt.join(", ")} · coldest at ${found.minAt.join(", ")}` : "no pixel has a value";
}

function nameCell(region, act) {
  if (!region) return make("th", { scope: "row" }, "Picture");
  if (region.origin === "camera") return make("th", { scope: "row" }, `${region.label} (camera)`);
  const field = make("input", {
    type: "text", value: region.label, maxLength: 24, "aria-label": `Name of region ${region.label}`,
    onchange: () => act.rename(region, field.value), onfocus: () => act.select(region),
  });
  return make("th", { scope: "row" }, field);
}

function actionCell(region, act) {
  if (!region || region.origin === "camera") return make("td", {});
  return make("td", {}, make("button", { type: "button", "aria-label": `Remove ${region.label}`, onclick: () => act.remove(region) }, "×"));
}

/** Make a list of lines that can be taken away again. */
export function removable(lines, onremove) {
  return make("ul", {}, ...lines.map(({ text, name, note }, number) => make(
    "li", {},
    make("span", {}, make("span", { className: "delta" }, text), ...(note ? [make("br"), make("span", { className: "quiet" }, note)] : [])),
    make("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => onremove(number) }, "×"),
  )));
}

/** Offer a file for saving. */
export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
