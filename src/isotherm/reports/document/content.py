"""What an inspection report says, in the words of its language; the layouts only set it on pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from isotherm.reports.describing import Level
from isotherm.reports.document.wording import Wording

Facts = tuple[tuple[str, str], ...]
"""Lines of a name and a value."""
ANOMALIES = "A"
"""Stands before the numbers of a model's regions; those of hot spots have nothing before them."""


@dataclass(frozen=True)
class Table:
    """A table of texts; ``marked`` is the number of the row that counts, from 0."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: int | None = None


@dataclass(frozen=True)
class Figure:
    """A picture with the words for those who do not see it; SVG has to need nothing else.

    ``raster`` draws the same as PNG, for forms that cannot hold SVG.
    """

    data: bytes = field(repr=False)
    kind: Literal["jpeg", "png", "svg"]
    alt: str
    caption: str = ""
    raster: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class ReportSection:
    """A part of a report that somebody else has written, such as the trend of an asset."""

    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Badge:
    """A verdict as a short text with a colour."""

    text: str
    level: Level


@dataclass(frozen=True)
class GradeRow:
    """How many faults have this verdict, and the action that goes with it."""

    badge: Badge
    action: str
    count: int


@dataclass(frozen=True, eq=False)
class FaultPictures:
    """What is shown of a fault: the thermal picture, the photo, and the temperatures for the pointer of a page.

    ``plane`` is as `isotherm.reports.view_data.encode_plane` gives it, with the ``share`` of the picture that it
    fills (the scale of colours stands beside); ``missing`` says why there is no thermal picture.
    """

    thermal: Figure | None = None
    photo: Figure | None = None
    plane: Mapping[str, object] | None = field(default=None, repr=False)
    missing: str = ""


@dataclass(frozen=True, eq=False)
class Fault:
    """One fault, for one page.

    Parameters
    ----------
    number, title, image, place
        How it is called, in which picture it was seen, and where that is.
    badge, action
        The verdict, and what is recommended.
    facts
        What matters most: temperature, difference, reference, load.
    regions, parameters
        What was measured, and what it was measured with.
    criterion, criterion_source, criterion_remarks
        The severity table with the row that applies, whose it is, and the conditions of the verdict.
    cause
        The probable cause, as the inspector states it, or that none is stated.
    confidence, origin
        How far the numbers can be trusted; camera, time and digest of the file.
    pictures
        Thermal picture and photo.
    numbers
        The same for programs, by column.
    """

    number: int
    title: str
    image: str
    place: str
    badge: Badge
    action: str
    facts: Facts
    regions: Table
    parameters: Table
    criterion: Table | None
    criterion_source: str
    criterion_remarks: tuple[str, ...]
    cause: str
    confidence: tuple[str, ...]
    origin: Facts
    pictures: FaultPictures
    numbers: Mapping[str, object]


@dataclass(frozen=True)
class Method:
    """How the inspection was made and judged, and what the model is."""

    paragraphs: tuple[str, ...]
    settings: Facts
    criteria: Table | None
    criteria_notes: tuple[str, ...]
    model: Facts
    limits: tuple[str, ...]
    versions: str


@dataclass(frozen=True, eq=False)
class Document:
    """A whole report.

    Parameters
    ----------
    wording
        Its language.
    title, cover, lead, counts
        The cover and the sentence and numbers at the head of the summary.
    grades
        How many faults there are of each verdict, with the table's action.
    faults
        Worst first.
    without_fault, unjudged
        Pictures that were inspected without a fault; those that no rule could judge, with the reason.
    unread, not_inspected
        Files that could not be read, with the reason; places that were not inspected, with the reason.
    sections
        What others add: trends.
    method, disclaimer
        How it was done, and what a reader must not conclude.
    remarks
        What the inspector adds: conditions, and so on.
    read, total
        How many files could be read; how many faults there are: `faults` may be the worst of them.
    """

    wording: Wording
    title: str
    cover: Facts
    lead: str
    counts: Facts
    grades: tuple[GradeRow, ...]
    faults: tuple[Fault, ...]
    without_fault: Table
    unjudged: Table
    unread: Table
    not_inspected: Table
    sections: tuple[ReportSection, ...]
    method: Method
    disclaimer: tuple[str, ...]
    remarks: Facts = ()
    read: int = 0
    total: int = 0
