"""CSV and other text: a matrix of temperatures, one line a row, as thermography programs export it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import MAX_PIXELS, FormatCard, ReadHints
from isotherm.formats.scaling import KELVIN_ABOVE, of_temperatures
from isotherm.radiometry.linear import Unit

Matrix = Float64[np.ndarray, "H W"]
Smaller = Float64[np.ndarray, "h w"]

_SNIFFED_BYTES = 64 * 1024
_LEAST_IN_ONE_ROW = 16
_UNITS: tuple[tuple[Unit, re.Pattern[str]], ...] = (
    ("c", re.compile(r"°\s*C\b|celsius|\bdeg\.?\s*C\b|[\[(]C[\])]", re.IGNORECASE)),
    ("f", re.compile(r"°\s*F\b|fahrenheit|\bdeg\.?\s*F\b|[\[(]F[\])]", re.IGNORECASE)),
    ("k", re.compile(r"\bkelvin\b|[\[(]K[\])]|\bin K\b", re.IGNORECASE)),
)
# Sensors whose frames are often logged as one line of numbers: count -> (name, height, width).
_ONE_LINE = {64: ("AMG8833", 8, 8), 768: ("MLX90640", 24, 32), 4800: ("Lepton", 60, 80), 19200: ("Lepton", 120, 160)}
# Text holds no control character but these.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class CsvReader:
    """Numbers with ``;``, tab, ``,`` or blanks between, decimal point or comma, with or without header lines."""

    name = "csv"
    card = FormatCard(
        makers="Fluke SmartView and other programs' exports",
        suffixes=".csv .txt",
        numbers="°C, °F or K",
        evidence="proven",
        source="files of the programs",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether the beginning of these bytes is text with rows of equally many numbers."""
        try:
            lines = _lines(_text(data[:_SNIFFED_BYTES]))
            if len(data) > _SNIFFED_BYTES and len(lines) > 1:
                lines.pop()
            return _table_start(lines) is not None
        except FormatError:
            return False

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the matrix; the unit is the user's, the one that the header names, or °C."""
        lines = _lines(_text(data))
        start = _table_start(lines)
        if start is None:
            raise FormatError("text without a matrix of numbers", 0)
        numbers, notes = _one_line(_without_numbering(_rows(lines[start.line :], start)))
        declared = _unit(" ".join(line.text for line in lines[: start.line]))
        # Plain numbers are °C: no guess, so that what isotherm writes is what it reads.
        meaning = of_temperatures(numbers, hints, "CSV", declared=declared or "c")
        notes += _doubt(numbers, declared, hints)
        return Thermogram(
            counts=numbers,
            calibration=meaning.calibration,
            scene=assumed_scene(),
            format=self.name,
            notes=(*notes, *meaning.notes),
        )


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


@dataclass(frozen=True)
class _Dialect:
    """What stands between numbers (None: blanks). Where that is no comma, a comma is a decimal sign."""

    separator: str | None

    def numbers(self, line: str, width: int = 0) -> list[float] | None:
        """Return the line's numbers, NaN for an empty cell; None where a cell is no number or all are empty.

        A separator at the end of the line ends the last number, or, where the line would be shorter than `width`,
        stands before an empty cell.
        """
        if "_" in line:
            # Python's float would take 1_000.
            return None
        line = line.replace('"', "")
        if self.separator != ",":
            line = line.replace(",", ".")
        cells = line.split(self.separator)
        if len(cells) > max(1, width) and not cells[-1].strip():
            cells.pop()
        try:
            return list(map(float, cells))
        except ValueError:
            return _with_gaps(cells)


def _with_gaps(cells: list[str]) -> list[float] | None:
    try:
        return [float(cell) if cell.strip() else math.nan for cell in cells] if any(map(str.strip, cells)) else None
    except ValueError:
        return None


