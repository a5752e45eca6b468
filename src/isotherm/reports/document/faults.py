"""Which findings of an inspection are faults, and what the page of each says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from isotherm.core.capture import Annotation
from isotherm.core.findings import Finding, ImageResult, Verdict
from isotherm.core.scene import Param
from isotherm.measurement.operation import Operation
from isotherm.measurement.severity_table import SeverityTable
from isotherm.radiometry.uncertainty import spread_of
from isotherm.reports.content import CAUTION, foremost, is_anomaly, parameter_text, shown
from isotherm.reports.describing import level_of
from isotherm.reports.document.content import ANOMALIES, Badge, Facts, Fault, FaultPictures, Table
from isotherm.reports.document.particulars import ImageParticulars, Particulars
from isotherm.reports.document.wording import Wording
from isotherm.reports.view_data import COVERAGE

REGIONS = 8
"""Regions of one picture that are listed."""
TEXTS, LONGEST_TEXT = 8, 300
"""Texts of a file that are listed with its parameters, and how many letters of each."""
FaultPer = Literal["picture", "region"]


@dataclass(frozen=True)
class Fact:
    """A finding that needs attention, in its picture; ``finding`` is None for a picture that only scores too high."""

    result: ImageResult
    finding: Finding | None


@dataclass(frozen=True, eq=False)
class FaultWriter:
    """Writes the pages of faults.

    Parameters
    ----------
    wording
        The language.
    particulars
        What people say of the pictures.
    table
        The severity table of the inspection, with its rows as plain values beside it.
    limits
        What the model never saw; empty without a model.
    """

    wording: Wording
    particulars: Particulars
    table: SeverityTable | None
    rows: Mapping[str, Any] | None
    limits: tuple[str, ...]

    def write(self, number: int, fact: Fact, pictures: FaultPictures) -> Fault:
        """Return the page of a fault."""
        result, finding = fact.result, fact.finding
        said = self.particulars.of(result.image)
        verdict = finding.severity if finding else None
        judged = result.radiometric or (verdict is not None and verdict.rank > 0)
        return Fault(
            number=number,
            title=self._title(fact),
            image=result.image,
            place=said.place or result.image,
            badge=self.badge(result, verdict),
            action=said.action or self._action(verdict),
            facts=tuple(self._facts(fact, said)),
            regions=self._regions(result, finding),
            parameters=self._parameters(result),
            criterion=self.criterion(verdict) if judged else None,
            criterion_source=self._criterion_source() if judged else self.wording("no_temperatures"),
            criterion_remarks=self._criterion_remarks(verdict) if judged else (),
            cause=said.cause or self.wording("cause_not_stated"),
            confidence=tuple(self._confidence(result, finding)) or self._load_doubt(finding, said),
            origin=self._origin(result),
            pictures=pictures,
            numbers=_numbers(number, fact, said),
        )

    def _title(self, fact: Fact) -> str:
        w, finding = self.wording, fact.finding
        if finding is None or (finding.temperatures is None and (finding.kind == "anomaly" or is_anomaly(fact.result))):
            return w("title_anomaly")
        kind = w(finding.kind)
        if finding.temperatures is None:
            return kind
        text = f"{kind} {w.number(finding.temperatures.max_c)} °C"
        if fact.result.estimated:
            text = f"{kind} {w('about')} {w.number(finding.temperatures.max_c)} °C"
        return text if finding.delta_t_c is None else f"{text}, ΔT {w.number(finding.delta_t_c)} K"

    def badge(self, result: ImageResult, verdict: Verdict | None) -> Badge:
        """Return the verdict on a picture as a short text."""
        w = self.wording
        if verdict is None or (verdict.rank == 0 and is_anomaly(result)):
            return Badge(w("unlike_normal"), "high") if is_anomaly(result) else Badge(w("not_judged"), "open")
        return self.grade(verdict)

    def graded(self, fact: Fact) -> tuple[Badge, str]:
        """Return a fault's verdict, and the action that the table gives."""
        verdict = fact.finding.severity if fact.finding else None
        return self.badge(fact.result, verdict), self._action(verdict)

    def grade(self, verdict: Verdict) -> Badge:
        """Return the grade of a verdict as a short text."""
        w = self.wording
        if verdict.grade is None:
            text = w("no_action") if verdict.action else w("not_applicable")
        else:
            text = w("class", grade=verdict.grade) if verdict.grade.isdigit() else w.phrase(verdict.grade)
        return Badge(text, level_of(verdict, self.rows))

    def _action(self, verdict: Verdict | None) -> str:
        if verdict is None or not verdict.action:
            return self.wording("look_at_it")
        return self.wording.phrase(verdict.action)

    def _facts(self, fact: Fact, said: ImageParticulars) -> Iterator[tuple[str, str]]:
        w, result, finding = self.wording, fact.result, fact.finding
        if finding is not None:
            yield from self._temperatures(finding)
        if result.anomaly is not None:
            anomaly = result.anomaly
            yield w("score"), w("score_text", score=w.short(anomaly.score), threshold=w.short(anomaly.threshold))
        if result.radiometric or load_of(finding, said) is not None:
            yield w("load"), self._load(finding, said)
        if said.remark:
            yield w("remark"), said.remark

    def _temperatures(self, finding: Finding) -> Iterator[tuple[str, str]]:
        w = self.wording
        if finding.temperatures is not None:
            yield w("max"), self._with_spread(finding.temperatures.max_c, finding.uncertainty_k, "°C")
        if finding.delta_t_c is not None and finding.reference_c is not None:
            yield w("delta_t"), self._with_spread(finding.delta_t_c, finding.delta_t_uncertainty_k, "K")
            yield w("reference"), f"{w.phrase(finding.reference)}: {w.number(finding.reference_c)} °C"

    def _with_spread(self, value: float, sigma_k: float | None, unit: str) -> str:
        w = self.wording
        spread = "" if sigma_k is None else f" ± {w.number(COVERAGE * sigma_k)} K (k = 2)"
        return f"{w.number(value)} {unit}{spread}"

    def _load(self, finding: Finding | None, said: ImageParticulars) -> str:
        load = load_of(finding, said)
        return self.wording("load_unknown") if load is None else f"{self.wording.short(load)} %"

    def _regions(self, result: ImageResult, chosen: Finding | None) -> Table:
        w = self.wording
        # Where a model calls the picture strange, its regions come first.
        found = shown(result)
        order = sorted(found, key=lambda finding: is_anomaly(result) and finding.kind == "hotspot")
        listed = order[:REGIONS]
        marked = next((place for place, finding in enumerate(listed) if finding is chosen), None)
        head = ("region", "max_c", "mean_c", "delta_t_k", "area", "hottest_at", "severity")
        rows = (self._region(name, finding, result) for name, finding in zip(_named(w, listed), listed, strict=True))
        more = len(found) - len(listed)
        title = w("regions") + (f" ({w('more_regions', count=more)})" if more else "")
        return Table(title, tuple(map(w, head)), tuple(rows), marked)

    def _region(self, name: str, finding: Finding, result: ImageResult) -> tuple[str, ...]:
        w, region, stats = self.wording, finding.region, finding.temperatures
        area = f"{region.area_px} px" + (f" ({region.area_mm2:.0f} mm²)" if region.area_mm2 is not None else "")
        return (
            name,
            w.number(stats.max_c if stats else None),
            w.number(stats.mean_c if stats else None),
            w.number(finding.delta_t_c),
            area,
            f"{region.peak[0]}, {region.peak[1]}",
            self.badge(result, finding.severity).text if finding.severity else self._score(finding),
        )

    def _score(self, finding: Finding) -> str:
        return "" if finding.score is None else f"{self.wording('score')}: {self.wording.short(finding.score)}"

    def _parameters(self, result: ImageResult) -> Table:
        w = self.wording
        rows = [self._parameter(name, param) for name, param in result.scene.items()]
        rows += [self._text(annotation) for annotation in result.texts[:TEXTS]]
        return Table(w("parameters"), (w("parameter"), w("value"), w("source"), w("uncertainty")), tuple(rows))

    def _text(self, annotation: Annotation) -> tuple[str, str, str, str]:
        title = annotation.label or self.wording("text_in_file")
        text = annotation.text
        return title, text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…", annotation.source, ""

    def _parameter(self, name: str, param: Param) -> tuple[str, str, str, str]:
        w = self.wording
        title, value = parameter_text(name, param)
        spread = spread_of(name, param).sigma
        scale, unit = (100.0, "%") if name == "humidity" else (1.0, "" if param.unit == "1" else param.unit)
        said = f"± {w.short(COVERAGE * spread * scale, 2)} {unit}".strip()
        return w.phrase(title), _localised(w, value), w.phrase(str(param.source)), said

    def criterion(self, verdict: Verdict | None) -> Table | None:
        """Return the severity table, with the row of a verdict marked; None without a table."""
        w = self.wording
        if self.rows is None:
            return None
        rows = [self._interval(row) for row in self.rows["intervals"]]
        marked = verdict.rank - 1 if verdict is not None and verdict.rank > 0 else None
        title = w.phrase(str(self.rows.get("title") or self.rows["id"]))
        return Table(title, (w("interval"), w("grade"), w("action_of_table")), tuple(rows), marked)

    def _interval(self, row: Mapping[str, Any]) -> tuple[str, str, str]:
        w = self.wording
        grade = str(row["grade"])
        unit = "°C" if self.rows and self.rows.get("comparison") == "absolute" else "K"
        interval = str(row["interval"]).replace("inf", "∞")
        return f"{interval} {unit}", grade if grade.isdigit() else w.phrase(grade), w.phrase(row["action"])

    def _criterion_source(self) -> str:
        if self.rows is None:
            return self.wording("no_table")
        return f"{self.rows['edition']}. {self.wording('source')}: {self.rows['source']}"

    def _criterion_remarks(self, verdict: Verdict | None) -> tuple[str, ...]:
        w = self.wording
        if verdict is None:
            return ()
        inputs = ", ".join(_input(w, name, value) for name, value in verdict.inputs.items())
        reasons = (w.sentences(verdict.reason),) if verdict.reason else ()
        return (*reasons, *((w("rests_on", inputs=inputs),) if inputs else ()))

    def _confidence(self, result: ImageResult, finding: Finding | None) -> Iterator[str]:
        w = self.wording
        if result.anomaly is not None:
            yield w("percentile_text", percentile=w.number(result.anomaly.percentile))
        if finding is not None and finding.uncertainty_k is None and result.radiometric:
            yield w("uncertainty_unknown")
        if finding is not None and _doubtful(finding):
            yield w("delta_within_uncertainty")
        if not result.radiometric:
            yield w("no_temperatures")
        yield from (w.phrase(note.removeprefix(CAUTION)) for note in result.notes)
        yield from map(w.phrase, self.limits)

    def _load_doubt(self, finding: Finding | None, said: ImageParticulars) -> tuple[str, ...]:
        """Return what stands where no other doubt is known: at an unknown load there is one, told of elsewhere too."""
        unknown = finding is not None and finding.delta_t_c is not None and load_of(finding, said) is None
        return (self.wording("load_doubt"),) if unknown else ()

    def _origin(self, result: ImageResult) -> Facts:
        w, camera = self.wording, result.camera
        model = " ".join(filter(None, (camera.maker, camera.model, camera.lens)))
        serial = f", {w('serial')} {camera.serial}" if camera.serial else ""
        rows = (
            (w("picture"), result.image),
            (w("camera"), (model or w("not_known")) + serial),
            (w("taken"), w.days(camera.taken_at)),
            (w("size"), f"{result.width} × {result.height} px"),
            ("SHA-256", result.digest),
        )
        return tuple((name, value) for name, value in rows if value)


