"""Shapes as people type them, the pixels that they cover, and profiles along lines.

A pixel belongs to a shape where its centre lies in it; what lies outside the picture is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from isotherm.core.errors import ConfigError
from isotherm.core.regions import Mask, Values
from isotherm.core.shapes import Box, Ellipse, Line, Marked, Polygon, Shape, Spot
from isotherm.measurement.reference import parse_box

MOST_PX = 100_000
"""Coordinates and sizes lie within this many pixels of the corner: no picture is larger."""
MOST_CORNERS = 1_000
_MOST_DRAWN_PX = 4_000_000
RESERVED = ("ambient", "median", "left-right", "phases", "image")
"""Words that mean something in deltas, so no region is called so."""
_LABEL = re.compile(r"\w[\w .#/+-]{0,62}\w|\w")
_INITIALS = {"spot": "s", "box": "b", "ellipse": "e", "line": "l", "polygon": "p", "mask": "m"}


def parse_spot(text: str) -> Spot:
    """Read a spot written as ``x,y`` or ``x,y,size`` (odd; 3 where not given) [px]; raises ConfigError."""
    parts = _whole(text, (2, 3), "a spot is two whole numbers x,y, or three x,y,size [px], such as 80,60")
    spot = Spot(*parts)
    if spot.size_px % 2 == 0:
        raise ConfigError(f"the size of a spot is odd (1, 3, 5 ...), so that it has a middle; not {spot.size_px}")
    return spot


def parse_ellipse(text: str) -> Ellipse:
    """Read an ellipse written as ``x,y,radius_x,radius_y`` [px]; raises ConfigError."""
    parts = _numbers(text, "an ellipse is four numbers x,y,radius_x,radius_y [px], such as 80,60,20,10")
    if len(parts) != 4 or min(parts[2:]) <= 0:
        raise ConfigError(
            f"an ellipse is its centre and two half axes above 0: x,y,radius_x,radius_y [px]; not {text!r}"
        )
    return Ellipse(*parts)


def parse_line(text: str) -> Line:
    """Read a line written as ``x0,y0,x1,y1`` [px]; raises ConfigError."""
    parts = _numbers(text, "a line is four numbers x0,y0,x1,y1 [px], such as 10,20,90,20")
    if len(parts) != 4:
        raise ConfigError(f"a line is four numbers x0,y0,x1,y1 [px]; not {text!r}")
    return Line(*parts)


def parse_polygon(text: str) -> Polygon:
    """Read a polygon written as ``x,y x,y x,y ...`` or with commas throughout [px]; raises ConfigError."""
    parts = _numbers(re.sub(r"[\s;]+", ",", text.strip()), "a polygon is corners x,y x,y x,y ... [px]")
    if len(parts) % 2 or not 6 <= len(parts) <= 2 * MOST_CORNERS:
        raise ConfigError(
            f"a polygon has at least three corners, each as x,y [px], such as '10,10 50,10 30,40'; not {text!r}"
        )
    return Polygon(tuple(zip(parts[::2], parts[1::2], strict=True)))


PARSERS: dict[str, Callable[[str], Shape]] = {
    "spot": parse_spot,
    "box": parse_box,
    "ellipse": parse_ellipse,
    "line": parse_line,
    "polygon": parse_polygon,
}
"""Kind of shape -> what reads it."""


def parse_marked(kind: str, text: str, taken: set[str]) -> Marked:
    """Read ``label=shape``, or a shape alone, which is then labelled s1, s2, b1 ...; the label is added to `taken`.

    Raises
    ------
    ConfigError
        No such shape, or the label is taken, reserved or holds other characters.
    """
    label, equals, shape = text.rpartition("=")
    label = checked_label(label.strip(), taken) if equals else free_label(kind, taken)
    taken.add(label)
    return Marked(label, PARSERS[kind](shape))


def checked_label(label: str, taken: set[str]) -> str:
    """Return a label that can be used; raises ConfigError for one that cannot."""
    if not _LABEL.fullmatch(label):
        raise ConfigError(
            f"a label is up to 64 letters, digits and single signs of ' ._#/+-' between them; not {label!r}"
        )
    if label in RESERVED:
        raise ConfigError(f"no region can be called {label!r}: deltas use that word ({', '.join(RESERVED)})")
    if label in taken:
        raise ConfigError(f"two regions are called {label!r}; give each its own label, as in --box other=10,20,30,40")
    return label


def free_label(kind: str, taken: set[str]) -> str:
    """Return the first label that is free for a shape of this kind: s1, s2 ... for spots, b1 ... for boxes."""
    number = 1
    while f"{_INITIALS[kind]}{number}" in taken:
        number += 1
    return f"{_INITIALS[kind]}{number}"


def _whole(text: str, counts: tuple[int, ...], wanted: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in counts or not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        raise ConfigError(f"{wanted}; not {text!r}")
    return [int(part) for part in parts]


def _numbers(text: str, wanted: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(abs(number) <= MOST_PX for number in numbers):
        raise ConfigError(f"{wanted}; not {text!r}")
    return numbers


def kind_of(shape: Shape) -> str:
    """Return what a shape is called: spot, box, ellipse, line or polygon."""
    return type(shape).__name__.lower()


def mask_of(shape: Shape, size: tuple[int, int]) -> Mask:
    """Return the pixels (H W) of a shape in a picture of this height and width; all False where it lies outside."""
    match shape:
        case Spot(x, y, side):
            return _rectangle(size, x - side // 2, y - side // 2, side, side)
        case Box(x, y, width, height):
            return _rectangle(size, x, y, width, height)
        case Ellipse():
            return _ellipse(shape, size)
        case Line():
            mask = np.zeros(size, dtype=np.bool_)
            x_px, y_px = line_pixels(shape, size)
            mask[y_px, x_px] = True
            return mask
        case Polygon():
            return _polygon(shape, size)


def full_size_px(shape: Shape) -> int:
    """Return how many pixels a shape has where the picture does not end; of huge ones their area."""
    match shape:
        case Spot(_, _, side):
            return side**2
        case Box(_, _, width, height):
            return width * height
    left, top, right, bottom = _bounds(shape)
    size = (bottom - top + 1, right - left + 1)
    if min(size) < 1:
        return 0
    if size[0] * size[1] > _MOST_DRAWN_PX:
        return round(_area_px(shape))
    return int(mask_of(_moved(shape, -left, -top), size).sum())


def outside_px(shape: Shape, mask: Mask) -> int:
    """Return how many pixels of a shape lie outside the picture; `mask` (H W) are those inside."""
    left, top, right, bottom = _bounds(shape)
    if left >= 0 and top >= 0 and right < mask.shape[1] and bottom < mask.shape[0]:
        return 0
    return max(full_size_px(shape) - int(mask.sum()), 0)


def reaches(shape: Shape, size: tuple[int, int]) -> bool:
    """Say whether the rectangle round a shape has a pixel in a picture of this height and width, without drawing it."""
    left, top, right, bottom = _bounds(shape)
    return max(left, 0) <= min(right, size[1] - 1) and max(top, 0) <= min(bottom, size[0] - 1)


def _bounds(shape: Shape) -> tuple[int, int, int, int]:
    """Return the columns and rows of pixel centres (left, top, right, bottom) between which a shape lies."""
    match shape:
        case Spot(x, y, side):
            return x - side // 2, y - side // 2, x - side // 2 + side - 1, y - side // 2 + side - 1
        case Box(x, y, width, height):
            return x, y, x + width - 1, y + height - 1
        case Ellipse(x, y, radius_x, radius_y):
            return _within(x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        case Line(x0, y0, x1, y1):
            # A line is of the pixels nearest to it.
            left, right, top, bottom = (math.floor(end + 0.5) for end in (*sorted((x0, x1)), *sorted((y0, y1))))
            return left, top, right, bottom
        case Polygon(corners):
            xs, ys = zip(*corners, strict=True)
            return _within(min(xs), min(ys), max(xs), max(ys))


def _within(left: float, top: float, right: float, bottom: float) -> tuple[int, int, int, int]:
    return math.ceil(left), math.ceil(top), math.floor(right), math.floor(bottom)


def _moved(shape: Shape, right: int, down: int) -> Shape:
    match shape:
        case Line(x0, y0, x1, y1):
            return Line(x0 + right, y0 + down, x1 + right, y1 + down)
        case Polygon(corners):
            return Polygon(tuple((x + right, y + down) for x, y in corners))
        case Spot() | Box():
            return replace(shape, x=shape.x + right, y=shape.y + down)
        case Ellipse():
            return replace(shape, x=shape.x + right, y=shape.y + down)


def _area_px(shape: Shape) -> float:
    match shape:
        case Ellipse(_, _, radius_x, radius_y):
            return math.pi * radius_x * radius_y
        case Polygon(corners):
            following = (*corners[1:], corners[0])
            return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, following, strict=True))) / 2
        case Line(x0, y0, x1, y1):
            return max(abs(x1 - x0), abs(y1 - y0)) + 1
    return full_size_px(shape)


def _rectangle(size: tuple[int, int], left: int, top: int, width: int, height: int) -> Mask:
    mask = np.zeros(size, dtype=np.bool_)
    mask[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = True
    return mask


def _ellipse(shape: Ellipse, size: tuple[int, int]) -> Mask:
    y, x = np.ogrid[: size[0], : size[1]]
    inside: Mask = ((x - shape.x) / shape.radius_x) ** 2 + ((y - shape.y) / shape.radius_y) ** 2 <= 1
    return inside


def _polygon(shape: Polygon, size: tuple[int, int]) -> Mask:
    """Count the edges to the right of each pixel centre (even-odd rule, each edge without its lower end)."""
    mask = np.zeros(size, dtype=np.bool_)
    columns = np.arange(size[1])
    following = (*shape.corners[1:], shape.corners[0])
    for (x0, y0), (x1, y1) in zip(shape.corners, following, strict=True):
        top, bottom = (min(max(math.ceil(end), 0), size[0]) for end in (min(y0, y1), max(y0, y1)))
        if top == bottom:
            continue
        rows = np.arange(top, bottom)
        # The share along the edge is at most 1, however flat the edge is.
        crossing = x0 + (rows - y0) / (y1 - y0) * (x1 - x0)
        mask[top:bottom] ^= columns[None, :] < crossing[:, None]
    return mask


def line_pixels(line: Line, size: tuple[int, int]) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Return x and y of the pixels nearest to a line, from its start to its end, in steps of at most one pixel."""
    steps = math.ceil(max(abs(line.x1 - line.x0), abs(line.y1 - line.y0)))
    along = np.linspace(0, 1, steps + 1)
    x = np.floor(line.x0 + along * (line.x1 - line.x0) + 0.5).astype(np.int64)
    y = np.floor(line.y0 + along * (line.y1 - line.y0) + 0.5).astype(np.int64)
    inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    return x[inside], y[inside]


def profile(values: Values, line: Line) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Return the distance from the line's start [px] and the value of the nearest pixel, along a line.

    Nothing is interpolated: each value is one that a pixel has.
    """
    x, y = line_pixels(line, (values.shape[0], values.shape[1]))
    return np.hypot(x - line.x0, y - line.y0), values[y, x]
