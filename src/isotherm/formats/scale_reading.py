"""The numbers printed at a colour scale, read by OCR: at its two ends, or at ticks along it.

Only done where it is asked for (``--scale auto``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from PIL import Image

from isotherm.formats.colour_scale import Bar, Colours, ColourScale
from isotherm.formats.lettering import lettering
from isotherm.formats.scale_ends import Ends, rounding_sigma
from isotherm.radiometry.linear import Unit

SURROUND_SHARE = 0.2
"""How much of the picture around a scale is read, over the picture's sides."""
READ_PX, MOST_ENLARGED = 900, 3.0
"""Small surroundings are enlarged to about this longer side before they are read, at most so many times [px]."""
TILE_PX, OVERLAP_PX = 1000, 100
"""Large ones are read in pieces, because the engine would reduce them until small print is lost [px]."""
SECOND_LOOK = 0.75
"""The numbers at the ends are read a second time at so many times the size, and have to be the same."""
MOST_NUMBER = 3000.0
"""Larger numbers are dates and serial numbers."""
BEYOND_UPRIGHT, BEYOND_LEVEL = 1.6, 3.0
"""The number of an end stands so near to it, over the height of its digits; the next line of print stands farther."""
MOST_ACROSS = 4.0
"""Its middle is at most so far from the middle of the scale, over its height."""
MOST_DECIMAL = 700.0
"""Cameras that show so much print whole degrees; with a decimal it is misread."""
LEAST_TICKS, AGREEING_SHARE = 3, 0.6
"""So many numbers in equal steps along a scale are ticks, and so large a share of those in one column agree."""
TICK_SHARE = 0.012
"""A tick's number may stand so far from where the others put it, over the scale's length."""

_NUMBER = re.compile(r"[-–−~]?\d+(?:[.,]\d+)?")
_UNITS: tuple[tuple[str, Unit], ...] = (("℃", "c"), ("°c", "c"), ("ºc", "c"), ("℉", "f"), ("°f", "f"), ("ºf", "f"))


@dataclass(frozen=True)
class Printed:
    """A text in the picture: its middle and its size [px]."""

    text: str
    x: float
    y: float
    width: float
    height: float

    def number(self) -> float | None:
        """Return the last number in the text, as cameras print symbols before it; None without one."""
        found = _NUMBER.findall(self.text)
        if not found:
            return None
        value = float(found[-1].replace(",", ".").translate(str.maketrans("–−~", "---")))
        return value if abs(value) <= MOST_NUMBER else None

    def marked(self) -> bool:
        """Say whether something stands before the number."""
        found = _NUMBER.findall(self.text)
        return bool(found) and not self.text.strip().startswith(found[-1])

    def decimals(self) -> int:
        """Return how many decimals the number has."""
        found = _NUMBER.findall(self.text)
        return len(found[-1].replace(",", ".").partition(".")[2]) if found else 0


@dataclass(frozen=True)
class Tick:
    """A number and where it stands along the scale: 0 at the low end, 1 at the high one.

    ``across`` is how far it is from the scale's middle, over its height; ``gap`` how far beyond the nearest end it
    begins, over the height too; ``marked`` says that something stands before it, such as the symbol of a lock.
    """

    value: float
    place: float
    across: float
    gap: float
    decimals: int
    marked: bool = False


def read_ends(picture: Colours, scale: ColourScale, unit: Unit | None) -> Ends | None:
    """Read the numbers of a scale; None where they cannot be read.

    Parameters
    ----------
    picture
        (H W 3) uint8, with the scale in it.
    unit
        What the user says; else the unit that is printed somewhere in the picture.

    Raises
    ------
    MissingExtraError
        No OCR engine is installed.
    """
    texts = _around(picture, scale.bar)
    ends = ends_from_ticks(_ticks(texts, scale.bar))
    if ends is None:
        ends = ends_from_labels(_ticks(texts, scale.bar), scale.bar)
        # Ticks prove one another; a single misread digit at an end shows only when it is read again.
        again = (
            ends_from_labels(_ticks(_around(picture, scale.bar, SECOND_LOOK), scale.bar), scale.bar) if ends else None
        )
        if ends is None or again is None or (ends.low, ends.high) != (again.low, again.high):
            return None
    seen = unit or _unit(texts) or _unit(texts_of(_reduced(picture)))
    notes = () if seen else ("no unit is printed: the scale is taken as °C",)
    return Ends(ends.low, ends.high, ends.sigma, seen or "c", law=ends.law, source="read by OCR", notes=notes)


# --- what is printed --------------------------------------------------------------------------------------------------


def _around(picture: Colours, bar: Bar, look: float = 1.0) -> list[Printed]:
    """Return the texts at a scale, in the picture's own pixels, read at `look` times the usual size."""
    height, width = picture.shape[:2]
    rows, columns = round(SURROUND_SHARE * height), round(SURROUND_SHARE * width)
    top, left = max(0, bar.top - rows), max(0, bar.left - columns)
    part = picture[top : bar.bottom + rows, left : bar.right + columns]
    factor = look * min(MOST_ENLARGED, max(1.0, READ_PX / max(part.shape[:2])))
    if factor != 1:
        size = round(part.shape[1] * factor), round(part.shape[0] * factor)
        part = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BICUBIC))
    return [
        Printed(text.text, left + text.x / factor, top + text.y / factor, text.width / factor, text.height / factor)
        for y in _starts(part.shape[0])
        for x in _starts(part.shape[1])
        for text in texts_of(part[y : y + TILE_PX, x : x + TILE_PX], x, y)
    ]


