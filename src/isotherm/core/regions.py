"""Masks: connected regions and clean-up, in numpy alone."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

Mask = Bool[np.ndarray, "H W"]
Values = Float[np.ndarray, "H W"]
Labels = Int32[np.ndarray, "H W"]
Part = tuple[slice, slice]
"""Rows and columns of a part of a picture."""


def label(mask: Mask) -> tuple[Labels, int]:
    """Give each 8-connected region of a mask its number.

    Parameters
    ----------
    mask
        (H W) bool.

    Returns
    -------
    labels
        (H W) int32: 0 outside, 1 .. count inside, in raster order of each region's first pixel.
    count
        The number of regions.

    Notes
    -----
    Rows are cut into runs of set pixels; two runs of neighbouring rows belong together when they touch, also by a
    corner. Each run is hung under the first run that touches it in the row above, which settles nearly everything; the
    few touches left are joined by hooking the larger root under the smaller one until nothing changes.
    """
    labels = np.zeros(mask.shape, dtype=np.int32)
    starts, ends = _runs(mask)
    if not starts.size:
        return labels, 0
    roots = _joined(*_touches(starts, ends, mask.shape[1] + 1))
    is_root = roots == np.arange(roots.size)
    number = np.cumsum(is_root, dtype=np.int32)[roots]
    labels[mask] = np.repeat(number, ends - starts)
    return labels, int(is_root.sum())


def _runs(mask: Mask) -> tuple[Int[np.ndarray, " R"], Int[np.ndarray, " R"]]:
    """Return start and end (exclusive) of each run, in a flat picture with one empty column added at the right."""
    height, width = mask.shape
    flat = np.zeros(height * (width + 1) + 1, dtype=np.bool_)
    flat[1:].reshape(height, width + 1)[:, :width] = mask
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return changes[::2], changes[1::2]


def _touches(
    starts: Int[np.ndarray, " R"], ends: Int[np.ndarray, " R"], stride: int
) -> tuple[Int[np.ndarray, " R"], Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
    """Return each run's first touching run in the row above (itself where none), and the pairs that remain.

    The runs that touch run i are those that end at or after its start and start at or before its (exclusive) end, one
    row up; the empty column keeps runs of other rows out of that range.
    """
    first = np.searchsorted(ends, starts - stride, side="left")
    after = np.searchsorted(starts, ends - stride, side="right")
    here = np.arange(starts.size)
    above = np.where(after > first, first, here)
    more = np.maximum(after - first - 1, 0)
    lower = np.repeat(here, more)
    # 1, 2, .. more[i] for each run i
    nth = np.arange(lower.size) - np.repeat(np.cumsum(more) - more, more) + 1
    return above, lower, np.repeat(first, more) + nth


def _joined(
    above: Int[np.ndarray, " R"], lower: Int[np.ndarray, " E"], upper: Int[np.ndarray, " E"]
) -> Int[np.ndarray, " R"]:
    """Return the smallest run of each run's region."""
    parent = _compressed(above)
    while True:
        left, right = parent[lower], parent[upper]
        apart = left != right
        if not apart.any():
            return parent
        left, right, lower, upper = left[apart], right[apart], lower[apart], upper[apart]
        np.minimum.at(parent, np.maximum(left, right), np.minimum(left, right))
        parent = _compressed(parent)


def _compressed(parent: Int[np.ndarray, " R"]) -> Int[np.ndarray, " R"]:
    while True:
        grandparent = parent[parent]
        if np.array_equal(grandparent, parent):
            return parent
        parent = grandparent


def drop_small(labels: Labels, count: int, min_area_px: int) -> tuple[Labels, int]:
    """Remove the regions of fewer than `min_area_px` pixels and number the others anew, in the same order."""
    # Most pixels belong to no region.
    pixels = np.flatnonzero(labels != 0)
    old = labels.ravel()[pixels]
    keep = np.bincount(old, minlength=count + 1) >= min_area_px
    keep[0] = False
    if keep[1:].all():
        return labels, count
    number = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    kept = np.zeros_like(labels)
    kept.ravel()[pixels] = number[old]
    return kept, int(keep.sum())


def boxes(labels: Labels, count: int) -> list[Part]:
    """Return the rows and columns that each labelled region spans, in the order of their numbers."""
    y, x = np.nonzero(labels != 0)
    number = labels[y, x] - 1
    low, high = np.full((2, count), max(labels.shape)), np.zeros((2, count), dtype=np.intp)
    for axis, place in enumerate((y, x)):
        np.minimum.at(low[axis], number, place)
        np.maximum.at(high[axis], number, place)
    ends = zip(*low.tolist(), *high.tolist(), strict=True)
    return [(slice(top, bottom + 1), slice(left, right + 1)) for top, left, bottom, right in ends]


def dilate(mask: Mask, radius_px: int) -> Mask:
    """Add everything within `radius_px` (a disc: dx^2 + dy^2 <= r^2) of the mask; what lies outside counts as empty."""
    if radius_px == 0 or not mask.any():
        return mask
    rows, columns = _bounds(mask, radius_px)
    grown = mask.copy()
    grown[rows, columns] = _dilate(mask[rows, columns], radius_px)
    return grown


def _bounds(mask: Mask, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def _dilate(mask: Mask, radius_px: int) -> Mask:
    height = mask.shape[0]
    grown = np.zeros_like(mask)
    row = mask
    width = 0
    # A disc is a stack of horizontal bars, which only get longer from its top to its middle.
    for up in range(radius_px, -1, -1):
        half = math.isqrt(radius_px**2 - up**2)
        for _ in range(half - width):
            row = _one_wider(row)
        width = half
        if up < height:
            grown[up:] |= row[: height - up]
            grown[: height - up] |= row[up:]
    return grown


def _one_wider(row: Mask) -> Mask:
    wider = row.copy()
    wider[:, 1:] |= row[:, :-1]
    wider[:, :-1] |= row[:, 1:]
    return wider


def erode(mask: Mask, radius_px: int) -> Mask:
    """Keep the pixels whose disc of `radius_px` lies in the mask; what lies outside the picture counts as set."""
    return ~dilate(~mask, radius_px)


def opened(mask: Mask, radius_px: int) -> Mask:
    """Remove what is narrower than a disc of `radius_px` (erosion, then dilation)."""
    return dilate(erode(mask, radius_px), radius_px)


def closed(mask: Mask, radius_px: int) -> Mask:
    """Fill what is narrower than a disc of `radius_px` (dilation, then erosion)."""
    return erode(dilate(mask, radius_px), radius_px)


def clean(mask: Mask, *, open_px: int, close_px: int, min_area_px: int) -> Mask:
    """Open with a disc, close with a disc, and remove regions of fewer than `min_area_px` pixels, in this order.

    Parameters
    ----------
    mask
        (H W) bool; not changed.
    open_px, close_px
        Radius of the discs [px]; 0 leaves the step out.
    min_area_px
        The smallest 8-connected region that is kept [px].
    """
    labels, _ = drop_small(*label(closed(opened(mask, open_px), close_px)), min_area_px)
    return labels > 0
