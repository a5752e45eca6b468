"""Where the numbers of a sequence are: the seam of everything that frames are read from, and arrays."""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Shaped

from isotherm.core.errors import DataError

Numbers = Shaped[np.ndarray, "T H W"]
Part = Float32[np.ndarray, "t h w"]
Picture = Float32[np.ndarray, "H W"]
Table = Float[np.ndarray, " L"]

HELD_BYTES = 256 * 1024 * 1024
"""Unpacked frames of more bytes than this lie in a temporary file instead of memory."""
_TOUCHED_BYTES = 64 * 1024 * 1024
_MAPPED_AT_ONCE = 2 * 1024 * 1024
"""Linux maps a large page of the file's cache as a whole."""


@runtime_checkable
class FrameSource(Protocol):
    """Frames (T H W) that are read in parts."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        ...

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part (t h w) in the sequence's unit; do not write into it, it may be the source itself.

        The slices have a begin and an end inside the shape; that of the frames may have a step above 1.
        """
        ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """An array in memory or mapped from a file, in any order of axes; with a table, whole numbers become temperatures.

    Parameters
    ----------
    numbers
        (T H W), a view with the axes turned where they are stored otherwise.
    table
        The value of each count in the sequence's unit; None where the numbers are the values.
    """

    numbers: Numbers
    table: Table | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        frames, height, width = self.numbers.shape
        return frames, height, width

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part: a view where the numbers are float32 already."""
        part = np.asarray(self.numbers[frames, rows, columns])
        found = as_float32(part) if self.table is None else looked_up(self.table, part)
        found = found.view()
        found.flags.writeable = False
        return found


def as_float32(numbers: Shaped[np.ndarray, "*N"]) -> Float32[np.ndarray, "*N"]:
    """Return numbers as float32, without a copy where they are; those that are too large become infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(np.float32, copy=False)


def looked_up(table: Table, counts: Shaped[np.ndarray, "t h w"]) -> Part:
    """Return the temperatures of counts; a count beyond the table takes its last value."""
    return table.astype(np.float32, copy=False).take(counts, mode="clip")


class MappedSource:
    """An array that is mapped from a file: parts are copied, and its pages do not stay in this process's memory.

    Parameters
    ----------
    numbers
        (T H W), a view of a mapping that was opened for reading or for shared writing.
    table
        As in `ArraySource`.
    """

    def __init__(self, numbers: Numbers, table: Table | None = None) -> None:
        self._inside, self._mapping, self._touched = ArraySource(numbers, table), mapping_of(numbers), 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self._inside.shape

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part as a copy, made piece by piece along the axis that lies widest apart in the file."""
        wanted, table = self._inside.numbers[frames, rows, columns], self._inside.table
        found = np.empty(wanted.shape, np.float32)
        if found.size == 0:
            return found
        axis = int(np.argmax(np.abs(wanted.strides)))
        each = _touched_by_one(wanted, axis)
        step = max(1, _TOUCHED_BYTES // each)
        for first in range(0, wanted.shape[axis], step):
            places = [slice(None)] * 3
            places[axis] = slice(first, first + step)
            some = tuple(places)
            piece = np.asarray(wanted[some])
            found[some] = as_float32(piece) if table is None else looked_up(table, piece)
            self._let_go(piece.shape[axis] * each)
        return found

    def _let_go(self, touched: int) -> None:
        self._touched += touched
        if self._touched >= _TOUCHED_BYTES:
            let_go(self._mapping)
            self._touched = 0


def _touched_by_one(part: Numbers, axis: int) -> int:
    """Return the bytes that one index along an axis maps into memory: the system maps large pieces round each."""
    extent: int = sum((side - 1) * abs(stride) for side, stride in zip(part.shape, part.strides, strict=True))
    extent -= (part.shape[axis] - 1) * abs(part.strides[axis])
    return max(extent + part.itemsize, min(int(abs(part.strides[axis])), _MAPPED_AT_ONCE))


def let_go(mapping: mmap.mmap | None) -> None:
    """Take the pages of a shared mapping out of this process's memory; the system keeps what was written to them."""
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


