/** The look of the element, in its own shadow: nothing of the page reaches in, nothing reaches out. */

export const STYLE = `
:host {
  --paper: #ffffff; --ground: #f4f5f7; --ink: #1c2026; --quiet: #5d6672; --line: #dde1e6; --edge: #868f9b; --accent: #1f5fa8;
  --on-accent: #ffffff; --warn: #8f4a00;
  display: block; container-type: inline-size; color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
@media (prefers-color-scheme: dark) {
  :host {
    --paper: #1b1f25; --ground: #12151a; --ink: #e6e9ee; --quiet: #9aa5b3; --line: #333a44; --edge: #77828f; --accent: #7db4f0;
    --on-accent: #10161d; --warn: #ffc784;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
h2 { font-size: 16px; margin: 0 0 8px; }
p { margin: 4px 0; }
.quiet { color: var(--quiet); font-size: 13px; }
.warn { color: var(--warn); font-size: 13px; }
.layout > * { min-width: 0; }
.layout { display: grid; grid-template-columns: minmax(0, 1fr) minmax(340px, 440px); gap: 16px; align-items: start; }
@container (max-width: 900px) { .layout { grid-template-columns: minmax(0, 1fr); } }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; margin: 0 0 14px; }
.row { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; margin: 0 0 10px; }
.row:last-child { margin-bottom: 0; }
button, select, input[type=number], input[type=text] {
  font: inherit; font-size: 14px; color: var(--ink); background: var(--paper); border: 1px solid var(--edge); border-radius: 6px;
  padding: 3px 9px; min-height: 30px;
}
button { cursor: pointer; }
button:hover { border-color: var(--accent); }
button[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button:focus-visible, select:focus-visible, input:focus-visible, .stage:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
input[type=number] { width: 92px; }
label, .field { display: inline-flex; gap: 6px; align-items: center; font-size: 14px; }
.view { display: grid; grid-template-columns: minmax(0, 1fr) 96px; gap: 8px; }
.stage { position: relative; line-height: 0; border-radius: 4px; cursor: crosshair; touch-action: none; user-select: none; }
.stage.reading { touch-action: pan-y; }
.picture { width: 100%; height: auto; image-rendering: pixelated; display: block; border-radius: 4px; }
.marks { position: absolute; inset: 0; width: 100%; height: 100%; }
.scale { width: 96px; height: 100%; min-height: 160px; display: block; }
output { display: block; font-size: 17px; font-weight: 600; margin: 10px 0 2px; min-height: 25px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: right; padding: 4px 5px; border-bottom: 1px solid var(--line); vertical-align: middle; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: var(--quiet); font-weight: 600; font-size: 12.5px; }
tr.selected > * { background: color-mix(in srgb, var(--accent) 14%, transparent); }
th input[type=text] { width: 66px; min-height: 26px; padding: 1px 6px; }
td button { min-height: 26px; padding: 0 8px; }
tr.where td { border-bottom: 1px solid var(--line); color: var(--quiet); font-size: 12.5px; text-align: left; padding-top: 0; white-space: normal; }
tr.numbers > * { border-bottom: 0; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 6px 14px; }
.fields .field { justify-content: space-between; }
.field { min-width: 0; max-width: 100%; }
select { min-width: 0; max-width: 100%; text-overflow: ellipsis; }
.plot { width: 100%; height: 170px; display: block; }
.photo { width: 100%; height: auto; display: block; border-radius: 4px; }
ul { margin: 0; padding: 0; list-style: none; }
li { display: flex; justify-content: space-between; gap: 8px; align-items: center; padding: 3px 0; }
kbd { font: 12px ui-monospace, monospace; border: 1px solid var(--edge); border-radius: 4px; padding: 0 4px; }
`;
