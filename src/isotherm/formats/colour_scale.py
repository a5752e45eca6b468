"""The colour scale that a camera or a program draws into a picture: where it is, and its colours from low to high.

A colour scale is a long narrow rectangle, upright or level, near a side of the picture. Its two long sides are straight
edges; across it the colour is the same, along it the colour runs through a palette and never comes back. No list of
palettes is needed: whatever colours the rectangle has are the palette. (The search for straight sides is that of
palette bars in `isotherm.formats.overlay_bars`; here the ends have to be exact, because they carry the numbers.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float32, Int16, UInt8
from PIL import Image

Colours = UInt8[np.ndarray, "H W 3"]
Ramp = Float32[np.ndarray, "K 3"]
Deep = Int16[np.ndarray, "H W 3"]

WORKING_PX = 1100
"""Larger pictures are searched after averaging whole blocks of pixels, with at most this longer side [px]."""
MIN_SIDE_PX = 48
"""Pictures with a shorter side have no room for a legible scale."""
STRIP_SHARE = 0.25
"""A scale lies within this share of the picture from a side."""
EDGE = 24
"""Least step of a channel across a side of the scale [grey levels]."""
SIDE_SHARES = (0.12, 0.2, 0.3, 0.42, 0.6)
"""Shares of the picture's length along which a side shows; it is lost where the scene has the scale's colour."""
SIDE_GAP_PX, SIDE_SHARE_PX = 2, 0.012
"""Steps so close belong to one blurred or framed side, and a side is no wider than this share of the picture."""
LEAST_WIDTH_PX, MOST_WIDTH_SHARE, LEAST_LENGTH_SHARE = 3, 0.14, 0.2
"""Width and length of a scale, over the picture's."""
MOST_PAIRS = 400
"""Pairs of sides that are looked at; a strip with more shows a scene full of straight lines."""
JUMP, JUMP_SPEEDS = 30, 5
"""A scale ends where a channel changes by so much over two pixels [grey levels], and so many times its usual speed."""
MOST_SPREAD = 26
"""Across a scale the colour is the same: middle half of a channel, median over the scale [grey levels]."""
SAMPLES = 48
"""Places along a scale at which its way through the colours is judged."""
LEAST_PATH = 200
"""Least way through the colours along a scale, summed over the channels [grey levels]; black to white is 765."""
MOVING_SHARE, RETURN, APART_SHARE = 0.6, 30, 0.93
"""Share of the steps that change the colour; places a third apart differ by so much, in this share of the cases."""
ALIKE, ALIKE_SHARE = 110, 0.15
"""A scale explains the picture when this share of it has a colour of the scale (sum over the channels within ALIKE)."""
TAIL_SHARE, RETRACE = 0.35, 14
"""In the outer part of a scale a colour that was there before (within RETRACE) is its frame's, or the scene's."""
FLAT, BOX_SHARE = 15, 0.02
"""A box at an end has one grey tone (sum over the channels) over at least this share of the length."""
BLUR, BLUR_SPEEDS, MOST_BLUR_PX = 30, 4, 5
"""So few rows at an end are its frame's when they change so fast (sum over the channels, and over the usual speed)."""
FRAME_ALIKE = 70
"""A frame whose colour is so near to that of the scale's end cannot be told from it there (sum over the channels)."""


@dataclass(frozen=True)
class Bar:
    """Where a scale lies [px]: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, ends exclusive."""

    top: int
    bottom: int
    left: int
    right: int
    upright: bool

    @property
    def length(self) -> int:
        """How long the scale is [px]."""
        return self.bottom - self.top if self.upright else self.right - self.left

    @property
    def width(self) -> int:
        """How wide the scale is [px]."""
        return self.right - self.left if self.upright else self.bottom - self.top


@dataclass(frozen=True, eq=False)
class ColourScale:
    """A scale that was found.

    Parameters
    ----------
    bar
        Its place in the picture, without the frame.
    colours
        (K 3) float32 sRGB [grey levels], from the low to the high end, one for each pixel of its length.
    noise
        Standard deviation of a channel across the scale [grey levels].
    """

    bar: Bar
    colours: Ramp
    noise: float

    def end_sigma(self) -> float:
        """Return the standard uncertainty of each end, as a share of the scale: a pixel and a half of its length."""
        return 1.5 / self.bar.length


