/**
 * Shapes that are measured: which pixels they hold, how they are drawn, hit and written.
 *
 * A shape has the form of the sidecar: {label, shape: "spot" | "box" | "ellipse" | "line" | "polygon", ...}, in pixels of
 * the thermal picture with pixel centres at whole numbers. The rules are those of isotherm.measurement.shapes.
 */

export const KINDS = {
  spot: { name: "Spot", letter: "s" },
  box: { name: "Box", letter: "b" },
  ellipse: { name: "Ellipse", letter: "e" },
  line: { name: "Line", letter: "l" },
  polygon: { name: "Polygon", letter: "p" },
};

const SPOT_PX = 3;

/** Return the shape that a drag (or two keys) from one pixel to another draws. */
export function shapeBetween(kind, [x0, y0], [x1, y1]) {
  const left = Math.min(x0, x1), top = Math.min(y0, y1);
  const width = Math.abs(x1 - x0) + 1, height = Math.abs(y1 - y0) + 1;
  if (kind === "spot") return { shape: kind, x: x1, y: y1, size_px: SPOT_PX };
  if (kind === "box") return { shape: kind, x: left, y: top, width, height };
  if (kind === "line") return { shape: kind, x0, y0, x1, y1 };
  return {
    shape: "ellipse", x: (x0 + x1) / 2, y: (y0 + y1) / 2, radius_x: Math.max(0.5, width / 2), radius_y: Math.max(0.5, height / 2),
  };
}

/** Return [left, top, right, bottom], the outermost pixels that a shape may hold. */
export function bounds(shape) {
  if (shape.shape === "spot") {
    const reach = (shape.size_px - 1) / 2;
    return [shape.x - reach, shape.y - reach, shape.x + reach, shape.y + reach];
  }
  if (shape.shape === "box") return [shape.x, shape.y, shape.x + shape.width - 1, shape.y + shape.height - 1];
  if (shape.shape === "ellipse") {
    return [shape.x - shape.radius_x, shape.y - shape.radius_y, shape.x + shape.radius_x, shape.y + shape.radius_y];
  }
  const corners = shape.shape === "line" ? [[shape.x0, shape.y0], [shape.x1, shape.y1]] : shape.corners;
  const xs = corners.map(([x]) => x), ys = corners.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function inEllipse({ x, y, radius_x, radius_y }, px, py) {
  return ((px - x) / radius_x) ** 2 + ((py - y) / radius_y) ** 2 <= 1;
}

function inPolygon(corners, px, py) {
  let inside = false;
  corners.forEach(([x1, y1], number) => {
    const [x0, y0] = corners[(number + corners.length - 1) % corners.length];
    if (y0 > py !== y1 > py && px < ((x0 - x1) * (py - y1)) / (y0 - y1) + x1) inside = !inside;
  });
  return inside;
}

/** Say whether a pixel belongs to a shape that has an area. */
function holds(shape, px, py) {
  if (shape.shape === "ellipse") return inEllipse(shape, px, py);
  return shape.shape !== "polygon" || inPolygon(shape.corners, px, py);
}

/** Return the numbers of the pixels that a shape holds, clipped to the picture; along a line in its order. */
export function pixelsOf(shape, width, height) {
  if (shape.shape === "line") return alongLine(shape, width, height);
  const [left, top, right, bottom] = bounds(shape);
  const pixels = [];
  for (let y = Math.max(0, Math.ceil(top)); y <= Math.min(height - 1, Math.floor(bottom)); y += 1) {
    for (let x = Math.max(0, Math.ceil(left)); x <= Math.min(width - 1, Math.floor(right)); x += 1) {
      if (holds(shape, x, y)) pixels.push(y * width + x);
    }
  }
  return pixels;
}

function alongLine({ x0, y0, x1, y1 }, width, height) {
  const steps = Math.ceil(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)));
  const pixels = [];
  for (let step = 0; step <= steps; step += 1) {
    const share = steps ? step / steps : 0;
    const x = Math.floor(x0 + (x1 - x0) * share + 0.5), y = Math.floor(y0 + (y1 - y0) * share + 0.5);
    if (x >= 0 && y >= 0 && x < width && y < height) pixels.push(y * width + x);
  }
  return pixels;
}

/** Return the shape moved by whole pixels. */
export function moved(shape, dx, dy) {
  if (shape.shape === "polygon") return { ...shape, corners: shape.corners.map(([x, y]) => [x + dx, y + dy]) };
  if (shape.shape === "line") {
    return { ...shape, x0: shape.x0 + dx, y0: shape.y0 + dy, x1: shape.x1 + dx, y1: shape.y1 + dy };
  }
  return { ...shape, x: shape.x + dx, y: shape.y + dy };
}

/** Return the last shape that lies within `reach` pixels of a place, so that the one on top is met first. */
export function hit(shapes, x, y, reach) {
  return shapes.findLast((shape) => {
    const [left, top, right, bottom] = bounds(shape);
    if (x < left - reach || x > right + reach || y < top - reach || y > bottom + reach) return false;
    return shape.shape === "line" ? distance(shape, x, y) <= reach : shape.shape === "spot" || holds(shape, x, y);
  });
}

function distance({ x0, y0, x1, y1 }, x, y) {
  const square = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const share = square ? Math.max(0, Math.min(1, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / square)) : 0;
  return Math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0));
}

/** Return where a shape lies, in words. */
export function describe(shape) {
  const number = (value) => String(Math.round(value * 10) / 10);
  if (shape.shape === "spot") return `spot ${shape.size_px} px at ${shape.x}, ${shape.y}`;
  if (shape.shape === "box") return `box ${shape.width} × ${shape.height} px at ${shape.x}, ${shape.y}`;
  if (shape.shape === "ellipse") {
    const size = `${number(2 * shape.radius_x)} × ${number(2 * shape.radius_y)}`;
    return `ellipse ${size} px round ${number(shape.x)}, ${number(shape.y)}`;
  }
  if (shape.shape === "line") return `line ${[shape.x0, shape.y0].map(number).join(", ")} to ${[shape.x1, shape.y1].map(number).join(", ")}`;
  return `polygon of ${shape.corners.length} corners`;
}
