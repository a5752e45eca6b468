"""What a report says of all pictures, seen one after the other: only those with faults are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from isotherm.core.findings import ImageResult, Inspection
from isotherm.reports.content import (
    Gathering,
    Report,
    badness,
    foremost,
    is_anomaly,
    needs_attention,
    verdict_of,
)
from isotherm.reports.document.content import Badge, GradeRow, Table
from isotherm.reports.document.faults import Fact, FaultPer, FaultWriter, facts_of
from isotherm.reports.document.wording import Wording

MOST_LISTED = 500
"""Pictures of one kind without a page of their own that are listed by name."""


@dataclass
class _Tally:
    """How many faults have a verdict, and how bad the worst of them is."""

    count: int
    worst: tuple[object, ...]


class _Rows:
    """The first rows of a table, and how many more there are."""

    def __init__(self) -> None:
        self._rows, self._more = list[tuple[str, ...]](), 0

    def add(self, row: Callable[[], tuple[str, ...]]) -> None:
        """Add a row; where there are enough it is only counted, and not made."""
        if len(self._rows) < MOST_LISTED:
            self._rows.append(row())
        else:
            self._more += 1

    def table(self, w: Wording, title: str, *head: str) -> Table:
        """Return them with words of the language as head."""
        more = [(w("and_more", count=self._more), *[""] * (len(head) - 1))] if self._more else []
        return Table(w(title), tuple(map(w, head)), (*self._rows, *more))


class Overview:
    """Counts and lists pictures, and holds those with faults, the worst where there are too many.

    Parameters
    ----------
    writer
        Words the verdicts.
    model
        What the run was judged with, None for nothing.
    per
        Whether a picture or a region is a fault.
    most
        How many pictures are held; None for all.
    """

    def __init__(self, writer: FaultWriter, model: Mapping[str, Any] | None, per: FaultPer, most: int | None) -> None:
        self._writer, self._per = writer, per
        self._gathering = Gathering(model, most=most, faults_only=True)
        self._grades: dict[tuple[Badge, str], _Tally] = {}
        self._clear, self._unjudged, self._unread = _Rows(), _Rows(), _Rows()
        self.cameras: dict[str, None] = {}
        self.days: tuple[str, str] | None = None
        self.uncertain = False
        self._seen = 0

    def add(self, result: ImageResult) -> None:
        """Count one picture; pictures come in input order."""
        self._seen += 1
        self._gathering.add(result)
        if result.status != "ok":
            self._unread.add(lambda: (result.image, self._writer.wording.phrase(result.error)))
            return
        self._see_camera(result)
        self.uncertain |= any(finding.uncertainty_k is not None for finding in result.findings)
        self._list(result)
        if needs_attention(result):
            self._count(result)

    def report(self, inspection: Inspection) -> Report:
        """Return what was gathered; it holds no picture without a fault."""
        return self._gathering.report(inspection)

    @property
    def faults(self) -> int:
        """How many faults there are."""
        return sum(tally.count for tally in self._grades.values())

    @property
    def urgent(self) -> int:
        """How many faults are of the worst class of the table; what only a model calls strange is of none."""
        strange = self._writer.wording("unlike_normal")
        rows = self._grades.items()
        return sum(tally.count for (badge, _), tally in rows if badge.level == "high" and badge.text != strange)

    def grades(self) -> Iterator[GradeRow]:
        """Yield each verdict on the faults, worst first."""
        rows = sorted(self._grades.items(), key=lambda row: row[1].worst, reverse=True)
        return (GradeRow(badge, action, tally.count) for (badge, action), tally in rows)

    def facts(self, report: Report) -> Iterator[Fact]:
        """Yield the faults that are held, worst first."""
        for result in report.ranked:
            yield from facts_of(result, self._per)

    def without_fault(self) -> Table:
        """Return what was inspected and found without a fault, in input order."""
        return self._clear.table(self._writer.wording, "clear", "picture", "place", "max_c", "verdict")

    def unjudged(self) -> Table:
        """Return what no rule could judge, with the reason, in input order."""
        return self._unjudged.table(self._writer.wording, "unjudged", "picture", "reason")

    def unread(self) -> Table:
        """Return what could not be read, with the reason, in input order."""
        return self._unread.table(self._writer.wording, "unread", "file", "reason")

    def _count(self, result: ImageResult) -> None:
        for place, fact in enumerate(facts_of(result, self._per)):
            worst = (badness(result), -self._seen, -place)
            tally = self._grades.setdefault(self._writer.graded(fact), _Tally(0, worst))
            tally.count += 1
            tally.worst = max(tally.worst, worst)

    def _see_camera(self, result: ImageResult) -> None:
        w, camera = self._writer.wording, result.camera
        if name := " ".join(filter(None, (camera.maker, camera.model))):
            self.cameras[name + (f" ({w('serial')} {camera.serial})" if camera.serial else "")] = None
        if day := camera.taken_at[:10]:
            first, last = self.days or (day, day)
            self.days = min(first, day), max(last, day)

    def _list(self, result: ImageResult) -> None:
        w, verdict = self._writer.wording, verdict_of(result)
        if verdict is not None and not verdict.action and not _looked_at_by_model(result):
            self._unjudged.add(lambda: (result.image, w.sentences(verdict.reason)))
        elif verdict is None and _beyond_rules(result):
            self._unjudged.add(lambda: (result.image, w("no_temperatures")))
        if not needs_attention(result):
            self._clear.add(lambda: self._without_fault_row(result))

    def _without_fault_row(self, result: ImageResult) -> tuple[str, str, str, str]:
        hottest = result.temperatures.max_c if result.temperatures else None
        place = self._writer.particulars.of(result.image).place
        return result.image, place, self._writer.wording.number(hottest), self._judged(result)

    def _judged(self, result: ImageResult) -> str:
        """Return in words what was said of a picture without a fault."""
        w, verdict = self._writer.wording, verdict_of(result)
        if _looked_at_by_model(result) or (verdict is None and result.anomaly is not None):
            return w("like_normal")
        if verdict is not None:
            return self._writer.grade(verdict).text
        return w("no_finding") if foremost(result) is None and not _beyond_rules(result) else w("not_judged")


def _beyond_rules(result: ImageResult) -> bool:
    """Say whether a picture has nothing that a severity table judges, and no model has looked at it either."""
    return result.status == "ok" and not result.radiometric and result.anomaly is None


def _looked_at_by_model(result: ImageResult) -> bool:
    """Say whether a model has judged a picture in place of rules: it calls it strange, or rules need temperatures."""
    return is_anomaly(result) or (result.anomaly is not None and not result.radiometric)
