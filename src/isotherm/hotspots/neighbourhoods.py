"""Sums over the square neighbourhood of each place of a picture, on a grid of cells.

What is known of a wide neighbourhood changes little from one pixel to the next, so it is computed for cells and
interpolated: the cost does not depend on the neighbourhood's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from isotherm.core.regions import Values


@dataclass(frozen=True)
class Cells:
    """A grid of about square cells over a picture of H W pixels.

    Parameters
    ----------
    shape
        Height and width of the picture [px].
    along
        Cells along the longer side; fewer where the picture has fewer pixels.
    """

    shape: tuple[int, int]
    along: int

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        cell = max(max(self.shape) / self.along, 1)
        rows, columns = (max(1, round(side / cell)) for side in self.shape)
        return rows, columns

    def starts(self, axis: int) -> Int[np.ndarray, " N"]:
        """Return the first pixel of each cell along an axis."""
        count, side = self.size[axis], self.shape[axis]
        return np.arange(count) * side // count

    def numbers(self) -> Int[np.ndarray, "H W"]:
        """Return the number of the cell that each pixel lies in, row by row."""
        row, column = (
            np.repeat(np.arange(count), np.diff(np.append(self.starts(axis), self.shape[axis])))
            for axis, count in enumerate(self.size)
        )
        return row[:, None] * self.size[1] + column

    def sums(self, values: Shaped[np.ndarray, "H W"]) -> Float[np.ndarray, "R C"]:
        """Return the sum of the pixels of each cell, in double precision."""
        by_row = np.add.reduceat(values, self.starts(0), axis=0, dtype=np.float64)
        summed: np.ndarray = np.add.reduceat(by_row, self.starts(1), axis=1)
        return summed

    def around(self, cells: Float[np.ndarray, "R C *more"], side_percent: float) -> Float[np.ndarray, "R C *more"]:
        """Add up the cells of the square round each, its side in percent of the picture's longer side."""
        reach = round(side_percent / 100 * max(self.size) / 2)
        for axis, count in enumerate(self.size):
            running = np.cumsum(cells, axis=axis)
            running = np.concatenate([np.zeros_like(running.take([0], axis)), running], axis=axis)
            place = np.arange(count)
            after, before = np.minimum(place + reach + 1, count), np.maximum(place - reach, 0)
            cells = running.take(after, axis) - running.take(before, axis)
        return cells

    def interpolated(self, cells: Float[np.ndarray, "R C"]) -> Values:
        """Return cells' values at each pixel: straight lines between the centres of cells, level outside them."""
        for axis, side in enumerate(self.shape):
            centres = self.starts(axis) + (np.diff(np.append(self.starts(axis), side)) - 1) / 2
            place = np.interp(np.arange(side), centres, np.arange(len(centres)))
            lower = np.minimum(place.astype(np.intp), max(len(centres) - 2, 0))
            share = np.expand_dims(place - lower, 1 - axis).astype(np.float32)
            step = np.diff(cells, axis=axis, append=cells.take([-1], axis)).astype(np.float32)
            cells = cells.astype(np.float32).take(lower, axis) + share * step.take(lower, axis)
        return cells
