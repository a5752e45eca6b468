"""What a report says of verdicts, models and settings, for every layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from isotherm.core.findings import Verdict
from isotherm.reports.content import GradeCount, verdict_label

Level = Literal["high", "mid", "low", "none", "open"]
"""How bad a verdict is, for its colour; ``open``: no table judges it."""


def level_of(verdict: Verdict | GradeCount, table: Mapping[str, Any] | None) -> Level:
    """Return the style of a verdict: by its place among the ranks of the table."""
    if verdict.rank == 0:
        return "none" if verdict.action else "open"
    worst = len(table["intervals"]) if table else verdict.rank
    if verdict.rank >= worst:
        return "high"
    return "mid" if verdict.rank > 1 else "low"


def label_of(verdict: Verdict | GradeCount) -> str:
    """Return the verdict as a reader calls it: a numbered grade is a class."""
    label = verdict.label if isinstance(verdict, GradeCount) else verdict_label(verdict)
    return f"class {label}" if label.isdigit() else label


def model_card(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reader should know of the model, in the order of reading."""
    data, inputs, calibration = (model.get(part, {}) for part in ("data", "inputs", "calibration"))
    span = {}
    if inputs.get("kind") == "temperature":
        span = {"temperatures learnt from": f"{inputs['low']:.1f} to {inputs['high']:.1f} °C"}
    card = {
        "method": model.get("method"),
        "folder": model.get("folder"),
        "trained": model.get("created_at"),
        "normal images": data.get("images"),
        "of these to learn from": data.get("fitted_on"),
        "of these for the threshold": data.get("held_out"),
        "digest of the images": data.get("digest"),
        "kind of image": inputs.get("kind"),
        **span,
        "network input": input_size(inputs),
        "threshold percentile": calibration.get("percentile"),
        "settings": {**model.get("settings", {}), **model.get("config", {})},
        "versions": model.get("versions"),
        "sha256": model.get("sha256"),
    }
    return {name: value for name, value in card.items() if value not in (None, "", {})}


def input_size(inputs: Mapping[str, Any]) -> str:
    """Return width and height of what a network is given; empty where the description of its inputs has none."""
    match inputs.get("size"):
        case [rows, columns]:
            return f"{columns} x {rows} px"
        case int(side):
            return f"{side} x {side} px"
    return ""


def settings_groups(settings: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the run's settings in groups, without those that were left open."""
    groups = []
    for name, value in settings.items():
        values = value if isinstance(value, Mapping) else {name: value}
        groups.append((name, {key: item for key, item in values.items() if item is not None}))
    return [(f"Settings: {name.replace('_', ' ')}", values) for name, values in groups if values]


def plain_text(value: Any) -> str:
    """Return a setting as text; what was left open in it is left out."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain_text(item)}" for name, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
