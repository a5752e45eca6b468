"""The messages of HDF5 object headers that describe an array: its shape, type, layout, filters and unit.

Layout as in The HDF Group's "HDF5 File Format Specification" (version 3), section IV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isotherm.formats.cursor import Cursor

UNDEFINED = 0xFFFFFFFFFFFFFFFF
COMPACT, CONTIGUOUS, CHUNKED = 0, 1, 2
# Bits of IEEE floats by their size [bytes]: exponent's place and size, mantissa's place and size, bias.
_FLOATS = {2: (10, 5, 0, 10, 15), 4: (23, 8, 0, 23, 127), 8: (52, 11, 0, 52, 1023)}
_MOST_AXES = 32
_REFERENCE, _VARIABLE = 7, 9
_MOST_TEXT = 64


@dataclass(frozen=True)
class Sizes:
    """How many bytes addresses and lengths have in this file, and where address 0 lies."""

    address: int
    length: int
    base: int

    def unsigned(self, cursor: Cursor, place: int, size: int) -> int:
        """Return the unsigned number of `size` bytes at `place`."""
        return int.from_bytes(cursor.take(place, size), "little")

    def place(self, cursor: Cursor, place: int) -> int | None:
        """Return where in the file the address at `place` points; None for the undefined address."""
        found = self.unsigned(cursor, place, self.address)
        return None if found == UNDEFINED >> 8 * (8 - self.address) else self.base + found


@dataclass(frozen=True)
class Filter:
    """One step of packing: its number and its name, where the file has one."""

    number: int
    name: str


@dataclass(frozen=True)
class Storage:
    """Where the numbers lie.

    Parameters
    ----------
    kind
        `COMPACT`, `CONTIGUOUS` or `CHUNKED`.
    place
        Where the numbers, or the tree of chunks, begin in the file; None where nothing was written yet.
    size
        Bytes of compact or contiguous numbers.
    chunk
        Shape of a chunk.
    one
        For a single chunk without a tree: its packed size and the mask of filters that were left out.
    """

    kind: int
    place: int | None
    size: int = 0
    chunk: tuple[int, ...] = ()
    one: tuple[int, int] | None = None


def shape_of(message: Cursor, sizes: Sizes) -> tuple[int, ...]:
    """Return the shape that a dataspace message tells; empty for a single number."""
    version, axes = message.take(0, 2)
    if version not in (1, 2) or axes > _MOST_AXES:
        raise message.error(f"dataspace of version {version} with {axes} axes", 0)
    start = 8 if version == 1 else 4
    return tuple(sizes.unsigned(message, start + axis * sizes.length, sizes.length) for axis in range(axes))


def dtype_of(message: Cursor) -> np.dtype | None:
    """Return NumPy's type of a datatype message; None for anything but plain numbers (texts, structures, enums)."""
    kind, bits, size = message.take(0, 1)[0] & 0x0F, message.take(1, 3), message.u32(4)
    order = ">" if bits[0] & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8) and (message.u16(8), message.u16(10)) == (0, 8 * size):
        return np.dtype(f"{order}{'i' if bits[0] & 8 else 'u'}{size}")
    if kind == 1 and size in _FLOATS and (message.u16(8), message.u16(10)) == (0, 8 * size):
        layout = (*message.take(12, 4), message.u32(16))
        return np.dtype(f"{order}f{size}") if layout == _FLOATS[size] and not bits[0] & 0x40 else None
    return None


def refers(message: Cursor) -> bool:
    """Say whether a datatype message is of references to other objects of the file, as MATLAB's cells are."""
    return message.take(0, 1)[0] & 0x0F == _REFERENCE and not message.take(1, 1)[0] & 0x0F and message.u32(4) == 8


def storage_of(message: Cursor, sizes: Sizes, origin: int) -> Storage:
    """Return where a layout message says the numbers are; `origin` is where the message lies in the file.

    Raises
    ------
    FormatError
        In other files, or indexed in a way that is not read here.
    """
    version, kind = message.take(0, 2)
    if version not in (3, 4):
        raise message.error(f"data layout of version {version}, which is not read; write it with libver='earliest'", 0)
    if kind == COMPACT:
        return Storage(COMPACT, origin + 4, message.u16(2))
    if kind == CONTIGUOUS:
        place = sizes.place(message, 2)
        return Storage(CONTIGUOUS, place, sizes.unsigned(message, 2 + sizes.address, sizes.length))
    if kind != CHUNKED:
        raise message.error("the numbers lie in other datasets or files, which are not opened", 1)
    return _chunks(message, sizes) if version == 3 else _newer_chunks(message, sizes)


