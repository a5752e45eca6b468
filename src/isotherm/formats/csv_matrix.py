"""CSV and other text: a matrix of temperatures, one line a row, as thermography programs export it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import MAX_PIXELS, FormatCard, ReadHints
from isotherm.formats.scaling import KELVIN_ABOVE, of_temperatures
from isotherm.formats.text_numbers import Dialect, Line, dialect_of, lines_of, text_of, unit_named_in
from isotherm.radiometry.linear import Unit

Matrix = Float64[np.ndarray, "H W"]
Smaller = Float64[np.ndarray, "h w"]

_SNIFFED_BYTES = 64 * 1024
_LEAST_IN_ONE_ROW = 16


class CsvReader:
    """Numbers with ``;``, tab, ``,`` or blanks between, decimal point or comma, with or without header lines."""

    name = "csv"
    card = FormatCard(
        makers="Fluke SmartView and other programs' exports",
        suffixes=".csv .txt",
        numbers="°C, °F or K",
        evidence="proven",
        hints=("step", "offset", "unit"),
        source="files of the programs",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether the beginning of these bytes is text with rows of equally many numbers."""
        try:
            lines = lines_of(text_of(data[:_SNIFFED_BYTES]))
            if len(data) > _SNIFFED_BYTES and len(lines) > 1:
                lines.pop()
            return _table_start(lines) is not None
        except FormatError:
            return False

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the matrix; the unit is the user's, the one that the header names, or °C."""
        lines = lines_of(text_of(data))
        start = _table_start(lines)
        if start is None:
            raise FormatError("text without a matrix of numbers", 0)
        numbers = _without_numbering(_rows(lines[start.line :], start))
        declared = unit_named_in(" ".join(line.text for line in lines[: start.line]))
        # Plain numbers are °C: no guess, so that what isotherm writes is what it reads.
        meaning = of_temperatures(numbers, hints, "CSV", declared=declared, usual="c")
        notes = _doubt(numbers, declared, hints)
        return Thermogram(
            counts=numbers,
            calibration=meaning.calibration,
            scene=assumed_scene(),
            format=self.name,
            notes=(*notes, *meaning.notes),
        )


@dataclass(frozen=True)
class _Start:
    line: int
    dialect: Dialect
    width: int


def _table_start(lines: list[Line]) -> _Start | None:
    """Return where two lines of equally many numbers (at least two) follow each other, or a single long one stands."""
    for index, line in enumerate(lines):
        dialect = dialect_of(line.text)
        numbers = dialect.numbers(line.text)
        if numbers is None or len(numbers) < 2:
            continue
        if index + 1 == len(lines):
            return _Start(index, dialect, len(numbers)) if len(numbers) >= _LEAST_IN_ONE_ROW else None
        width = _common_width(dialect, line.text, lines[index + 1].text)
        if width:
            return _Start(index, dialect, width)
    return None


def _common_width(dialect: Dialect, first: str, second: str) -> int:
    """Return how many numbers both lines have, empty cells at the end included; 0 where they differ."""
    width = max(len(dialect.numbers(first) or ()), len(dialect.numbers(second) or ()))
    both = [dialect.numbers(line, width) for line in (first, second)]
    return width if all(numbers is not None and len(numbers) == width for numbers in both) else 0


def _rows(lines: list[Line], start: _Start) -> Matrix:
    if len(lines) * start.width > MAX_PIXELS:
        raise TooLargeError(f"CSV: {start.width} x {len(lines)} numbers; at most {MAX_PIXELS} are decoded")
    return np.array(list(_numbers_of(lines, start)))


def _numbers_of(lines: list[Line], start: _Start) -> Iterator[Float64[np.ndarray, " W"]]:
    for index, line in enumerate(lines):
        numbers = start.dialect.numbers(line.text, start.width)
        if numbers is None:
            _check_footer(lines[index:], start)
            return
        if len(numbers) != start.width:
            raise FormatError(f"CSV: line {line.number} has {len(numbers)} numbers; the lines above have {start.width}")
        yield np.array(numbers)


def _check_footer(lines: list[Line], start: _Start) -> None:
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


def _doubt(numbers: Smaller, declared: Unit | None, hints: ReadHints) -> tuple[str, ...]:
    """Return a note where the unit is not said and the numbers look like kelvin."""
    said = declared or hints.unit or hints.step
    if said or not np.nanmin(numbers, initial=np.inf) > KELVIN_ABOVE:
        return ()
    return (f"every number of this CSV is above {KELVIN_ABOVE:g}: taken as °C (give --unit k if they are kelvin)",)


READER = CsvReader()
