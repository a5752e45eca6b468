"""Where the numbers of a sequence are: the seam of everything that frames are read from, and arrays in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Shaped

Numbers = Shaped[np.ndarray, "T H W"]
Part = Float32[np.ndarray, "t h w"]
Table = Float[np.ndarray, " L"]


@runtime_checkable
class FrameSource(Protocol):
    """Frames (T H W) that are read in parts; nothing else is held in memory."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        ...

    @property
    def by_frame(self) -> bool:
        """Whether one pixel of a frame costs as much as the whole frame (a picture file, a packed camera frame)."""
        ...

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part (t h w) in the sequence's unit; do not write into it, it may be the source itself.

        The slices go forward by 1 and lie inside the shape; `whole` makes them.
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
    by_frame: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        frames, height, width = self.numbers.shape
        return frames, height, width

    def read(self, frames: slice, rows: slice, columns: slice) -> Part:
        """Return a part: a view where the numbers are float32 already."""
        part = np.asarray(self.numbers[frames, rows, columns])
        found = part.astype(np.float32, copy=False) if self.table is None else looked_up(self.table, part)
        found = found.view()
        found.flags.writeable = False
        return found


def looked_up(table: Table, counts: Shaped[np.ndarray, "t h w"]) -> Part:
    """Return the temperatures of counts; a count beyond the table takes its last value."""
    return table.astype(np.float32, copy=False).take(counts, mode="clip")


def whole(shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """Return the slices of everything."""
    return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])