@dataclass(frozen=True)
class _Side:
    """A long straight edge: the steps between columns `first` .. `last` and their next."""

    first: int
    last: int


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A stretch of one pair of sides that may be a scale, in the turned picture."""

    left: int
    right: int
    top: int
    bottom: int
    score: float


def find_colour_scale(picture: Colours) -> ColourScale | None:
    """Find the colour scale in a picture; None where there is none.

    An upright scale is high at its top, a level one at its right end, as all cameras draw it.
    """
    height, width = picture.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        return None
    factor = math.ceil(max(height, width) / WORKING_PX)
    small = picture if factor == 1 else np.asarray(Image.fromarray(picture).reduce(factor))
    seen = small.astype(np.int16)
    grid = _grid(seen)
    # One picture, upright and turned: in the turned one a level scale is upright, with its low end at the top.
    best: tuple[_Candidate, bool] | None = None
    for upright in (True, False):
        turned = seen if upright else np.ascontiguousarray(seen.transpose(1, 0, 2))
        for candidate in _candidates(turned, grid):
            if best is None or candidate.score > best[0].score:
                best = candidate, upright
    if best is None:
        return None
    return _scale(picture, *best, factor)


def _scale(picture: Colours, found: _Candidate, upright: bool, factor: int) -> ColourScale:
    """Read the colours of a candidate at the picture's own size."""
    turned = (picture if upright else picture.transpose(1, 0, 2)).astype(np.int16)
    left, right = found.left * factor, found.right * factor
    top, bottom = found.top * factor, min(found.bottom * factor, turned.shape[0])
    if factor > 1:
        # The outermost pixels of a reduced picture are half scale and half frame.
        left, right = left + factor // 2, right - factor // 2
        top, bottom = _sharp_ends(turned[:, left:right], top, bottom, factor)
    ramp, _ = _profile(turned[:, left:right])
    if factor > 1:
        top, bottom = _crisp(ramp, top, bottom)
    inner = turned[top:bottom, left:right]
    noise = float(np.median(inner.std(axis=1)))
    colours = _smoothed(ramp[top:bottom]).astype(np.float32)
    if upright:
        return ColourScale(Bar(top, bottom, left, right, upright=True), colours[::-1].copy(), noise)
    return ColourScale(Bar(left, right, top, bottom, upright=False), colours, noise)


def _sharp_ends(columns: Deep, top: int, bottom: int, factor: int) -> tuple[int, int]:
    """Move the ends of a scale that were found in a reduced picture to the steepest rows close to them."""
    ramp, _ = _profile(columns)
    steps = np.abs(np.diff(ramp, axis=0)).sum(axis=1)
    usual = 4 * float(np.median(steps[top : bottom - 1])) + JUMP

    def steepest(near: int) -> int | None:
        first, after = max(0, near - 2 * factor), min(steps.size, near + 2 * factor)
        if first >= after:
            return None
        place = first + int(np.argmax(steps[first:after]))
        return place + 1 if steps[place] > usual else None

    return steepest(top) or top, steepest(bottom) or bottom


# --- sides and what lies between them ---------------------------------------------------------------------------------


def _candidates(picture: Deep, grid: Int16[np.ndarray, "P 3"]) -> Iterator[_Candidate]:
    """Yield the upright scales of a picture."""
    width = picture.shape[1]
    strip = round(STRIP_SHARE * width)
    for start in (0, width - strip):
        sides = _sides(picture[:, start : start + strip], start, width)
        pairs = [
            (one, other)
            for one, other in combinations(sides, 2)
            if LEAST_WIDTH_PX <= other.first - one.last <= max(12, MOST_WIDTH_SHARE * width)
            and _alike_across(picture, one, other)
        ]
        for one, other in pairs[:MOST_PAIRS]:
            found = _between(picture, one, other, grid)
            if found is not None:
                yield found


