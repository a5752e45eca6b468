"""What preparing a sequence means in numbers: which frames are cold, which lie in a window, which share a bin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from isotherm.core.errors import DataError, UsageError
from isotherm.core.shapes import Box
from isotherm.sequences.flash import Pulse, Survey
from isotherm.sequences.sources import FrameSource

COLD_MODES = ("first", "last", "first_mean:N", "last_mean:N", "before_flash", "none")
_USUAL_MEAN = 10
_NAMED = 6
_LEAST_SATURATED = 1e-3
_SATURATED_AFTER = 20


@dataclass(frozen=True, eq=False)
class Pixels:
    """Which pixels of a picture a sequence of one row holds: their flat numbers, and the picture's height and width."""

    flat: Int[np.ndarray, " P"]
    size: tuple[int, int]


def cold_frames(mode: str, count: int, pulse: Pulse | None) -> slice | None:
    """Return which frames make up the cold frame; None for no cold frame.

    Parameters
    ----------
    mode
        One of `COLD_MODES`; N is the number of frames that are averaged, 10 where it is left out.
    count
        Frames of the sequence.
    pulse
        The flash, for ``before_flash``.

    Raises
    ------
    UsageError
        An unknown mode, or a number that is none.
    DataError
        More frames are wanted than there are, or none lies before the flash.
    """
    kind, _, number = mode.partition(":")
    if kind == "none" and not number:
        return None
    if kind in ("first", "last") and not number:
        return slice(0, 1) if kind == "first" else slice(count - 1, count)
    if kind == "before_flash" and not number:
        if pulse is None or pulse.first == 0:
            why = "no flash shows in the mean of the frames" if pulse is None else "frame 0 is heated already"
            raise DataError(f"no cold frames: {why}; say when the heat was on (flash), or take last_mean:10 or first")
        return slice(0, pulse.first)
    if kind in ("first_mean", "last_mean"):
        if not (number or "10").isdecimal() or int(number or "10") < 1:
            raise UsageError(f"cold frame {mode!r}: {number!r} is no number of frames, such as {kind}:{_USUAL_MEAN}")
        wanted = int(number or _USUAL_MEAN)
        if wanted > count:
            raise DataError(f"cold frame {mode!r}: there are only {count} frames")
        return slice(0, wanted) if kind == "first_mean" else slice(count - wanted, count)
    raise UsageError(f"unknown cold frame {mode!r}; known: {', '.join(COLD_MODES)}")


def cold_note(frames: slice) -> str:
    """Return what a user should know about a subtracted cold frame."""
    count = frames.stop - frames.start
    which = f"frame {frames.start}" if count == 1 else f"the mean of the frames {frames.start} to {frames.stop - 1}"
    return (
        f"{which} was subtracted: the numbers are differences, so that negative ones are normal (and have no logarithm)"
    )


def box_slices(box: Box, height: int, width: int) -> tuple[slice, slice]:
    """Return rows and columns of a box; raises DataError where it is empty or not inside the frame."""
    rows, columns = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
    inside = 0 <= box.x < columns.stop <= width and 0 <= box.y < rows.stop <= height
    if not inside:
        said = f"x {box.x}, y {box.y}, width {box.width}, height {box.height}"
        raise DataError(f"the box ({said}) is not inside the frames of {width} x {height} pixels")
    return rows, columns


def frames_between(times_s: Float64[np.ndarray, " T"], t0_s: float, t1_s: float) -> Int[np.ndarray, " t"]:
    """Return the frames from `t0_s` to `t1_s` [s], both included; raises DataError where there are fewer than two."""
    index = np.flatnonzero((times_s >= t0_s) & (times_s <= t1_s))
    if index.size < 2:
        known = f"the sequence runs from {times_s[0]:g} to {times_s[-1]:g} s"
        raise DataError(f"{index.size} frames lie between {t0_s:g} and {t1_s:g} s; at least two are needed; {known}")
    return index


