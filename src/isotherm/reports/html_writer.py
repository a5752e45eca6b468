"""``report.html``: one self-contained page for people, without scripts and without anything fetched."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isotherm.core.findings import ImageResult, Verdict
from isotherm.reports.content import (
    GradeCount,
    Report,
    cannot_judge,
    facts,
    foremost,
    needs_attention,
    parameter_text,
    verdict_label,
)
from isotherm.reports.pages import style, template

FIRST = 12
"""Rows of the table at the top, which is read first."""
REGIONS = 12
"""Regions listed for one picture."""
USES = 40
"""Combinations of parameter, value and source that are listed."""


@dataclass(frozen=True)
class HtmlWriter:
    """The page: summary, worst first, pictures, criteria, model, parameters, what could not be inspected."""

    name: str = "html"
    filename: str = "report.html"

    def render(self, report: Report) -> bytes:
        """Return the page; names and messages of strangers are escaped by the template engine."""
        inspection = report.inspection
        page = template("report.html").render(
            report=report,
            inspection=inspection,
            totals=report.totals,
            table=inspection.severity_table,
            calibration=(inspection.model or {}).get("calibration", {}),
            card=_model_card(inspection.model or {}),
            settings=_settings(inspection.settings),
            lead=_lead(report),
            hottest_c=max((stats.max_c for result in report.ranked if (stats := result.temperatures)), default=None),
            style=style(),
            first=FIRST,
            regions=REGIONS,
            uses=USES,
            many=_many,
            level=lambda verdict: _level(verdict, inspection.severity_table),
            label=_label,
            headline=facts,
            foremost=foremost,
            picture=lambda image: "data:image/jpeg;base64," + base64.b64encode(report.pictures[image]).decode(),
            uncertain=_uncertain,
            sure_of_differences=_sure_of_differences,
            with_uncertainty=any(map(_uncertain, report.detailed)),
            places=_places,
            remarks=_remarks,
            origin=_origin,
            plain=_plain,
        )
        return page.encode("utf-8", "backslashreplace")


def _lead(report: Report) -> str:
    totals = report.totals
    if not totals.read:
        return "None of the files could be inspected."
    sentences = [_verdict(report)]
    if unjudged := sum(map(cannot_judge, report.ranked)):
        have = "has" if unjudged == 1 else "have"
        sentences.append(f"{_many(unjudged, 'picture')} {have} hot regions that the severity table cannot judge.")
    if totals.failed:
        sentences.append(f"{totals.failed} could not be inspected.")
    return " ".join(sentences)


def _verdict(report: Report) -> str:
    totals = report.totals
    pictures = _many(totals.read, "picture")
    if not totals.judged and report.inspection.severity_table is None:
        return f"{_many(totals.hotspots, 'hot region')} in {pictures}, judged by no table of severity."
    attention = sum(map(needs_attention, report.ranked))
    if attention == 0:
        return f"None of {pictures} was found to need attention by the criteria below."
    return f"{attention} of {pictures} {'needs' if attention == 1 else 'need'} attention."


def _uncertain(result: ImageResult) -> bool:
    return any(finding.uncertainty_k is not None for finding in result.findings)


def _sure_of_differences(result: ImageResult) -> bool:
    return any(finding.delta_t_uncertainty_k is not None for finding in result.findings)


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _level(verdict: Verdict | GradeCount, table: Mapping[str, Any] | None) -> str:
    """Return the style of a verdict: by its place among the ranks of the table."""
    if verdict.rank == 0:
        return "none" if verdict.action else "open"
    worst = len(table["intervals"]) if table else verdict.rank
    if verdict.rank >= worst:
        return "high"
    return "mid" if verdict.rank > 1 else "low"


def _label(verdict: Verdict | GradeCount) -> str:
    label = verdict.label if isinstance(verdict, GradeCount) else verdict_label(verdict)
    return f"class {label}" if label.isdigit() else label


def _places(result: ImageResult) -> list[int]:
    """Return each finding's number among those of its kind, as in the picture."""
    count = {"hotspot": 0, "anomaly": 0}
    numbers = []
    for finding in result.findings:
        count[finding.kind] += 1
        numbers.append(count[finding.kind])
    return numbers


def _remarks(result: ImageResult) -> list[str]:
    """Return what ΔT is over, and the conditions of the verdicts, each once."""
    over = {
        f"ΔT of the {finding.kind} over the {finding.reference}, {finding.reference_c:.1f} °C": None
        for finding in result.findings
        if finding.reference_c is not None
    }
    reasons = {finding.severity.reason: None for finding in result.findings if finding.severity}
    return [*over, *(reason for reason in reasons if reason), *_rests_on(result)]


_UNITS = {"_percent": "%", "_w_m2": "W/m²", "_c": "K", "_k": "K"}


def _rests_on(result: ImageResult) -> list[str]:
    """Return the numbers that the foremost verdict rests on, where a load or an irradiance is among them."""
    finding = foremost(result)
    inputs = finding.severity.inputs if finding and finding.severity else {}
    if len(inputs) <= 1:
        return []
    return ["the worst severity rests on " + ", ".join(_input(name, value) for name, value in inputs.items())]


def _input(name: str, value: float) -> str:
    for suffix, unit in _UNITS.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ')} {value:.4g} {unit}"
    return f"{name.replace('_', ' ')} {value:.4g}"


def _origin(result: ImageResult) -> str:
    camera = " ".join(part for part in (result.camera.maker, result.camera.model, result.camera.lens) if part)
    parts = [camera or "camera unknown", f"{result.width} x {result.height} px"]
    if result.camera.taken_at:
        parts.append(f"taken {result.camera.taken_at}")
    parts += [
        f"{title} {value} ({param.source})"
        for name, param in result.scene.items()
        for title, value in (parameter_text(name, param),)
    ]
    return " · ".join([*parts, f"sha256 {result.digest}"])


def _model_card(model: Mapping[str, Any]) -> dict[str, Any]:
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
        "network input": f"{inputs['size']} x {inputs['size']} px" if "size" in inputs else None,
        "threshold percentile": calibration.get("percentile"),
        "settings": {**model.get("settings", {}), **model.get("config", {})},
        "versions": model.get("versions"),
        "sha256": model.get("sha256"),
    }
    return {name: value for name, value in card.items() if value not in (None, "", {})}


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the run's settings in groups, without those that were left open."""
    groups = []
    for name, value in settings.items():
        values = value if isinstance(value, Mapping) else {name: value}
        groups.append((name, {key: item for key, item in values.items() if item is not None}))
    return [(f"Settings: {name.replace('_', ' ')}", values) for name, values in groups if values]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


WRITER = HtmlWriter()
