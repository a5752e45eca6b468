"""Text of small sensors: frames as lists of numbers, on one line, one number a line, in brackets, one after the other.

Boards with a sensor of few pixels (MLX90640 and the like) write their frames as flat lists; the number of numbers tells
the sensor, and with it the rows. Brackets are those of JSON, Python and NumPy's print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.frames import chosen_frame
from isotherm.formats.reader import MAX_PIXELS, FormatCard, ReadHints
from isotherm.formats.scaling import of_temperatures
from isotherm.formats.text_numbers import Line, dialect_of, lines_of, text_of, unit_named_in

SENSORS = {
    64: ("AMG8833", 8, 8),
    192: ("MLX90641", 12, 16),
    768: ("MLX90640", 24, 32),
    1024: ("HTPA32x32", 32, 32),
    4800: ("Lepton", 60, 80),
    19200: ("Lepton 3", 120, 160),
}
"""Numbers of a frame -> (sensor, height, width)."""
_SNIFFED_BYTES = 256 * 1024
_LIST = re.compile(r"\[([^\[\]]*)\]")
_BRACKETED = re.compile(r"[\[\]\s,;0-9.eE+\-naNA]*")
# A label or a time in front of a frame's numbers: "Frame 3:", "2024-05-06 07:08:09,".
_LABEL = re.compile(r"^(?:[A-Za-z][^:=\[]*[:=]|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*Z?[,;]?)\s*")

Frames = Float64[np.ndarray, "T H W"]


@dataclass(frozen=True)
class _Found:
    frames: Frames
    notes: tuple[str, ...]


class TextReader:
    """Flat and bracketed lists of temperatures, and logs of them."""

    name = "text"
    card = FormatCard(
        makers="boards with MLX90640, MLX90641, AMG8833, HTPA32x32, Lepton",
        suffixes=".txt .log .json",
        numbers="°C, °F or K",
        evidence="documented",
        hints=("step", "offset", "unit"),
        frames=True,
        source="160 files of MLX90640 boards; rows and columns of the other sensors as usually stated, without files",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether the beginning of these bytes is text of a known sensor's frames, or of lists in brackets."""
        try:
            text_of(data[:512])  # a picture is no text, and is told so at once
            text = text_of(data[:_SNIFFED_BYTES])
        except FormatError:
            return False
        start = text.lstrip()[:4096]
        if start.startswith("["):
            return _BRACKETED.fullmatch(start) is not None and any(letter.isdigit() for letter in start)
        lines = lines_of(text)
        if len(data) > _SNIFFED_BYTES:
            lines = lines[:-1]
        if _column(lines) is not None:
            return True
        first = _first_frame(lines)
        rows = (len(lines) - (first or 0)) * max(1.0, len(data) / _SNIFFED_BYTES)
        return first is not None and not _is_picture(rows, len(_frame_of(lines[first]) or ()))

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one frame; the unit is the user's, the one that the text names, or °C."""
        text = text_of(data)
        found = _of_brackets(text) if text.lstrip().startswith("[") else _of_lines(lines_of(text))
        index, notes = chosen_frame(hints, len(found.frames))
        numbers = found.frames[index].copy()
        meaning = of_temperatures(numbers, hints, "text", declared=unit_named_in(text[:1000]), usual="c")
        return Thermogram(
            counts=numbers,
            calibration=meaning.calibration,
            scene=assumed_scene(),
            format=self.name,
            notes=(*found.notes, *notes, *meaning.notes),
        )


def _numbers(text: str) -> list[float] | None:
    text = text.strip()
    return dialect_of(text).numbers(text)


def _frame_of(line: Line) -> list[float] | None:
    """Return the numbers of a line that is a frame of a known sensor, without a label, a time or a number before it."""
    numbers = _numbers(_LABEL.sub("", line.text, count=1))
    if numbers is None or len(numbers) in SENSORS:
        return numbers
    return numbers[1:] if len(numbers) - 1 in SENSORS else None


