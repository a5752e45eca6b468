"""A fixed number of frames, evenly spaced in log time: what networks over time are given."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import DataError, UsageError
from isotherm.sequences.kernels import projected
from isotherm.sequences.maps import MapStack
from isotherm.sequences.stack import ThermalSequence


def log_frames(sequence: ThermalSequence, count: int) -> MapStack:
    """Return `count` frames evenly spaced in log time, however many the sequence has.

    Each is the mean of the frames in its bin; a bin without one (there are few frames soon after the flash) is
    interpolated linearly at its middle. Diffusion is even in log time, so that early and late defects get as many
    frames each.

    Parameters
    ----------
    sequence
        Behind the flash (`ThermalSequence.cooling`): its times count from it.
    count
        Number of frames.

    Raises
    ------
    UsageError
        Fewer than two frames are asked for.
    DataError
        The times do not count from the flash.
    """
    if count < 2:
        raise UsageError(f"{count} frames; at least 2 make sense")
    values = projected(sequence, log_weights(sequence.times_s, count))
    names = tuple(f"frame_{number}" for number in range(1, count + 1))
    return MapStack(values, names, (sequence.unit,) * count, "log_frames")


def log_weights(times_s: Float64[np.ndarray, " T"], count: int) -> Float64[np.ndarray, "K T"]:
    """Return the weight of each frame in each of `count` bins of log time; those of a bin sum to 1."""
    if times_s[0] <= 0:
        raise DataError(f"the first frame is at {times_s[0]:g} s; log time needs times after the flash (cooling)")
    edges = np.geomspace(times_s[0], times_s[-1], count + 1)
    bins = np.clip(np.searchsorted(edges, times_s, side="right") - 1, 0, count - 1)
    weights = np.zeros((count, times_s.size))
    weights[bins, np.arange(times_s.size)] = 1.0
    for empty in np.flatnonzero(~weights.any(axis=1)):
        weights[empty] = _between(times_s, float(np.sqrt(edges[empty] * edges[empty + 1])))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _between(times_s: Float64[np.ndarray, " T"], time_s: float) -> Float64[np.ndarray, " T"]:
    """Return the weights of the two frames around a time that make its linear interpolation."""
    after = int(np.clip(np.searchsorted(times_s, time_s), 1, times_s.size - 1))
    share = (time_s - times_s[after - 1]) / (times_s[after] - times_s[after - 1])
    weights = np.zeros(times_s.size)
    weights[after - 1 : after + 1] = 1 - share, share
    return weights
