"""What thin strokes form: lines of print with the box behind them, brackets and crosshairs, outlines, reticles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from isotherm.core.regions import label
from isotherm.formats.overlay_strokes import Mask, PerPiece, Pieces, Plane, Strokes, pieces_of, rims, tones

Lines = Int[np.ndarray, "_ _"]

GLYPH_HEIGHT_PX, GLYPH_HEIGHT_SHARE = 6, 0.12
"""A glyph is at least this high [px], and at most this share of the picture's height."""
GLYPHS_IN_COLOUR, GLYPHS_IN_GREY = 2, 4
"""So many glyphs in a row are a line of print; more in a grey picture, where a scene too has white specks."""
WHITE_IN_GREY = 200
"""Least mean tone of print in a grey picture [grey levels]."""
MOST_DARK = 0.06
"""A picture with a larger share of dark strokes is textured all over, and no ring among them is believed."""
MOST_GLYPHS = 400
"""A picture with more candidates is textured all over, and none of them is believed."""
MAX_RIM = 20
"""A piece whose rim is more saturated than this fades into the scene: it belongs to it [grey levels]."""
GREY = 80
"""Least mean tone of a marker [grey levels]."""
STRAIGHT_SHARE = 1 / 80
"""Shortest straight line over the longer side of the picture: 8 of 640 px."""
PRINT_MARGIN_PX = 3
"""What is marked around print that has no box [px]."""
BOX_EDGE, BOX_AGREEMENT = 6, 0.8
"""A box behind print ends where this share of the pixels along a side steps the same way by so much [grey levels]."""


@dataclass(frozen=True, eq=False)
class _Light(Pieces):
    """Light pieces with their tone and rim (see `overlay_strokes`)."""

    tone: PerPiece
    rim: PerPiece


def find_prints(strokes: Strokes) -> Mask:
    """Return everything that strokes form and that no scene forms, as (H W)."""
    pieces = pieces_of(strokes.light)
    light = _Light(**vars(pieces), tone=tones(pieces, strokes), rim=rims(pieces, strokes.light, strokes))
    found = _text(light, strokes)
    if strokes.grey:
        # Without colours a bracket cannot be told from a bent wire.
        return found
    brackets = _markers(light, found.shape) & (light.rim <= MAX_RIM) & (light.tone >= GREY)
    _mark(found, light, brackets)
    _mark_rectangle(found, light, np.flatnonzero(brackets))
    _mark(found, light, _outlines(light))
    # A reticle never stands alone: the camera that draws it also prints what it reads there.
    if found.any() and np.mean(strokes.dark) <= MOST_DARK:
        _mark_reticles(found, strokes.dark)
    return found


def _mark(found: Mask, pieces: Pieces, chosen: Bool[np.ndarray, " P"]) -> None:
    inside = chosen[pieces.number]
    found[pieces.rows[inside], pieces.columns[inside]] = True


# --- lines of print ---------------------------------------------------------------------------------------------------


def _text(pieces: _Light, strokes: Strokes) -> Mask:
    """Mark each line of print with the box behind it."""
    found = np.zeros(strokes.light.shape, dtype=np.bool_)
    wanted = GLYPHS_IN_GREY if strokes.grey else GLYPHS_IN_COLOUR
    for glyphs in _lines(pieces, _glyphs(pieces, strokes)):
        if glyphs.size >= wanted:
            members = _with_signs(pieces, glyphs)
            bounds = (
                int(pieces.top[members].min()),
                int(pieces.bottom[members].max()),
                int(pieces.left[members].min()),
                int(pieces.right[members].max()),
            )
            top, bottom, left, right = _with_box(bounds, strokes.highest)
            found[top:bottom, left:right] = True
    return found


def _glyphs(pieces: _Light, strokes: Strokes) -> Int[np.ndarray, " G"]:
    """Return the pieces that may be a character, or a few that touch."""
    height, width = pieces.height, pieces.width
    fill = pieces.area / np.maximum(height * width, 1)
    highest = GLYPH_HEIGHT_SHARE * strokes.light.shape[0]
    least = WHITE_IN_GREY if strokes.grey else 0
    sized = (height >= GLYPH_HEIGHT_PX) & (height <= highest) & (width <= 6 * height) & (height <= 6 * width)
    chosen = np.flatnonzero(sized & (fill >= 0.15) & (pieces.rim <= MAX_RIM) & (pieces.tone >= least))
    return chosen if chosen.size <= MOST_GLYPHS else chosen[:0]


