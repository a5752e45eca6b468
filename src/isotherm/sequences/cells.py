"""MATLAB's cells and structure arrays: pictures in them are frames, and single numbers in them are a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from isotherm.formats.arrays import NamedArray
from isotherm.sequences.recording import Variable
from isotherm.sequences.sources import FrameCache, FrameSource, Picture, Table, as_float32

_FEWEST = 2


def variables_of_cell(items: Sequence[Variable]) -> list[Variable]:
    """Return what the members of one cell, or one field of a structure array, stand for.

    Where more than half of them are pictures of one size they are frames, and what is left (an empty place, a picture
    of another size) is a frame without numbers, so that the others keep their times. Single numbers become a line.
    Anything else stays as it is, a variable for each member.

    Parameters
    ----------
    items
        The members in their order, all of one name.
    """
    if len(items) < _FEWEST:
        return list(items)
    size, count = Counter(item.array.shape for item in items).most_common(1)[0]
    first = next(item for item in items if item.array.shape == size).array
    if _is_picture(size) and count >= _FEWEST and 2 * count > len(items):
        array = NamedArray(first.name, (*size, len(items)), first.dtype, axis=2)
        return [Variable(array, items[0].load, lambda _axes, table: _frames(items, size, table))]
    if count == len(items) and np.prod(size) == 1:
        line = NamedArray(first.name, (len(items),), first.dtype)
        return [Variable(line, lambda: np.concatenate([item.load().ravel() for item in items]), items[0].source)]
    return list(items)


def _is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and min(shape) > 1


def _frames(items: Sequence[Variable], size: tuple[int, ...], table: Table | None) -> FrameSource:
    height, width = size

    def make(index: int) -> Picture:
        if items[index].array.shape != size:
            return np.full(size, np.nan, np.float32)
        numbers = items[index].load()
        return as_float32(numbers if table is None else table.take(numbers, mode="clip"))

    return FrameCache((len(items), height, width), make)
