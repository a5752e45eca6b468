"""Sequences in MATLAB's MAT files of version 5 to 7: matrices (H W T), in structures too, and cells of pictures.

Layout as in MathWorks' "MAT-File Format" (level 5). Plain matrices are mapped from the file, deflated ones (what MATLAB
writes by default) unpacked piece by piece when they are first read. The data set IRT-PVC holds ``imageArray``.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.formats.arrays import NamedArray
from isotherm.formats.cursor import Cursor
from isotherm.formats.mat_elements import HEADER_BYTES, Matrix, element_at, matrices_in, order_of
from isotherm.formats.raster import MOST_DEFLATE_RATIO
from isotherm.sequences.axes import without_single
from isotherm.sequences.cells import variables_of_cell
from isotherm.sequences.mapped import MappedCursor
from isotherm.sequences.recording import Asked, Recording, Variable, recording_among
from isotherm.sequences.sources import Filling, FrameSource, Table, Unpacked, array_source

# Type of an element -> NumPy's type of its numbers.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_HEAD = 4096
_PIECE = 1 << 20


def open_mat(path: Path, asked: Asked) -> Recording:
    """Return the recording in a MAT file of version 5 to 7.

    Raises
    ------
    FormatError
        Damaged or cut short before a variable with three axes.
    DataError
        No variable has three axes, or the order is likely another.
    UnknownNameError
        There is no such variable.
    """
    variables, notes = variables_of_mat(path)
    recording = recording_among(variables, asked, "MAT", habit="HWT")
    return replace(recording, notes=(*recording.notes, *notes))


def variables_of_mat(path: Path) -> tuple[list[Variable], tuple[str, ...]]:
    """Return all arrays of numbers in a file, and notes; see `open_mat`."""
    cursor = MappedCursor(path, "<", "MAT")
    cursor.order = order_of(cursor.take(0, min(HEADER_BYTES, len(cursor)))) or "<"
    found, notes = _matrices(cursor)
    cells: dict[str, list[Variable]] = {}
    for matrix in found:
        cells.setdefault(matrix.name, []).append(_variable(matrix, cursor))
    return [variable for items in cells.values() for variable in variables_of_cell(items)], notes


def _matrices(cursor: MappedCursor) -> tuple[list[Matrix], tuple[str, ...]]:
    """Return the matrices in front of the first damage, and a note on that; raises FormatError where there is none."""
    found: list[Matrix] = []
    try:
        for matrix in matrices_in(cursor):
            found.append(matrix)  # noqa: PERF402 (what was found before an error counts)
    except FormatError as error:
        if not any(len(matrix.shape) == 3 for matrix in found):
            raise
        return found, (f"the file is damaged behind what was read ({error})",)
    return found, ()


def _variable(matrix: Matrix, cursor: MappedCursor) -> Variable:
    matrix = replace(matrix, shape=without_single(matrix.shape))
    array = NamedArray(matrix.name, matrix.shape, matrix.dtype)
    return Variable(array, matrix.numbers, lambda axes, table: _source(matrix, cursor, axes, table))


@dataclass(frozen=True)
class _Stored:
    """Where the numbers of a matrix lie (behind the inflated or the file's bytes), and how."""

    dtype: np.dtype
    start: int


def _source(matrix: Matrix, cursor: MappedCursor, axes: tuple[int, int, int], table: Table | None) -> FrameSource:
    """Return the frames of one matrix (its first axis varies fastest, so that it is stored in the opposite order)."""
    backwards = matrix.shape[::-1]
    if not matrix.compressed and isinstance(matrix.cursor, MappedCursor):
        stored = _stored(cursor, matrix.place, matrix)
        numbers = cursor.array(stored.dtype, backwards, stored.start).T
        return array_source(numbers.transpose(axes), table)
    if not matrix.compressed:
        # Inside a structure that was deflated as a whole: it is in memory already.
        return array_source(matrix.numbers().transpose(axes), table)
    element = element_at(matrix.cursor, matrix.place)
    stored = _stored(_head(matrix, element.start), 0, matrix)
    if math.prod(backwards) * stored.dtype.itemsize > MOST_DEFLATE_RATIO * (element.size + 1):
        raise FormatError(f"MAT: {matrix.name!r} of {matrix.shape} cannot lie in {element.size} bytes", matrix.place)
    frames, height, width = (2 - axis for axis in axes)
    fill = _filler(matrix, stored.start)
    return Unpacked((backwards, stored.dtype), fill, axes=(frames, height, width), table=table)


def _head(matrix: Matrix, start: int) -> Cursor:
    try:
        head = zlib.decompressobj().decompress(matrix.cursor.take(start, min(_HEAD, len(matrix.cursor) - start)), _HEAD)
    except zlib.error as error:
        raise FormatError(f"MAT: {matrix.name!r} is damaged ({error})", start) from error
    return Cursor(head, matrix.cursor.order, "MAT: a variable", origins=((0, start),))


def _stored(cursor: Cursor, place: int, matrix: Matrix) -> _Stored:
    """Return where the numbers of the matrix element at `place` lie: behind its flags, dimensions and name."""
    element = element_at(cursor, place, whole=False)
    inside = element.start
    for _ in range(3):
        inside = element_at(cursor, inside).end
    numbers = element_at(cursor, inside, whole=False)
    if numbers.kind not in _NUMBERS:
        raise cursor.error(f"{matrix.name!r} holds elements of type {numbers.kind}, no numbers", inside)
    dtype = np.dtype(cursor.order + _NUMBERS[numbers.kind])
    needed = math.prod(matrix.shape) * dtype.itemsize
    if numbers.size < needed:
        raise cursor.error(f"{matrix.name!r}: {numbers.size} bytes of numbers; {needed} are needed", numbers.start)
    return _Stored(dtype, numbers.start)


def _filler(matrix: Matrix, start: int) -> Callable[[np.ndarray], None]:
    def fill(room: np.ndarray) -> None:
        filling = Filling(room)
        target = room.reshape(-1).view(np.uint8).data
        done = -start
        for piece in _inflated(matrix):
            wanted = piece[max(0, -done) : len(target) - done]
            place = max(0, done)
            target[place : place + len(wanted)] = wanted
            done += len(piece)
            filling.wrote(len(piece))
            if done >= len(target):
                return
        raise FormatError(f"MAT: {matrix.name!r} ends after {max(0, done)} of {len(target)} bytes", matrix.place)

    return fill


def _inflated(matrix: Matrix) -> Iterator[bytes]:
    """Yield the bytes of a deflated variable, at most a few megabytes at a time."""
    element = element_at(matrix.cursor, matrix.place)
    unpack = zlib.decompressobj()
    try:
        for place in range(element.start, element.start + element.size, _PIECE):
            raw = matrix.cursor.take(place, min(_PIECE, element.start + element.size - place))
            while raw:
                yield unpack.decompress(raw, 4 * _PIECE)
                raw = unpack.unconsumed_tail
    except zlib.error as error:
        raise FormatError(f"MAT: {matrix.name!r} is damaged ({error})", element.start) from error