@dataclass(frozen=True)
class _Start:
    line: int
    dialect: _Dialect
    width: int


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    elif data[1::2].count(0) > len(data) // 4:
        text = data.decode("utf-16-le", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    text = text.removeprefix("\ufeff")
    if _CONTROL.search(text):
        raise FormatError("holds control characters: no text", 0)
    return text


def _lines(text: str) -> list[_Line]:
    """Return the lines that are not blank, with their numbers from 1."""
    lines = re.split(r"\r\n|\n|\r", text)
    return [_Line(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _dialect(line: str) -> _Dialect:
    """Return how a line separates numbers, judged by the signs in it."""
    line = line.strip(" ")
    for separator in (";", "\t"):
        if separator in line:
            return _Dialect(separator)
    # "20,5 21,5" has decimal commas, "20.5, 21.5" and "20, 21" have separating ones.
    blanks_separate = " " in line and "." not in line and re.search(r"\d,\d", line) is not None
    return _Dialect(None if "," not in line or blanks_separate else ",")


def _table_start(lines: list[_Line]) -> _Start | None:
    """Return where two lines of equally many numbers (at least two) follow each other, or a single long one stands."""
    for index, line in enumerate(lines):
        dialect = _dialect(line.text)
        numbers = dialect.numbers(line.text)
        if numbers is None or len(numbers) < 2:
            continue
        if index + 1 == len(lines):
            return _Start(index, dialect, len(numbers)) if len(numbers) >= _LEAST_IN_ONE_ROW else None
        width = _common_width(dialect, line.text, lines[index + 1].text)
        if width:
            return _Start(index, dialect, width)
    return None


def _common_width(dialect: _Dialect, first: str, second: str) -> int:
    """Return how many numbers both lines have, empty cells at the end included; 0 where they differ."""
    width = max(len(dialect.numbers(first) or ()), len(dialect.numbers(second) or ()))
    both = [dialect.numbers(line, width) for line in (first, second)]
    return width if all(numbers is not None and len(numbers) == width for numbers in both) else 0


def _rows(lines: list[_Line], start: _Start) -> Matrix:
    if len(lines) * start.width > MAX_PIXELS:
        raise TooLargeError(f"CSV: {start.width} x {len(lines)} numbers; at most {MAX_PIXELS} are decoded")
    return np.array(list(_numbers_of(lines, start)))


def _numbers_of(lines: list[_Line], start: _Start) -> Iterator[Float64[np.ndarray, " W"]]:
    for index, line in enumerate(lines):
        numbers = start.dialect.numbers(line.text, start.width)
        if numbers is None:
            _check_footer(lines[index:], start)
            return
        if len(numbers) != start.width:
            raise FormatError(f"CSV: line {line.number} has {len(numbers)} numbers; the lines above have {start.width}")
        yield np.array(numbers)


def _check_footer(lines: list[_Line], start: _Start) -> None:
    """Raise FormatError where numbers go on below a line that is none: a cell is damaged."""
    if any(start.dialect.numbers(line.text) is not None for line in lines[1:]):
        raise FormatError(f"CSV: line {lines[0].number} is not all numbers: {lines[0].text[:60]!r}")


def _without_numbering(matrix: Matrix) -> Smaller:
    """Return the matrix without a line of column numbers and a column of line numbers (SmartView, pandas)."""
    if min(matrix.shape) < 2:
        return matrix
    if math.isnan(matrix[0, 0]) and _counts_up(matrix[0, 1:]) and _counts_up(matrix[1:, 0]):
        return matrix[1:, 1:]
    if _counts_up(matrix[0]) and not _counts_up(matrix[1]) and matrix.shape[0] > 2:
        return matrix[1:]
    return matrix


def _counts_up(numbers: Float64[np.ndarray, " N"]) -> bool:
    return numbers[0] in (0, 1) and bool(np.array_equal(numbers, numbers[0] + np.arange(numbers.size)))


def _one_line(matrix: Matrix) -> tuple[Smaller, tuple[str, ...]]:
    known = _ONE_LINE.get(matrix.size) if matrix.shape[0] == 1 else None
    if known is None:
        return matrix, ()
    sensor, height, width = known
    note = f"one line of {matrix.size} numbers taken as {height} rows of {width} ({sensor})"
    return matrix.reshape(height, width), (note,)


def _doubt(numbers: Smaller, declared: Unit | None, hints: ReadHints) -> tuple[str, ...]:
    """Return a note where the unit is not said and the numbers look like kelvin."""
    said = declared or hints.unit or hints.step
    if said or not np.nanmin(numbers, initial=np.inf) > KELVIN_ABOVE:
        return ()
    return (f"every number of this CSV is above {KELVIN_ABOVE:g}: taken as °C (give the unit if they are kelvin)",)


def _unit(header: str) -> Unit | None:
    return next((unit for unit, pattern in _UNITS if pattern.search(header)), None)


READER = CsvReader()