def _sides(strip: Deep, start: int, width: int) -> list[_Side]:
    """Return the long straight edges of a strip; the border of the picture is one too.

    A busy scene fills the strip with short steps, so that longer and longer ones are asked for.
    """
    steps = np.abs(np.diff(strip, axis=1)).max(axis=2) > EDGE
    counts = np.count_nonzero(steps, axis=0)
    widest = max(8, round(SIDE_SHARE_PX * width))
    found = {_Side(-1, -1) if start == 0 else _Side(width - 1, width - 1)}
    for share in SIDE_SHARES:
        columns = np.flatnonzero(counts >= share * strip.shape[0])
        groups = np.split(columns, np.flatnonzero(np.diff(columns) > SIDE_GAP_PX) + 1) if columns.size else []
        found |= {
            _Side(start + int(group[0]), start + int(group[-1])) for group in groups if group[-1] - group[0] < widest
        }
    return sorted(found, key=lambda side: (side.first, side.last))


def _alike_across(picture: Deep, one: _Side, other: _Side) -> bool:
    """Say whether, in most of some rows of the picture, three places between two sides have one colour."""
    columns = [one.last + 1 + (other.first - one.last) * quarter // 4 for quarter in (1, 2, 3)]
    places = picture[:: max(1, picture.shape[0] // 60), columns]
    apart = np.ptp(places, axis=1).max(axis=1)
    return bool(np.mean(apart <= MOST_SPREAD) >= LEAST_LENGTH_SHARE)


def _between(picture: Deep, one: _Side, other: _Side, grid: Int16[np.ndarray, "P 3"]) -> _Candidate | None:
    """Return the best scale between two sides; None where there is none."""
    left, right = one.last + 1, other.first + 1
    ramp, spread = _profile(picture[:, left:right])
    best = None
    for first, after in _smooth_runs(ramp):
        if after - first < LEAST_LENGTH_SHARE * picture.shape[0] or np.median(spread[first:after]) > MOST_SPREAD:
            continue
        top, bottom = _trimmed(ramp, *_crisp(ramp, *_without_box(ramp, first, after)))
        frames = [_frame(picture, side, (top + bottom) // 2) for side in (one, other)]
        top, bottom = _crisp(ramp, *_without_frame(ramp, top, bottom, frames))
        if bottom - top < LEAST_LENGTH_SHARE * picture.shape[0]:
            continue
        score = _score(ramp[top:bottom], grid) / (1 + float(np.median(spread[top:bottom])) / 10)
        score *= _sidedness(picture[top:bottom], one, other)
        # A frame or a strip of the scene that is taken for a part of the scale is of another colour.
        score *= 1 - _foreign(picture[top:bottom, left:right], ramp[top:bottom])
        if score > 0 and (best is None or score > best.score):
            best = _Candidate(left, right, top, bottom, score)
    return best


def _profile(columns: Deep) -> tuple[Float32[np.ndarray, "H 3"], Float32[np.ndarray, " H"]]:
    """Return the colour of each row of a scale, and how much it varies across.

    Ticks and numbers that are printed into the scale leave some columns free: of a few strips side by side the one
    with the shortest way through the colours is taken.
    """
    width = columns.shape[1]
    rim = width // 4 if width < 12 else 2
    inner = columns[:, rim : width - rim] if width - 2 * rim >= 1 else columns
    parts = np.array_split(inner, min(5, max(1, inner.shape[1] // 3)), axis=1)
    strips = np.stack([part.mean(axis=1, dtype=np.float32) for part in parts])
    ways = np.abs(np.diff(strips, axis=1)).sum(axis=(1, 2))
    ordered = np.sort(inner, axis=1)
    count = ordered.shape[1]
    spread = (ordered[:, (3 * count) // 4] - ordered[:, count // 4]).max(axis=1)
    return strips[int(np.argmin(ways))], spread.astype(np.float32)


def _smooth_runs(ramp: Float32[np.ndarray, "H 3"]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a profile without a jump, first and after."""
    steps = np.abs(ramp[2:] - ramp[:-2]).max(axis=1)
    moving = steps[steps > 1]
    limit = max(JUMP, JUMP_SPEEDS * float(np.median(moving))) if moving.size else JUMP
    calm = np.concatenate([[False], steps <= limit, [False]])
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], calm, [False]])))
    for first, after in zip(bounds[::2], bounds[1::2], strict=True):
        # A calm row has calm neighbours on both sides: the stretch begins one row earlier and ends one later.
        yield max(0, int(first) - 1) if first > 1 else 0, min(ramp.shape[0], int(after) + 1)


def _foreign(columns: Deep, ramp: Float32[np.ndarray, "h 3"]) -> float:
    """Return the share of a stretch that has not the colour of its row."""
    return float(np.mean(np.abs(columns - ramp[:, None]).max(axis=2) > MOST_SPREAD))


def _sidedness(rows: Deep, one: _Side, other: _Side) -> float:
    """Return in which share of its rows a stretch has both its sides; one that is the picture's border counts half.

    What lies between a scale and the border may pass for a scale too, but has no side of its own there.
    """
    shares = []
    for side in (one, other):
        if side.first < 0 or side.last >= rows.shape[1] - 1:
            shares.append(0.5)
            continue
        steps = np.abs(np.diff(rows[:, side.first : side.last + 2], axis=1)).max(axis=2)
        shares.append(float(np.mean(steps.max(axis=1) > EDGE)))
    return math.prod(shares)


# --- ends -------------------------------------------------------------------------------------------------------------


def _trimmed(ramp: Float32[np.ndarray, "H 3"], first: int, after: int) -> tuple[int, int]:
    """Cut off where the colours run back: beyond a dark end there is the frame and then a scene that is less dark."""
    part = _smoothed(ramp[first:after])
    top = _turn(part[::-1])
    bottom = _turn(part)
    return after - top, first + bottom


def _turn(part: Float32[np.ndarray, "n 3"]) -> int:
    """Return where a stretch ends when the colours of its tail have been there shortly before."""
    size = len(part)
    start = round((1 - 2 * TAIL_SHARE) * size)
    tail = part[start:]
    seen = np.abs(tail[:, None] - tail).sum(axis=2) <= RETRACE
    for turn in range(tail.shape[0] // 2, tail.shape[0] - 3):
        back = tail.shape[0] - turn
        # A palette may also stand still at its end; only one that has gone back has ended before.
        returned = np.median(np.abs(tail[turn:] - tail[turn]).sum(axis=1)) > RETRACE
        if returned and seen[turn:, max(0, turn - 2 * back) : turn].any(axis=1).all():
            return start + turn
    return size


def _without_box(ramp: Float32[np.ndarray, "H 3"], first: int, after: int) -> tuple[int, int]:
    """Cut off the empty box at an end in which a program prints the unit: it is flat and grey."""
    part = ramp[first:after]
    cut = []
    for rows in (part, part[::-1]):
        flat = np.abs(rows - rows[min(2, rows.shape[0] - 1)]).sum(axis=1) <= FLAT
        length = int(np.argmin(flat[2:])) + 2 if not flat[2:].all() else 0
        grey = np.ptp(rows[: max(1, length)].mean(axis=0)) <= FLAT
        usual = FLAT / max(float(np.median(np.abs(np.diff(rows, axis=0)).sum(axis=1))), 0.1)
        cut.append(length if grey and length >= max(5, BOX_SHARE * rows.shape[0], 2.5 * usual) else 0)
    return first + cut[0], after - cut[1]


def _frame(picture: Deep, side: _Side, row: int) -> tuple[int, Float32[np.ndarray, " 3"]] | None:
    """Return the width [px] and the colour of the line that is drawn along a side; None without one."""
    width = side.last - side.first
    if not 1 <= width <= 6:
        return None
    rows = picture[max(0, row - 20) : row + 20, side.first + 1 : side.last + 1]
    return width, rows.reshape(-1, 3).mean(axis=0, dtype=np.float32)


def _without_frame(
    ramp: Float32[np.ndarray, "H 3"],
    top: int,
    bottom: int,
    frames: list[tuple[int, Float32[np.ndarray, " 3"]] | None],
) -> tuple[int, int]:
    """Move an end inwards by the width of the frame where both have one colour, so that no jump shows between them."""
    for frame in frames:
        if frame is None:
            continue
        width, colour = frame
        above = np.abs(ramp[top : top + width] - colour).sum(axis=1).max(initial=0) < FRAME_ALIKE
        below = np.abs(ramp[max(0, bottom - width) : bottom] - colour).sum(axis=1).max(initial=0) < FRAME_ALIKE
        return top + width if above else top, bottom - width if below else bottom
    return top, bottom


def _crisp(ramp: Float32[np.ndarray, "H 3"], top: int, bottom: int) -> tuple[int, int]:
    """Leave out the rows at both ends that a blurred frame has tinted."""
    part = ramp[top:bottom]
    steps = np.abs(part[2:] - part[:-2]).sum(axis=1)
    if not steps.size:
        return top, bottom
    limit = max(BLUR, BLUR_SPEEDS * float(np.median(steps)))
    most = min(MOST_BLUR_PX, steps.size)
    above = np.flatnonzero(steps[:most] > limit)
    below = np.flatnonzero(steps[::-1][:most] > limit)
    return top + (int(above[-1]) + 1 if above.size else 0), bottom - (int(below[-1]) + 1 if below.size else 0)


def _smoothed(ramp: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
    """Return the median of three neighbours, which passes over single rows of noise and keeps the ends."""
    if ramp.shape[0] < 3:
        return ramp
    middle = np.median(np.stack([ramp[:-2], ramp[1:-1], ramp[2:]]), axis=0)
    return np.concatenate([ramp[:1], middle, ramp[-1:]]).astype(np.float32)


# --- is it a scale? ---------------------------------------------------------------------------------------------------


def _score(ramp: Float32[np.ndarray, "n 3"], grid: Int16[np.ndarray, "P 3"]) -> float:
    """Return how much of the picture a stretch explains, times its way through the colours; 0 for no scale."""
    places = np.linspace(0, ramp.shape[0] - 1, SAMPLES).round().astype(np.intp)
    sampled = ramp[places]
    path = float(np.abs(np.diff(sampled, axis=0)).sum())
    if path < LEAST_PATH or not _runs_through(sampled):
        return 0.0
    apart = np.abs(grid[:, None].astype(np.float32) - sampled).sum(axis=2).min(axis=1)
    share = float(np.mean(apart <= ALIKE))
    if share < ALIKE_SHARE:
        return 0.0
    # A scale goes its way straight, a scene to and fro; and its way counts no more than through a few colours.
    straight = path / max(path, float(np.abs(np.diff(ramp, axis=0)).sum()))
    return share * straight**2 * min(path, 1500.0)


def _runs_through(sampled: Float32[np.ndarray, "n 3"]) -> bool:
    """Say whether a stretch moves all the time and never comes back to a colour, as a palette does and no scene."""
    if np.mean(np.abs(np.diff(sampled, axis=0)).sum(axis=1) > 2) < MOVING_SHARE:
        return False
    places = np.arange(sampled.shape[0])
    far = np.abs(places[:, None] - places) >= sampled.shape[0] // 3
    apart = np.abs(sampled[:, None] - sampled).sum(axis=2)
    return bool(np.mean(apart[far] >= RETURN) >= APART_SHARE)


def _grid(picture: Deep) -> Int16[np.ndarray, "P 3"]:
    """Return the colours of about 900 places all over the picture, without black and white: frames and clipped sky."""
    rows, columns = (np.linspace(0, side - 1, 30).astype(np.intp) for side in picture.shape[:2])
    colours = picture[rows[:, None], columns].reshape(-1, 3)
    tinted = (colours.max(axis=1) > 20) & (colours.min(axis=1) < 235)
    return colours[tinted] if tinted.any() else colours
