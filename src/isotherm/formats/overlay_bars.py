"""Palette bars and frames: long straight regions along a border of a picture that no scene has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from isotherm.formats.overlay_strokes import Mask, Planes

Colours = UInt8[np.ndarray, "3 P"]
Ramp = Int[np.ndarray, "3 _"]

STRIP_SHARE = 0.25
"""A bar lies within this share of the picture's width from a side."""
EDGE = 40
"""Least step of a channel across the side of a bar [grey levels]."""
ROW_STEP = 2
"""Only every second row is looked at, which is enough for an edge that runs down a third of the picture."""
MAX_SIDE_PX = 6
"""The side of a bar, with its outline, is no wider than this [px]."""
MOST_SIDES = 12
"""A strip with more straight edges shows a scene full of uprights, and none of them is believed to be a bar's."""
MIN_LENGTH_SHARE, MAX_WIDTH_SHARE = 0.3, 0.13
"""A bar is at least so long, over the picture's height, and at most so wide, over its width."""
EDGE_DENSITY = 0.5
"""Share of the rows of a bar's side in which the edge shows; it is lost where the scene has the bar's colour."""
SAMPLES = 40
"""Places along a bar at which its colour is read."""
MAX_SPREAD = 35
"""Across a bar the colour is the same: middle half of a channel, median over the bar [grey levels]."""
JUMP = 75
"""A larger step of a channel from one place to the next ends the bar [grey levels]."""
MIN_PATH = 250
"""Least way through the colours along a bar, summed over the channels [grey levels]; black to white is 765."""
TURN, MAX_TURNS = 8, 14
"""Steps of a channel that count for its direction [grey levels], and most turns of the three: a rainbow has 6."""
MOVING_SHARE = 0.7
"""Share of the steps along a bar that change its colour."""
RETURN, APART_SHARE = 40, 0.95
"""Places a third of the bar apart differ by so much (sum over the channels), in this share of the cases."""
ALIKE, ALIKE_SHARE = 110, 0.67
"""A bar explains the picture when this share of it has a colour of the bar (sum over the channels within ALIKE)."""
FLAT, FLAT_SHARE, BEYOND_SHARE = 14, 0.7, 0.2
"""A frame's lines have one colour (within FLAT) in this share of their pixels, and the next line beyond in no more."""


@dataclass(frozen=True)
class _Side:
    """A long straight edge between columns `at` and `at` + 1, seen in rows `top` to `bottom` (exclusive)."""

    at: int
    top: int
    bottom: int


def find_bars(planes: Planes) -> Mask:
    """Mark the palette bars, upright or level, with their outline, and what lies between them and a close border."""
    found = np.zeros(planes.shape[1:], dtype=np.bool_)
    colours = _grid(planes)
    _mark_upright(found, planes, colours)
    _mark_upright(found.T, planes.transpose(0, 2, 1), colours)
    return found


def _mark_upright(found: Mask, planes: Planes, colours: Colours) -> None:
    width = found.shape[1]
    strip = round(STRIP_SHARE * width)
    for start in (0, width - strip):
        sides = _sides(np.ascontiguousarray(planes[:, ::ROW_STEP, start : start + strip]), start)
        done = -1
        for place, left in enumerate(sides):
            for right in sides[place + 1 :]:
                if left.at <= done or not 3 <= right.at - left.at <= MAX_WIDTH_SHARE * width:
                    continue
                if _is_bar(planes, left, right, colours):
                    found[_extent(left, right, found.shape)] = True
                    done = right.at


def _sides(strip: Planes, start: int) -> list[_Side]:
    """Return the long straight edges of a strip of which every `ROW_STEP`-th row is given."""
    steps = np.maximum(strip[:, :, 1:], strip[:, :, :-1])
    steps -= np.minimum(strip[:, :, 1:], strip[:, :, :-1])
    edges = np.maximum(np.maximum(steps[0], steps[1]), steps[2]) > EDGE
    counts = np.add.reduce(edges, axis=0, dtype=np.uint16)
    found: list[_Side] = []
    for column in np.flatnonzero(_sharp(counts >= MIN_LENGTH_SHARE * EDGE_DENSITY * strip.shape[1])):
        rows = np.flatnonzero(edges[:, column])
        top, bottom = (int(value) for value in np.percentile(rows, (2, 98)))
        length = bottom - top + 1
        if length >= MIN_LENGTH_SHARE * strip.shape[1] and rows.size >= EDGE_DENSITY * length:
            found.append(_Side(start + int(column), top * ROW_STEP, (bottom + 1) * ROW_STEP))
    return found if len(found) <= MOST_SIDES else []


