"""Several recordings, one after another: a bad one is a row with its reason and stops nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isotherm.core.errors import (
    DataError,
    ForbiddenError,
    IsothermError,
    OutputError,
    UnreachableError,
    UsageError,
    one_line,
)
from isotherm.core.progress import Progress, silent
from isotherm.datasets.label_table import some
from isotherm.workflows.output_names import output_names
from isotherm.workflows.reading import printable
from isotherm.workflows.recordings_output import RecordingsOutput, Summary
from isotherm.workflows.remote_inputs import address_of, is_folder, settled
from isotherm.workflows.sequence_data import is_no_recording, opens, recordings_in
from isotherm.workflows.sequence_segment import Segmented, SegmentSettings, segment_recording, write_segmentation

ENDS_ALL = (UsageError, OutputError, UnreachableError, ForbiddenError)
"""Errors that are no matter of one recording: wrong settings, no room, a bucket that fails."""
_LOOKED_AT = 3
"""Files of a folder that are tried before it is taken for one recording, a file for each frame."""


@dataclass(frozen=True)
class Place:
    """A recording, its name in results, and whether the user named it (or a folder that it is in)."""

    path: Path
    name: str
    named: bool


@dataclass(frozen=True)
class SummaryRow:
    """What came of one recording: a row of ``summary.csv``."""

    recording: str
    folder: str
    status: str
    defects: int | None = None
    rejected: int | None = None
    area_px: int | None = None
    largest_diameter_px: float | None = None
    largest_diameter_mm: float | None = None
    highest_score: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Batch:
    """What came of several recordings."""

    rows: tuple[SummaryRow, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> int:
        """How many could not be used."""
        return sum(row.status == "failed" for row in self.rows)


def places_of(paths: Sequence[Path]) -> list[Place]:
    """Return the recordings of files and folders: a folder is one (a file for each frame), or holds several.

    Raises
    ------
    DataError
        A folder holds no file or cannot be listed.
    """
    return [place for path in paths for place in _places(path)]


def _places(path: Path) -> list[Place]:
    itself = [Place(path, printable(Path(settled(path).name)), named=True)]
    if not is_folder(path):
        return itself
    inside = recordings_in(path)
    several = any(map(opens, inside[:_LOOKED_AT])) or (not opens(path) and any(map(opens, inside)))
    return [Place(one, printable(one.relative_to(path)), named=False) for one in inside] if several else itself


def segment_recordings(
    places: Sequence[Place], out: RecordingsOutput, settings: SegmentSettings, *, progress: Progress = silent
) -> Batch:
    """Segment recordings into a folder each, and write ``summary.csv`` and the tables.

    Files in a folder that are no recordings at all are left out with a note.

    Raises
    ------
    ConfigError, UnknownNameError
        A setting or a name is wrong.
    OutputError
        The folder cannot be written, or there are tables already.
    DataError
        No file is a recording.
    """
    summary = out.open()
    found = list[SummaryRow | None]()
    for place, name in named(places):
        found.append(segment_place(place, name, out.folder, settings))
        progress(len(found), len(places), "recordings")
    return summed(places, found, summary)


def named(places: Sequence[Place]) -> list[tuple[Place, str]]:
    """Return each recording with the name of its folder among the results."""
    return list(zip(places, output_names([place.name for place in places]), strict=True))


def segment_place(place: Place, name: str, folder: Path, settings: SegmentSettings) -> SummaryRow | None:
    """Segment one recording into ``folder / name``; None for a file that nobody named and that is no recording.

    Raises
    ------
    ConfigError, UnknownNameError, OutputError
        As `segment_recordings` does.
    """
    try:
        found = segment_recording(place.path, settings)
        write_segmentation(found, folder / name, settings)
        return summary_row(place.name, name, found)
    except ENDS_ALL:
        raise
    except IsothermError as error:
        if is_no_recording(error) and not place.named:
            return None
        return SummaryRow(place.name, "", "failed", reason=reason_of(error, place))


def reason_of(error: IsothermError, place: Place) -> str:
    """Return what was wrong with a recording, for a row that names it anyway."""
    return one_line(error).removeprefix(f"{address_of(place.path)}: ").removeprefix(f"{place.name}: ")


def summed(places: Sequence[Place], found: Sequence[SummaryRow | None], summary: Summary) -> Batch:
    """Write the rows and return what came of all; raises DataError where no file is a recording."""
    rows = [row for row in found if row is not None]
    others = [place.name for place, row in zip(places, found, strict=True) if row is None]
    if not rows:
        raise DataError(f"no recording among {len(places)} files: {some(others)}")
    summary.write(rows)
    notes = (f"{len(others)} files are no recordings: {some(others)}",) if others else ()
    return Batch(tuple(rows), notes)


def summary_row(recording: str, folder: str, found: Segmented) -> SummaryRow:
    """Return the row of a recording that was segmented."""
    defects = found.defects
    scores = [defect.score for defect in defects if defect.score is not None]
    diameters = [defect.diameter_mm for defect in defects if defect.diameter_mm is not None]
    return SummaryRow(
        recording=recording,
        folder=folder,
        status="done",
        defects=len(defects),
        rejected=sum(defect.verdict == "reject" for defect in defects),
        area_px=sum(defect.region.area_px for defect in defects),
        largest_diameter_px=max((defect.diameter_px for defect in defects), default=None),
        largest_diameter_mm=max(diameters, default=None),
        highest_score=max(scores, default=None),
    )
