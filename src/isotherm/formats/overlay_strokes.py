"""Print and marks in a picture: thin neutral strokes that stand out sharply, and what they form.

A thermal picture is one palette laid over smooth temperatures. A white digit differs from it in two ways: it is thin,
so that a morphological opening wipes it out; and between it and the scene there is no rim of palette colours, as there
is around everything that is really hot. (Top-hat: Serra, Image Analysis and Mathematical Morphology, 1982, ch. XII.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from isotherm.core.regions import label

Planes = UInt8[np.ndarray, "3 H W"]
Plane = UInt8[np.ndarray, "H W"]
Mask = Bool[np.ndarray, "H W"]
Places = Int[np.ndarray, " F"]
Bounds = Int[np.ndarray, " P"]
PerPiece = Float[np.ndarray, " P"]

MIN_CONTRAST, MIN_DARK_CONTRAST = 50, 70
"""How far a light and a dark stroke stand out from what is around them [grey levels]."""
MAX_DARK = 190
"""Largest channel of a dark stroke [grey levels]."""
MAX_SATURATION = 64
"""Largest difference of the channels of white, grey or black print, with the colour noise of JPEG [grey levels]."""
GREY_SATURATION, GREY_SHARE = 24, 0.97
"""A picture is grey where so large a share of its pixels has no more saturation than this."""
STROKE_SHARE = 1 / 90
"""Widest stroke over the shorter side of the picture, halved: 5 of 480 px; at least 3 px."""
NEAR_PX, FAR_PX = 2, 6
"""Where the rim of a stroke and the scene beyond it are sampled [px]."""


@dataclass(frozen=True, eq=False)
class Strokes:
    """Thin neutral strokes of a picture.

    Parameters
    ----------
    light
        (H W) bool.
    lowest, highest, saturation
        (H W) uint8: the smallest channel, the largest, and their difference.
    grey
        Whether the picture has no colours but those of print.
    """

    light: Mask
    lowest: Plane
    highest: Plane
    saturation: Plane
    grey: bool

    @cached_property
    def dark(self) -> Mask:
        """The dark strokes (H W); found when they are asked for, as most pictures have none that matter."""
        radius = _radius(self.highest)
        closed = _extreme(_extreme(self.highest, radius, np.maximum), radius, np.minimum)
        dark: Mask = (closed - self.highest > MIN_DARK_CONTRAST) & (self.highest < MAX_DARK)
        return dark


def find_strokes(planes: Planes) -> Strokes:
    """Return the strokes of a picture (3 H W)."""
    red, green, blue = planes
    lowest = np.minimum(np.minimum(red, green), blue)
    highest = np.maximum(np.maximum(red, green), blue)
    saturation = highest - lowest
    radius = _radius(lowest)
    opened = _extreme(_extreme(lowest, radius, np.minimum), radius, np.maximum)
    return Strokes(
        light=(lowest - opened > MIN_CONTRAST) & (saturation < MAX_SATURATION),
        lowest=lowest,
        highest=highest,
        saturation=saturation,
        grey=bool(np.mean(saturation[::4, ::4] <= GREY_SATURATION) >= GREY_SHARE),
    )


def _radius(plane: Plane) -> int:
    shorter: int = min(plane.shape)
    return max(3, round(shorter * STROKE_SHARE))


def _extreme(values: Plane, radius: int, pick: np.ufunc) -> Plane:
    """Return the smallest or largest value within `radius` in both directions, by doubling windows."""
    found = np.pad(values, radius, mode="edge")
    reach, wanted = 1, 2 * radius + 1
    while reach < wanted:
        step = min(reach, wanted - reach)
        found = pick(found[:-step], found[step:])
        found = pick(found[:, :-step], found[:, step:])
        reach += step
    return found


@dataclass(frozen=True, eq=False)
class Pieces:
    """The connected pieces of a mask: one entry each.

    Parameters
    ----------
    rows, columns, number
        The mask's pixels in raster order, and the piece that each belongs to.
    top, bottom, left, right
        Bounds of the pieces [px], the far ends exclusive.
    area
        Pixels of each.
    """

    rows: Places
    columns: Places
    number: Places
    top: Bounds
    bottom: Bounds
    left: Bounds
    right: Bounds
    area: Bounds

    @property
    def height(self) -> Bounds:
        """Rows from the first to the last [px]."""
        height: Bounds = self.bottom - self.top
        return height

    @property
    def width(self) -> Bounds:
        """Columns from the first to the last [px]."""
        width: Bounds = self.right - self.left
        return width

    def share(self, chosen: Bool[np.ndarray, " F"]) -> PerPiece:
        """Return which share of each piece's pixels is among the chosen ones."""
        shares: PerPiece = np.bincount(self.number, chosen, self.area.size) / np.maximum(self.area, 1)
        return shares

    def runs(self) -> tuple[Places, Places]:
        """Return the length of the level and of the upright line of set pixels through each pixel."""
        level = _line_lengths(self.rows, self.columns)
        order = np.lexsort((self.rows, self.columns))
        upright = np.empty_like(level)
        upright[order] = _line_lengths(self.columns[order], self.rows[order])
        return level, upright


