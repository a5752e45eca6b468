"""Sequences in HDF5 files, MATLAB's 7.3 among them; also with the table that turns counts into kelvin (pythermondt).

Layout of pythermondt's files: counts ``/Data/Tdata`` (H W T), ``/MetaData/LookUpTable`` (kelvin of each count),
``/MetaData/DomainValues`` (seconds) and ``/MetaData/ExcitationSignal``. Its MATLAB form has the same names in a
structure, with ``Time``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from isotherm.core.errors import FormatError, IsothermError
from isotherm.formats.arrays import NamedArray
from isotherm.formats.hdf5_arrays import selection
from isotherm.formats.hdf5_messages import CHUNKED, CONTIGUOUS
from isotherm.formats.hdf5_tree import Dataset, datasets_in, missing_bytes, referred
from isotherm.formats.raster import MOST_DEFLATE_RATIO
from isotherm.formats.reader import MAX_PIXELS
from isotherm.sequences.axes import without_single
from isotherm.sequences.cells import variables_of_cell
from isotherm.sequences.mapped import MappedCursor
from isotherm.sequences.recording import Asked, Recording, Variable, recording_among
from isotherm.sequences.sources import Filling, FrameSource, Table, Unpacked, array_source

_SLAB_NUMBERS = 1 << 24
_CELL_CONTENTS, _MOST_CELLS = "#refs#", 1_000_000
"""MATLAB keeps what its cells point to in a group of this name."""
_CUT = "the file is cut short"


def open_hdf5(path: Path, asked: Asked, *, what: str = "HDF5", matlab: bool = False) -> Recording:
    """Return the recording in an HDF5 file; contiguous arrays are mapped, chunks unpacked when first read.

    Parameters
    ----------
    path, asked
        The file, and what the user says.
    what
        The format's name for messages.
    matlab
        Whether it is MATLAB's: axes are stored in the opposite order, and frames are last.

    Raises
    ------
    FormatError
        Damaged or cut short.
    DataError
        No variable has three axes, or the order is likely another.
    UnknownNameError
        There is no such variable.
    """
    try:
        variables = variables_of_hdf5(path, what=what, matlab=matlab)
        return recording_among(variables, asked, what, habit="HWT" if matlab else "THW")
    except IsothermError as error:
        _check_end(path, what, error)
        raise


def _check_end(path: Path, what: str, error: IsothermError) -> None:
    """Raise FormatError where an error comes from a file that is shorter than it says itself."""
    cursor = MappedCursor(path, "<", what)
    lost = missing_bytes(cursor)
    if lost and _CUT not in str(error):
        raise FormatError(f"{what}: {_CUT}: it has {len(cursor)} bytes of {len(cursor) + lost} ({error})") from error


def variables_of_hdf5(path: Path, *, what: str, matlab: bool) -> list[Variable]:
    """Return all arrays of numbers in a file; see `open_hdf5`."""
    cursor = MappedCursor(path, "<", what)
    variables: list[Variable] = []
    for dataset in datasets_in(cursor, skipped=_CELL_CONTENTS, references=True):
        if dataset.refers:
            variables += _of_cell(dataset, cursor, reverse=matlab)
        elif not dataset.name.startswith("#"):
            variables.append(_variable(dataset, cursor, reverse=matlab))
    return variables


def _of_cell(cell: Dataset, cursor: MappedCursor, *, reverse: bool) -> list[Variable]:
    """Return what a dataset of references stands for: MATLAB's cells, and the fields of its structure arrays."""
    if not 0 < math.prod(cell.shape) <= _MOST_CELLS:
        return []
    places = selection(cell, tuple(slice(0, side) for side in cell.shape))
    members: dict[str, list[Variable]] = {}
    for place in places.ravel().tolist():
        found = referred(cell, place)
        if not found:
            # Nothing is there, but what follows keeps its number.
            members.setdefault(cell.name, []).append(_nothing(cell))
        for dataset in found:
            if not dataset.refers:
                members.setdefault(dataset.name, []).append(_variable(dataset, cursor, reverse=reverse))
    return [variable for items in members.values() for variable in variables_of_cell(items)]


def _nothing(cell: Dataset) -> Variable:
    nothing = np.empty((0, 0))
    return Variable(
        NamedArray(cell.name, nothing.shape, nothing.dtype), lambda: nothing, lambda *_: array_source(nothing)
    )


def _variable(dataset: Dataset, cursor: MappedCursor, *, reverse: bool) -> Variable:
    shape = without_single(dataset.shape[::-1] if reverse else dataset.shape)
    array = NamedArray(dataset.name, shape, dataset.dtype, dataset.unit)

    def load() -> np.ndarray:
        numbers = selection(dataset, tuple(slice(0, side) for side in dataset.shape))
        return (numbers.T if reverse else numbers).reshape(shape)

    def source(axes: tuple[int, int, int], table: Table | None) -> FrameSource:
        frames, height, width = (2 - axis if reverse else axis for axis in axes)
        return _source(dataset, cursor, (frames, height, width), table, shape=shape[::-1] if reverse else shape)

    return Variable(array, load, source)


def _source(
    dataset: Dataset, cursor: MappedCursor, axes: tuple[int, int, int], table: Table | None, *, shape: tuple[int, ...]
) -> FrameSource:
    """Return the frames of a dataset, which is stored in `shape` but for axes of length 1."""
    storage = dataset.storage
    if storage.kind == CONTIGUOUS and storage.place is not None:
        return array_source(cursor.array(dataset.dtype, shape, storage.place).transpose(axes), table)
    if storage.kind == CHUNKED:
        _check_whole(dataset, cursor)
    return Unpacked((shape, dataset.dtype), _filler(dataset), axes=axes, table=table)


def _check_whole(dataset: Dataset, cursor: MappedCursor) -> None:
    """Raise FormatError where chunks lie behind the end of the file, or numbers are more than it can hold."""
    for table in dataset.chunks():
        ends = table["place"].astype(np.float64) + table["size"] + dataset.sizes.base
        if ends.size and ends.max() > len(cursor):
            lost = int(np.count_nonzero(ends > len(cursor)))
            raise FormatError(
                f"HDF5: {_CUT}: it has {len(cursor)} bytes, but {dataset.name!r} reaches to byte "
                f"{ends.max():.0f}; {lost} of its chunks are lost or incomplete",
                len(cursor),
            )
    if math.prod(dataset.shape) * dataset.dtype.itemsize > MOST_DEFLATE_RATIO * len(cursor):
        raise FormatError(f"HDF5: numbers of shape {dataset.shape} cannot lie in a file of {len(cursor)} bytes")


def _filler(dataset: Dataset) -> Callable[[np.ndarray], None]:
    """Return what unpacks a dataset, a slab of whole chunks at a time."""

    def fill(room: np.ndarray) -> None:
        filling = Filling(room)
        room = room.reshape(dataset.shape)
        chunk = dataset.storage.chunk[0] if dataset.storage.chunk else 1
        rest = max(1, math.prod(dataset.shape[1:]))
        step = max(1, min(_SLAB_NUMBERS, MAX_PIXELS) // (rest * chunk)) * chunk
        for first in range(0, dataset.shape[0], step):
            last = min(first + step, dataset.shape[0])
            picks = (slice(first, last), *(slice(0, side) for side in dataset.shape[1:]))
            room[first:last] = selection(dataset, picks)
            filling.wrote(room[first:last].nbytes)

    return fill