def facts_of(result: ImageResult, per: FaultPer) -> list[Fact]:
    """Return the faults of a picture that needs attention: the picture itself, or each of its regions that counts."""
    whole = Fact(result, foremost(result))
    if per == "picture":
        return [whole]
    return [Fact(result, finding) for finding in result.findings if _counts(result, finding)] or [whole]


def _counts(result: ImageResult, finding: Finding) -> bool:
    graded = finding.severity is not None and finding.severity.rank > 0
    return graded or (is_anomaly(result) and finding.kind == "anomaly")


def at_its_load(result: ImageResult, particulars: Particulars, table: SeverityTable | None) -> ImageResult:
    """Return a result with the verdicts that the table gives at the load that the inspector states for it."""
    load = particulars.of(result.image).load_percent
    if load is None or table is None:
        return result
    operation = Operation(load_percent=load)
    return replace(result, findings=tuple(_judged(finding, table, operation) for finding in result.findings))


def _judged(finding: Finding, table: SeverityTable, operation: Operation) -> Finding:
    # What the table could not judge at an unknown load for another reason, it cannot judge at a known one.
    if finding.severity is None or not finding.severity.action or finding.delta_t_c is None:
        return finding
    value = finding.severity.inputs.get("temperature_c", finding.delta_t_c)
    return replace(finding, severity=table.judge(value, operation))


