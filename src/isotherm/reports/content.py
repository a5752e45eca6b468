"""What a report says, decided once; the writers only lay it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isotherm.core.findings import Finding, ImageResult, Inspection, Verdict
from isotherm.core.scene import ZERO_CELSIUS_K, Param

CAUTION = "caution: "
"""How notes begin that say why a temperature may be wrong."""
DETAILS = 50
"""How many pictures get a block of their own in a report for people; the tables have all of them."""


@dataclass(frozen=True)
class Totals:
    """Counts of one inspection; ``judged`` says whether there was a model to predict with."""

    images: int
    failed: int
    judged: bool
    anomalies: int
    hotspots: int
    with_hotspots: int
    without_temperatures: int

    @property
    def read(self) -> int:
        """How many files could be read."""
        return self.images - self.failed


@dataclass(frozen=True)
class GradeCount:
    """How many pictures have this verdict as their worst; ``rank`` 0 is nothing to do, or not applicable."""

    label: str
    rank: int
    action: str
    images: int


@dataclass(frozen=True)
class ParameterUse:
    """One value of one parameter, where it came from, and how many pictures were read with it."""

    name: str
    value: str
    source: str
    images: int


@dataclass(frozen=True, eq=False)
class Report:
    """The content of a report.

    Parameters
    ----------
    inspection
        Everything that was found, in input order.
    totals, grades
        The summary.
    ranked
        What could be read, worst first.
    failed
        What could not be read, in input order.
    parameters
        The scene's parameters with their sources, most used first.
    limits
        What the model never saw and cannot know, one sentence each; empty without a model.
    pictures
        Image name -> JPEG for a report that shows pictures.
    """

    inspection: Inspection
    totals: Totals
    grades: tuple[GradeCount, ...]
    ranked: tuple[ImageResult, ...]
    failed: tuple[ImageResult, ...]
    parameters: tuple[ParameterUse, ...]
    limits: tuple[str, ...]
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def detailed(self) -> tuple[ImageResult, ...]:
        """The worst pictures, which a report for people shows one by one."""
        return self.ranked[:DETAILS]


def build_report(inspection: Inspection, pictures: Mapping[str, bytes] | None = None) -> Report:
    """Count, rank and word what an inspection found."""
    results = inspection.results
    read = [result for result in results if result.status == "ok"]
    return Report(
        inspection=inspection,
        totals=_totals(results, judged=inspection.model is not None),
        grades=tuple(_grades(read)),
        ranked=ranked(read),
        failed=tuple(result for result in results if result.status == "failed"),
        parameters=tuple(_parameters(read)),
        limits=tuple(_limits(inspection)),
        pictures=pictures or {},
    )


def ranked(results: Iterable[ImageResult]) -> tuple[ImageResult, ...]:
    """Return pictures worst first.

    The model's prediction decides, then the severity of the foremost finding, then how far the score is above the
    threshold, then delta-T, then the temperature; equals keep their order.
    """
    return tuple(sorted(results, key=_badness, reverse=True))


def _badness(result: ImageResult) -> tuple[float, ...]:
    anomaly, finding = result.anomaly, foremost(result)
    verdict = verdict_of(result)
    return (
        is_anomaly(result),
        verdict.rank if verdict else 0,
        anomaly.score / anomaly.threshold if anomaly and anomaly.threshold > 0 else 0.0,
        (finding.delta_t_c if finding else None) or 0.0,
        result.temperatures.max_c if result.temperatures else -ZERO_CELSIUS_K,
    )


def is_anomaly(result: ImageResult) -> bool:
    """Say whether the model calls this picture an anomaly."""
    return result.anomaly is not None and result.anomaly.prediction == "Anomaly"


def foremost(result: ImageResult) -> Finding | None:
    """Return the finding that stands for the picture, None where there is none.

    That is the hottest anomalous region of a picture that the model calls an anomaly, else the hottest hotspot.
    """
    anomalous = [finding for finding in result.findings if finding.kind == "anomaly"]
    if is_anomaly(result) and anomalous:
        return anomalous[0]
    return result.hotspots[0] if result.hotspots else None


def verdict_of(result: ImageResult) -> Verdict | None:
    """Return what the severity table says about the foremost finding, None where nothing was judged."""
    finding = foremost(result)
    return finding.severity if finding else None


def needs_attention(result: ImageResult) -> bool:
    """Say whether the model or the severity table found something."""
    verdict = verdict_of(result)
    return is_anomaly(result) or (verdict is not None and verdict.rank > 0)


def cannot_judge(result: ImageResult) -> bool:
    """Say whether the severity table does not apply to the foremost finding."""
    verdict = verdict_of(result)
    return verdict is not None and not verdict.action


def verdict_label(verdict: Verdict) -> str:
    """Return the grade, or "no action" below the table's first interval, or "not applicable"."""
    return verdict.grade or verdict.action or "not applicable"


