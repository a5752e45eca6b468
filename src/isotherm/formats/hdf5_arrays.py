"""Arrays of HDF5 files: listed through h5py, read chunk by chunk with our own bounded unpacking.

h5py unpacks a chunk to whatever size its deflate stream has; here no chunk gives more bytes than its declared shape.
"""

from __future__ import annotations

import math
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np

from isotherm.core.errors import FormatError, MissingExtraError, TooLargeError
from isotherm.core.thermogram import Thermogram
from isotherm.formats.arrays import NamedArray, chosen, table_among, thermogram_of
from isotherm.formats.frames import chosen_frame
from isotherm.formats.reader import MAX_PIXELS, ReadHints

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PLACES = (0, 512, 1024, 2048)
_MOST_ARRAYS = 256
_MOST_VISITED = 10_000
_MOST_CHUNKS = 100_000
_MOST_UNPACKED = 8 * MAX_PIXELS
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_ONE_AT_A_TIME = threading.Lock()
"""The HDF5 library keeps its state to itself; threads take turns."""
# What h5py raises on damaged files.
_DAMAGE = (
    OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, MemoryError,
    NotImplementedError, EOFError, UnicodeError, SystemError, zlib.error,
)  # fmt: skip


def starts_in(data: bytes) -> bool:
    """Say whether an HDF5 file begins in these bytes, behind a user block or at once."""
    return any(data[place : place + 8] == SIGNATURE for place in _PLACES)


def decode(
    data: bytes, hints: ReadHints, *, name: str, what: str, frame_axis: int = 0, reverse: bool = False
) -> Thermogram:
    """Decode the likeliest array of a file, or one frame of it.

    Parameters
    ----------
    data, hints
        The whole file, and what the user says.
    name, what
        The reader's name, and the format's name in messages.
    frame_axis
        The axis that counts frames where no time axis tells.
    reverse
        Whether axes are stored in the opposite order (MATLAB's).

    Raises
    ------
    FormatError
        Damaged, or without a picture; or h5py is not installed (the message says what to install).
    """
    with _opened(data, what) as file:
        arrays = [_turned(array, reverse) for array in _arrays(file)]
        choice = chosen(arrays, what, frame_axis=frame_axis)
        picture = _frame(file, choice.array, choice.axis, chosen_frame(hints, choice.frames)[0], reverse=reverse)
        table = table_among(arrays)
        levels = None if table is None else _frame(file, table, None, 0, reverse=reverse)
    return thermogram_of(picture, choice, hints, name=name, what=what, table=levels)


@contextmanager
def _opened(data: bytes, what: str) -> Iterator[Any]:
    """Open the file in memory; whatever the library raises on damaged bytes becomes FormatError."""
    try:
        import h5py
    except ImportError as error:
        raise FormatError(str(MissingExtraError(f"reading {what} files", "formats"))) from error
    try:
        with _ONE_AT_A_TIME, h5py.File(BytesIO(data), "r") as file:
            yield _File(file, data, what)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{what}: damaged or not supported ({reason})") from error


class _File:
    """An open file: its datasets by h5py, its bytes by our own hands."""

    def __init__(self, file: Any, data: bytes, what: str) -> None:
        self.file, self.data, self.what = file, data, what

    def taken(self, offset: int | None, size: int) -> bytes:
        """Return bytes of the file; raises FormatError where they are not inside it."""
        if offset is None or offset < 0 or size < 0 or offset + size > len(self.data):
            raise FormatError(f"{self.what}: {size} bytes are not inside the file", offset)
        return self.data[offset : offset + size]


def _arrays(file: _File) -> list[NamedArray]:
    """Return what the file says about its datasets; links out of the file are not followed."""
    found: list[NamedArray] = []
    seen = 0

    def visit(name: str, item: Any) -> bool | None:
        nonlocal seen
        seen += 1
        # MATLAB keeps what its cells point to in a group that is called #refs#.
        if hasattr(item, "dtype") and item.shape and not name.startswith("#"):
            found.append(NamedArray(name, tuple(map(int, item.shape)), item.dtype, _unit(item)))
        return True if seen >= _MOST_VISITED or len(found) >= _MOST_ARRAYS else None

    file.file.visititems(visit)
    return found


def _unit(dataset: Any) -> str:
    for key in ("unit", "units"):
        value = dataset.attrs.get(key) if key in dataset.attrs else None
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value[:40]
    return ""


def _turned(array: NamedArray, reverse: bool) -> NamedArray:
    return NamedArray(array.name, array.shape[::-1], array.dtype, array.unit) if reverse else array


