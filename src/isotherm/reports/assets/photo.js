/** The photo of the same view: its edges over the thermal picture, and where a thermal pixel lies in it. */

/** Return the alignment with a shift (thermal pixels) and an enlargement of the photo about the picture's middle. */
export function nudged(base, { dx, dy, zoom }, width, height) {
  const one = (scale, offset, middle, shift) => {
    const finer = scale / zoom;
    return [finer, offset + scale * (middle - (middle + shift) / zoom)];
  };
  const [scale_x, offset_x] = one(base.scale_x, base.offset_x, (width - 1) / 2, dx);
  const [scale_y, offset_y] = one(base.scale_y, base.offset_y, (height - 1) / 2, dy);
  return { scale_x, scale_y, offset_x, offset_y };
}

/** Return where the middle of a thermal pixel lies in the photo. */
export function inPhoto({ scale_x, scale_y, offset_x, offset_y }, x, y) {
  return [x * scale_x + offset_x, y * scale_y + offset_y];
}

/** Draw into the photo what the thermal picture sees of it; `size` is the photo's pixels over those of the screen. */
export function drawField(context, { scale_x, scale_y, offset_x, offset_y }, { width, height }, size) {
  for (const [line, ink] of [[4, "#000"], [2, "#fff"]]) {
    context.lineWidth = line * size;
    context.strokeStyle = ink;
    context.strokeRect(offset_x + 0.5 - scale_x / 2, offset_y + 0.5 - scale_y / 2, width * scale_x, height * scale_y);
  }
}

/** Return a canvas with the edges of the photo in white, stronger where the edge is. */
export function edgesOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.filter = "blur(1px)";
  context.drawImage(image, 0, 0);
  const picture = context.getImageData(0, 0, canvas.width, canvas.height);
  const slopes = slopesOf(lumaOf(picture.data), canvas.width, canvas.height);
  const strong = strongest(slopes);
  slopes.forEach((slope, place) => {
    picture.data.set([255, 255, 255, Math.min(255, Math.max(0, (slope / strong - 0.12) * 290))], 4 * place);
  });
  context.putImageData(picture, 0, 0);
  return canvas;
}

function lumaOf(pixels) {
  const luma = new Float32Array(pixels.length / 4);
  for (let place = 0; place < luma.length; place += 1) {
    luma[place] = 0.299 * pixels[4 * place] + 0.587 * pixels[4 * place + 1] + 0.114 * pixels[4 * place + 2];
  }
  return luma;
}

/** Return the steepness of each pixel (Sobel); 0 along the border. */
function slopesOf(luma, width, height) {
  const slopes = new Float32Array(luma.length);
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) {
      const at = y * width + x, up = at - width, down = at + width;
      const across = luma[up + 1] - luma[up - 1] + 2 * (luma[at + 1] - luma[at - 1]) + luma[down + 1] - luma[down - 1];
      const along = luma[down - 1] - luma[up - 1] + 2 * (luma[down] - luma[up]) + luma[down + 1] - luma[up + 1];
      slopes[at] = Math.hypot(across, along);
    }
  }
  return slopes;
}

// The slope of an edge of about 15 levels: in a dark photo, the noise is not its strongest edge.
const LEAST_SLOPE = 60;

/** Return the slope that only one pixel in a hundred exceeds. */
function strongest(slopes) {
  const some = slopes.filter((_, place) => place % 7 === 0).sort();
  return Math.max(some[Math.floor(0.99 * some.length)] ?? 0, LEAST_SLOPE);
}

/** Draw the edges over the thermal picture; `scale` is shown over thermal pixels. */
export function drawEdges(context, edges, alignment, scale, strength) {
  const { scale_x, scale_y, offset_x, offset_y } = alignment;
  context.save();
  context.globalAlpha = strength;
  // Pixel centres lie at whole numbers, so a picture begins half a pixel before its first centre.
  const left = ((-0.5 - offset_x) / scale_x + 0.5) * scale, top = ((-0.5 - offset_y) / scale_y + 0.5) * scale;
  context.drawImage(edges, left, top, (edges.width / scale_x) * scale, (edges.height / scale_y) * scale);
  context.restore();
}
