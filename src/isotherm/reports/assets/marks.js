/** What is drawn over the picture: shapes, the cross, the hottest and the coldest pixel. */

import { shown } from "./plane.js";
import { bounds } from "./shapes.js";

/** Return a place so far inside the canvas that a mark which reaches `margin` pixels around it is seen whole. */
function inside(context, x, y, margin) {
  const { clientWidth: width, clientHeight: height } = context.canvas;
  return [Math.max(margin, Math.min(x, width - margin)), Math.max(margin, Math.min(y, height - margin))];
}

/** Add the outline of a shape to the path of a canvas; `scale` is shown over thermal pixels. */
function trace(context, shape, scale) {
  const at = (place) => (place + 0.5) * scale;
  if (shape.shape === "ellipse") {
    context.ellipse(at(shape.x), at(shape.y), shape.radius_x * scale, shape.radius_y * scale, 0, 0, 2 * Math.PI);
  } else if (shape.shape === "line" || shape.shape === "polygon") {
    const corners = shape.shape === "line" ? [[shape.x0, shape.y0], [shape.x1, shape.y1]] : shape.corners;
    corners.forEach(([x, y]) => context.lineTo(...inside(context, at(x), at(y), 1)));
    if (shape.shape === "polygon" && !shape.open) context.closePath();
  } else {
    const [left, top, right, bottom] = bounds(shape);
    const [x0, y0] = inside(context, left * scale, top * scale, 1);
    const [x1, y1] = inside(context, (right + 1) * scale, (bottom + 1) * scale, 1);
    context.rect(x0, y0, x1 - x0, y1 - y0);
  }
}

/** Draw a shape and its label, dark below and light above, so that they show on any ground. */
export function drawShape(context, shape, { scale, selected, taken = [] }) {
  for (const [width, ink] of [[selected ? 5 : 4, "#000"], [selected ? 3 : 1.5, selected ? "#ffe14d" : "#fff"]]) {
    context.beginPath();
    trace(context, shape, scale);
    context.lineWidth = width;
    context.strokeStyle = ink;
    context.stroke();
  }
  if (shape.label) {
    const [left, top, , bottom] = bounds(shape);
    // A spot is often the hottest place, whose temperature stands above it.
    drawText(context, shape.label, left * scale + 3, shape.shape === "spot" ? (bottom + 1) * scale + 15 : top * scale - 5, { taken });
  }
}

/** Seen on every palette but the blue ones, and there the dark edge around it is. */
const FINDING = "#5ff0ff", CHOSEN = "#ffe14d";

/** Outline a hot spot by its contour; `finding` = {contour, label, chosen}. */
export function drawFinding(context, { contour, label, chosen }, { scale, taken = [] }) {
  if (!contour.length) return;
  const ink = chosen ? CHOSEN : FINDING;
  for (const [width, colour] of [[chosen ? 6 : 4, "#000"], [chosen ? 3.5 : 2, ink]]) {
    context.beginPath();
    contour.forEach(([x, y]) => context.lineTo(...inside(context, (x + 0.5) * scale, (y + 0.5) * scale, 1)));
    context.closePath();
    context.lineWidth = width;
    context.lineJoin = "round";
    context.strokeStyle = colour;
    context.stroke();
  }
  const right = Math.max(...contour.map(([x]) => x)), middle = contour.reduce((sum, [, y]) => sum + y, 0) / contour.length;
  drawText(context, label, (right + 1) * scale + 5, (middle + 0.5) * scale + 5, { ink, taken });
}

const LINE = 16;

/** Return the first place for a text, near its own, that hides no text of `taken`; its own where there is none. */
function freePlace(context, left, base, width, taken) {
  const frame = (shift) => [left, Math.max(13, Math.min(base + shift, context.canvas.clientHeight - 4)), width];
  const hides = ([x, y, wide]) => taken.some(([x2, y2, wide2]) => x < x2 + wide2 + 4 && x2 < x + wide + 4 && Math.abs(y - y2) < LINE);
  const found = [0, 1, -1, 2, -2, 3, -3].map((lines) => frame(lines * LINE)).find((place) => !hides(place)) ?? frame(0);
  taken.push(found);
  return found;
}

function widthOf(context, text) {
  context.font = "600 13px system-ui, sans-serif";
  return context.measureText(text).width;
}

/** Write text that shows on any ground, kept inside the canvas; `taken` are the places of texts, and gets this one's. */
export function drawText(context, text, x, y, { ink = "#fff", taken = [] } = {}) {
  const width = widthOf(context, text);
  const left = Math.max(2, Math.min(x, context.canvas.clientWidth - width - 3));
  const [, base] = freePlace(context, left, y, width, taken);
  context.lineWidth = 3.5;
  context.lineJoin = "round";
  context.strokeStyle = "#000";
  context.strokeText(text, left, base);
  context.fillStyle = ink;
  context.fillText(text, left, base);
}

/** Draw the cross at a place of the canvas; `size` is its pixels over those of the screen. */
export function drawCross(context, x, y, size = 1) {
  for (const [width, ink] of [[3.5, "#000"], [1.5, "#fff"]]) {
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 3 * size * dx, y + 3 * size * dy);
      context.lineTo(x + 11 * size * dx, y + 11 * size * dy);
    }
    context.lineWidth = width * size;
    context.strokeStyle = ink;
    context.stroke();
  }
}

const TALL = 10, HALF = 6, EDGE = 2;

/** Mark the hottest pixel by a red triangle above it, the coldest by a blue one below it; on the other side at an edge. */
export function drawExtremes(context, whole, scale, unit, taken = []) {
  if (!whole) return;
  for (const [[x, y], value, ink, usual] of [[whole.maxAt, whole.max, "#ff6b6b", -1], [whole.minAt, whole.min, "#6bc4ff", 1]]) {
    const left = (x + 0.5) * scale, top = (y + 0.5) * scale;
    const end = top + (TALL + EDGE) * usual;
    const side = end < 0 || end > context.canvas.clientHeight ? -usual : usual;
    const [middle] = inside(context, left, top, HALF + EDGE);
    context.beginPath();
    context.moveTo(left, top);
    context.lineTo(middle - HALF, top + TALL * side);
    context.lineTo(middle + HALF, top + TALL * side);
    context.closePath();
    context.lineWidth = 3;
    context.strokeStyle = "#000";
    context.stroke();
    context.fillStyle = ink;
    context.fill();
    const text = shown(value, unit, Math.min(1, unit.digits)), width = widthOf(context, text);
    const beside = middle + 9 + width > context.canvas.clientWidth - 3 ? middle - 9 - width : middle + 9;
    drawText(context, text, beside, top + (side < 0 ? -3 : 13), { ink, taken });
  }
}