def load_of(finding: Finding | None, said: ImageParticulars) -> float | None:
    """Return the load [% of rating] that a verdict rests on, or that the inspector states; None where it is unknown."""
    if said.load_percent is not None:
        return said.load_percent
    return finding.severity.inputs.get("load_percent") if finding and finding.severity else None


def _doubtful(finding: Finding) -> bool:
    delta, sigma = finding.delta_t_c, finding.delta_t_uncertainty_k
    return delta is not None and sigma is not None and abs(delta) <= COVERAGE * sigma


def _named(w: Wording, findings: Sequence[Finding]) -> list[str]:
    """Return each finding's name: its kind, and its number among those of its kind, as in the picture."""
    count = {"hotspot": 0, "anomaly": 0}
    names = []
    for finding in findings:
        count[finding.kind] += 1
        before = ANOMALIES if finding.kind == "anomaly" else ""
        names.append(f"{w(finding.kind)} {before}{count[finding.kind]}")
    return names


def _localised(w: Wording, value: str) -> str:
    return value if w("decimal") == "." else value.replace(".", w("decimal"))


_UNITS = {"_percent": "%", "_w_m2": "W/m²", "_c": "K", "_k": "K"}


def _input(w: Wording, name: str, value: float) -> str:
    suffix, unit = next(((end, unit) for end, unit in _UNITS.items() if name.endswith(end)), ("", ""))
    title = name.removesuffix(suffix).replace("_", " ")
    return f"{w.phrase(title)} {w.short(value)} {'°C' if title == 'temperature' else unit}".strip()


def _numbers(number: int, fact: Fact, said: ImageParticulars) -> dict[str, object]:
    result, finding = fact.result, fact.finding
    verdict = finding.severity if finding else None
    temperatures = finding.temperatures if finding else None
    return {
        "number": number,
        "image": result.image,
        "place": said.place,
        "kind": finding.kind if finding else "anomaly",
        "severity": verdict.grade if verdict else None,
        "severity_rank": verdict.rank if verdict else None,
        "severity_table": verdict.table if verdict else None,
        "max_c": temperatures.max_c if temperatures else None,
        "max_uncertainty_k": finding.uncertainty_k if finding else None,
        "delta_t_c": finding.delta_t_c if finding else None,
        "delta_t_uncertainty_k": finding.delta_t_uncertainty_k if finding else None,
        "reference_c": finding.reference_c if finding else None,
        "load_percent": load_of(finding, said),
        "score": result.anomaly.score if result.anomaly else None,
        "threshold": result.anomaly.threshold if result.anomaly else None,
        "area_px": finding.region.area_px if finding else None,
        "x": finding.region.peak[0] if finding else None,
        "y": finding.region.peak[1] if finding else None,
        "estimated": result.estimated,
        "sha256": result.digest,
    }
