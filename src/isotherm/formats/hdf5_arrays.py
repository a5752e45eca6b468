"""Arrays of HDF5 files: which is read, and its numbers chunk by chunk, none unpacked beyond its declared shape."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.thermogram import Thermogram
from isotherm.formats.arrays import NamedArray, chosen, table_among, thermogram_of
from isotherm.formats.frames import chosen_frame
from isotherm.formats.hdf5_messages import CHUNKED, Filter
from isotherm.formats.hdf5_tree import Dataset, datasets
from isotherm.formats.reader import MAX_PIXELS, ReadHints

_MOST_CHUNKS = 100_000
_MOST_UNPACKED = 8 * MAX_PIXELS
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3


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
        Damaged, without a picture, or packed in a way that is not read.
    """
    # MATLAB keeps what its cells point to in a group that is called #refs#.
    found = [dataset for dataset in datasets(data) if dataset.shape and not dataset.name.startswith("#")]
    named = {_named(dataset, reverse): dataset for dataset in found}
    choice = chosen(list(named), what, frame_axis=frame_axis)
    frame = None if choice.axis is None else (choice.axis, chosen_frame(hints, choice.frames)[0])
    picture = _numbers(named[choice.array], frame, reverse=reverse)
    table = table_among(list(named))
    levels = None if table is None else _numbers(named[table], None, reverse=reverse)
    return thermogram_of(picture, choice, hints, name=name, what=what, table=levels)


def _named(dataset: Dataset, reverse: bool) -> NamedArray:
    shape = dataset.shape[::-1] if reverse else dataset.shape
    return NamedArray(dataset.name, shape, dataset.dtype, dataset.unit)


def _numbers(dataset: Dataset, frame: tuple[int, int] | None, *, reverse: bool) -> np.ndarray:
    """Return a whole dataset, or one `frame` (axis, index) of it."""
    picks = [slice(0, side) for side in dataset.shape]
    if frame is not None:
        axis, index = frame
        picks[len(picks) - 1 - axis if reverse else axis] = slice(index, index + 1)
    found = selection(dataset, tuple(picks))
    found = found.T if reverse else found
    return found if frame is None else found.take(0, frame[0])


def selection(dataset: Dataset, picks: tuple[slice, ...]) -> np.ndarray:
    """Return a part of a dataset, one slice for each axis; chunks that hold nothing of it are not unpacked.

    Raises
    ------
    TooLargeError
        More than `MAX_PIXELS` numbers, or their chunks are too many or too large.
    FormatError
        Damaged, or packed in a way that is not read.
    """
    sides = tuple(pick.stop - pick.start for pick in picks)
    if math.prod(sides) > MAX_PIXELS:
        raise TooLargeError(f"HDF5: {dataset.name!r} of {sides}; at most {MAX_PIXELS} numbers are decoded")
    storage = dataset.storage
    if storage.kind == CHUNKED:
        return _of_chunks(dataset, picks, sides)
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if storage.place is None or storage.size < size or storage.place + size > len(dataset.file):
        raise FormatError(f"HDF5: the {size} bytes of {dataset.name!r} are not inside the file", storage.place)
    flat = np.frombuffer(dataset.file.data, dataset.dtype, math.prod(dataset.shape), storage.place)
    return flat.reshape(dataset.shape)[picks]


def _of_chunks(dataset: Dataset, picks: tuple[slice, ...], sides: tuple[int, ...]) -> np.ndarray:
    chunk = dataset.storage.chunk
    if len(chunk) != len(sides) or 0 in chunk:
        raise FormatError(f"HDF5: {dataset.name!r} of {dataset.shape} in chunks of {chunk}")
    _check_filters(dataset)
    size = math.prod(chunk) * dataset.dtype.itemsize
    count = math.prod((pick.stop - 1) // side - pick.start // side + 1 for pick, side in zip(picks, chunk, strict=True))
    if count > _MOST_CHUNKS or size * count > _MOST_UNPACKED:
        raise TooLargeError(f"HDF5: one picture of {dataset.name!r} lies in {count} chunks of {size} bytes")
    _check_room(dataset, size * count)
    found = np.full(sides, dataset.fill, dataset.dtype)
    for done, (corner, raw) in enumerate(_packed(dataset, picks, size)):
        if done >= count:
            raise FormatError(f"HDF5: {dataset.name!r} has a chunk twice")
        inside = np.frombuffer(raw, dataset.dtype).reshape(chunk)
        source, target = zip(*map(_overlap, picks, corner, chunk), strict=True)
        found[target] = inside[source]
    return found


def _check_room(dataset: Dataset, size: int) -> None:
    """Raise FormatError where no packing could hold as many bytes in the file (deflate: at most 1040 to 1)."""
    if size > 1040 * len(dataset.file):
        raise FormatError(f"HDF5: {size} bytes of {dataset.name!r} cannot lie in a file of {len(dataset.file)} bytes")


def _packed(dataset: Dataset, picks: tuple[slice, ...], size: int) -> Iterator[tuple[list[int], bytes]]:
    """Yield corner and unpacked bytes of each chunk that holds something of what is picked."""
    low, high = (np.array(ends) for ends in zip(*((pick.start, pick.stop) for pick in picks), strict=True))
    chunk = np.array(dataset.storage.chunk)
    for table in dataset.chunks():
        corners = table["at"][:, :-1].astype(np.int64)
        wanted = ((corners < high) & (corners + chunk > low) & (corners % chunk == 0)).all(1)
        for record, corner in zip(table[wanted], corners[wanted].tolist(), strict=True):
            length = int(record["size"]) or size
            raw = dataset.file.take(dataset.sizes.base + int(record["place"]), length)
            yield corner, _unfiltered(raw, dataset, int(record["mask"]), size)


def _overlap(pick: slice, corner: int, side: int) -> tuple[slice, slice]:
    """Return which part of a chunk is picked along one axis, and where it belongs in the picture."""
    first, last = max(pick.start, corner), min(pick.stop, corner + side)
    return slice(first - corner, last - corner), slice(first - pick.start, last - pick.start)


def _check_filters(dataset: Dataset) -> None:
    def known(step: Filter) -> bool:
        return step.number in (_DEFLATE, _SHUFFLE, _FLETCHER32)

    unknown = [step.name or str(step.number) for step in dataset.filters if not known(step)]
    if unknown:
        raise FormatError(f"HDF5: packed with {', '.join(unknown)}; deflate and shuffle are read")


def _unfiltered(raw: bytes, dataset: Dataset, skipped: int, size: int) -> bytes:
    """Return the bytes of a chunk as they were before its filters; never more than `size`, and a check sum."""
    for place, step in reversed(list(enumerate(dataset.filters))):
        if skipped >> place & 1:
            continue
        if step.number == _DEFLATE:
            raw = _inflated(raw, dataset, size + 4)
        elif step.number == _FLETCHER32:
            raw = raw[:-4]
        else:
            width = dataset.dtype.itemsize
            whole = len(raw) // width * width
            raw = np.frombuffer(raw, np.uint8, whole).reshape(width, -1).T.tobytes() + raw[whole:]
    if len(raw) != size:
        raise FormatError(f"HDF5: a chunk of {dataset.name!r} has {len(raw)} bytes; {size} are needed")
    return raw


def _inflated(raw: bytes, dataset: Dataset, most: int) -> bytes:
    try:
        # Bounded: a few bytes may claim to unpack to gigabytes.
        return zlib.decompressobj().decompress(raw, most)
    except zlib.error as error:
        raise FormatError(f"HDF5: a chunk of {dataset.name!r} is damaged ({error})") from error
