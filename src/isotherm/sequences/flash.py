"""When the heat was on: what each frame is like as a whole, and the flash that shows in the mean."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.sequences.sources import FrameSource

_PART_BYTES = 64 * 1024 * 1024
_STEEP = 8.0
_LEAST_SHARE = 0.1
_FITTED = 4


@dataclass(frozen=True, eq=False)
class Survey:
    """What each frame is like as a whole: mean, lowest and highest value, and the share of pixels without one.

    A frame without any value has NaN three times.
    """

    mean: Float64[np.ndarray, " T"]
    low: Float64[np.ndarray, " T"]
    high: Float64[np.ndarray, " T"]
    missing: Float64[np.ndarray, " T"]


@dataclass(frozen=True)
class Pulse:
    """When the heat was on.

    Parameters
    ----------
    first
        The first frame that shows heat; those before it are cold.
    last
        The last frame with the heat on (``first - 1`` where the heat was on between two frames only); the part cools
        from the next frame on.
    start_s, end_s
        When the heat came and went [s], as far as the frames tell.
    t0_s
        The middle of the pulse [s], from which the time of cooling counts.
    """

    first: int
    last: int
    start_s: float
    end_s: float
    t0_s: float


def surveyed(source: FrameSource) -> Survey:
    """Return what each frame is like; one pass over the frames."""
    count, height, width = source.shape
    found = Survey(*(np.empty(count, np.float64) for _ in range(4)))
    step = max(1, _PART_BYTES // (4 * height * width))
    for first in range(0, count, step):
        some = slice(first, min(first + step, count))
        part = source.read(some, slice(0, height), slice(0, width)).reshape(some.stop - first, -1)
        with np.errstate(invalid="ignore", over="ignore"):
            found.mean[some], found.low[some] = part.mean(axis=1), part.min(axis=1)
            found.high[some] = part.max(axis=1)
        found.missing[some] = 0.0
        for frame in np.flatnonzero(~np.isfinite(found.mean[some])):
            _survey_gaps(found, first + int(frame), part[frame])
    return found


def _survey_gaps(found: Survey, frame: int, values: Float32[np.ndarray, " P"]) -> None:
    valid = values[np.isfinite(values)]
    found.missing[frame] = 1 - valid.size / values.size
    ends = (valid.mean(dtype=np.float64), valid.min(), valid.max()) if valid.size else (np.nan,) * 3
    found.mean[frame], found.low[frame], found.high[frame] = ends


def find_pulse(mean: Float64[np.ndarray, " T"], times_s: Float64[np.ndarray, " T"]) -> Pulse | None:
    """Return the flash in the mean of each frame; None where there is none.

    The steepest rise of the mean over time counts where it is a tenth of all change and stands out of the usual steps
    (8 robust standard deviations). The pulse lasts as long as the mean goes on rising.

    Parameters
    ----------
    mean, times_s
        One number each for a frame; NaN frames are passed over.
    """
    valid = np.flatnonzero(np.isfinite(mean))
    steps = np.diff(mean[valid])
    if steps.size < 2:
        return None
    middle = np.median(steps)
    usual = 1.4826 * float(np.median(np.abs(steps - middle)))
    steepest = int(np.argmax(steps / np.diff(times_s[valid])))
    rise, change = float(steps[steepest]), float(np.ptp(mean[valid]))
    if not (rise > _STEEP * usual + max(0.0, float(middle)) and rise > _LEAST_SHARE * change):
        return None
    least = max(_STEEP / 2 * usual, 0.02 * rise)
    first, last = steepest, steepest
    while first > 0 and steps[first - 1] > least:
        first -= 1
    while last + 1 < steps.size and steps[last + 1] > least:
        last += 1
    return pulse_between(times_s, int(valid[first + 1]), int(valid[last + 1]))


def pulse_between(times_s: Float64[np.ndarray, " T"], first: int, last: int) -> Pulse:
    """Return the pulse that shows in the frames from `first` to `last`; it began behind the frame before."""
    before, after = float(times_s[first - 1] if first else 2 * times_s[0] - times_s[1]), float(times_s[last])
    return Pulse(first, last, before, after, (before + after) / 2)


def pulse_at(times_s: Float64[np.ndarray, " T"], start_s: float, end_s: float) -> Pulse | None:
    """Return the pulse of known times; None where no frame is behind its start."""
    first, last = (int(place) for place in np.searchsorted(times_s, (start_s, end_s), side="right"))
    return Pulse(first, last - 1, start_s, end_s, (start_s + end_s) / 2) if first < times_s.size else None


def with_fitted_middle(pulse: Pulse, survey: Survey, times_s: Float64[np.ndarray, " T"]) -> Pulse:
    """Return the pulse with the middle that its cooling tells, where it was shorter than the time between two frames.

    A thick body cools with the root of time, so that one over the square of the mean rise grows in proportion to the
    time since the flash: a straight line through the first frames of cooling meets zero there. Where that is not
    between the frames of the flash, or the first frame of cooling may be saturated, the pulse stays as it is.
    """
    frames = slice(pulse.last + 1, pulse.last + 1 + _FITTED)
    rise = survey.mean[frames] - survey.mean[: pulse.first].mean() if pulse.first else np.zeros(0)
    steady = rise.size == _FITTED and bool((np.diff(rise) < 0).all()) and float(rise[-1]) > 0
    if pulse.first != pulse.last or not steady or survey.high[pulse.last + 1] >= np.nanmax(survey.high):
        return pulse
    slope, height = np.polyfit(times_s[frames] - pulse.t0_s, 1 / rise**2, 1)
    middle = pulse.t0_s - float(height / slope)
    return replace(pulse, t0_s=middle) if pulse.start_s <= middle <= pulse.end_s else pulse