class Filling:
    """Counts what is written into an array (`empty_room`), and lets go of it now and then where it lies in a file."""

    def __init__(self, room: np.ndarray) -> None:
        self._mapping, self._written = mapping_of(room), 0

    def wrote(self, size: int) -> None:
        """Say that `size` bytes more were written."""
        self._written += size
        if self._written >= _TOUCHED_BYTES:
            let_go(self._mapping)
            self._written = 0


def mapping_of(numbers: np.ndarray) -> mmap.mmap | None:
    """Return the shared mapping that an array lies in; None where it lies in memory, or is a private copy on write."""
    if getattr(numbers, "mode", "r") == "c":
        return None
    base: object = numbers
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, mmap.mmap) else None


def array_source(numbers: Numbers, table: Table | None = None) -> FrameSource:
    """Return the source of an array, wherever it lies."""
    return MappedSource(numbers, table) if mapping_of(numbers) is not None else ArraySource(numbers, table)


class Unpacked:
    """Frames that can only be unpacked as a whole (deflated files): done once, when something is first read.

    Parameters
    ----------
    shape, dtype
        Of the array as it is stored.
    fill
        Writes all numbers into an empty array of this shape and type.
    axes
        Which of its axes are frames, height and width.
    table
        As in `ArraySource`.
    """

    def __init__(
        self,
        stored: tuple[tuple[int, ...], np.dtype],
        fill: Callable[[np.ndarray], None],
        *,
        axes: tuple[int, int, int] = (0, 1, 2),
        table: Table | None = None,
    ) -> None:
        (self._shape, self._dtype), self._fill = stored, fill
        self._axes, self._table = axes, table
        self._done: FrameSource | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        frames, height, width = (self._shape[axis] for axis in self._axes)
        return frames, height, width

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part; raises FormatError where the file is damaged."""
        if self._done is None:
            room = empty_room(self._shape, self._dtype)
            self._fill(room)
            self._done = array_source(room.transpose(self._axes), self._table)
        return self._done.read(frames, rows, columns)


class FrameCache:
    """Frames that are made one at a time (a picture file, a packed camera frame): each once, then kept.

    Parameters
    ----------
    shape
        Frames, height and width.
    make
        Returns the frame of a number.
    """

    def __init__(self, shape: tuple[int, int, int], make: Callable[[int], Picture]) -> None:
        self.shape, self._make = shape, make
        self._made = np.zeros(shape[0], bool)
        self._room: np.ndarray | None = None
        self._kept: FrameSource | None = None

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part; raises FormatError or DataError where a frame cannot be made."""
        if self._room is None or self._kept is None:
            self._room = empty_room(self.shape, np.dtype(np.float32))
            self._kept, self._filling = array_source(self._room), Filling(self._room)
        for index in np.arange(self.shape[0])[frames]:
            if not self._made[index]:
                self._room[index] = self._make(int(index))
                self._made[index] = True
                self._filling.wrote(self._room[index].nbytes)
        return self._kept.read(frames, rows, columns)


def empty_room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array to fill: in memory, or above `HELD_BYTES` in a temporary file that vanishes with it.

    Raises
    ------
    DataError
        The temporary folder has no room for it.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= HELD_BYTES:
        return np.empty(shape, dtype)
    folder = tempfile.gettempdir()
    too_full = DataError(f"{size / 1e9:.1f} GB of unpacked frames do not fit into {folder}; set TMPDIR to a larger one")
    if shutil.disk_usage(folder).free < size:
        raise too_full
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # Reserved now: a full disk would kill the process when the mapping is written.
            os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
        except OSError as error:
            raise too_full from error
        return np.memmap(file, dtype, "r+", shape=shape)
