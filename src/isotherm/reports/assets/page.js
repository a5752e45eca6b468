/** What the page around the element does: its table of parameters follows the scene that is changed in the element. */

document.querySelector("thermal-view")?.addEventListener("scene", ({ detail: { before, now } }) => {
  for (const row of document.querySelectorAll("tr[data-parameter]")) {
    const cells = [...row.querySelectorAll("td")];
    for (const cell of cells) cell.dataset.before ??= cell.textContent;
    const { parameter, unit } = row.dataset;
    const changed = now[parameter] !== before[parameter];
    const texts = [`${now[parameter]}${unit && ` ${unit}`}`, "changed in this page", ""];
    cells.forEach((cell, number) => { cell.textContent = changed ? texts[number] : cell.dataset.before; });
  }
});
