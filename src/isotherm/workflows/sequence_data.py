"""Labelled recordings of a folder, for training and for judging.

Any recording that `ThermalSequence.open` reads, found by its content in the folder and those below it, with labels as
`isotherm.workflows.sequence_truth` finds them. Tables in the folder may say more; ``file`` is the path from the folder
on, with ``/`` between:

``plates.csv``      file, and perhaps pixel_mm, diffusivity_m2_s; as ``isotherm sequence dataset`` writes it
``defects.csv``     file, number, and perhaps kind, diameter_mm, depth_mm; regions of a mask are numbered row by row
``specimens.csv``   file, specimen
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from isotherm.core.errors import (
    ConfigError,
    DataError,
    ForbiddenError,
    FormatError,
    IsothermError,
    UnreachableError,
    one_line,
)
from isotherm.core.progress import Progress, silent
from isotherm.datasets.label_table import read_table, some
from isotherm.datasets.plate_dataset import DEFECTS, PLATES
from isotherm.evaluation.defects import PlateTruth
from isotherm.sequences.stack import ThermalSequence
from isotherm.workflows.reading import in_order, natural_key, printable
from isotherm.workflows.remote_inputs import children, is_remote, recording_here
from isotherm.workflows.sequence_opening import PrepareSettings
from isotherm.workflows.sequence_truth import (
    FOLDERS,
    DataSettings,
    DefectFacts,
    KnownTruth,
    PlateFacts,
    truth_of,
)

__all__ = [
    "DataSettings", "LabelledFolder", "LabelledRecording", "Skipped", "digest_of", "is_no_recording",
    "labelled_recordings", "opens", "recordings_in", "split_by_specimen",
]  # fmt: skip

SPECIMENS = "specimens.csv"
_TABLES = (PLATES, DEFECTS, SPECIMENS)
_LABEL_FOLDERS = tuple({name.split("/")[0] for name in FOLDERS})
_NO_LABELS = "no labels beside it or in it"
_PIECE = 1 << 20


@dataclass(frozen=True, eq=False)
class LabelledRecording:
    """A recording and what is true of it.

    Parameters
    ----------
    path
        A file, or a folder of frames.
    specimen
        What was recorded: recordings of one specimen are never on both sides of a split.
    truth
        Labels of the picture as `PrepareSettings.crop` leaves it; diameters and depths are NaN where unknown.
    pixel_mm, diffusivity_m2_s
        None where nothing says.
    name
        Path from the folder on, for tables.
    kinds
        The kind of each defect, empty where unknown.
    notes
        What was assumed of the labels.
    """

    path: Path
    specimen: str
    truth: PlateTruth
    pixel_mm: float | None
    diffusivity_m2_s: float | None
    name: str
    kinds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A recording that is not used, and why; ``failed`` where something is wrong with it."""

    name: str
    reason: str
    failed: bool = True


@dataclass(frozen=True, eq=False)
class LabelledFolder(Sequence[LabelledRecording]):
    """The labelled recordings of a folder in natural order, those that could not be used, and notes on the rest."""

    recordings: tuple[LabelledRecording, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.recordings)

    @overload
    def __getitem__(self, index: int) -> LabelledRecording: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[LabelledRecording]: ...

    def __getitem__(self, index: int | slice) -> LabelledRecording | Sequence[LabelledRecording]:
        return self.recordings[index]


