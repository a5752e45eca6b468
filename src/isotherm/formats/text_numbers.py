"""Numbers in text of any coding: lines, what separates numbers, decimal points and commas, and the unit they name."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.radiometry.linear import Unit

MAX_TEXT_BYTES = 128 * 1024 * 1024
"""Longest text that is read [bytes]; lines and numbers take several times as much memory."""
_UNITS: tuple[tuple[Unit, re.Pattern[str]], ...] = (
    ("c", re.compile(r"°\s*C\b|celsius|\bdeg\.?\s*C\b|[\[(]C[\])]", re.IGNORECASE)),
    ("f", re.compile(r"°\s*F\b|fahrenheit|\bdeg\.?\s*F\b|[\[(]F[\])]", re.IGNORECASE)),
    ("k", re.compile(r"\bkelvin\b|[\[(]K[\])]|\bin K\b", re.IGNORECASE)),
)
# Text holds no control character but these.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Line:
    """A line that is not blank, and its number from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class Dialect:
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


def text_of(data: bytes) -> str:
    """Return the text of a file in UTF-8, UTF-16 or Latin-1; raises FormatError where it is none."""
    if len(data) > MAX_TEXT_BYTES:
        raise TooLargeError(f"text of {len(data)} bytes; at most {MAX_TEXT_BYTES} are read")
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


def lines_of(text: str) -> list[Line]:
    """Return the lines that are not blank, with their numbers from 1."""
    lines = re.split(r"\r\n|\n|\r", text)
    return [Line(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def dialect_of(line: str) -> Dialect:
    """Return how a line separates numbers, judged by the signs in it."""
    line = line.strip(" ")
    for separator in (";", "\t"):
        if separator in line:
            return Dialect(separator)
    # "20,5 21,5" has decimal commas, "20.5, 21.5" and "20, 21" have separating ones.
    blanks_separate = " " in line and "." not in line and re.search(r"\d,\d", line) is not None
    return Dialect(None if "," not in line or blanks_separate else ",")


def unit_named_in(header: str) -> Unit | None:
    """Return the unit that a text names; None where it names none."""
    return next((unit for unit, pattern in _UNITS if pattern.search(header)), None)
