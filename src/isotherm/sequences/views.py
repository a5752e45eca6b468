"""Sources that look at another source: fewer frames, fewer pixels, less a cold frame, frames averaged in bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from isotherm.sequences.sources import FrameSource, Part, Picture

_PART_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class PickedFrames:
    """Some of the frames, by their numbers, which rise."""

    inside: FrameSource
    index: Int[np.ndarray, " t"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self.index.size, *self.inside.shape[1:]

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part: one piece where the numbers are in even steps."""
        wanted = self.index[frames]
        steps = np.diff(wanted)
        if wanted.size == 0:
            return self.inside.read(slice(0, 0), rows, columns)
        if wanted.size == 1 or (steps == steps[0]).all():
            step = int(steps[0]) if steps.size else 1
            return self.inside.read(slice(int(wanted[0]), int(wanted[-1]) + 1, step), rows, columns)
        runs = np.split(wanted, np.flatnonzero(steps != 1) + 1)
        parts = [self.inside.read(slice(int(run[0]), int(run[-1]) + 1), rows, columns) for run in runs]
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Cropped:
    """A rectangle of each frame."""

    inside: FrameSource
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return self.inside.shape[0], height, width

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part."""
        return self.inside.read(frames, _moved(rows, self.rows.start), _moved(columns, self.columns.start))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


@dataclass(frozen=True, eq=False)
class Less:
    """Each frame less one picture (H W)."""

    inside: FrameSource
    cold: Picture

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self.inside.shape

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part."""
        difference: Part = self.inside.read(frames, rows, columns) - self.cold[rows, columns]
        return difference


@dataclass(frozen=True, eq=False)
class Binned:
    """Means of neighbouring frames: bin i holds the frames from ``edges[i]`` to ``edges[i + 1]`` (exclusive)."""

    inside: FrameSource
    edges: Int[np.ndarray, " E"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bins, height and width."""
        return self.edges.size - 1, *self.inside.shape[1:]

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part; the frames behind it are read a few rows at a time."""
        bins = np.arange(self.shape[0])[frames]
        width = columns.stop - columns.start
        found = np.empty((bins.size, rows.stop - rows.start, width), np.float32)
        if found.size == 0:
            return found
        span = slice(int(self.edges[bins[0]]), int(self.edges[bins[-1] + 1]))
        down = max(1, _PART_BYTES // (4 * (span.stop - span.start) * width))
        for top in range(rows.start, rows.stop, down):
            some = slice(top, min(top + down, rows.stop))
            part = self.inside.read(span, some, columns)
            for place, number in enumerate(bins):
                first, last = self.edges[number] - span.start, self.edges[number + 1] - span.start
                found[place, some.start - rows.start : some.stop - rows.start] = part[first:last].mean(
                    axis=0, dtype=np.float64
                )
        return found


@dataclass(frozen=True, eq=False)
class PickedPixels:
    """Some pixels, as frames of one row: shape (T, 1, P)."""

    inside: FrameSource
    flat: Int[np.ndarray, " P"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, 1, and the number of pixels."""
        return self.inside.shape[0], 1, self.flat.size

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part; only the rectangle round the wanted pixels is read, a few rows at a time."""
        count, _, width = self.inside.shape
        down, across = np.divmod(self.flat[columns], width)
        found = np.empty((len(range(count)[frames]), rows.stop - rows.start, down.size), np.float32)
        if found.size == 0:
            return found
        left, right = int(across.min()), int(across.max()) + 1
        step = max(1, _PART_BYTES // (4 * max(1, found.shape[0]) * (right - left)))
        for top in range(int(down[0]), int(down[-1]) + 1, step):
            first, last = np.searchsorted(down, (top, top + step))
            if first < last:
                bottom = int(down[last - 1]) + 1
                part = self.inside.read(frames, slice(top, bottom), slice(left, right))
                found[:, 0, first:last] = part[:, down[first:last] - top, across[first:last] - left]
        return found


def mean_frame(source: FrameSource, frames: slice) -> Float32[np.ndarray, "H W"]:
    """Return the mean of some frames, added in float64, a few frames at a time."""
    count, height, width = source.shape
    index = range(count)[frames]
    total = np.zeros((height, width), np.float64)
    step = max(1, _PART_BYTES // (4 * height * width)) * index.step
    for first in range(index.start, index.stop, step):
        part = slice(first, min(first + step, index.stop), index.step)
        total += source.read(part, slice(0, height), slice(0, width)).sum(axis=0, dtype=np.float64)
    return (total / len(index)).astype(np.float32)
