"""`ThermalSequence`: the frames of one recording, lazy, with their times and their unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from isotherm.core.errors import DataError, UsageError
from isotherm.core.shapes import Box
from isotherm.sequences import prepare
from isotherm.sequences.axes import Order, Unit, check_order, in_order, times_of
from isotherm.sequences.flash import Pulse, Survey, find_pulse, pulse_at, pulse_between, surveyed, with_fitted_middle
from isotherm.sequences.opening import recording_in
from isotherm.sequences.recording import Asked, Recording
from isotherm.sequences.sources import FrameCache, FrameSource, array_source
from isotherm.sequences.stabilise import STILL_PX, Stilled, movement
from isotherm.sequences.views import Binned, Cropped, Less, PickedFrames, PickedPixels, mean_frame

__all__ = ["BLOCK_BYTES", "Block", "Order", "ThermalSequence", "Unit"]

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
    heated_s
        When the heat came and went [s], where the file or the user says; None: `pulse` looks for a flash.
    lamp_s
        The same to a frame on either side, where the file has a record of the heat frame by frame.
    t0_s
        The middle of the heat [s], where it is known better than as the middle between its ends.
    cooled_s
        Time of the first frame behind the heat that is not saturated, where that is known.
    pixels
        For a sequence of some pixels (`region`): where they are in the picture.
    """

    source: FrameSource
    times_s: Float64[np.ndarray, " T"]
    unit: Unit = "au"
    name: str = ""
    notes: tuple[str, ...] = ()
    timed: bool = True
    subtracted: bool = False
    heated_s: tuple[float, float] | None = None
    lamp_s: tuple[float, float] | None = None
    t0_s: float | None = None
    cooled_s: float | None = None
    pixels: prepare.Pixels | None = None

    @classmethod
    def open(
        cls,
        source: str | Path | np.ndarray,
        *,
        times_s: Float64[np.ndarray, " t"] | None = None,
        frame_rate_hz: float | None = None,
        order: Order | None = None,
        variable: str | None = None,
        unit: Unit | None = None,
    ) -> ThermalSequence:
        """Open an array, a file or a folder of frames; the numbers of a file are read when they are needed.

        Parameters
        ----------
        source
            An array (not copied), or a path: NPY, NPZ, MAT (also 7.3), HDF5, TIFF stack, camera sequence, or a folder
            of CSV files, pictures or camera files, in the order of the numbers in their names.
        times_s
            Time of each frame [s], rising; wins over the file's.
        frame_rate_hz
            Frames a second, where they are evenly spaced; wins over the file's times.
        order
            What the axes of an array are: ``THW`` or ``HWT``. None: as the file says, else the habit of its format
            (frames last in MAT files, first in all others). Where the numbers contradict that, it is an error that
            tells the likely order.
        variable
            Which array of a file with several.
        unit
            Of the numbers, where the file does not say.

        Raises
        ------
        DataError
            Not three axes, fewer than two frames, no such file, times that do not fit, or the likely order is another.
        FormatError
            The file is damaged or of no known format.
        UsageError
            An unknown order, unit or variable, or a frame rate that is none.
        """
        if unit is not None and unit not in get_args(Unit):
            raise UsageError(f"unknown unit {unit!r}; known: {', '.join(get_args(Unit))}")
        check_order(order)
        if not isinstance(source, np.ndarray):
            found, name = recording_in(Path(source), Asked(order, variable, unit)), Path(source).name
        elif variable is not None:
            raise UsageError(f"variable {variable!r}: an array has no variables; only files have")
        else:
            numbers, notes = in_order(source, order, "the array")
            found, name = Recording(array_source(numbers), unit or "au", notes=notes), "array"
        own_times = times_s if times_s is not None or frame_rate_hz is not None else found.times_s
        times, timed = times_of(found.source.shape[0], own_times, frame_rate_hz)
        # What the file says of the heat is in its own clock.
        heat = (found.heated_s, found.lamp_s) if own_times is found.times_s else (None, None)
        return cls(found.source, times, found.unit, name, found.notes, timed, heated_s=heat[0], lamp_s=heat[1])

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

    def curve(self, x: int, y: int, *, size_px: int = 1) -> Float32[np.ndarray, " T"]:
        """Return the mean over time of the square of `size_px` (odd) pixels a side round a pixel, cut at the border.

        Raises
        ------
        DataError
            The pixel is outside the frames.
        """
        count, height, width = self.shape
        if not (0 <= x < width and 0 <= y < height):
            raise DataError(f"{self.name}: the pixel x {x}, y {y} is outside the frames of {width} x {height} pixels")
        reach = size_px // 2
        rows = slice(max(0, y - reach), min(height, y + reach + 1))
        columns = slice(max(0, x - reach), min(width, x + reach + 1))
        curve: Float32[np.ndarray, " T"] = self.source.read(slice(0, count), rows, columns).mean(axis=(1, 2))
        return curve

    @cached_property
    def survey(self) -> Survey:
        """What each frame is like as a whole; the first use reads all frames once."""
        return surveyed(self.source)

    def checked(self) -> ThermalSequence:
        """Return the frames that hold numbers, with notes on what is odd.

        Frames without any number are left out (the times stay right), constant ones in between are told.

        Raises
        ------
        DataError
            Fewer than two frames hold numbers, or all hold one and the same value.
        """
        index, notes = prepare.usable_frames(self.survey, self.name)
        kept = self if index.size == self.shape[0] else self._picked(index)
        return replace(kept, notes=(*self.notes, *notes)) if notes else kept

    def pulse(self) -> Pulse | None:
        """Return when the heat was on; None where nothing tells.

        The user's word or the file's exact times come first. Else it is the flash that shows in the mean of the frames,
        its middle between two frames by how the mean cools; a file's record of the heat, frame by frame, stands in
        where no flash shows at that time.
        """
        if self.heated_s is not None:
            known = pulse_at(self.times_s, *self.heated_s)
            return known if known is None or self.t0_s is None else replace(known, t0_s=self.t0_s)
        found = find_pulse(self.survey.mean, self.times_s)
        found = with_fitted_middle(found, self.survey, self.times_s) if found is not None else None
        recorded = pulse_at(self.times_s, *self.lamp_s) if self.lamp_s is not None else None
        near = found is not None and recorded is not None and 0 <= found.first - recorded.first <= 1
        return found if recorded is None or near else recorded

    def flash(self) -> int:
        """Return the first heated frame, given or found; raises DataError where there is none."""
        pulse = self.pulse()
        if pulse is None:
            raise DataError(f"{self.name}: no flash shows in the mean of the frames; say when the heat was on")
        return pulse.first

    def heated(self, first: int, last: int | None = None) -> ThermalSequence:
        """Return the sequence with a given flash: heat rises in frames `first` to `last` (None: `first` alone).

        Raises
        ------
        DataError
            There are no such frames.
        """
        last = first if last is None else last
        if not 0 <= first <= last < self.shape[0]:
            raise DataError(f"{self.name}: no frames {first} to {last}; it has {self.shape[0]}, numbered from 0")
        pulse = pulse_between(self.times_s, first, last)
        return replace(self, heated_s=(pulse.start_s, pulse.end_s), t0_s=None, cooled_s=None)

    def cooling(self, t0_s: float | None = None) -> ThermalSequence:
        """Return the frames behind the flash, with times that count from it (all above 0).

        Frames in which the camera was saturated are left out too. Without a flash in the recording the first frame is
        taken as half a step of time behind it, and a note says so.

        Parameters
        ----------
        t0_s
            When the heat came [s]; None: the middle of the pulse.

        Raises
        ------
        DataError
            Fewer than two frames are left.
        """
        pulse = self.pulse()
        notes: tuple[str, ...]
        if pulse is None:
            zero = float(1.5 * self.times_s[0] - 0.5 * self.times_s[1]) if t0_s is None else t0_s
            first_s, notes = (
                zero,
                ("no flash in the recording: its first frame is taken as the first behind the flash",),
            )
        else:
            zero = pulse.t0_s if t0_s is None else t0_s
            first_s, notes = self._first_cooling(pulse)
        index = np.flatnonzero((self.times_s >= first_s) & (self.times_s > zero))
        if index.size < 2:
            raise DataError(
                f"{self.name}: {index.size} frames behind the flash (at {zero:g} s); two are needed at least"
            )
        kept = self._picked(index)
        times = kept.times_s - zero
        return replace(
            kept, times_s=times, heated_s=None, lamp_s=None, t0_s=None, cooled_s=None, notes=(*self.notes, *notes)
        )

    def _first_cooling(self, pulse: Pulse) -> tuple[float, tuple[str, ...]]:
        """Return the time of the first good frame behind a pulse (infinite where there is none), and a note."""
        if self.cooled_s is not None:
            return self.cooled_s, ()
        behind = prepare.saturated_after(self.source, self.survey, pulse)
        first = pulse.last + 1 + behind
        notes = (f"{behind} saturated frames behind the flash left out",) if behind else ()
        return float(self.times_s[first]) if first < self.shape[0] else np.inf, notes

    def cold(self, mode: str = "before_flash") -> ThermalSequence:
        """Return the sequence less its cold frame.

        What does not change is gone then: reflections, the camera's own pattern, uneven emission before the heat.

        Parameters
        ----------
        mode
            ``first``, ``last``, ``first_mean:N``, ``last_mean:N``, ``before_flash`` (the mean of all frames before the
            heat, the least noisy choice), or ``none``.

        Raises
        ------
        UsageError
            An unknown mode.
        DataError
            There are no such frames.
        """
        pulse = self.pulse() if mode == "before_flash" else None
        frames = prepare.cold_frames(mode, self.shape[0], pulse)
        if frames is None:
            return self
        # The saturated frames show in the camera's own numbers only, and are looked for as long as there are some.
        known = self if pulse is None else self._with_pulse(pulse)
        return replace(
            known,
            source=Less(self.source, mean_frame(self.source, frames)),
            unit="K" if self.unit == "°C" else self.unit,
            notes=(*known.notes, prepare.cold_note(frames)),
            subtracted=True,
        )

    def _with_pulse(self, pulse: Pulse) -> ThermalSequence:
        first_s, notes = self._first_cooling(pulse)
        heated_s = pulse.start_s, pulse.end_s
        return replace(self, heated_s=heated_s, t0_s=pulse.t0_s, cooled_s=first_s, notes=(*self.notes, *notes))

    def crop(self, box: Box) -> ThermalSequence:
        """Return a rectangle of each frame; raises DataError where it is not inside."""
        rows, columns = prepare.box_slices(box, *self.shape[1:])
        return replace(self, source=Cropped(self.source, rows, columns))

    def window(self, t0_s: float, t1_s: float) -> ThermalSequence:
        """Return the frames from `t0_s` to `t1_s` [s], both included.

        Raises
        ------
        DataError
            Fewer than two frames lie there, or the times are not known.
        """
        if not self.timed:
            raise DataError(f"{self.name}: the times of its frames are not known; give times or a frame rate")
        return self._picked(prepare.frames_between(self.times_s, t0_s, t1_s))

    def every(self, step: int, *, start: int = 0, stop: int | None = None) -> ThermalSequence:
        """Return every `step`-th frame from `start` to `stop` (exclusive).

        Raises
        ------
        DataError
            Fewer than two frames are left.
        """
        index = np.arange(self.shape[0])[start:stop:step] if step > 0 else np.arange(0)
        if index.size < 2:
            raise DataError(f"{self.name}: every {step}. frame from {start} on leaves {index.size}; two are needed")
        return self._picked(index)

    def log_bins(self, bins: int = 64) -> ThermalSequence:
        """Return means of the frames in bins that are evenly spaced in log time; meant for `cooling` sequences.

        Early bins hold one frame, or none and are left out; the time of a bin is the mean of its frames' times.

        Raises
        ------
        UsageError
            Fewer than two bins.
        DataError
            The times do not count from the flash.
        """
        edges = prepare.log_edges(self.times_s, bins)
        return replace(self, source=Binned(self.source, edges), times_s=prepare.bin_times(self.times_s, edges))

    def region(self, mask: Bool[np.ndarray, "h w"]) -> ThermalSequence:
        """Return the pixels inside a mask as frames of one row (T, 1, P); `spread` puts what is found back.

        Raises
        ------
        DataError
            The mask is empty or of another size.
        """
        if self.pixels is not None:
            raise DataError(f"{self.name}: it is a region already; take the region of the whole sequence")
        pixels = prepare.pixels_of(mask, *self.shape[1:])
        return replace(self, source=PickedPixels(self.source, pixels.flat), pixels=pixels)

    def spread(self, values: Float[np.ndarray, "*K P"]) -> Float[np.ndarray, "*K H W"]:
        """Return values of the pixels of a `region` at their places in the picture, NaN elsewhere."""
        if self.pixels is None:
            raise DataError(f"{self.name}: it is no region")
        return prepare.spread(values, self.pixels)

    def stabilised(self, *, reference: int | None = None, most_px: float = 8.0) -> ThermalSequence:
        """Return the frames moved back to where one of them is, by small shifts that phase correlation finds.

        Best done first, on absolute temperatures: they show the part's structure before and behind the flash. All
        frames are read once to find the shifts; frames are moved when they are read. The border is repeated. Spots that
        grow and fade unevenly look a little like movement: do not ask for it where nothing can have moved. Where fewer
        than half of the frames share structure with the reference nothing is moved, and a note says so.

        Parameters
        ----------
        reference
            The frame that stays where it is; None: the one in the middle.
        most_px
            The longest shift that is believed [px].

        Raises
        ------
        DataError
            The frames are too small, or show no structure, or there is no such frame.
        UsageError
            The longest shift is not above 0.
        """
        count = self.shape[0]
        held = count // 2 if reference is None else reference
        if not 0 <= held < count:
            raise DataError(f"{self.name}: no frame {held}; it has {count}, numbered from 0")
        moves = movement(self.source, held, most_px)
        lost = count - int(moves.sure.sum())
        if lost > count / 2:
            said = f"nothing was moved: only {count - lost} of {count} frames share clear structure with frame {held}"
            return replace(self, notes=(*self.notes, said))
        notes = (f"{lost} frames show no clear shift and were taken where their neighbours are",) if lost else ()
        if moves.largest_px < STILL_PX:
            return replace(self, notes=(*self.notes, f"no movement above {STILL_PX:g} px found", *notes))
        told = f"frames moved back by up to {moves.largest_px:.2f} px to where frame {held} is"
        source = FrameCache(self.shape, Stilled(self.source, moves).frame)
        return replace(self, source=source, notes=(*self.notes, told, *notes))

    def _picked(self, index: Int[np.ndarray, " t"]) -> ThermalSequence:
        return replace(self, source=PickedFrames(self.source, index), times_s=self.times_s[index])