def _line_lengths(lines: Places, places: Places) -> Places:
    """Return how many pixels follow one another without a gap on each pixel's line; the pixels are sorted by line."""
    begins = np.ones(lines.size, dtype=np.bool_)
    begins[1:] = (lines[1:] != lines[:-1]) | (places[1:] != places[:-1] + 1)
    run = np.cumsum(begins) - 1
    lengths: np.ndarray = np.bincount(run)[run] if run.size else run
    return lengths


def pieces_of(mask: Mask) -> Pieces:
    """Measure the connected pieces of a mask."""
    labels, count = label(mask)
    rows, columns = np.nonzero(mask)
    number = labels[rows, columns].astype(np.intp) - 1
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(count))

    def ends(places: Places, pick: np.ufunc) -> Bounds:
        return pick.reduceat(places[order], starts) if count else np.empty(0, dtype=np.intp)

    return Pieces(
        rows=rows,
        columns=columns,
        number=number,
        top=ends(rows, np.minimum),
        bottom=ends(rows, np.maximum) + 1,
        left=ends(columns, np.minimum),
        right=ends(columns, np.maximum) + 1,
        area=np.bincount(number, minlength=count),
    )


def tones(pieces: Pieces, strokes: Strokes) -> PerPiece:
    """Return the mean of the smallest channel over each piece."""
    return _means(strokes.lowest[pieces.rows, pieces.columns], pieces.number, pieces.area.size)


def rims(pieces: Pieces, mask: Mask, strokes: Strokes) -> PerPiece:
    """Return how much more saturated the rim of each piece is than the scene beyond it.

    It is large where the piece fades into the scene through the palette: mean saturation `NEAR_PX` beside the piece, in
    the four directions, less that `FAR_PX` beside it.
    """

    def beside(distance: int) -> PerPiece:
        values, number = [], []
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            rows = np.clip(pieces.rows + down * distance, 0, mask.shape[0] - 1)
            columns = np.clip(pieces.columns + right * distance, 0, mask.shape[1] - 1)
            outside = ~mask[rows, columns]
            values.append(strokes.saturation[rows[outside], columns[outside]])
            number.append(pieces.number[outside])
        return _means(np.concatenate(values), np.concatenate(number), pieces.area.size)

    difference: PerPiece = beside(NEAR_PX) - beside(FAR_PX)
    return difference


def _means(values: UInt8[np.ndarray, " V"], number: Int[np.ndarray, " V"], count: int) -> PerPiece:
    means: np.ndarray = np.bincount(number, values, count) / np.maximum(np.bincount(number, minlength=count), 1)
    return means
