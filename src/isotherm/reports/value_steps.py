"""The distinct values of a picture, which a camera has few of: one for each count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from isotherm.core.regions import Values
from isotherm.core.thermogram import Counts


@dataclass(frozen=True, eq=False)
class ValueSteps:
    """The values of a picture as steps.

    Parameters
    ----------
    table
        (K) the distinct values, rising; all NaN are one, the last.
    indexes
        (P) which of them each pixel has, row by row.
    first
        (K) the first pixel that has each.
    """

    table: Float[np.ndarray, " K"]
    indexes: Integer[np.ndarray, " P"]
    first: Integer[np.ndarray, " K"]

    @classmethod
    def of(cls, values: Values, counts: Counts | None = None) -> ValueSteps:
        """Find the steps of values (H W); where these follow from counts (H W) of at most 16 bits, ten times faster."""
        if counts is not None and counts.dtype in (np.uint8, np.uint16) and counts.shape == values.shape:
            found = cls._by_count(values.ravel(), counts.ravel())
            if found is not None:
                return found
        table, first, indexes = np.unique(values, return_index=True, return_inverse=True)
        return cls(table, indexes.ravel(), first)

    @classmethod
    def _by_count(cls, values: Float[np.ndarray, " P"], counts: Integer[np.ndarray, " P"]) -> ValueSteps | None:
        """Return the steps by way of the counts; None where one count has several values."""
        size = 1 << 8 * counts.itemsize
        pixel = np.full(size, -1)
        # Of several assignments to one place the last one counts.
        pixel[counts[::-1]] = np.arange(counts.size - 1, -1, -1)
        used = np.flatnonzero(pixel >= 0)
        by_count = np.zeros(size, values.dtype)
        by_count[used] = values[pixel[used]]
        if not np.array_equal(by_count[counts], values, equal_nan=True):
            return None
        table, step = np.unique(by_count[used], return_inverse=True)
        code = np.zeros(size, np.intp)
        code[used] = step
        first = np.full(table.size, counts.size)
        np.minimum.at(first, step, pixel[used])
        return cls(table, code[counts], first)
