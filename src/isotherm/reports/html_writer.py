"""``report.html``: one self-contained page for people, without scripts and without anything fetched."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from isotherm.core.findings import ImageResult
from isotherm.reports.content import (
    Report,
    facts,
    foremost,
    parameter_text,
)
from isotherm.reports.describing import label_of, level_of, model_card, plain_text, settings_groups
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
            card=model_card(inspection.model or {}),
            settings=settings_groups(inspection.settings),
            lead=_lead(report),
            hottest_c=report.hottest_c,
            style=style(),
            first=FIRST,
            regions=REGIONS,
            uses=USES,
            listed=_listed(report),
            many=_many,
            level=lambda verdict: level_of(verdict, inspection.severity_table),
            label=label_of,
            headline=facts,
            foremost=foremost,
            picture=lambda image: "data:image/jpeg;base64," + base64.b64encode(report.pictures[image]).decode(),
            uncertain=_uncertain,
            sure_of_differences=_sure_of_differences,
            with_uncertainty=any(map(_uncertain, report.detailed)),
            places=_places,
            remarks=_remarks,
            origin=_origin,
            plain=plain_text,
        )
        return page.encode("utf-8", "backslashreplace")


def _listed(report: Report) -> Sequence[ImageResult]:
    """Return the pictures of the table of all, in input order; where they are too many the worst, worst first."""
    if not report.complete:
        return report.ranked
    return [result for result in report.inspection.results if result.status == "ok"]


def _lead(report: Report) -> str:
    totals = report.totals
    if not totals.read:
        return "None of the files could be inspected."
    sentences = [_verdict(report)]
    if report.unjudged:
        have = "has" if report.unjudged == 1 else "have"
        sentences.append(
            f"{_many(report.unjudged, 'picture')} {have} hot regions that the severity table cannot judge."
        )
    if totals.failed:
        sentences.append(f"{totals.failed} could not be inspected.")
    return " ".join(sentences)


def _verdict(report: Report) -> str:
    totals = report.totals
    pictures = _many(totals.read, "picture")
    if not totals.judged and report.inspection.severity_table is None:
        return f"{_many(totals.hotspots, 'hot region')} in {pictures}, judged by no table of severity."
    if report.attention == 0:
        return f"None of {pictures} was found to need attention by the criteria below."
    return f"{report.attention} of {pictures} {'needs' if report.attention == 1 else 'need'} attention."


def _uncertain(result: ImageResult) -> bool:
    return any(finding.uncertainty_k is not None for finding in result.findings)


def _sure_of_differences(result: ImageResult) -> bool:
    return any(finding.delta_t_uncertainty_k is not None for finding in result.findings)


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


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
            return f"{name.removesuffix(suffix).replace('delta_t', 'ΔT').replace('_', ' ')} {value:.4g} {unit}"
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
    parts += [f"{annotation} ({annotation.source})" for annotation in result.texts]
    return " · ".join([*parts, f"sha256 {result.digest}"])


WRITER = HtmlWriter()
