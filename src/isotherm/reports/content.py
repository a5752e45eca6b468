"""What a report says, decided once; the writers only lay it out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Any

from isotherm.core.findings import Finding, ImageResult, Inspection, Verdict
from isotherm.core.scene import ZERO_CELSIUS_K, Param

CAUTION = "caution: "
"""How notes begin that say why a temperature may be wrong."""
DETAILS = 50
"""How many pictures get a block of their own in a report for people; the tables have all of them."""
_Use = tuple[int, str, str, str]
LISTED = 5_000
"""How many pictures the report of a run lists; of more it lists the worst. The tables have all of them."""


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
        What could be read, worst first; only the worst where there is more than a report can hold.
    failed
        What could not be read, in input order; only the first where there is more than a report can hold.
    parameters
        The scene's parameters with their sources, most used first.
    limits
        What the model never saw and cannot know, one sentence each; empty without a model.
    attention, unjudged
        How many pictures need attention, and how many have a finding that the severity table cannot judge.
    hottest_c
        The highest temperature of all pictures [°C], None where there is none.
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
    attention: int
    unjudged: int
    hottest_c: float | None
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def detailed(self) -> tuple[ImageResult, ...]:
        """The worst pictures, which a report for people shows one by one."""
        return self.ranked[:DETAILS]

    @property
    def complete(self) -> bool:
        """Whether `ranked` holds every picture that could be read."""
        return len(self.ranked) == self.totals.read


def build_report(inspection: Inspection, pictures: Mapping[str, bytes] | None = None) -> Report:
    """Count, rank and word what an inspection found."""
    gathering = Gathering(inspection.model)
    for result in inspection.results:
        gathering.add(result)
    return gathering.report(inspection, pictures)


class Gathering:
    """What a report says, from results that are shown one after the other.

    Parameters
    ----------
    model
        What the run was judged with, None for nothing.
    most
        How many of the worst and of the failed pictures are held; None for all.
    faults_only
        Hold none but those that need attention; the others are only counted.
    """

    def __init__(self, model: Mapping[str, Any] | None, *, most: int | None = None, faults_only: bool = False) -> None:
        self._model, self._most, self._faults_only = model, most, faults_only
        self._counts = Counter[str]()
        self._grades = Counter[tuple[int, str, str]]()
        self._uses = Counter[_Use]()
        self._worst: list[tuple[tuple[float, ...], int, ImageResult]] = []
        self._failed: list[ImageResult] = []
        self._hottest_c: float | None = None

    def add(self, result: ImageResult) -> None:
        """Count one result; results come in input order."""
        self._counts["images"] += 1
        if result.status == "failed":
            self._counts["failed"] += 1
            if not self._faults_only and (self._most is None or len(self._failed) < self._most):
                self._failed.append(result)
            return
        self._counts.update({name: int(count(result)) for name, count in _COUNTS.items()})
        if verdict := verdict_of(result):
            self._grades[verdict.rank, verdict_label(verdict), verdict.action] += 1
        self._uses.update(_uses(result))
        self._see_temperatures(result)
        if not self._faults_only or needs_attention(result):
            self._rank(result)

    def _see_temperatures(self, result: ImageResult) -> None:
        stats = result.temperatures
        if stats is None:
            return
        self._hottest_c = stats.max_c if self._hottest_c is None else max(self._hottest_c, stats.max_c)
        low, high = _span_of(self._model)
        self._counts["beyond"] += stats.min_c < low or stats.max_c > high

    def _rank(self, result: ImageResult) -> None:
        # Of equals the first one is the worst; its number settles it before results are compared.
        entry = (badness(result), -self._counts["images"], result)
        if self._most is None or len(self._worst) < self._most:
            heappush(self._worst, entry)
        else:
            heappushpop(self._worst, entry)

    @property
    def totals(self) -> Totals:
        """The counts so far."""
        counts = self._counts
        return Totals(
            images=counts["images"],
            failed=counts["failed"],
            judged=self._model is not None,
            anomalies=counts["anomalies"],
            hotspots=counts["hotspots"],
            with_hotspots=counts["with_hotspots"],
            without_temperatures=counts["without_temperatures"],
        )

    @property
    def ranked(self) -> tuple[ImageResult, ...]:
        """The pictures that are held, worst first."""
        return tuple(result for _, _, result in sorted(self._worst, key=lambda entry: entry[:2], reverse=True))

    @property
    def failed(self) -> tuple[ImageResult, ...]:
        """What could not be read and is held, in input order."""
        return tuple(self._failed)

    def report(self, inspection: Inspection, pictures: Mapping[str, bytes] | None = None) -> Report:
        """Return the report on what was shown."""
        counts = self._counts
        return Report(
            inspection=inspection,
            totals=self.totals,
            grades=tuple(
                GradeCount(label=label, rank=rank, action=action, images=images)
                for (rank, label, action), images in sorted(self._grades.items(), reverse=True)
            ),
            ranked=self.ranked,
            failed=self.failed,
            parameters=tuple(_parameters(self._uses)),
            limits=tuple(_limits(self._model, known=counts["with_temperatures"], beyond=counts["beyond"])),
            attention=counts["attention"],
            unjudged=counts["unjudged"],
            hottest_c=self._hottest_c,
            pictures=pictures or {},
        )


def ranked(results: Iterable[ImageResult]) -> tuple[ImageResult, ...]:
    """Return pictures worst first.

    The model's prediction decides, then the severity of the foremost finding, then how far the score is above the
    threshold, then delta-T, then the temperature; equals keep their order.
    """
    return tuple(sorted(results, key=badness, reverse=True))


def badness(result: ImageResult) -> tuple[float, ...]:
    """Return what pictures are ranked by, see `ranked`; what needs no attention never goes before what does."""
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


def shown(result: ImageResult) -> tuple[Finding, ...]:
    """Return the findings that pictures and tables show.

    Of a picture without temperatures that a model calls strange, those are the model's: bright spots, which no rule
    judges, would cover them.
    """
    if result.radiometric or not is_anomaly(result):
        return tuple(result.findings)
    return tuple(finding for finding in result.findings if finding.kind == "anomaly") or tuple(result.findings)


def foremost(result: ImageResult) -> Finding | None:
    """Return the finding that stands for the picture, None where there is none.

    That is the hottest anomalous region of a picture that the model calls an anomaly, else the hottest hotspot. On a
    server rules judge the hotspots whatever the model says: one with a verdict goes before regions without one.
    """
    hotspots = result.hotspots
    anomalous = [finding for finding in result.findings if finding.kind == "anomaly"]
    judged = bool(hotspots) and hotspots[0].severity is not None
    if is_anomaly(result) and anomalous and (anomalous[0].severity is not None or not judged):
        return anomalous[0]
    return hotspots[0] if hotspots else None


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


_COUNTS: Mapping[str, Callable[[ImageResult], int]] = {
    "anomalies": is_anomaly,
    "hotspots": lambda result: len(result.hotspots),
    "with_hotspots": lambda result: bool(result.hotspots),
    "without_temperatures": lambda result: not result.radiometric,
    "with_temperatures": lambda result: result.temperatures is not None,
    "attention": needs_attention,
    "unjudged": cannot_judge,
}
"""What is counted of the pictures that could be read."""


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


def _uses(result: ImageResult) -> Iterator[_Use]:
    order = list(_PARAMETERS)
    for name, param in result.scene.items():
        place = order.index(name) if name in order else len(order)
        yield place, *parameter_text(name, param), str(param.source)


def _parameters(uses: Counter[_Use]) -> list[ParameterUse]:
    rows = sorted(uses.items(), key=lambda item: (item[0][0], item[0][1], -item[1], item[0][2:]))
    return [ParameterUse(name, value, source, images) for (_, name, value, source), images in rows]


def _limits(model: Mapping[str, Any] | None, *, known: int, beyond: int) -> list[str]:
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
    low, high = _span_of(model)
    if low > -math.inf:
        said.append(
            f"Its normal images lie between {low:.1f} and {high:.1f} °C; {beyond} of {known} inspected pictures have "
            "temperatures beyond that."
        )
    return said


def _span_of(model: Mapping[str, Any] | None) -> tuple[float, float]:
    """Return the temperatures that a model has seen [°C]; without bounds where it looks at none."""
    inputs: dict[str, Any] = (model or {}).get("inputs", {})
    if inputs.get("kind") != "temperature":
        return -math.inf, math.inf
    return inputs["low"], inputs["high"]
