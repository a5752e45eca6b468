"""`ThermalSequence`: the frames of one recording, lazy, with their times and their unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from isotherm.core.errors import DataError, UsageError
from isotherm.sequences.sources import ArraySource, FrameSource

Unit = Literal["K", "°C", "counts", "au"]
"""Kelvin, °C, counts of a camera, or arbitrary units (grey levels and what nobody named)."""
Order = Literal["THW", "HWT"]
Block = tuple[slice, Float32[np.ndarray, "T P"]]

BLOCK_BYTES = 64 * 1024 * 1024
"""Size of a block of pixels, with all its frames, where none is asked for [bytes]."""


@dataclass(frozen=True, eq=False)
class ThermalSequence:
    """Frames (T H W) with times; frames and pixels are read when they are asked for, in blocks.

    Made by `ThermalSequence.open`. Nothing is ever changed: each preparation returns a new sequence that reads through
    the one it came from.

    Parameters
    ----------
    source
        Where the numbers are.
    times_s
        Time of each frame [s], rising, not always in equal steps. Frame numbers where `timed` is False.
    unit
        Of the numbers.
    name
        The file's or the user's name for it.
    notes
        What was assumed and done, for the user.
    timed
        Whether the times are known; otherwise they are frame numbers and depths cannot be given.
    subtracted
        Whether a cold frame was subtracted: the numbers are differences, and negative ones are normal.
    """

    source: FrameSource
    times_s: Float64[np.ndarray, " T"]
    unit: Unit = "au"
    name: str = ""
    notes: tuple[str, ...] = ()
    timed: bool = True
    subtracted: bool = False

    @classmethod
    def open(
        cls,
        source: np.ndarray,
        *,
        times_s: Float64[np.ndarray, " T"] | None = None,
        frame_rate_hz: float | None = None,
        order: Order = "THW",
        unit: Unit | None = None,
    ) -> ThermalSequence:
        """Open an array (T H W), or (H W T) with ``order="HWT"``.

        Parameters
        ----------
        source
            The frames; not copied.
        times_s
            Time of each frame [s], rising; wins over `frame_rate_hz`.
        frame_rate_hz
            Frames a second, where they are evenly spaced.
        order
            What the axes are.
        unit
            Of the numbers.

        Raises
        ------
        DataError
            Not three axes, fewer than two frames, no pixels, no numbers, or times that do not fit.
        UsageError
            An unknown order or unit.
        """
        numbers = in_order(source, order)
        times, timed = times_of(numbers.shape[0], times_s, frame_rate_hz)
        if unit is not None and unit not in get_args(Unit):
            raise UsageError(f"unknown unit {unit!r}; known: {', '.join(get_args(Unit))}")
        return cls(ArraySource(numbers), times, unit or "au", "array", timed=timed)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self.source.shape

    def frames(self, start: int = 0, stop: int | None = None) -> Float32[np.ndarray, "t H W"]:
        """Return the frames from `start` to `stop` (exclusive; None: to the end); do not write into them.

        Raises
        ------
        DataError
            They are not all in the sequence.
        """
        count, height, width = self.shape
        stop = count if stop is None else stop
        if not 0 <= start <= stop <= count:
            raise DataError(f"{self.name}: no frames {start} to {stop}; it has {count}, numbered from 0")
        return self.source.read(slice(start, stop), slice(0, height), slice(0, width))

    def blocks(self, most_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Yield all pixels with all their frames, block by block.

        Parameters
        ----------
        most_bytes
            The most that one block may hold [bytes]; at least one pixel is in a block whatever it is.

        Yields
        ------
        pixels
            The slice of the flattened picture (row by row) that the block is.
        curves
            (T P) float32; do not write into it, it may be the sequence's own memory.
        """
        count, height, width = self.shape
        most = max(1, most_bytes // (4 * count))
        across, down = min(width, most), max(1, most // width)
        for top in range(0, height, down):
            for left in range(0, width, across):
                rows, columns = slice(top, min(top + down, height)), slice(left, min(left + across, width))
                part = self.source.read(slice(0, count), rows, columns)
                first = top * width + left
                yield slice(first, first + part.shape[1] * part.shape[2]), part.reshape(count, -1)


def in_order(numbers: np.ndarray, order: Order) -> Shaped[np.ndarray, "T H W"]:
    """Return a view (T H W) of an array of frames; raises DataError where it is none, UsageError for another order."""
    if order not in get_args(Order):
        raise UsageError(f"unknown order {order!r}; known: {', '.join(get_args(Order))}")
    if numbers.ndim != 3:
        what = "a single picture" if numbers.ndim == 2 else f"{numbers.ndim} axes"
        raise DataError(
            f"an array of shape {numbers.shape} is {what}; a sequence has three axes (frames, rows, columns)"
        )
    if numbers.dtype.kind not in "fiu":
        raise DataError(f"an array of {numbers.dtype}; a sequence holds plain numbers")
    turned = np.moveaxis(numbers, 2, 0) if order == "HWT" else numbers
    if turned.shape[0] < 2 or 0 in turned.shape:
        raise DataError(f"frames x height x width of {turned.shape}; at least two frames with pixels are needed")
    return turned


def times_of(
    count: int, times_s: Float64[np.ndarray, " T"] | None, frame_rate_hz: float | None
) -> tuple[Float64[np.ndarray, " T"], bool]:
    """Return the time of each frame and whether it is known; frame numbers where nothing is said.

    Raises
    ------
    DataError
        Another number of times than frames, or times that do not rise.
    UsageError
        The frame rate is not above 0.
    """
    if times_s is not None:
        times = np.asarray(times_s, np.float64)
        if times.shape != (count,):
            raise DataError(f"{times.size} times for {count} frames")
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
            raise DataError("the times of the frames do not rise from frame to frame")
        return times, True
    if frame_rate_hz is not None:
        if not (np.isfinite(frame_rate_hz) and frame_rate_hz > 0):
            raise UsageError(f"a frame rate of {frame_rate_hz:g} Hz; it must be above 0")
        return np.arange(count) / frame_rate_hz, True
    return np.arange(count, dtype=np.float64), False
