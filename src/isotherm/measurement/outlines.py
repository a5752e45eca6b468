"""Outlines of regions."""

from __future__ import annotations

from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from isotherm.core.findings import Contour
from isotherm.core.regions import Labels, Mask, label

# Right, down, left, up: to turn right on the screen is to add 1.
_DX, _DY = np.array([1, 0, -1, 0]), np.array([0, 1, 0, -1])
_UP = 3


class _Edges(NamedTuple):
    """The sides of pixels at which a region ends, sorted by side and then by pixel.

    ``key`` is ``side * picture size + pixel`` in a picture with an empty margin of 1 px; ``after`` the edge that
    follows when one walks round the region with the region on the right hand.
    """

    key: Int[np.ndarray, " E"]
    after: Int[np.ndarray, " E"]


def outline(mask: Mask) -> Contour:
    """Return the outer outline of a mask's region, of its first one in raster order where it has several.

    See `outlines`; an empty mask has an empty outline.
    """
    every = outlines(*label(mask))
    return every[0] if every else Contour()


def outlines(labels: Labels, count: int) -> tuple[Contour, ...]:
    """Return the outer outline of each labelled region, without holes.

    Parameters
    ----------
    labels, count
        8-connected regions as from `isotherm.core.regions.label`.

    Returns
    -------
    tuple
        For each region the corners of a closed polygon, clockwise on the screen, its first point not repeated, as
        (x, y) [px] with pixel centres at whole numbers. It is the contour at 0.5 of the mask (marching squares, corners
        of pixels joined): half-way between pixels in and out, so up to half a pixel outside the picture.
    """
    if count == 0:
        return ()
    padded = np.pad(labels, 1)
    edges = _edges(padded > 0)
    x2, y2 = _twice_positions(edges.key, padded.shape)
    corner = _corners(x2, y2, edges.after)
    # The first pixel of a region in raster order has no neighbour above, so that side lies on the outer outline.
    top = int(np.searchsorted(edges.key, _UP * padded.size))
    _, first = np.unique(padded.ravel()[edges.key[top:] - _UP * padded.size], return_index=True)
    starts = top + first
    rings = _walks(starts.tolist(), edges.after.tolist(), corner.tolist())
    visited = list(chain.from_iterable(rings))
    points = zip((x2[visited] / 2).tolist(), (y2[visited] / 2).tolist(), strict=True)
    return tuple(Contour(islice(points, len(ring))) for ring in rings)


def _edges(hot: Mask) -> _Edges:
    size, width = hot.size, hot.shape[1]
    flat = hot.ravel()
    shift = _DY * width + _DX
    pixels = [np.flatnonzero(flat & ~np.roll(flat, -int(step))) for step in shift]
    side = np.repeat(np.arange(4), [len(part) for part in pixels])
    pixel = np.concatenate(pixels)
    # Walking along side d of a pixel leads in direction d + 1. A pixel ahead on the outer side is met first (so pixels
    # that touch by a corner are joined), then the one straight ahead, else the way turns round this pixel's corner.
    onward = shift[(side + 1) % 4]
    outer, straight = pixel + onward + shift[side], pixel + onward
    met_outer, met_straight = flat[outer], flat[straight]
    next_pixel = np.where(met_outer, outer, np.where(met_straight, straight, pixel))
    next_side = np.where(met_outer, side + 3, np.where(met_straight, side, side + 1)) % 4
    key = side * size + pixel
    return _Edges(key, np.searchsorted(key, next_side * size + next_pixel))


def _twice_positions(
    key: Int[np.ndarray, " E"], shape: tuple[int, ...]
) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
    """Return twice the x and y of each edge's middle in the picture without the margin, as whole numbers."""
    side, pixel = np.divmod(key, shape[0] * shape[1])
    y, x = np.divmod(pixel, shape[1])
    return 2 * (x - 1) + _DX[side], 2 * (y - 1) + _DY[side]


def _corners(x2: Int[np.ndarray, " E"], y2: Int[np.ndarray, " E"], after: Int[np.ndarray, " E"]) -> np.ndarray:
    """Say at which edges the outline changes its direction."""
    leaving_x, leaving_y = x2[after] - x2, y2[after] - y2
    corner = np.empty(len(after), dtype=np.bool_)
    corner[after] = (leaving_x != leaving_x[after]) | (leaving_y != leaving_y[after])
    return corner


def _walks(starts: list[int], after: list[int], corner: list[bool]) -> list[list[int]]:
    """Return the corners of the outline that each start lies on, as numbers of edges."""
    rings = []
    for start in starts:
        ring = [start] if corner[start] else []
        at = after[start]
        while at != start:
            if corner[at]:
                ring.append(at)
            at = after[at]
        rings.append(ring)
    return rings