def _first_frame(lines: list[Line]) -> int | None:
    """Return which line is the first frame of a known sensor; a few lines of words may stand before it."""
    for index, line in enumerate(lines[:20]):
        if len(_frame_of(line) or ()) in SENSORS:
            return index
    return None


def _is_picture(rows: float, width: int) -> bool:
    """Say whether lines as wide as a sensor has pixels are a picture's rows: where they are about as many as wide."""
    return width / 2 <= rows <= 2 * width


def _column(lines: list[Line]) -> list[float] | None:
    """Return the numbers of (the beginning of) a text of one number a line, at least as many as a sensor has."""
    if len(lines) < min(SENSORS):
        return None
    column = []
    for line in lines:
        numbers = _numbers(line.text) or ()
        if len(numbers) != 1:
            return None
        column += numbers
    return column


def _of_lines(lines: list[Line]) -> _Found:
    first = _first_frame(lines)
    if first is None:
        column = _column(lines)
        if column is None:
            raise FormatError("text without a frame of a known sensor", 0)
        return _flat(np.array(column))
    rows, size = [], 0
    for line in lines[first:]:
        frame = _frame_of(line)
        if frame is None:
            continue  # what a board says between frames
        if size and len(frame) != size:
            raise FormatError(f"text: line {line.number} has {len(frame)} numbers; the frames above have {size}")
        size = len(frame)
        rows.append(frame)
        if len(rows) * size > MAX_PIXELS:
            raise TooLargeError(f"text: more than {MAX_PIXELS} numbers")
    sensor, height, width = SENSORS[size]
    how = "one line" if len(rows) == 1 else f"each line of {len(rows)}"
    note = f"{how} of {size} numbers taken as {height} rows of {width} ({sensor})"
    return _Found(np.array(rows).reshape(-1, height, width), (note,))


def _flat(numbers: Float64[np.ndarray, " N"]) -> _Found:
    """Return the frames of a flat list."""
    size = next((size for size in sorted(SENSORS, reverse=True) if numbers.size and numbers.size % size == 0), None)
    if size is None or (size < numbers.size and numbers.size // size > 100_000):
        known = ", ".join(f"{size} ({sensor})" for size, (sensor, _, _) in SENSORS.items())
        raise FormatError(f"text: {numbers.size} numbers in a list; frames have {known}", 0)
    sensor, height, width = SENSORS[size]
    note = f"a list of {numbers.size} numbers taken as frames of {height} rows of {width} ({sensor})"
    return _Found(numbers.reshape(-1, height, width), (note,))


def _of_brackets(text: str) -> _Found:
    """Return the frames of lists in brackets: of rows, of flat frames, or of lists of rows."""
    if not _BRACKETED.fullmatch(text.strip()):
        raise FormatError("text: brackets with something else than numbers", 0)
    rows = [_numbers(row.replace("\n", " ")) or [] for row in _LIST.findall(text)]
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        lengths = sorted({len(row) for row in rows})
        raise FormatError(
            f"text: lists of {', '.join(map(str, lengths[:6])) or 'no'} numbers; equal ones are needed", 0
        )
    if len(rows) * len(rows[0]) > MAX_PIXELS:
        raise TooLargeError(f"text: {len(rows)} x {len(rows[0])} numbers; at most {MAX_PIXELS} are decoded")
    numbers = np.array(rows)
    if len(rows) == 1:
        return _flat(numbers[0])
    if len(rows[0]) in SENSORS and not _is_picture(len(rows), len(rows[0])):
        return _flat(numbers.ravel())
    # "]]" closes a frame of rows.
    frames = max(1, len(re.findall(r"\]\s*\]", text))) if text.lstrip().startswith("[[[") else 1
    if len(rows) % frames:
        raise FormatError(f"text: {len(rows)} rows in {frames} frames", 0)
    return _Found(numbers.reshape(frames, -1, len(rows[0])), ())


READER = TextReader()
