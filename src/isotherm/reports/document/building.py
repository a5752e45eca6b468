"""An inspection, what people say of it, and its pictures, as a report in one language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from isotherm.core.errors import ConfigError
from isotherm.core.findings import ImageResult, Inspection
from isotherm.measurement.severity import SeverityTable, table_from_json
from isotherm.reports.content import Report
from isotherm.reports.describing import model_card, plain_text, settings_groups
from isotherm.reports.document.content import Document, Facts, FaultPictures, Method, ReportSection, Table
from isotherm.reports.document.faults import Fact, FaultPer, FaultWriter, at_its_load
from isotherm.reports.document.overview import Overview
from isotherm.reports.document.particulars import Particulars
from isotherm.reports.document.wording import Wording, wording

MOST_CAMERAS = 6
MOST_PAGES = 2000
"""Faults that may have a page with pictures; of more a reader would ask for the worst."""
Pictures = Callable[[Sequence[ImageResult]], Mapping[str, FaultPictures]]
"""Gives the pictures of faults, worst first, by their names."""


@dataclass(frozen=True)
class DocumentSettings:
    """What is chosen about a report.

    Parameters
    ----------
    language, particulars
        The language, and what people say.
    per
        Whether each region is a fault of its own.
    worst
        How many faults are shown, the worst; the others are only counted. None: all.
    """

    language: str = "en"
    particulars: Particulars = field(default_factory=Particulars)
    per: FaultPer = "picture"
    worst: int | None = None

    def __post_init__(self) -> None:
        if self.worst is not None and self.worst < 1:
            raise ConfigError(f"worst: at least 1 fault is shown, not {self.worst}")


def build_document(
    inspection: Inspection,
    settings: DocumentSettings | None = None,
    *,
    pictures: Pictures | None = None,
    sections: Iterable[ReportSection] = (),
    results: Iterable[ImageResult] | None = None,
) -> Document:
    """Return the report of an inspection, ready to be laid out.

    Parameters
    ----------
    inspection
        Everything that was found.
    settings
        What is chosen.
    pictures
        What gives the pictures of faults; None for a report without pictures.
    sections
        What others add.
    results
        What was found in each picture, in place of those of `inspection`: only those with faults are held.

    Raises
    ------
    UnknownNameError
        There is no such language.
    ConfigError
        More than `MOST_PAGES` faults would have a page with pictures.
    """
    settings = settings or DocumentSettings()
    most = settings.worst or (MOST_PAGES if pictures else None)
    builder = _Builder.of(inspection, settings, inspection.results if results is None else results, most)
    if pictures and settings.worst is None:
        _check_pages(builder.overview.faults)
    return builder.document(pictures, tuple(sections))


def _check_pages(faults: int) -> None:
    if faults > MOST_PAGES:
        raise ConfigError(
            f"{faults} faults would have a page each; a report shows at most {MOST_PAGES} with pictures unless it is "
            "said how many: the worst (--worst 100), all in a table without pictures (-o report.csv, --template "
            "brief), or a report of each part of the pictures"
        )


@dataclass(frozen=True, eq=False)
class _Builder:
    report: Report
    overview: Overview
    writer: FaultWriter
    facts: list[Fact]
    wording: Wording
    particulars: Particulars

    @classmethod
    def of(
        cls, inspection: Inspection, settings: DocumentSettings, results: Iterable[ImageResult], most: int | None
    ) -> _Builder:
        table, said = _table(inspection), settings.particulars
        words = wording(settings.language)
        writer = FaultWriter(words, said, table, inspection.severity_table, ())
        overview = Overview(writer, inspection.model, settings.per, most)
        for result in results:
            overview.add(at_its_load(result, said, table))
        report = overview.report(inspection)
        facts = list(islice(overview.facts(report), settings.worst))
        return cls(report, overview, replace(writer, limits=report.limits), facts, words, said)

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
            grades=tuple(self.overview.grades()),
            faults=faults,
            without_fault=self.overview.without_fault(),
            unjudged=self.overview.unjudged(),
            unread=self.overview.unread(),
            not_inspected=self._left_out(),
            sections=sections,
            method=self._method(),
            disclaimer=tuple(w(f"disclaimer_{number}") for number in (1, 2, 3)),
            remarks=self._remarks(),
            read=self.report.totals.read,
            total=self.overview.faults,
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
        if self.overview.days is None:
            return self.wording.days(self.report.inspection.started_at[:10])
        first, last = map(self.wording.days, self.overview.days)
        return first if first == last else f"{first} – {last}"

    def _cameras(self) -> str:
        cameras = list(self.overview.cameras)
        more = len(cameras) - MOST_CAMERAS
        named = [self.wording("and_more", count=more)] if more > 0 else []
        return "; ".join([*cameras[:MOST_CAMERAS], *named])

    def _lead(self) -> str:
        w, totals = self.wording, self.report.totals
        if not totals.read:
            return w("lead_nothing_read")
        key = "lead_none" if not self.report.attention else "lead_some"
        parts = [w(key, attention=self.report.attention, read=totals.read)]
        if urgent := self.overview.urgent:
            parts.append(w("lead_urgent", count=urgent))
        if len(self.facts) < self.overview.faults:
            parts.append(w("lead_worst", shown=len(self.facts), count=self.overview.faults))
        if totals.failed:
            parts.append(w("lead_unread", count=totals.failed))
        if self.particulars.not_inspected:
            parts.append(w("lead_left_out", count=len(self.particulars.not_inspected)))
        return " ".join(parts) if w("spaces") else "".join(parts)

    def _counts(self) -> Iterable[tuple[str, str]]:
        w, totals = self.wording, self.report.totals
        yield w("count_images"), str(totals.images)
        yield w("count_faults"), str(self.overview.faults)
        yield w("count_unread"), str(totals.failed)
        yield w("count_left_out"), str(len(self.particulars.not_inspected))
        if self.report.hottest_c is not None:
            yield w("count_hottest"), f"{w.number(self.report.hottest_c)} °C"

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
        if self.overview.uncertain:
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