def labelled_recordings(
    folder: Path,
    settings: DataSettings | None = None,
    *,
    prepare: PrepareSettings | None = None,
    progress: Progress = silent,
) -> LabelledFolder:
    """Return the labelled recordings of a folder; one that cannot be used is said, and stops nothing.

    A specimen is what ``specimens.csv`` says, else the sub-folder that a recording lies in, else the recording itself.

    Parameters
    ----------
    folder
        The data; see the head of this module.
    settings, prepare
        What the files cannot say, and how recordings are opened; a crop holds for their labels too.
    progress
        Called after each recording.

    Raises
    ------
    DataError
        No such folder, a table that cannot be used, or no recording with labels; the message says what would be right.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise DataError(f"{folder}: {what}; expected a folder that holds recordings with labels")
    settings, prepare = settings or DataSettings(), prepare or PrepareSettings()
    tables = _Tables.of(folder)
    places = recordings_in(folder)
    tables.check({_name(place, folder) for place in places}, folder)
    good: list[LabelledRecording] = []
    skipped: list[Skipped] = []
    others: list[str] = []
    for number, place in enumerate(places, 1):
        name = _name(place, folder)
        try:
            known = truth_of(place, tables.facts(name), settings, prepare)
            if known is None:
                skipped.append(Skipped(name, _NO_LABELS, failed=False))
            else:
                good.append(_recording(place, name, tables.specimen(name), known))
        except ConfigError:
            raise
        except IsothermError as error:
            if is_no_recording(error) and not place.is_dir():
                others.append(name)
            else:
                skipped.append(Skipped(name, one_line(error)))
        progress(number, len(places), "labels")
    if not good:
        raise DataError(_none_usable(folder, skipped))
    notes = (f"{len(others)} files are no recordings: {some(others)}",) if others else ()
    return LabelledFolder(tuple(good), tuple(skipped), notes)


def _recording(place: Path, name: str, specimen: str, known: KnownTruth) -> LabelledRecording:
    return LabelledRecording(
        place, specimen, known.truth, known.pixel_mm, known.diffusivity_m2_s, name, known.kinds, known.notes
    )


def _none_usable(folder: Path, skipped: Sequence[Skipped]) -> str:
    right = (
        "expected recordings with labels beside them (NAME.json of LabelMe or COCO, NAME_mask.png, masks/NAME.png) or "
        "in their files, or a folder that isotherm sequence dataset made"
    )
    told = f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return f"{folder}: no labelled recording; {right}{told}{more}"


def is_no_recording(error: IsothermError) -> bool:
    """Say whether an error of opening means a file of another kind (a text, a picture), not a damaged recording."""
    return isinstance(error, FormatError) and ("known format" in error.reason or "is empty" in error.reason)


def _name(path: Path, folder: Path) -> str:
    return printable(path.relative_to(folder))


# --- which files are recordings ---------------------------------------------------------------------------------------


def recordings_in(folder: Path) -> list[Path]:
    """Return what may be the recordings of a folder, in natural order: files, and folders that are frames of one.

    Labels and tables are left out by their names. Whether a file is a recording, opening it tells (`is_no_recording`).

    Raises
    ------
    DataError
        A folder cannot be listed.
    """
    return in_order(_candidates(folder), folder)


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield files that may be recordings, and the folders that may be frames of one."""
    below, files = _listed(folder)
    labels = {place.name for place in files if _is_label(place, below, files)}
    yield from (place for place in files if place.name not in labels)
    for place in below:
        if _is_frames(place):
            yield place
        else:
            yield from _candidates(place)


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return folders (but for those of labels) and files, hidden ones and tables left out."""
    if is_remote(folder):
        below, files = children(folder)
        return [one for one in below if one.name not in _LABEL_FOLDERS], [
            one for one in files if one.name not in _TABLES
        ]
    try:
        entries = [Path(entry.path) for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from error
    below = [place for place in entries if place.is_dir() and place.name not in _LABEL_FOLDERS]
    return below, [place for place in entries if place.is_file() and place.name not in _TABLES]


def _is_label(place: Path, below: Sequence[Path], files: Sequence[Path]) -> bool:
    """Say whether a file is called like the labels of another one."""
    names = {other.stem for other in files if other != place} | {other.name for other in below}
    stem = place.stem.removesuffix("_mask") if place.suffix == ".png" else place.stem
    return place.suffix == ".json" or (place.suffix == ".png" and stem in names)


def _is_frames(folder: Path) -> bool:
    """Say whether a folder is one recording, a file for each frame: it opens as such, and its first file alone not."""
    below, files = _listed(folder)
    if below or len(files) < 2:
        return False
    first = min(files, key=lambda place: natural_key(place.name))
    return not opens(first) and opens(folder)


def opens(place: Path) -> bool:
    """Say whether a file or folder opens as a recording."""
    try:
        with recording_here(place) as here:
            ThermalSequence.open(here)
    except (UnreachableError, ForbiddenError):
        raise
    except IsothermError:
        return False
    return True


# --- what tables say --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tables:
    """Rows of ``plates.csv``, ``defects.csv`` and ``specimens.csv`` by file."""

    plates: Mapping[str, PlateFacts]
    defects: Mapping[str, Mapping[int, DefectFacts]]
    specimens: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> _Tables:
        plates = {
            row["file"]: PlateFacts(_number(row, "pixel_mm"), _number(row, "diffusivity_m2_s"))
            for row in _rows(folder / PLATES, ("file",))
        }
        defects: dict[str, dict[int, DefectFacts]] = {}
        for row in _rows(folder / DEFECTS, ("file", "number")):
            number = _number(row, "number")
            if number is None or number < 1 or number % 1:
                raise DataError(f"{folder / DEFECTS}: the number of a defect is 1, 2 ..., not {row['number']!r}")
            facts = DefectFacts(
                row.get("kind") or "", _number(row, "diameter_mm") or math.nan, _number(row, "depth_mm") or math.nan
            )
            defects.setdefault(row["file"], {})[int(number)] = facts
        specimens = {row["file"]: row["specimen"] for row in _rows(folder / SPECIMENS, ("file", "specimen"))}
        return cls(plates, defects, specimens)

    def check(self, names: set[str], folder: Path) -> None:
        """Raise DataError where ``specimens.csv`` does not say of every recording what it is of, or names others."""
        unknown = sorted(set(self.specimens) - names)
        if unknown:
            raise DataError(f"{folder / SPECIMENS}: names files that are not there: {some(unknown)}")

    def facts(self, name: str) -> PlateFacts:
        plate = self.plates.get(name, PlateFacts())
        return PlateFacts(plate.pixel_mm, plate.diffusivity_m2_s, self.defects.get(name))

    def specimen(self, name: str) -> str:
        """Return the specimen by the table, by the first folder of the name, or the recording itself."""
        if name in self.specimens:
            return self.specimens[name]
        return name.split("/", 1)[0] if "/" in name else name


def _rows(table: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a table; none where there is no table."""
    if not table.is_file():
        return []
    names, rows = read_table(table)
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(f"{table}: no column {missing[0]}; expected {', '.join(needed)}")
    for place, row in enumerate(rows, start=2):
        if None in row or None in row.values() or not all(row[name] for name in needed):
            raise DataError(f"{table}: line {place} has too few or too many columns, or an empty one")
    return rows


