/**
 * The temperature under the pointer in the thermal pictures of a report, and at a cross that the arrow keys move.
 *
 * A picture's temperatures are decoded when somebody first points at it: a report may have hundreds of pictures.
 */
import { decodePlane } from "../../assets/plane.js";

function prepare(figure) {
  const image = figure.querySelector("img");
  const output = figure.querySelector("output");
  const data = JSON.parse(figure.querySelector("script").textContent);
  const cross = document.createElement("i");
  image.parentElement.append(cross);
  let plane = null, place = [data.width >> 1, data.height >> 1];

  async function show(x, y) {
    plane ??= decodePlane(data);
    const known = await plane;
    place = [Math.max(0, Math.min(known.width - 1, x)), Math.max(0, Math.min(known.height - 1, y))];
    const value = known.at(...place);
    const text = Number.isNaN(value) ? "–" : `${value.toFixed(1).replace(".", figure.dataset.decimal)} °C`;
    output.textContent = `${figure.dataset.about}${text} (${place[0] * data.step}, ${place[1] * data.step})`;
    cross.style.left = `${(100 * data.share * (place[0] + 0.5)) / known.width}%`;
    cross.style.top = `${(100 * (place[1] + 0.5)) / known.height}%`;
    cross.hidden = false;
  }

  cross.hidden = true;
  image.addEventListener("pointermove", (event) => {
    const box = image.getBoundingClientRect();
    const across = (event.clientX - box.left) / (box.width * data.share);
    if (across <= 1) show(Math.floor(across * data.width), Math.floor(((event.clientY - box.top) / box.height) * data.height));
  });
  image.addEventListener("pointerleave", () => { cross.hidden = true; });
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  image.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    show(place[0] + far * step[0], place[1] + far * step[1]);
  });
}

document.querySelectorAll("figure.live").forEach(prepare);
