/** What every page does once scripts run: shortcuts, help, colours, questions before what cannot be taken back. */

const ELEMENTS = {
  "picture-drop": "./picture-drop.js",
  "thermal-picture": "./thermal-picture.js",
  "feedback-keys": "./feedback-keys.js",
  "job-progress": "./job-progress.js",
  "job-list": "./job-progress.js",
  "threshold-tool": "./threshold-tool.js",
  "score-threshold": "./score-threshold.js",
};
const PLACES = { i: "/", g: "/images", s: "/sites", j: "/jobs" };
const AFTER_G_MS = 1500;

/** Say whether a key press is meant for a field, or for an element with keys of its own. */
export function isTyping(event) {
  const [target] = event.composedPath();
  return event.ctrlKey || event.metaKey || event.altKey || target.closest?.("input:not([type=checkbox], [type=radio]), select, textarea, dialog[open], [role=application]") !== null;
}

/** Put what the server has drawn into the page; it holds no scripts that run. */
export function nodesOf(html) {
  return [...new DOMParser().parseFromString(html, "text/html").body.children].map((node) => document.adoptNode(node));
}

/** Load the modules of the elements that a part of the page holds. */
export function enliven(part) {
  for (const [name, module] of Object.entries(ELEMENTS)) {
    if (part.querySelector(name)) import(module);
  }
}

function themes() {
  const form = document.querySelector("[data-theme-form]");
  form.elements.theme.addEventListener("change", ({ target: { value } }) => {
    const root = document.documentElement;
    if (value === "auto") delete root.dataset.theme;
    else root.dataset.theme = value;
    fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
    document.querySelectorAll("thermal-view").forEach((view) => view.redraw?.());
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.querySelectorAll("thermal-view").forEach((view) => view.redraw?.());
  });
}

function helpDialog() {
  const dialog = document.querySelector("#help");
  const button = document.querySelector("[data-help]");
  button.hidden = false;
  button.addEventListener("click", () => dialog.showModal());
  return dialog;
}

/** The elements that a key presses or goes to. */
const TARGETS = {
  "/": "[data-search]",
  u: "picture-drop input[type=file]",
  v: "thermal-view",
  "[": "a[rel=prev]",
  "]": "a[rel=next]",
};

function shortcuts(dialog) {
  let since = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (isTyping(event)) return;
    const { key, timeStamp } = event;
    const target = TARGETS[key] && document.querySelector(TARGETS[key]);
    if (timeStamp - since < AFTER_G_MS && PLACES[key]) location.assign(PLACES[key]);
    else if (key === "?") dialog.showModal();
    else if (target) go(target);
    else if (key !== "g") return;
    since = key === "g" ? timeStamp : -Infinity;
    event.preventDefault();
  });
}

function go(target) {
  if (target.matches("a, input[type=file]")) target.click();
  else (target.shadowRoot?.querySelector(".stage") ?? target).focus();
}

/** Move between the links of a grid with the arrow keys. */
function gridKeys() {
  document.addEventListener("keydown", (event) => {
    const grid = event.target.closest?.("[data-keys]");
    if (!grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const links = [...grid.querySelectorAll("a")];
    const at = links.indexOf(event.target);
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: links.length - 1 - at }[event.key];
    if (at < 0 || step === undefined) return;
    links[Math.max(0, Math.min(links.length - 1, at + step))].focus();
    event.preventDefault();
  });
}

function questions() {
  document.addEventListener("submit", (event) => {
    const text = event.target.dataset.confirm;
    if (text && !confirm(text)) event.preventDefault();
  });
  document.querySelectorAll("[data-back]").forEach((link) => link.addEventListener("click", (event) => {
    if (history.length < 2) return;
    event.preventDefault();
    history.back();
  }));
}

document.querySelectorAll("[data-without-script]").forEach((element) => { element.hidden = true; });
themes();
shortcuts(helpDialog());
gridKeys();
questions();
enliven(document);
