/** The colour scale with its histogram, and the profile along a line. */

import { histogram, shown } from "./plane.js";

const GAP = 13;

/** Return a canvas's context, its pixels fitted to the screen, and its size. */
export function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Return round numbers between two ends, about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.75);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => (first + place) * step);
}

function digitsFor(width) {
  return width >= 100 ? 0 : width >= 5 ? 1 : 2;
}

/** Draw the colour scale: histogram to the left, colours, labels to the right. */
export function drawScale(canvas, plane, look, unit, ink) {
  const { context, height } = prepared(canvas);
  const { palette, low, high } = look;
  const bar = { left: 34, width: 16 };
  const counts = histogram(plane, low, high, height);
  const most = Math.max(1, ...counts);
  for (let row = 0; row < height; row += 1) {
    const share = (height - 1 - row) / Math.max(1, height - 1);
    const step = 3 * Math.round(255 * share);
    context.fillStyle = `rgb(${palette[step]} ${palette[step + 1]} ${palette[step + 2]})`;
    context.fillRect(bar.left, row, bar.width, 1);
    const length = 30 * Math.sqrt(counts[Math.min(height - 1, Math.floor(share * height))] / most);
    context.fillStyle = ink.quiet;
    context.fillRect(bar.left - 2 - length, row, length, 1);
  }
  labelScale(context, { left: bar.left + bar.width, height, low: unit.to(low), high: unit.to(high) }, unit, ink);
}

function labelScale(context, { left, height, low, high }, unit, ink) {
  const digits = unit.digits ? digitsFor(high - low) : 0;
  const taken = [];
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = context.strokeStyle = ink.text;
  for (const value of [high, low, ...ticks(low, high, 6)]) {
    const y = height * (1 - (value - low) / (high - low));
    if (taken.some((other) => Math.abs(other - y) < GAP)) continue;
    taken.push(y);
    context.fillRect(left, Math.min(height - 1, Math.max(0, y - 0.5)), 4, 1);
    context.fillText(value.toFixed(digits), left + 7, Math.min(height - 7, Math.max(7, y)));
  }
}

/** Draw the values along a line over the way in pixels. */
export function drawProfile(canvas, values, unit, ink) {
  const { context, width, height } = prepared(canvas);
  const known = values.filter((value) => !Number.isNaN(value)).map(unit.to);
  if (!known.length) return;
  const low = Math.min(...known), high = Math.max(...known, low + 1e-3);
  const frame = { left: 52, top: 10, right: width - 10, bottom: height - 24 };
  const x = (step) => frame.left + ((frame.right - frame.left) * step) / Math.max(1, values.length - 1);
  const y = (value) => frame.bottom - ((frame.bottom - frame.top) * (value - low)) / (high - low);
  context.font = "12px system-ui, sans-serif";
  drawGrid(context, { frame, x, y, low, high, length: values.length }, ink);
  context.beginPath();
  let pen = false;
  values.forEach((value, step) => {
    if (Number.isNaN(value)) pen = false;
    else {
      context[pen ? "lineTo" : "moveTo"](x(step), y(unit.to(value)));
      pen = true;
    }
  });
  context.strokeStyle = ink.accent;
  context.lineWidth = 2;
  context.stroke();
}

function drawGrid(context, { frame, x, y, low, high, length }, ink) {
  const digits = digitsFor(high - low);
  context.lineWidth = 1;
  context.strokeStyle = ink.line;
  context.fillStyle = ink.quiet;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of ticks(low, high, 4)) {
    context.beginPath();
    context.moveTo(frame.left, y(value));
    context.lineTo(frame.right, y(value));
    context.stroke();
    context.fillText(value.toFixed(digits), frame.left - 6, y(value));
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const step of ticks(0, Math.max(1, length - 1), 6)) {
    context.fillText(`${Math.round(step)}${step === 0 ? " px" : ""}`, x(step), frame.bottom + 6);
  }
}

/** Return what a profile shows, in words, for those who do not see it. */
export function profileText(label, found, unit) {
  if (!found) return `Profile along ${label}: no pixel has a value`;
  return `Profile along ${label}: ${shown(found.min, unit)} to ${shown(found.max, unit)}, mean ${shown(found.mean, unit)}`;
}