def _number(row: Mapping[str, str], name: str) -> float | None:
    """Return a number of a row that is above 0; None where the column is absent, empty or NaN."""
    stated = (row.get(name) or "").strip()
    try:
        value = float(stated) if stated else math.nan
    except ValueError:
        raise DataError(f"{row['file']}: {name} is a number, not {stated!r}") from None
    if not math.isnan(value) and not 0 < value < math.inf:
        raise DataError(f"{row['file']}: {name} must be above 0, not {stated}")
    return None if math.isnan(value) else value


# --- parts of the data, and their digests -----------------------------------------------------------------------------


def split_by_specimen(
    recordings: Sequence[LabelledRecording], *, validation: float, seed: int
) -> tuple[list[LabelledRecording], list[LabelledRecording]]:
    """Split recordings into those to learn from and those to validate with, all of a specimen on one side.

    Specimens with and without a defect are drawn apart, so that both sides have a like share of both; at least one
    specimen with a defect goes to either side.

    Parameters
    ----------
    validation
        Share of the specimens, 0 to below 1; 0 leaves the second part empty.
    seed
        Same seed, same split, whatever the order of the recordings.

    Raises
    ------
    ConfigError
        `validation` is no such share.
    DataError
        Fewer than two specimens have a defect.
    """
    if not 0 <= validation < 1:
        raise ConfigError(f"the share for validation must be 0 or more and below 1, not {validation:g}")
    faulty = {one.specimen for one in recordings if one.truth.diameter_mm.size}
    sound = {one.specimen for one in recordings} - faulty
    if validation and len(faulty) < 2:
        raise DataError(
            f"a split by specimen needs two specimens with a defect; there are {len(faulty)}. Recordings of one "
            f"sub-folder count as one specimen: {SPECIMENS} (file, specimen) says otherwise"
        )
    rng = np.random.default_rng(seed)
    least = 1 if validation else 0
    held = {*_drawn(sorted(faulty), validation, least, rng), *_drawn(sorted(sound), validation, 0, rng)}
    return [one for one in recordings if one.specimen not in held], [one for one in recordings if one.specimen in held]


def _drawn(names: Sequence[str], share: float, least: int, rng: np.random.Generator) -> list[str]:
    count = min(max(round(share * len(names)), least), max(len(names) - 1, 0))
    return [names[place] for place in rng.permutation(len(names))[:count].tolist()]


def digest_of(path: Path) -> str:
    """Return the sha256 of a recording: of its file, or of the names and bytes of a folder of frames.

    Raises
    ------
    DataError
        It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            with path.open("rb") as stream:
                while piece := stream.read(_PIECE):
                    digest.update(piece)
            return digest.hexdigest()
        for file in sorted(place for place in path.iterdir() if place.is_file()):
            digest.update(f"{printable(Path(file.name))}\0{digest_of(file)}\0".encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return digest.hexdigest()
