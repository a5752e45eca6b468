"""A measurement as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isotherm.cli.info import head_of
from isotherm.core.scene import EDGE_NAMES

LINES = 3
"""How many lines of a budget are shown where not all are asked for."""
_WORDS = {
    "reflected_c": "reflected",
    "atmosphere_c": "air",
    "humidity_percent": "humidity",
    "distance_m": "distance",
    "window_transmission": "window transmission",
    "window_c": "window",
}
_HEAD = ("region", "kind", "px", "min", "at", "max", "at", "mean", "std")


def text_of(row: dict[str, Any], *, budget: bool) -> Iterator[str]:
    """Return the lines that show what was measured in one file."""
    yield from head_of(row)
    if row["status"] == "failed":
        # What the reader noted may say what is missing.
        yield from (f"  note: {note}" for note in row.get("notes", ()))
        return
    yield from _scene(row["parameters"])
    yield from _regions(row["regions"])
    yield from _uncertainties(row["regions"], budget=budget)
    for delta in row["deltas"]:
        yield from _delta(delta, budget=budget)
    for area in row["isotherms"]:
        yield from _isotherm(area)
    for caution in row["cautions"]:
        yield f"  caution: {caution['label'] + ': ' if caution['label'] else ''}{caution['text']}"
    for note in row["notes"]:
        yield f"  note: {note}"


def _scene(parameters: dict[str, Any]) -> Iterator[str]:
    """Return the parameters with their sources in one line."""
    words = []
    for name, param in parameters.items():
        unit = "" if param["unit"] == "1" else " " + param["unit"]
        words.append(f"{_WORDS.get(name, name)} {param['value']:g}{unit} ({param['source']})")
    if words:
        yield f"  scene        {', '.join(words)}"


def _regions(regions: list[dict[str, Any]]) -> Iterator[str]:
    """Return a table of the readings [°C]; the columns are as wide as what stands in them."""
    cells = [_HEAD, *(_cells(region) for region in regions)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    for line in cells:
        words = (
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  " + "  ".join(words).rstrip()


def _cells(region: dict[str, Any]) -> tuple[str, ...]:
    missing = f" (-{region['missing_px']})" if region["missing_px"] else ""
    return (
        region["label"],
        region["kind"],
        f"{region['area_px']}{missing}",
        _degrees(region["min_c"]),
        _place(region["min_at"]),
        _degrees(region["max_c"]),
        _place(region["max_at"]),
        _degrees(region["mean_c"]),
        _degrees(region["std_c"]),
    )


def _degrees(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"


def _place(place: tuple[int, int] | None) -> str:
    return "" if place is None else f"({place[0]}, {place[1]})"


def _uncertainties(regions: list[dict[str, Any]], *, budget: bool) -> Iterator[str]:
    for region in regions:
        usual = "mean" if region["kind"] == "spot" else "max"
        value, found = region[f"{usual}_c"], region["uncertainty"][usual]
        if value is None:
            continue
        changed = "".join(f", {_here(name, number)} here" for name, number in region["scene"].items())
        stated = _stated(f"{value:.2f}", found, "°C")
        yield f"  {region['label']}.{usual} = {stated}{changed}: {_parts(found)}{_check(found)}"
        yield from _budget(found) if budget else ()
    caveats = dict.fromkeys(region["uncertainty"]["max"]["caveat"] for region in regions)
    yield from (f"  uncertainty: {caveat}" for caveat in caveats if caveat)


def _here(name: str, number: float) -> str:
    """Return a region's own parameter with its unit."""
    edge = EDGE_NAMES[name]
    return f"{_WORDS.get(name, name)} {number:g}{'' if edge.unit == '1' else ' ' + edge.unit}"


def _words(name: str) -> str:
    """Return a line of a budget as people call it."""
    first, of, label = name.partition(" of ")
    return _WORDS.get(first, first) + of + label


def _stated(value: str, found: dict[str, Any], unit: str) -> str:
    """Return a value with its expanded uncertainty; what is not known is no ± 0."""
    if found["expanded_k"] is None:
        return f"{value} {unit}, its uncertainty is not known"
    return f"{value} ± {found['expanded_k']:.2f} {unit} (k = {found['coverage']:g})"


def _parts(found: dict[str, Any]) -> str:
    if found["expanded_k"] is None:
        return "the file does not say it"
    parts = (f"{_words(part['name'])} {abs(part['effect_k']):.2f}" for part in found["contributions"][:LINES])
    return "from " + ", ".join(parts) + " K" if found["contributions"] else "no contribution"


def _check(found: dict[str, Any]) -> str:
    check = found["monte_carlo"]
    if check is None:
        return ""
    lost = f", {check['lost']} of {check['draws']} draws gave no temperature" if check["lost"] else ""
    return f"; Monte Carlo, 95 %: {check['low_c']:.2f} to {check['high_c']:.2f} °C{lost}"


def _budget(found: dict[str, Any]) -> Iterator[str]:
    if found["contributions"]:
        yield "    standard uncertainties (k = 1) of what goes in -> what each does to the temperature"
    for part in found["contributions"]:
        unit = "" if part["unit"] == "1" else " " + part["unit"]
        if part["effect_k"] is None:
            yield f"    {_words(part['name']):<28} not known"
            continue
        sigma = f"{part['sigma']:.4g}{unit}"
        yield f"    {_words(part['name']):<28} ± {sigma:<8} -> {part['effect_k']:+.3f} K  ({part['reason']})"


def _delta(delta: dict[str, Any], *, budget: bool) -> Iterator[str]:
    found = delta["uncertainty"]
    value = "?" if delta["value_k"] is None else f"{delta['value_k']:+.2f}"
    stated = _stated(value, found, "K")
    sides = f"{_degrees(delta['left_c'])} - {_degrees(delta['right_c'])} °C"
    yield f"  delta {delta['text']} = {stated}: {sides}; {_parts(found)}"
    if delta["note"]:
        yield f"    {delta['note']}"
    if delta["severity"] is not None:
        yield f"    severity: {_verdict(delta['severity'])}"
    yield from _budget(found) if budget else ()


def _verdict(verdict: dict[str, Any]) -> str:
    grade = f"class {verdict['grade']}, " if verdict["grade"] is not None else ""
    words = ": ".join(part for part in (f"{grade}{verdict['action']}", verdict["reason"]) if part)
    return f"{words} ({verdict['table']})"


def _isotherm(area: dict[str, Any]) -> Iterator[str]:
    found = area["temperatures"]
    read = f", mean {found['mean_c']:.2f}, {found['min_c']:.2f} to {found['max_c']:.2f} °C" if found else ""
    yield f"  isotherm {area['text']}: {area['area_px']} px, {100 * area['share']:.2f} %{read}"
    yield from (f"    {note}" for note in area["notes"])