def _starts(side: int) -> list[int]:
    return list(range(0, max(1, side - OVERLAP_PX), TILE_PX - OVERLAP_PX))


def _reduced(picture: Colours) -> Colours:
    image = Image.fromarray(picture)
    image.thumbnail((TILE_PX, TILE_PX))
    return np.asarray(image)


def texts_of(picture: Colours, left: int = 0, top: int = 0) -> list[Printed]:
    """Return the texts that the engine finds in a picture; `left` and `top` are added to their places."""
    return [Printed(one.text, left + one.x, top + one.y, one.width, one.height) for one in lettering(picture)]


def _unit(texts: Sequence[Printed]) -> Unit | None:
    for text in texts:
        plain = text.text.lower().replace(" ", "")
        for sign, unit in _UNITS:
            if sign in plain:
                return unit
    return None


def _ticks(texts: Sequence[Printed], bar: Bar) -> list[Tick]:
    return [tick for tick in (tick_at(text, bar) for text in texts) if tick is not None]


# --- what it says -----------------------------------------------------------------------------------------------------


def tick_at(text: Printed, bar: Bar) -> Tick | None:
    """Return where a text's number stands along a scale; None for a text without one."""
    value = text.number()
    if value is None or text.height <= 0:
        return None
    if bar.upright:
        place, across = (bar.bottom - 0.5 - text.y) / bar.length, text.x - (bar.left + bar.right) / 2
        gap = max(bar.top - text.y, text.y - bar.bottom) - text.height / 2
    else:
        place, across = (text.x - bar.left + 0.5) / bar.length, text.y - (bar.top + bar.bottom) / 2
        gap = max(bar.left - text.x, text.x - bar.right) - text.width / 2
    return Tick(value, place, across / text.height, gap / text.height, text.decimals(), text.marked())


def ends_from_ticks(ticks: Sequence[Tick]) -> Ends | None:
    """Return the ends that numbers along a scale put there by a straight line; None where too few agree.

    Only numbers in one column count, and the line that most of them agree with (a misread one is left out).
    Temperature then goes in equal steps.
    """
    along = [tick for tick in ticks if -TICK_SHARE <= tick.place <= 1 + TICK_SHARE]
    column = max(
        ([tick for tick in along if abs(tick.across - one.across) <= 1.5] for one in along), key=len, default=[]
    )
    # The dash of a tick is read as a minus; only for numbers below zero it is one.
    without_dashes = [replace(tick, value=abs(tick.value)) for tick in column]
    best = max(_on_a_line(column), _on_a_line(without_dashes), key=len)
    if len({tick.value for tick in best}) < LEAST_TICKS or len(best) < AGREEING_SHARE * len(column):
        return None
    places, values = np.array([tick.place for tick in best]), np.array([tick.value for tick in best])
    slope, low = np.polyfit(places, values, 1)
    spread = float(np.std(values - (low + slope * places)))
    # At least a third of a pixel of a 300-pixel scale; the ends lie a little beyond the outermost ticks.
    sigma = max(spread, 0.001 * float(slope)) * math.sqrt(1 + 2 / len(best))
    return Ends(round(float(low), 2), round(float(low + slope), 2), sigma, law="temperature")


def _on_a_line(column: Sequence[Tick]) -> list[Tick]:
    """Return the largest set of numbers that rise in equal steps along the scale."""
    best: list[Tick] = []
    for one, other in combinations(column, 2):
        rise, run = other.value - one.value, other.place - one.place
        if rise * run <= 0 or abs(run) <= TICK_SHARE:
            continue
        # Where each number should stand, if these two are right.
        away = [(tick.value - one.value) * run / rise - (tick.place - one.place) for tick in column]
        best = max(best, [tick for tick, by in zip(column, away, strict=True) if abs(by) <= TICK_SHARE], key=len)
    return best


def ends_from_labels(ticks: Sequence[Tick], bar: Bar) -> Ends | None:
    """Return the numbers next to the two ends; None where one is missing, makes no sense or does not rise."""
    farthest = BEYOND_UPRIGHT if bar.upright else BEYOND_LEVEL
    near = [tick for tick in ticks if -0.8 <= tick.gap <= farthest and abs(tick.across) <= MOST_ACROSS]
    low = min((tick for tick in near if tick.place < 0.5), key=lambda tick: abs(tick.gap), default=None)
    high = min((tick for tick in near if tick.place > 0.5), key=lambda tick: abs(tick.gap), default=None)
    if low is None or high is None:
        return None
    low, high = _unlocked(low, high), _unlocked(high, low)
    if not low.value < high.value or any(end.decimals and end.value >= MOST_DECIMAL for end in (low, high)):
        return None
    return Ends(low.value, high.value, rounding_sigma(min(low.decimals, high.decimals)))


def _unlocked(tick: Tick, other: Tick) -> Tick:
    """Take off the first digit where it is the symbol that both numbers of a locked scale carry, read as an 8."""
    text = f"{tick.value:.{tick.decimals}f}"
    symbol = other.marked and not tick.marked and tick.decimals and tick.value >= MOST_DECIMAL and text.startswith("8")
    return replace(tick, value=float(text[1:])) if symbol else tick
