"""When the heat was on: what each frame is like as a whole, and the flash that shows in the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.sequences.sources import FrameSource

_PART_BYTES = 64 * 1024 * 1024
_STEEP = 8.0
_LEAST_SHARE = 0.1


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
    """

    first: int
    last: int
    start_s: float
    end_s: float

    @property
    def t0_s(self) -> float:
        """The middle of the pulse [s], from which the time of cooling counts."""
        return (self.start_s + self.end_s) / 2


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
    before = times_s[first - 1] if first else 2 * times_s[0] - times_s[1]
    return Pulse(first, last, float(before), float(times_s[last]))


def pulse_at(times_s: Float64[np.ndarray, " T"], start_s: float, end_s: float) -> Pulse | None:
    """Return the pulse of known times; None where no frame is behind its start."""
    first, last = (int(place) for place in np.searchsorted(times_s, (start_s, end_s), side="right"))
    return Pulse(first, last - 1, start_s, end_s) if first < times_s.size else None
