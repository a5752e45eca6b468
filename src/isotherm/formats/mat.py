"""MATLAB's MAT files: versions 5 to 7, and 7.3, which is HDF5."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.thermogram import Thermogram
from isotherm.formats import hdf5_arrays, hdf5_tree
from isotherm.formats.arrays import Choice, NamedArray, chosen, table_among, thermogram_of
from isotherm.formats.frames import chosen_frame
from isotherm.formats.mat_elements import Matrix, matrices, order_of
from isotherm.formats.reader import FormatCard, ReadHints

_VERSION_7_3 = b"MATLAB 7.3"
_LAST_AXIS = 2
Cells = tuple[Matrix, ...]


class MatReader:
    """Matrices by name, in structures too: the likeliest, then the largest; a cell of equal matrices is frames."""

    name = "mat"
    card = FormatCard(
        makers="MATLAB, Octave, SciPy",
        suffixes=".mat",
        numbers="°C or K as floats; counts with a step or a table; grey levels",
        evidence="proven",
        hints=("step", "offset", "unit"),
        frames=True,
        source="MathWorks, MAT-File Format (level 5); HDF5",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like a MAT file of version 5 to 7.3."""
        return order_of(data) is not None or (data.startswith(_VERSION_7_3) and hdf5_tree.starts_in(data))

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the likeliest matrix, or one frame of it; MATLAB's last axis counts frames."""
        if data.startswith(_VERSION_7_3):
            return hdf5_arrays.decode(data, hints, name=self.name, what="MAT", frame_axis=_LAST_AXIS, reverse=True)
        found = _arrays(data)
        arrays = [array for array, _ in found]
        choice = chosen(arrays, "MAT", frame_axis=_LAST_AXIS)
        picture = _frame(choice, dict(found)[choice.array], hints)
        table = table_among(arrays)
        levels = None if table is None else dict(found)[table][0].numbers()
        return thermogram_of(picture, choice, hints, name=self.name, what="MAT", table=levels)


def _arrays(data: bytes) -> list[tuple[NamedArray, Cells]]:
    """Return the arrays of a file with their matrices: one, or one for each frame of a cell."""
    found: list[tuple[NamedArray, Cells]] = []
    for (name, dtype, shape), group in groupby(_whole(data), key=lambda item: (item.name, item.dtype, item.shape)):
        cells = tuple(group)
        array = NamedArray(name, shape, dtype)
        found.append((replace(array, shape=(*shape, len(cells)), axis=len(shape)) if len(cells) > 1 else array, cells))
    return found


def _whole(data: bytes) -> list[Matrix]:
    """Return the matrices in front of the first damage; raises FormatError where there is none."""
    found = []
    try:
        for matrix in matrices(data):
            found.append(matrix)  # noqa: PERF402 (what was found before an error counts)
    except TooLargeError:
        raise
    except FormatError:
        if not found:
            raise
    return found


def _frame(choice: Choice, cells: Cells, hints: ReadHints) -> np.ndarray:
    if len(cells) > 1:
        return cells[chosen_frame(hints, len(cells))[0]].numbers()
    return choice.frame_of(cells[0].numbers(), hints)


READER = MatReader()