def _lines(pieces: _Light, glyphs: Int[np.ndarray, " G"]) -> Iterator[Int[np.ndarray, " M"]]:
    """Gather glyphs of one height and one tone that stand side by side."""
    height, left, right = pieces.height[glyphs], pieces.left[glyphs], pieces.right[glyphs]
    centre, tone = (pieces.top[glyphs] + pieces.bottom[glyphs]) / 2, pieces.tone[glyphs]
    taller = np.maximum(height[:, None], height)
    gap = np.maximum(left[:, None], left) - np.minimum(right[:, None], right)
    beside = (
        (np.abs(height[:, None] - height) <= 1 + 0.08 * taller)
        & (np.abs(centre[:, None] - centre) <= 0.2 * taller)
        & (gap <= taller)
        & (np.abs(tone[:, None] - tone) <= 50)
    )
    line = np.arange(glyphs.size)
    # Each glyph takes the smallest number among its neighbours until nothing changes.
    while glyphs.size:
        smallest = np.where(beside, line, glyphs.size).min(axis=1)
        if np.array_equal(smallest, line):
            break
        line = smallest
    for number in np.unique(line):
        yield glyphs[line == number]


def _with_signs(pieces: _Light, members: Int[np.ndarray, " M"]) -> Int[np.ndarray, " K"]:
    """Add the signs that stand in line with print and in its tone: a lock, a degree sign, the emblem of a logo."""
    top, bottom = int(pieces.top[members].min()), int(pieces.bottom[members].max())
    left, right = int(pieces.left[members].min()), int(pieces.right[members].max())
    height = bottom - top
    shared = np.minimum(pieces.bottom, bottom) - np.maximum(pieces.top, top)
    gap = np.maximum(pieces.left, left) - np.minimum(pieces.right, right)
    fits = (pieces.height <= 2 * height) & (pieces.width <= 2.5 * height) & (gap <= height)
    in_line = (shared >= 0.6 * np.minimum(pieces.height, height)) & (pieces.rim <= MAX_RIM)
    return np.union1d(members, np.flatnonzero(fits & in_line))


def _with_box(bounds: tuple[int, int, int, int], tones: Plane) -> tuple[int, int, int, int]:
    """Widen the bounds of a line of print to the edges of the box behind it, or by a small margin without one."""
    top, bottom, left, right = bounds
    height = bottom - top
    rows, columns = tones[:, left:right].astype(np.int16), tones[top:bottom].astype(np.int16).T
    above, below = _edges(rows[:top][::-1], rows[bottom:], reach=round(1.2 * height))
    before, after = _edges(columns[:left][::-1], columns[right:], reach=2 * height)
    return max(0, top - above), bottom + below, max(0, left - before), right + after


def _edges(one: Lines, other: Lines, *, reach: int) -> tuple[int, int]:
    """Return how far out straight edges lie on two opposite sides of print; a box has both, else there is none."""
    edges = (_edge(one[: reach + 1]), _edge(other[: reach + 1]))
    return edges if 0 not in edges else (PRINT_MARGIN_PX, PRINT_MARGIN_PX)


def _edge(outwards: Lines) -> int:
    """Return how many lines outwards a straight edge lies; 0 where there is none."""
    steps = np.diff(outwards, axis=0)
    agreement = np.maximum((steps > BOX_EDGE).mean(axis=1), (steps < -BOX_EDGE).mean(axis=1))
    edges = np.flatnonzero(agreement >= BOX_AGREEMENT)
    return int(edges[0]) + 2 if edges.size else 0


# --- markers ----------------------------------------------------------------------------------------------------------


def _markers(pieces: Pieces, size: tuple[int, ...]) -> Bool[np.ndarray, " P"]:
    """Choose the brackets and crosshairs: a level and an upright line, thin and straight, and nearly nothing else."""
    length = max(7, round(max(size) * STRAIGHT_SHARE))
    level, upright = (run >= length for run in pieces.runs())
    both_ways = (pieces.share(level & ~upright) >= 0.2) & (pieces.share(upright & ~level) >= 0.2)
    thin = pieces.area <= 0.35 * pieces.height * pieces.width
    chosen: Bool[np.ndarray, " P"] = both_ways & (pieces.share(level | upright) >= 0.85) & thin
    return chosen