def facts(result: ImageResult) -> str:
    """Return one line with what matters most about a picture."""
    parts = []
    if anomaly := result.anomaly:
        side = "above" if anomaly.prediction == "Anomaly" else "not above"
        parts.append(f"{anomaly.prediction}: score {anomaly.score:.4g}, {side} threshold {anomaly.threshold:.4g}")
    if not result.radiometric:
        parts.append("no temperatures in this picture")
    elif result.temperatures is None:
        parts.append("no valid temperature")
    else:
        max_c = f"{result.temperatures.max_c:.1f} °C"
        parts.append(f"max about {max_c} (estimated)" if result.estimated else f"max {max_c}")
    finding = foremost(result)
    if finding is None:
        parts.append("no hotspot")
    elif finding.delta_t_c is not None:
        parts.append(f"ΔT {finding.delta_t_c:.1f} K")
    if verdict := verdict_of(result):
        parts.append(f"severity {verdict_label(verdict)} ({verdict.table})")
    return " · ".join(parts)


def cautions(result: ImageResult) -> list[str]:
    """Return the notes of a picture that say why its temperatures may be wrong."""
    return [note for note in result.notes if note.startswith(CAUTION)]


def _totals(results: tuple[ImageResult, ...], *, judged: bool) -> Totals:
    read = [result for result in results if result.status == "ok"]
    return Totals(
        images=len(results),
        failed=len(results) - len(read),
        judged=judged,
        anomalies=sum(map(is_anomaly, read)),
        hotspots=sum(len(result.hotspots) for result in read),
        with_hotspots=sum(bool(result.hotspots) for result in read),
        without_temperatures=sum(not result.radiometric for result in read),
    )


def _grades(read: list[ImageResult]) -> list[GradeCount]:
    verdicts = [verdict for result in read if (verdict := verdict_of(result))]
    counts = Counter((verdict.rank, verdict_label(verdict), verdict.action) for verdict in verdicts)
    return [
        GradeCount(label=label, rank=rank, action=action, images=images)
        for (rank, label, action), images in sorted(counts.items(), reverse=True)
    ]


_PARAMETERS = {
    "emissivity": "emissivity",
    "reflected_k": "reflected temperature",
    "atmosphere_k": "air temperature",
    "humidity": "relative humidity",
    "distance_m": "distance",
    "window_transmission": "window transmission",
    "window_k": "window temperature",
}


def parameter_text(name: str, param: Param) -> tuple[str, str]:
    """Return a scene parameter's name and value as people write them (°C and %)."""
    title = _PARAMETERS.get(name, name.replace("_", " "))
    if param.unit == "K":
        return title, f"{param.value - ZERO_CELSIUS_K:.1f} °C"
    if name == "humidity":
        return title, f"{100 * param.value:.0f} %"
    return title, f"{param.value:.4g}" + ("" if param.unit == "1" else f" {param.unit}")


def _parameters(read: list[ImageResult]) -> list[ParameterUse]:
    order = list(_PARAMETERS)
    uses = Counter(
        (order.index(name) if name in order else len(order), *parameter_text(name, param), str(param.source))
        for result in read
        for name, param in result.scene.items()
    )
    rows = sorted(uses.items(), key=lambda item: (item[0][0], item[0][1], -item[1], item[0][2:]))
    return [ParameterUse(name, value, source, images) for (_, name, value, source), images in rows]


def _limits(inspection: Inspection) -> list[str]:
    model = inspection.model
    if model is None:
        return []
    data: dict[str, Any] = model.get("data", {})
    said = [
        f"It has learnt from {data.get('fitted_on', 'some')} normal images and has never seen a fault: a high score "
        'says "unlike those normal images", not what is wrong.',
        "It has seen no camera, object, distance, load or weather other than those of its normal images; what is new "
        "there can score high without being faulty.",
        "What differs from normal less than the normal images differ from one another cannot be found.",
    ]
    return [*said, *_beyond_span(inspection)]


def _beyond_span(inspection: Inspection) -> list[str]:
    inputs: dict[str, Any] = (inspection.model or {}).get("inputs", {})
    if inputs.get("kind") != "temperature":
        return []
    low, high = inputs["low"], inputs["high"]
    known = [result.temperatures for result in inspection.results if result.temperatures]
    beyond = sum(stats.min_c < low or stats.max_c > high for stats in known)
    return [
        f"Its normal images lie between {low:.1f} and {high:.1f} °C; {beyond} of {len(known)} inspected pictures have "
        "temperatures beyond that."
    ]