def _frame(file: _File, array: NamedArray, axis: int | None, index: int, *, reverse: bool) -> np.ndarray:
    """Return one frame of an array (all of it without `axis`), read from the chunks that hold it."""
    dataset = file.file[array.name]
    shape = tuple(map(int, dataset.shape))
    picks = [slice(0, side) for side in shape]
    if axis is not None:
        stored = len(shape) - 1 - axis if reverse else axis
        picks[stored] = slice(index, index + 1)
    found = _selection(file, dataset, tuple(picks))
    found = found.T if reverse else found
    return found if axis is None else found.take(0, axis)


def _selection(file: _File, dataset: Any, picks: tuple[slice, ...]) -> np.ndarray:
    import h5py

    sides = tuple(pick.stop - pick.start for pick in picks)
    if math.prod(sides) > MAX_PIXELS:
        raise TooLargeError(f"{file.what}: {dataset.name!r} of {sides}; at most {MAX_PIXELS} numbers are decoded")
    if dataset.dtype.kind not in "fiu" or not dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype)):
        raise FormatError(f"{file.what}: {dataset.name!r} holds numbers of an unusual layout")
    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    if properties.get_external_count() or layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        raise FormatError(f"{file.what}: {dataset.name!r} lies in other files, which are not opened")
    if layout == h5py.h5d.CHUNKED:
        return _of_chunks(file, dataset, picks, _filters(file, properties))
    if layout == h5py.h5d.COMPACT:
        return np.asarray(dataset[picks])
    shape = tuple(map(int, dataset.shape))
    offset, size = dataset.id.get_offset(), math.prod(shape) * dataset.dtype.itemsize
    if offset is None or offset + size > len(file.data):
        raise FormatError(f"{file.what}: the {size} bytes of {dataset.name!r} are not inside the file", offset)
    return np.frombuffer(file.data, dataset.dtype, math.prod(shape), offset).reshape(shape)[picks]


def _filters(file: _File, properties: Any) -> list[int]:
    """Return the numbers of the filters that a chunk went through, in order."""
    found = [int(properties.get_filter(index)[0]) for index in range(properties.get_nfilters())]
    unknown = [number for number in found if number not in (_DEFLATE, _SHUFFLE, _FLETCHER32)]
    if unknown:
        names = [properties.get_filter(index)[3].decode("latin-1") for index in range(len(found))]
        raise FormatError(f"{file.what}: packed with {', '.join(names)}; deflate and shuffle are read")
    return found


def _of_chunks(file: _File, dataset: Any, picks: tuple[slice, ...], filters: list[int]) -> np.ndarray:
    chunk = tuple(map(int, dataset.chunks))
    sides = tuple(pick.stop - pick.start for pick in picks)
    corners = [
        range(pick.start // side * side, pick.stop, side) for pick, side in zip(picks, chunk, strict=True) if side > 0
    ]
    size, count = math.prod(chunk) * dataset.dtype.itemsize, math.prod(map(len, corners))
    if count > _MOST_CHUNKS or size * count > _MOST_UNPACKED:
        raise TooLargeError(f"{file.what}: one picture of {dataset.name!r} lies in {count} chunks of {size} bytes")
    found = np.full(sides, dataset.fillvalue, dataset.dtype)
    for corner in product(*corners):
        info = dataset.id.get_chunk_info_by_coord(corner)
        if info.byte_offset is None:
            continue
        raw = _unfiltered(file.taken(info.byte_offset, info.size), filters, info.filter_mask, size, dataset)
        inside = np.frombuffer(raw, dataset.dtype).reshape(chunk)
        source, target = zip(*map(_overlap, picks, corner, chunk), strict=True)
        found[target] = inside[source]
    return found


def _overlap(pick: slice, corner: int, side: int) -> tuple[slice, slice]:
    """Return which part of a chunk is picked along one axis, and where it belongs in the picture."""
    first, last = max(pick.start, corner), min(pick.stop, corner + side)
    return slice(first - corner, last - corner), slice(first - pick.start, last - pick.start)


def _unfiltered(raw: bytes, filters: list[int], skipped: int, size: int, dataset: Any) -> bytes:
    """Return the bytes of a chunk as they were before its filters; never more than `size`."""
    for place, number in reversed(list(enumerate(filters))):
        if skipped >> place & 1:
            continue
        if number == _DEFLATE:
            # Bounded: a few bytes may claim to unpack to gigabytes. Four more for a check sum in front of deflate.
            raw = zlib.decompressobj().decompress(raw, size + 4)
        elif number == _FLETCHER32:
            raw = raw[:-4]
        else:
            width = dataset.dtype.itemsize
            whole = len(raw) // width * width
            raw = np.frombuffer(raw, np.uint8, whole).reshape(width, -1).T.tobytes() + raw[whole:]
    if len(raw) != size:
        raise FormatError(f"a chunk of {dataset.name!r} has {len(raw)} bytes; {size} are needed")
    return raw