def _sharp(columns: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Drop long runs of neighbouring columns: the blurred or slanted side of a thing in the scene."""
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], columns, [False]])))
    kept = columns.copy()
    for first, after in zip(bounds[::2], bounds[1::2], strict=True):
        kept[first:after] = after - first <= MAX_SIDE_PX
    return kept


def _is_bar(planes: Planes, left: _Side, right: _Side, colours: Colours) -> bool:
    top, bottom = min(left.top, right.top), max(left.bottom, right.bottom)
    if min(left.bottom, right.bottom) - max(left.top, right.top) < MIN_LENGTH_SHARE * planes.shape[1]:
        return False
    rows = np.linspace(top, min(bottom, planes.shape[1]) - 1, SAMPLES).round().astype(np.intp)
    # The quartiles across pass over the ticks and numbers that some cameras print into the bar.
    across = np.sort(planes[:, rows, left.at + 1 : right.at + 1].astype(np.int16), axis=2)
    low, middle, high = (across[:, :, across.shape[2] * quarter // 4] for quarter in (1, 2, 3))
    if np.median((high - low).max(axis=0)) > MAX_SPREAD:
        return False
    ramp = _smoothest(middle)
    steps = np.diff(ramp, axis=1)
    if ramp.shape[1] < SAMPLES // 2 or np.abs(steps).sum() < MIN_PATH or sum(map(_turns, steps)) > MAX_TURNS:
        return False
    if not _runs_through(ramp):
        return False
    apart = _distances(colours.astype(np.int16), ramp).min(axis=1)
    return bool(np.mean(apart <= ALIKE) >= ALIKE_SHARE)


def _runs_through(ramp: Ramp) -> bool:
    """Say whether a ramp moves all the time and never comes back to a colour, as a palette does and no scene."""
    moving = np.abs(np.diff(ramp, axis=1)).sum(axis=0) > 2
    if moving.mean() < MOVING_SHARE:
        return False
    places = np.arange(ramp.shape[1])
    far = np.abs(places[:, None] - places) >= ramp.shape[1] // 3
    return bool(np.mean(_distances(ramp, ramp)[far] >= RETURN) >= APART_SHARE)


def _distances(one: Ramp, other: Ramp) -> Int[np.ndarray, "n m"]:
    """Return the distance of every colour from every other, summed over the channels."""
    distances: Int[np.ndarray, "n m"] = np.abs(one[0][:, None] - other[0])
    for mine, its in zip(one[1:], other[1:], strict=True):
        distances += np.abs(mine[:, None] - its)
    return distances


def _smoothest(ramp: Ramp) -> Ramp:
    """Return the longest stretch without a jump: a bar without the boxes and read-outs at its ends."""
    jumps = np.flatnonzero(np.abs(np.diff(ramp, axis=1)).max(axis=0) > JUMP) + 1
    bounds = np.concatenate([[0], jumps, [ramp.shape[1]]])
    longest = int(np.argmax(np.diff(bounds)))
    return ramp[:, bounds[longest] : bounds[longest + 1]]


def _turns(steps: Int[np.ndarray, " n"]) -> int:
    directions = np.sign(steps[np.abs(steps) > TURN])
    return int(np.count_nonzero(directions[1:] != directions[:-1]))


def _grid(planes: Planes) -> Colours:
    """Return the colours of about 500 places all over the picture, without black and white: frames and clipped sky."""
    rows, columns = (np.linspace(0, side - 1, 24).astype(np.intp) for side in planes.shape[1:])
    colours = planes[:, rows[:, None], columns].reshape(3, -1)
    tinted = (colours.max(axis=0) > 20) & (colours.min(axis=0) < 235)
    return colours[:, tinted]


def _extent(left: _Side, right: _Side, size: tuple[int, ...]) -> tuple[slice, slice]:
    """Return a bar with its outline, up to the border where that is close."""
    height, width = size
    margin = max(3, round(0.006 * width))
    broad = right.at - left.at
    top, bottom = min(left.top, right.top) - margin, max(left.bottom, right.bottom) + margin
    first, last = left.at + 1 - margin, right.at + 1 + margin
    # What is left beside a bar, or above it in its own columns (the unit's box), is no scene either.
    top = 0 if top <= max(broad, 0.02 * height) else top
    bottom = height if height - bottom <= max(broad, 0.02 * height) else bottom
    first = 0 if first <= 0.02 * width else first
    last = width if width - last <= 0.02 * width else last
    return slice(max(0, top), bottom), slice(max(0, first), last)


def find_frames(planes: Planes, known: Mask) -> Mask:
    """Mark the borders of one flat colour that end in a straight edge, `known` overlays aside."""
    found = np.zeros(known.shape, dtype=np.bool_)
    for turns in range(4):
        turned = np.rot90(planes, turns, axes=(1, 2))
        depth = _depth(turned, ~np.rot90(known, turns))
        if depth:
            np.rot90(found, turns)[:depth] = True
    return found


def _depth(planes: Planes, open_: Bool[np.ndarray, "h w"]) -> int:
    """Return how many rows from the top are a frame."""
    limit = planes.shape[1] // 2
    for start in (0, 2):
        # The outermost lines may be blurred.
        colour = np.median(planes[:, start], axis=1).astype(np.int16)
        first = np.abs(planes[:, start].astype(np.int16) - colour[:, None]).max(axis=0) <= FLAT
        if np.ptp(colour) > FLAT or np.count_nonzero(first & open_[start]) < FLAT_SHARE * np.count_nonzero(
            open_[start]
        ):
            continue
        end, shares = _flat_end(planes, open_, colour, start)
        if start < end < limit and shares[end : end + 2].min() <= BEYOND_SHARE:
            return end
    return 0


def _flat_end(
    planes: Planes, open_: Bool[np.ndarray, "h w"], colour: Int[np.ndarray, " channels"], start: int
) -> tuple[int, Float[np.ndarray, " n"]]:
    """Return where the flat lines from `start` on end, and how much of each line is of their colour.

    Frames are narrow, so no more lines are looked at than are needed to see that one has ended.
    """
    limit = planes.shape[1] // 2
    rows = min(limit, 16)
    while True:
        apart = np.abs(planes[:, :rows].astype(np.int16) - colour[:, None, None]).max(axis=0)
        seen = open_[:rows]
        shares = ((apart <= FLAT) & seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        end = _end(shares >= FLAT_SHARE, start)
        if rows == limit or end + 2 + (end - start) // 4 <= rows:
            return end, shares
        rows = min(limit, 2 * rows)


def _end(flat: Bool[np.ndarray, " n"], start: int) -> int:
    """Return where a run of flat lines ends; lines of print within it do not end it."""
    end = start
    while end < flat.size:
        after = np.flatnonzero(flat[end : end + 2 + (end - start) // 4])
        if not after.size:
            break
        end += int(after[0]) + 1
    return end