def _chunks(message: Cursor, sizes: Sizes) -> Storage:
    axes = message.take(2, 1)[0] - 1
    start = 3 + sizes.address
    if not 0 < axes <= _MOST_AXES:
        raise message.error(f"chunks of {axes} axes", 2)
    return Storage(CHUNKED, sizes.place(message, 3), chunk=tuple(message.u32(start + 4 * axis) for axis in range(axes)))


def _newer_chunks(message: Cursor, sizes: Sizes) -> Storage:
    """Return chunks as HDF5 1.10 and later may write them; only a single chunk needs no index."""
    flags, axes, width = message.take(2, 3)
    if not (1 < axes <= _MOST_AXES + 1 and 0 < width <= 8):
        raise message.error(f"chunks of {axes} axes", 3)
    shape = tuple(sizes.unsigned(message, 5 + width * axis, width) for axis in range(axes - 1))
    index = 5 + width * axes
    if message.take(index, 1)[0] != 1:
        raise message.error("chunks in an index of HDF5 1.10 or later; write it with libver='earliest'", index)
    place, one = index + 1, (0, 0)
    if flags & 2:
        one = sizes.unsigned(message, place, sizes.length), message.u32(place + sizes.length)
        place += sizes.length + 4
    return Storage(CHUNKED, sizes.place(message, place), chunk=shape, one=one)


def filters_of(message: Cursor) -> tuple[Filter, ...]:
    """Return the filters of a pipeline message in the order in which they packed."""
    version, count = message.take(0, 2)
    if version not in (1, 2) or count > _MOST_AXES:
        raise message.error(f"{count} filters of version {version}", 0)
    place, found = 8 if version == 1 else 2, []
    for _ in range(count):
        number = message.u16(place)
        named = version == 1 or number >= 256
        length = message.u16(place + 2) if named else 0
        place += 4 if named else 2
        values = message.u16(place + 2)
        length = length + -length % 8 if version == 1 else length
        found.append(Filter(number, message.text(place + 4, length)))
        place += 4 + length + 4 * values + (4 if version == 1 and values % 2 else 0)
    return tuple(found)


def fill_of(message: Cursor, dtype: np.dtype) -> np.ndarray:
    """Return the number (an array without axes) that stands where nothing was written; 0 where none is told."""
    version, flags = message.take(0, 2)
    told = flags & 0x20 if version == 3 else version == 1 or message.take(3, 1)[0]
    place = 2 if version == 3 else 4
    if told and message.u32(place) == dtype.itemsize:
        return np.frombuffer(message.take(place + 4, dtype.itemsize), dtype).reshape(())
    return np.zeros((), dtype)


def text_attribute(message: Cursor, file: Cursor, sizes: Sizes, *, most: int = _MOST_TEXT) -> tuple[str, str]:
    """Return name and value, up to `most` bytes, of an attribute message; the value is empty where it is no text."""
    version = message.take(0, 1)[0]
    lengths = [message.u16(2), message.u16(4), message.u16(6)]
    if version not in (1, 2, 3):
        raise message.error(f"attribute of version {version}", 0)
    padded = [length + -length % 8 for length in lengths] if version == 1 else lengths
    start = 9 if version == 3 else 8
    name = message.text(start, lengths[0])
    kind = message.part(start + padded[0], lengths[1], "HDF5: type of an attribute")
    value = message.part(start + sum(padded), len(message) - start - sum(padded), "HDF5: value of an attribute")
    if kind.take(0, 1)[0] & 0x0F == 3:
        return name, value.text(0, min(kind.u32(4), most, len(value)))
    if kind.take(0, 1)[0] & 0x0F == _VARIABLE and kind.take(1, 1)[0] & 0x0F == 1:
        return name, _global_text(value, file, sizes, most)
    return name, ""


def _global_text(value: Cursor, file: Cursor, sizes: Sizes, most: int) -> str:
    """Return a text of variable length from the heap that it points to."""
    heap, wanted = sizes.place(value, 4), value.u32(4 + sizes.address)
    if heap is None or file.take(heap, 4) != b"GCOL":
        return ""
    place, end = heap + 8 + sizes.length, heap + sizes.unsigned(file, heap + 8, sizes.length)
    for _ in range(1000):
        if place + 8 + sizes.length > min(end, len(file)):
            return ""
        length = sizes.unsigned(file, place + 8, sizes.length)
        if file.u16(place) == wanted:
            return file.text(place + 8 + sizes.length, min(length, most))
        place += 8 + sizes.length + length + -length % 8
    return ""
