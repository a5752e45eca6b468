/** The card in which scene parameters are changed, for the picture or for one region. */

import { choice, make, numberField, optionsOf } from "./parts.js";
import { PARAMETERS } from "./radiometry.js";

const PICTURE = "";
const LOW_EMISSIVITY = 0.5;

/** Return {card, fill} of a session; `changed` is called after each change. */
export function sceneCard(session, changed) {
  const state = { target: PICTURE, refused: "" };
  const set = (changes, material) => {
    state.refused = "";
    session.rescene(session.find(state.target) ?? null, changes, material);
    changed();
  };
  const target = choice("For", [], (label) => {
    Object.assign(state, { target: label, refused: "" });
    changed();
  });
  const fields = PARAMETERS.map(([name, text, min, max, step]) => {
    const { field, label } = numberField(text, {
      min, max, step, onvalue: (value) => {
        state.refused = value >= min && value <= max ? "" : `${text} is ${min} to ${max}; ${value} was not taken. `;
        if (state.refused) changed();
        else set({ [name]: value });
      },
    });
    return { name, field, label };
  });
  const material = materialChoice(session.data.materials, set);
  const back = make("button", { type: "button", onclick: () => set(null) }, "As before");
  const said = make("p", { className: "quiet", role: "status" });
  const card = make(
    "section", { className: "card", "aria-label": "Scene" }, make("h2", {}, "Scene"),
    make("div", { className: "row" }, target.label, material.label, back), make("div", { className: "fields" }, ...fields.map(({ label }) => label)), said,
  );
  const fill = () => {
    const region = session.find(state.target);
    state.target = region ? region.label : PICTURE;
    target.field.replaceChildren(...optionsOf([[PICTURE, "the picture"], ...ownRegions(session)]));
    target.field.value = state.target;
    const scene = session.sceneOf(region ?? null);
    for (const { name, field } of fields) field.value = String(Number(scene[name].toFixed(4)));
    const words = session.changes(region ?? null);
    back.hidden = !words;
    const low = scene.emissivity < LOW_EMISSIVITY ? " Below 0.5 most of what the camera sees is reflected: a small error of emissivity or of the reflected temperature is many kelvin." : "";
    said.textContent = state.refused + (words ? `Changed: ${words}. Save the sidecar to keep it.` : "") + low;
  };
  return { card, fill };
}

function ownRegions(session) {
  return session.regions.filter(({ origin }) => origin !== "camera").map(({ label }) => [label, label]);
}

function materialChoice(materials, set) {
  const options = materials.map(([name, emissivity]) => [name, `${name} ${emissivity}`]);
  const material = choice("Material", [["", "choose …"], ...options], (chosen) => {
    const row = materials.find(([name]) => name === chosen);
    if (row) set({ emissivity: row[1] }, { name: row[0], sigma: row[2] });
    material.field.value = "";
  });
  return material;
}