def _outlines(pieces: _Light) -> Bool[np.ndarray, " P"]:
    """Choose the large closed outlines of pure white (polygons around an area that was measured)."""
    large = (np.minimum(pieces.height, pieces.width) >= 24) & (pieces.area <= 0.2 * pieces.height * pieces.width)
    chosen: Bool[np.ndarray, " P"] = large & (pieces.rim <= 0) & (pieces.tone >= 190)
    for piece in np.flatnonzero(chosen):
        inside = pieces.number == piece
        window = np.zeros((pieces.height[piece] + 2, pieces.width[piece] + 2), dtype=np.bool_)
        window[pieces.rows[inside] - pieces.top[piece] + 1, pieces.columns[inside] - pieces.left[piece] + 1] = True
        chosen[piece] = _encloses(window)
    return chosen


def _encloses(outline: Mask) -> bool:
    """Say whether an outline, with an empty line around it, encloses a third of its window."""
    labels, _ = label(~outline)
    # The region outside has the first number: it holds the first pixel.
    return bool(np.mean(labels > 1) >= 1 / 3)


def _mark_rectangle(found: Mask, pieces: Pieces, brackets: Int[np.ndarray, " B"]) -> None:
    """Mark the faint lines between the brackets at the corners of a rectangle, where at least three of them show."""
    if not 3 <= brackets.size <= 4:
        return
    top, bottom = int(pieces.top[brackets].min()), int(pieces.bottom[brackets].max())
    left, right = int(pieces.left[brackets].min()), int(pieces.right[brackets].max())
    at_corner = (np.minimum(pieces.top[brackets] - top, bottom - pieces.bottom[brackets]) <= 4) & (
        np.minimum(pieces.left[brackets] - left, right - pieces.right[brackets]) <= 4
    )
    if at_corner.all():
        for rows in (slice(top, top + 3), slice(bottom - 3, bottom)):
            found[rows, left:right] = True
        for columns in (slice(left, left + 3), slice(right - 3, right)):
            found[top:bottom, columns] = True


def _mark_reticles(found: Mask, dark: Mask) -> None:
    """Mark the thin dark ellipses that are closed all around."""
    pieces = _without_lines(dark)
    longest, shortest = np.maximum(pieces.height, pieces.width), np.minimum(pieces.height, pieces.width)
    round_ones = (shortest >= 10) & (longest <= 0.15 * max(found.shape)) & (shortest >= 0.6 * longest)
    for piece in np.flatnonzero(round_ones & (pieces.area <= 0.5 * longest * shortest)):
        inside = pieces.number == piece
        rows, columns = pieces.rows[inside], pieces.columns[inside]
        if _is_ellipse(rows - pieces.top[piece], columns - pieces.left[piece]):
            found[rows, columns] = True


def _without_lines(dark: Mask) -> Pieces:
    """Return the dark pieces less their long straight lines: the side of a measuring rectangle may touch a ring."""
    pieces = pieces_of(dark)
    level, upright = pieces.runs()
    long_ = np.maximum(level, upright) >= max(16, max(dark.shape) // 30)
    if not long_.any():
        return pieces
    rest = dark.copy()
    rest[pieces.rows[long_], pieces.columns[long_]] = False
    return pieces_of(rest)


def _is_ellipse(rows: Int[np.ndarray, " F"], columns: Int[np.ndarray, " F"]) -> bool:
    """Say whether pixels form a ring: nearly all at one distance from the middle, in (nearly) all directions."""
    down = (rows + 0.5) / (rows.max() + 1) * 2 - 1
    right = (columns + 0.5) / (columns.max() + 1) * 2 - 1
    distance = np.hypot(down, right)
    on_ring = np.abs(distance - np.median(distance)) <= 0.2
    sectors = np.unique((np.arctan2(down, right)[on_ring] / (2 * np.pi) * 16).astype(np.intp) % 16)
    return bool(on_ring.mean() >= 0.85 and sectors.size >= 14)
