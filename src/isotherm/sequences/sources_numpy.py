"""Sequences in NPY and NPZ files; nothing is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from isotherm.core.errors import DataError, FormatError
from isotherm.formats.arrays import NamedArray
from isotherm.formats.cursor import Cursor
from isotherm.formats.npy_numbers import MAX_HEADER, Description, described
from isotherm.formats.raster import MOST_DEFLATE_RATIO
from isotherm.sequences.axes import without_single
from isotherm.sequences.mapped import MappedCursor
from isotherm.sequences.recording import Asked, Recording, Variable, recording_among
from isotherm.sequences.sources import Filling, FrameSource, Table, Unpacked, array_source

_SUFFIX = ".npy"
_PIECE = 1 << 20
_MOST_LOADED = 1 << 26
_LOCAL_HEADER = 30
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def open_npy(path: Path, asked: Asked) -> Recording:
    """Return the recording in an NPY file, which is mapped; raises FormatError, DataError or UsageError."""
    cursor = MappedCursor(path, "<", "NPY")
    about = _squeezed(described(cursor))

    def stored() -> np.ndarray:
        return _as_shaped(cursor, about)

    array = NamedArray("array", about.shape, about.dtype)
    variable = Variable(array, stored, lambda axes, table: array_source(stored().transpose(axes), table))
    return recording_among([variable], asked, "NPY", habit="THW")


def _squeezed(about: Description) -> Description:
    return replace(about, shape=without_single(about.shape))


def _as_shaped(cursor: MappedCursor, about: Description, start: int = 0) -> np.ndarray:
    """Return the numbers that a description tells, where they lie; `start` is where the NPY array begins."""
    if about.fortran:
        return cursor.array(about.dtype, about.shape[::-1], start + about.start).T
    return cursor.array(about.dtype, about.shape, start + about.start)


def open_npz(path: Path, asked: Asked) -> Recording:
    """Return the recording in an NPZ archive; stored members are mapped, deflated ones unpacked when first read."""
    return recording_among(variables_of_npz(path), asked, "NPZ", habit="THW")


def variables_of_npz(path: Path) -> list[Variable]:
    """Return all arrays of numbers in an archive; raises FormatError where it is damaged."""
    cursor = MappedCursor(path, "<", "NPZ")
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(_SUFFIX)]
            variables = [_variable(archive, member, path, cursor) for member in members]
    except _DAMAGE as error:
        # The list of what an archive holds is its last part.
        cut = isinstance(error, zipfile.BadZipFile) and not zipfile.is_zipfile(path)
        why = "cut short: the list of its arrays, at the end of the file, is missing" if cut else f"damaged ({error})"
        raise FormatError(f"NPZ: {why}") from error
    return [found for found in variables if found is not None]


def _variable(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, cursor: MappedCursor) -> Variable | None:
    """Return one array of the archive; None where it is no plain array."""
    with archive.open(member) as stream:
        head = stream.read(MAX_HEADER + 12)
    try:
        about = _squeezed(described(Cursor(head, "<", f"NPZ: {member.filename}")))
    except FormatError:
        return None
    array = NamedArray(member.filename.removesuffix(_SUFFIX), about.shape, about.dtype)
    size = int(np.prod(about.shape, dtype=object)) * about.dtype.itemsize
    if about.start + size > member.file_size or member.file_size > MOST_DEFLATE_RATIO * (member.compress_size + 1):
        raise FormatError(f"NPZ: {member.filename!r} cannot hold numbers of shape {about.shape}", member.header_offset)
    if member.compress_type == zipfile.ZIP_STORED:
        place = member.header_offset
        place += _LOCAL_HEADER + cursor.u16(place + 26) + cursor.u16(place + 28)

        def stored() -> np.ndarray:
            return _as_shaped(cursor, about, place)

        return Variable(array, stored, lambda axes, table: array_source(stored().transpose(axes), table))
    return _packed(array, about, _filler(path, member, about.start))


def _packed(array: NamedArray, about: Description, fill: Callable[[np.ndarray], None]) -> Variable:
    shape = about.shape[::-1] if about.fortran else about.shape

    def load() -> np.ndarray:
        if np.prod(shape, dtype=object) > _MOST_LOADED:
            raise DataError(f"NPZ: {array.name!r} of {shape} is too large for what it is")
        room = np.empty(shape, about.dtype)
        fill(room)
        return room.T if about.fortran else room

    def source(axes: tuple[int, int, int], table: Table | None) -> FrameSource:
        frames, height, width = (2 - axis if about.fortran else axis for axis in axes)
        return Unpacked((shape, about.dtype), fill, axes=(frames, height, width), table=table)

    return Variable(array, load, source)


def _filler(path: Path, member: zipfile.ZipInfo, start: int) -> Callable[[np.ndarray], None]:
    def fill(room: np.ndarray) -> None:
        filling = Filling(room)
        target = room.reshape(-1).view(np.uint8).data
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                stream.read(start)
                done = 0
                while done < len(target):
                    piece = stream.read(min(_PIECE, len(target) - done))
                    if not piece:
                        raise FormatError(f"NPZ: {member.filename!r} ends after {done} of {len(target)} bytes")
                    target[done : done + len(piece)] = piece
                    done += len(piece)
                    filling.wrote(len(piece))
        except _DAMAGE as error:
            raise FormatError(f"NPZ: {member.filename!r} is damaged ({error})", member.header_offset) from error

    return fill
