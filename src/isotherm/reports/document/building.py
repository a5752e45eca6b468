"""An inspection, what people say of it, and its pictures, as a report in one language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from isotherm.core.findings import ImageResult, Inspection
from isotherm.measurement.severity import SeverityTable, table_from_json
from isotherm.reports.content import Report, build_report, foremost, is_anomaly, needs_attention, verdict_of
from isotherm.reports.describing import model_card, plain_text, settings_groups
from isotherm.reports.document.content import (
    Badge,
    Document,
    Facts,
    FaultPictures,
    GradeRow,
    Method,
    ReportSection,
    Table,
)
from isotherm.reports.document.faults import Fact, FaultPer, FaultWriter, at_their_load, faults_of
from isotherm.reports.document.particulars import Particulars
from isotherm.reports.document.wording import Wording, wording

MOST_CAMERAS = 6
MOST_LISTED = 500
"""Pictures without a fault that are listed by name."""
Pictures = Callable[[Sequence[ImageResult]], Mapping[str, FaultPictures]]
"""Gives the pictures of faults, worst first, by their names."""


@dataclass(frozen=True)
class DocumentSettings:
    """What is chosen about a report: its language, what people say, whether each region is a fault of its own."""

    language: str = "en"
    particulars: Particulars = field(default_factory=Particulars)
    per: FaultPer = "picture"


def build_document(
    inspection: Inspection,
    settings: DocumentSettings | None = None,
    *,
    pictures: Pictures | None = None,
    sections: Iterable[ReportSection] = (),
) -> Document:
    """Return the report of an inspection, ready to be laid out.

    Parameters
    ----------
    inspection
        Everything that was found.
    settings
        Language and particulars.
    pictures
        What gives the pictures of faults; None for a report without pictures.
    sections
        What others add.

    Raises
    ------
    UnknownNameError
        There is no such language.
    """
    settings = settings or DocumentSettings()
    builder = _Builder.of(inspection, settings)
    return builder.document(pictures, tuple(sections))


@dataclass(frozen=True, eq=False)
class _Builder:
    report: Report
    writer: FaultWriter
    facts: list[Fact]
    wording: Wording
    particulars: Particulars

    @classmethod
    def of(cls, inspection: Inspection, settings: DocumentSettings) -> _Builder:
        table = _table(inspection)
        results = tuple(at_their_load(inspection.results, settings.particulars, table))
        report = build_report(replace(inspection, results=results))
        words = wording(settings.language)
        writer = FaultWriter(words, settings.particulars, table, inspection.severity_table, report.limits)
        return cls(report, writer, faults_of(report, settings.per), words, settings.particulars)

    def document(self, pictures: Pictures | None, sections: tuple[ReportSection, ...]) -> Document:
        w = self.wording
        shown = pictures([fact.result for fact in self.facts]) if pictures else {}
        faults = tuple(
            self.writer.write(number, fact, shown.get(fact.result.image, FaultPictures()))
            for number, fact in enumerate(self.facts, start=1)
        )
        return Document(
            wording=w,
            title=self.particulars.title or self.report.inspection.title,
            cover=tuple(self._cover()),
            lead=self._lead(),
            counts=tuple(self._counts()),
            grades=tuple(self._grades()),
            faults=faults,
            without_fault=self._without_fault(),
            unjudged=self._unjudged(),
            unread=self._failed(),
            not_inspected=self._left_out(),
            sections=sections,
            method=self._method(),
            disclaimer=tuple(w(f"disclaimer_{number}") for number in (1, 2, 3)),
            remarks=self._remarks(),
            read=self.report.totals.read,
        )

    def _cover(self) -> Iterable[tuple[str, str]]:
        w, said = self.wording, self.particulars
        needed = w("not_stated")
        yield w("client"), said.client or needed
        yield w("site"), ", ".join(filter(None, (said.site, said.address))) or needed
        yield from self._given("order")
        yield w("date"), said.date or self._when()
        yield w("inspector"), ", ".join(filter(None, (said.inspector, said.company))) or needed
        yield w("qualification"), said.qualification or needed
        yield w("cameras"), said.camera or self._cameras() or w("not_known")
        yield w("calibrated"), said.calibrated or needed
        yield from self._given("reviewer")
        inspection = self.report.inspection
        version = inspection.versions.get("isotherm", "")
        yield w("made_with"), f"isotherm {version}, {w.days(inspection.started_at)}".strip()

    def _given(self, name: str) -> Facts:
        value = getattr(self.particulars, name)
        return ((self.wording(name), value),) if value else ()

    def _remarks(self) -> Facts:
        return (*self._given("conditions"), *self._given("remarks"))

    def _when(self) -> str:
        days = sorted({result.camera.taken_at[:10] for result in self.report.ranked if result.camera.taken_at})
        if not days:
            return self.wording.days(self.report.inspection.started_at[:10])
        first, last = (self.wording.days(day) for day in (days[0], days[-1]))
        return first if len(days) == 1 else f"{first} – {last}"

    def _cameras(self) -> str:
        w = self.wording
        cameras: dict[str, None] = {}
        for result in self.report.ranked:
            name = " ".join(filter(None, (result.camera.maker, result.camera.model)))
            if name:
                cameras[name + (f" ({w('serial')} {result.camera.serial})" if result.camera.serial else "")] = None
        more = len(cameras) - MOST_CAMERAS
        return "; ".join([*list(cameras)[:MOST_CAMERAS], *([w("and_more", count=more)] if more > 0 else [])])

    def _lead(self) -> str:
        w, totals = self.wording, self.report.totals
        attention = sum(map(needs_attention, self.report.ranked))
        if not totals.read:
            return w("lead_nothing_read")
        key = "lead_none" if not attention else "lead_some"
        parts = [w(key, attention=attention, read=totals.read)]
        if worst := sum(row.count for row in self._grades() if row.badge.level == "high"):
            parts.append(w("lead_urgent", count=worst))
        if totals.failed:
            parts.append(w("lead_unread", count=totals.failed))
        if self.particulars.not_inspected:
            parts.append(w("lead_left_out", count=len(self.particulars.not_inspected)))
        return " ".join(parts) if w("spaces") else "".join(parts)

    def _counts(self) -> Iterable[tuple[str, str]]:
        w, totals = self.wording, self.report.totals
        yield w("count_images"), str(totals.images)
        yield w("count_faults"), str(len(self.facts))
        yield w("count_unread"), str(totals.failed)
        yield w("count_left_out"), str(len(self.particulars.not_inspected))
        hottest = max((stats.max_c for result in self.report.ranked if (stats := result.temperatures)), default=None)
        if hottest is not None:
            yield w("count_hottest"), f"{w.number(hottest)} °C"

    def _grades(self) -> Iterator[GradeRow]:
        """Yield each verdict on the faults, worst first."""
        rows: dict[tuple[Badge, str], int] = {}
        for fact in self.facts:
            row = self.writer.graded(fact)
            rows[row] = rows.get(row, 0) + 1
        return (GradeRow(badge, action, count) for (badge, action), count in rows.items())

    def _without_fault(self) -> Table:
        """List what was inspected and found without a fault, in input order."""
        w = self.wording
        clear = [r for r in self.report.inspection.results if r.status == "ok" and not needs_attention(r)]
        rows = [self._without_fault_row(result) for result in clear[:MOST_LISTED]]
        if len(clear) > MOST_LISTED:
            rows.append((w("and_more", count=len(clear) - MOST_LISTED), "", "", ""))
        return Table(w("clear"), (w("picture"), w("place"), w("max_c"), w("verdict")), tuple(rows))

    def _without_fault_row(self, result: ImageResult) -> tuple[str, str, str, str]:
        w, verdict = self.wording, verdict_of(result)
        hottest = result.temperatures.max_c if result.temperatures else None
        finding = foremost(result)
        said = w("no_finding") if finding is None and not is_anomaly(result) else w("not_judged")
        judged = self.writer.grade(verdict).text if verdict else said
        return result.image, self.particulars.of(result.image).place, w.number(hottest), judged

    def _unjudged(self) -> Table:
        w = self.wording
        rows = []
        for result in self.report.ranked:
            verdict = verdict_of(result)
            if verdict is not None and not verdict.action and not is_anomaly(result):
                rows.append((result.image, w.sentences(verdict.reason)))
        return Table(w("unjudged"), (w("picture"), w("reason")), tuple(rows))

    def _failed(self) -> Table:
        w = self.wording
        rows = tuple((result.image, w.phrase(result.error)) for result in self.report.failed)
        return Table(w("unread"), (w("file"), w("reason")), rows)

    def _left_out(self) -> Table:
        w = self.wording
        rows = tuple((item.place, item.reason or w("not_stated")) for item in self.particulars.not_inspected)
        return Table(w("not_inspected"), (w("place"), w("reason")), rows)

    def _method(self) -> Method:
        w, inspection = self.wording, self.report.inspection
        model = model_card(inspection.model) if inspection.model else {}
        groups = chain.from_iterable(values.items() for _, values in settings_groups(inspection.settings))
        return Method(
            paragraphs=tuple(self._how()),
            settings=tuple((w.phrase(name.replace("_", " ")), plain_text(value)) for name, value in groups),
            criteria=self.writer.criterion(None),
            criteria_notes=tuple(self._criteria_notes()),
            model=tuple((w.phrase(name), plain_text(value)) for name, value in model.items()),
            limits=tuple(map(w.phrase, self.report.limits)),
            versions=", ".join(f"{name} {version}" for name, version in inspection.versions.items()),
        )

    def _how(self) -> Iterable[str]:
        w, inspection = self.wording, self.report.inspection
        yield w("how_found")
        yield w("how_judged") if inspection.severity_table else w("no_table")
        if inspection.model is not None:
            calibration = inspection.model.get("calibration", {})
            yield w("how_model", threshold=w.short(calibration.get("threshold", 0.0), 6))
        if any(finding.uncertainty_k is not None for result in self.report.ranked for finding in result.findings):
            yield w("how_uncertain")

    def _criteria_notes(self) -> Iterable[str]:
        w, table = self.wording, self.report.inspection.severity_table
        if table is None:
            return
        yield f"{table['edition']}. {w('source')}: {table['source']}"
        if table.get("min_load_percent") is not None:
            yield w("least_load", percent=w.short(table["min_load_percent"]))
        yield from map(w.phrase, table.get("notes", ()))


def _table(inspection: Inspection) -> SeverityTable | None:
    found = inspection.severity_table
    return None if found is None else table_from_json(json.dumps(found), "the severity table of the inspection")