def log_edges(times_s: Float64[np.ndarray, " T"], bins: int) -> Int[np.ndarray, " E"]:
    """Return where bins begin that are evenly spaced in the logarithm of time; the last number is the end.

    Early bins that would hold no frame are left out, so that there are at most `bins`.

    Raises
    ------
    UsageError
        Fewer than two bins.
    DataError
        The times do not count from the flash: the first one is not above 0.
    """
    if bins < 2:
        raise UsageError(f"{bins} bins; at least 2 make sense")
    if times_s[0] <= 0:
        reason = f"the first frame is at {times_s[0]:g} s; bins in log time need times after the flash (cooling)"
        raise DataError(reason)
    ends = np.geomspace(times_s[0], times_s[-1], bins + 1)[1:-1]
    return np.unique(np.concatenate([[0], np.searchsorted(times_s, ends, side="left"), [times_s.size]]))


def bin_times(times_s: Float64[np.ndarray, " T"], edges: Int[np.ndarray, " E"]) -> Float64[np.ndarray, " B"]:
    """Return the mean time of the frames in each bin."""
    found: Float64[np.ndarray, " B"] = np.add.reduceat(times_s, edges[:-1]) / np.diff(edges)
    return found


def pixels_of(mask: Bool[np.ndarray, "H W"], height: int, width: int) -> Pixels:
    """Return the pixels of a region; raises DataError where the mask is empty or of another size."""
    if mask.shape != (height, width):
        turned = " (are its rows and columns swapped?)" if mask.shape == (width, height) else ""
        raise DataError(f"a mask of {mask.shape} (rows, columns) for frames of {(height, width)}{turned}")
    flat = np.flatnonzero(mask)
    if flat.size == 0:
        raise DataError("the region holds no pixel")
    return Pixels(flat, (height, width))


def spread(values: Float[np.ndarray, "*K P"], pixels: Pixels) -> Float[np.ndarray, "*K H W"]:
    """Return values of the pixels of a region at their places in the picture, NaN elsewhere."""
    height, width = pixels.size
    found = np.full((*values.shape[:-1], height * width), np.nan, values.dtype)
    found[..., pixels.flat] = values
    return found.reshape(*values.shape[:-1], height, width)


def usable_frames(survey: Survey, name: str) -> tuple[Int[np.ndarray, " t"], tuple[str, ...]]:
    """Return the frames that hold numbers, and what to tell the user about the others.

    Raises
    ------
    DataError
        Fewer than two frames hold numbers, or all hold one and the same value.
    """
    index = np.flatnonzero(np.isfinite(survey.mean))
    empty = np.flatnonzero(~np.isfinite(survey.mean))
    if index.size < 2:
        raise DataError(f"{name}: {empty.size} of {survey.mean.size} frames hold no number (NaN only)")
    if np.ptp(survey.low[index]) == 0 and survey.low[index[0]] == survey.high[index].max():
        value = survey.low[index[0]]
        raise DataError(f"{name}: all frames hold the same value ({value:g}) everywhere; is this the right variable?")
    notes = [f"{_numbers(empty)} without any number (NaN) left out"] if empty.size else []
    flat = survey.low == survey.high
    lost = np.flatnonzero(flat[1:-1] & ~flat[:-2] & ~flat[2:]) + 1
    if lost.size:
        notes.append(f"{_numbers(lost)}: one and the same value everywhere; were they lost in recording?")
    gaps = float(survey.missing[index].max())
    if gaps:
        notes.append(f"up to {gaps:.2%} of the pixels of a frame have no number (NaN); maps have gaps there")
    return index, tuple(notes)


def _numbers(frames: Int[np.ndarray, " n"]) -> str:
    more = f" and {frames.size - _NAMED} more" if frames.size > _NAMED else ""
    return f"frame{'s' if frames.size > 1 else ''} {', '.join(map(str, frames[:_NAMED].tolist()))}{more}"


def saturated_after(source: FrameSource, survey: Survey, pulse: Pulse) -> int:
    """Return how many frames behind the pulse still hold pixels at the camera's upper end.

    A camera is saturated where one and the same highest value of the whole sequence stands in a thousandth of the
    pixels of two or more frames that follow one another.
    """
    count, height, width = source.shape
    top = np.nanmax(survey.high)
    behind = 0
    for frame in range(pulse.first, min(pulse.last + 1 + _SATURATED_AFTER, count)):
        if survey.high[frame] < top:
            continue
        values = source.read(slice(frame, frame + 1), slice(0, height), slice(0, width))
        if np.count_nonzero(values == values.dtype.type(top)) >= max(4, _LEAST_SATURATED * values.size):
            behind = frame - pulse.last
    alone = np.count_nonzero(survey.high[pulse.first :] == top) < 2
    return 0 if alone else max(0, behind)
