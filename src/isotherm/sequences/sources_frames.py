"""Sequences whose frames are files or pages of their own: camera sequences, TIFF stacks, folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from isotherm.core.errors import DataError, FormatError
from isotherm.core.thermogram import Thermogram
from isotherm.formats.ifd import layout_of, read_directory
from isotherm.formats.reader import ReadHints
from isotherm.formats.reading import read
from isotherm.formats.sequences import LeavesOut, open_sequence
from isotherm.formats.tiff_numbers import Page, decode
from isotherm.radiometry.linear import LinearCalibration
from isotherm.radiometry.linear import Unit as StoredUnit
from isotherm.sequences.axes import Unit, rising
from isotherm.sequences.mapped import MappedCursor
from isotherm.sequences.recording import NO_TIMES, Asked, Recording
from isotherm.sequences.sources import FrameCache, Picture, as_float32

_MOST_PAGES = 1_000_000
_LEFT_OUT = (".json", ".txt~", ".xml", ".md", ".ini", ".log", ".db")
_NAMED = 4
_UNITS: dict[Unit, StoredUnit] = {"K": "k", "°C": "c"}


def open_camera(path: Path, asked: Asked) -> Recording:
    """Return the frames of a camera's sequence (FLIR SEQ and CSQ, Telops HCC ...), each decoded once."""
    sequence = open_sequence(path, _hints(asked))
    count, first = len(sequence), sequence.frame(0)
    notes = (*first.notes, *(sequence.left_out() if isinstance(sequence, LeavesOut) else ()))
    frames = FrameCache((count, *first.size), _like(first, sequence.frame))
    times = sequence.times_s
    if times is not None and not rising(times):
        times, notes = None, (*notes, f"the times of its frames do not rise from frame to frame{NO_TIMES}")
    return Recording(frames, _unit(first, asked), times, notes=notes)


def _hints(asked: Asked) -> ReadHints:
    return ReadHints(unit=_UNITS.get(asked.unit)) if asked.unit else ReadHints()


def _unit(thermogram: Thermogram, asked: Asked) -> Unit:
    """Return the unit of frames that are read by `_values`."""
    if thermogram.radiometric:
        return "K"
    if asked.unit in ("counts", "au"):
        return asked.unit
    return "counts" if thermogram.deep else "au"


def _like(first: Thermogram, frame: Callable[[int], Thermogram]) -> Callable[[int], Picture]:
    """Return what makes the values of a frame, in the size and with the meaning of the first one.

    A scale that was guessed for the first frame holds for all: one frame that is a little warmer would be guessed
    otherwise.
    """
    linear = isinstance(first.calibration, LinearCalibration)

    def make(index: int) -> Picture:
        found = frame(index)
        if found.size != first.size:
            raise DataError(f"frame {index} is of {found.size} (rows, columns), the first one of {first.size}")
        if linear and found.counts.dtype == first.counts.dtype:
            found = replace(found, calibration=first.calibration)
        if found.radiometric != first.radiometric:
            without = "no temperatures" if first.radiometric else "temperatures"
            raise DataError(f"frame {index} holds {without}, unlike the first one")
        return found.kelvin() if found.radiometric else as_float32(found.counts)

    return make


def open_folder(path: Path, asked: Asked) -> Recording:
    """Return the frames of a folder, one file each, in the order of the numbers in their names.

    Raises
    ------
    DataError
        Fewer than two files of one kind.
    FormatError
        The first one is of no known format.
    """
    files, notes = _files(path)
    first = read(files[0], _hints(asked))
    frames = FrameCache((len(files), *first.size), _like(first, lambda index: read(files[index], _hints(asked))))
    return Recording(frames, _unit(first, asked), notes=(*first.notes, *_colour_notes(first), *notes))


def _colour_notes(first: Thermogram) -> tuple[str, ...]:
    """Return what to know of pictures in colours, whose palette no one undoes here."""
    if first.colour is None or first.radiometric:
        return ()
    return ("the pictures are in colours: their brightness is taken, which need not follow the temperature",)


def _files(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files of the most frequent suffix in natural order, and a note on others."""
    try:
        found = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    kinds = Counter(file.suffix.casefold() for file in found if file.suffix.casefold() not in _LEFT_OUT)
    usual = kinds.most_common(1)[0][0] if kinds else ""
    files = sorted((file for file in found if file.suffix.casefold() == usual), key=lambda file: natural(file.name))
    if len(files) < 2:
        held = f"{len(files)} files of one kind" if found else "an empty folder"
        raise DataError(f"{folder}: {held}; a sequence needs at least two frames, a file each")
    others = sorted(file.name for file in found if file.suffix.casefold() != usual)
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    notes = (
        f"{len(files)} files {usual or 'without suffix'} are its frames, from {files[0].name} to {files[-1].name}",
    )
    return files, notes + ((f"left aside: {', '.join(others[:_NAMED])}{more}",) if others else ())


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts numbers in names by their value: frame_9 before frame_10."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def open_tiff(path: Path, asked: Asked) -> Recording:
    """Return the pages of a TIFF stack, each decoded once.

    Raises
    ------
    FormatError
        Damaged.
    DataError
        It has one page only, or its first two differ in size.
    """
    cursor = MappedCursor(path, "<", "TIFF")
    pages, doubts = _pages(cursor)
    if len(pages) < 2:
        told = "".join(f" ({doubt})" for doubt in doubts)
        raise DataError(f"this TIFF holds one picture{told}; a sequence needs several pages, or a folder of pictures")
    first = read(path, _hints(asked))
    if _page(cursor, pages[0], 0).dtype is None:
        # Packed in a way that only Pillow reads, page by page.
        make = _like(first, lambda index: read(path, replace(_hints(asked), frame=index)))
    else:
        make = _like(first, lambda index: replace(first, counts=_numbers(cursor, pages[index], index)))
    notes = tuple(note for note in first.notes if "frame" not in note)
    return Recording(
        FrameCache((len(pages), *first.size), make), _unit(first, asked), notes=(*notes, *_colour_notes(first), *doubts)
    )


def _pages(cursor: MappedCursor) -> tuple[list[int], tuple[str, ...]]:
    """Return where the directories of a file lie, and a note where their chain ends in damage."""
    layout = layout_of(cursor.take(0, min(4, len(cursor))))
    if layout is None:
        raise FormatError("TIFF: does not begin like one", 0)
    found: dict[int, None] = {}
    try:
        place = layout.first(cursor)
        while place and place not in found and len(found) < _MOST_PAGES:
            following = layout.next(cursor, place)
            found[place] = None
            place = following
    except FormatError as error:
        return list(found), (f"the file is cut short or damaged behind page {len(found)}: {error}",)
    return list(found), ()


def _page(cursor: MappedCursor, place: int, index: int) -> Page:
    layout = layout_of(cursor.take(0, 4))
    assert layout is not None
    cursor.order = layout.order
    return Page(cursor, layout, read_directory(cursor, layout, place), place, index, ())


def _numbers(cursor: MappedCursor, place: int, index: int) -> np.ndarray:
    page = _page(cursor, place, index)
    if page.dtype is None:
        raise FormatError(f"TIFF: page {index} is packed in another way than the first one", place)
    return decode(page, page.dtype)
