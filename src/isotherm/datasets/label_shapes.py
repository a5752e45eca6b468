"""Labels as polygons, to be painted one over another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Int, UInt8

from isotherm.core.regions import label

Corners = list[tuple[int, int]]
Filling = Callable[[Sequence[tuple[int, int]], tuple[int, int]], UInt8[np.ndarray, "H W"]]
"""Returns 1 in the pixels (H W) of a polygon, for its corners and the size of the picture."""

# Right, down, left, up: to turn right on the screen is to add 1.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def painted_polygons(labels: UInt8[np.ndarray, "H W"], filled: Filling) -> Iterator[tuple[int, Corners]]:
    """Yield polygons that, painted in this order on an empty (0) picture, give the labels again.

    A part that lies in a hole of another begins farther down than that one, so the order of the parts' first pixels is
    one that puts it on top. Parts are connected by sides: two of them then never cross, and each lies wholly inside or
    wholly outside a hole.

    Parameters
    ----------
    labels
        (H W) numbers of the classes, 0 for background.
    filled
        What paints a polygon in the end.

    Yields
    ------
    value
        What the polygon is painted with.
    corners
        Its corners (x, y): centres of pixels, clockwise on the screen, at least three.
    """
    canvas = np.zeros_like(labels)
    for value, (rows, columns), part in _parts(labels):
        if (canvas[rows, columns][part] == value).all():
            continue
        top, left = rows.start, columns.start
        corners = [(x + left, y + top) for x, y in _outline(part)]
        local = [(x - left, y - top) for x, y in corners]
        canvas[rows, columns][filled(local, part.shape) > 0] = value
        yield value, corners


def _parts(labels: UInt8[np.ndarray, "H W"]) -> list[tuple[int, tuple[slice, slice], Bool[np.ndarray, "h w"]]]:
    """Return value, box and pixels of each part that is connected by sides, in the order of their first pixels."""
    found = []
    for value in np.unique(labels).tolist():
        numbers, count = _by_sides(labels == value)
        for number, box in enumerate(_boxes(numbers, count), start=1):
            part = numbers[box] == number
            first = (box[0].start, box[1].start + int(part[0].argmax()))
            found.append((first, int(value), box, part))
    found.sort(key=lambda entry: entry[0])
    return [(value, box, part) for _, value, box, part in found]


def _by_sides(mask: Bool[np.ndarray, "H W"]) -> tuple[Int[np.ndarray, "H W"], int]:
    """Give each region that is connected by sides alone its number.

    In a picture of twice the size, with pixels set between two neighbours that are both set, no two regions touch by a
    corner any more; so the labelling that joins by corners too does it.
    """
    height, width = mask.shape
    twice = np.zeros((2 * height - 1, 2 * width - 1), np.bool_)
    twice[::2, ::2] = mask
    twice[::2, 1::2] = mask[:, 1:] & mask[:, :-1]
    twice[1::2, ::2] = mask[1:] & mask[:-1]
    numbers, count = label(twice)
    return np.ascontiguousarray(numbers[::2, ::2]), count


def _boxes(numbers: Int[np.ndarray, "H W"], count: int) -> list[tuple[slice, slice]]:
    rows, columns = np.nonzero(numbers)
    number = numbers[rows, columns]
    low = np.full((count + 1, 2), max(numbers.shape))
    high = np.zeros((count + 1, 2), np.int64)
    for axis, place in enumerate((rows, columns)):
        np.minimum.at(low[:, axis], number, place)
        np.maximum.at(high[:, axis], number, place)
    return [
        (slice(int(a), int(c) + 1), slice(int(b), int(d) + 1)) for (a, b), (c, d) in zip(low[1:], high[1:], strict=True)
    ]


def _outline(part: Bool[np.ndarray, "h w"]) -> Corners:
    """Walk round a region that is connected by sides, over its own pixels, with what is outside on the left hand."""
    inside = np.pad(part, 1)
    start = (int(part[0].argmax()) + 1, 1)
    ways = _ways(inside, start, 0)
    corners, at, heading = [start], start, ways
    while heading is not None:
        dx, dy = _STEPS[heading]
        at = at[0] + dx, at[1] + dy
        onward = _ways(inside, at, heading)
        if at == start and onward == ways:
            break
        if onward != heading:
            corners.append(at)
        heading = onward
    # A polygon has three corners at least, also round one pixel or along a line.
    corners += [corners[-1]] * (3 - len(corners))
    return [(x - 1, y - 1) for x, y in corners]


def _ways(inside: Bool[np.ndarray, "h w"], at: tuple[int, int], heading: int) -> int | None:
    """Return the first way on: left, straight, right, back; None where there is no other pixel."""
    for turn in (-1, 0, 1, 2):
        way = (heading + turn) % 4
        if inside[at[1] + _STEPS[way][1], at[0] + _STEPS[way][0]]:
            return way
    return None
