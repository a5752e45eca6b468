"""The matrices of a MATLAB 5 file (also 6 and 7), element by element and within bounds.

Layout as in MathWorks' "MAT-File Format" (level 5). A file is a header of 128 bytes and a chain of elements (type,
size, bytes); a variable is an element of elements, often deflated as a whole.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isotherm.core.errors import TooLargeError
from isotherm.formats.cursor import Cursor, Order
from isotherm.formats.reader import MAX_PIXELS

HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
# Type of an element -> NumPy's type of its numbers.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
# Class of a matrix -> NumPy's type that it has in MATLAB; its numbers may be stored in a smaller one.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CELL, _STRUCT = 1, 2
_COMPLEX, _LOGICAL = 0x08, 0x02
_MOST_UNPACKED = 4 * MAX_PIXELS
_MOST_RATIO = 1040  # of deflate
_MOST_NODES = 20_000
_DEEPEST = 8
_HEAD = 4096  # enough for the flags, the dimensions and the name of a variable


@dataclass(frozen=True)
class Element:
    """One element: its type, where its bytes begin, how many they are, and where the next element begins."""

    kind: int
    start: int
    size: int
    end: int


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix of numbers: path of names, MATLAB's type, shape, and how to get at the numbers."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    cursor: Cursor
    place: int
    compressed: bool

    def numbers(self) -> np.ndarray:
        """Return the numbers in the matrix's shape, in the byte order of the file; raises FormatError where damaged."""
        if math.prod(self.shape) > MAX_PIXELS:
            raise TooLargeError(f"MAT: {self.name!r} of {self.shape}; at most {MAX_PIXELS} numbers are decoded")
        cursor = _inflated(self.cursor, self.place, _MOST_UNPACKED) if self.compressed else self.cursor
        parts = _Parts(cursor, 0 if self.compressed else self.place)
        element = element_at(cursor, parts.behind)
        if element.kind not in _NUMBERS:
            raise cursor.error(f"{self.name!r} holds elements of type {element.kind}, no numbers", parts.behind)
        stored = np.dtype(cursor.order + _NUMBERS[element.kind])
        count = math.prod(self.shape)
        if element.size < count * stored.itemsize:
            raise cursor.error(f"{element.size // stored.itemsize} numbers; {count} are needed", element.start)
        found = np.frombuffer(cursor.data, stored, count, element.start).reshape(self.shape, order="F")
        # MATLAB stores whole numbers in as few bytes as they need. What fits into bytes are grey levels more often than
        # degrees, and the user may say the unit.
        return found if stored.str == "|u1" else found.astype(self.dtype.newbyteorder(cursor.order), copy=False)


class _Parts:
    """The head of a matrix element at `place`: class, flags, dimensions, name, and where what follows begins."""

    def __init__(self, cursor: Cursor, place: int) -> None:
        outer = element_at(cursor, place, whole=False)
        if outer.kind != _MATRIX:
            raise cursor.error(f"an element of type {outer.kind} where a matrix should be", place)
        flags = element_at(cursor, outer.start)
        sides = element_at(cursor, flags.end)
        name = element_at(cursor, sides.end)
        if flags.size != 8 or sides.size % 4 or not 8 <= sides.size <= 4 * 8 or name.size > 256:
            raise cursor.error("the head of a matrix is damaged", outer.start)
        word = cursor.u32(flags.start)
        self.kind, self.flags = word & 0xFF, word >> 8 & 0xFF
        self.shape = tuple(cursor.i32(sides.start + 4 * axis) for axis in range(sides.size // 4))
        self.name = cursor.text(name.start, name.size)
        self.behind, self.end, self.size = name.end, outer.end, outer.size
        if min(self.shape) < 0:
            raise cursor.error(f"dimensions {self.shape} make no sense", sides.start)

    @property
    def dtype(self) -> np.dtype | None:
        """The type of plain real numbers; None for anything else."""
        plain = not self.flags & (_COMPLEX | _LOGICAL)
        return np.dtype(_CLASSES[self.kind]) if plain and self.kind in _CLASSES else None


def element_at(cursor: Cursor, place: int, *, whole: bool = True) -> Element:
    """Return the element at `place`; raises FormatError where it does not fit (its bytes only if `whole`)."""
    word = cursor.u32(place)
    if word >> 16:
        # A small element: type and size share four bytes, up to four bytes follow.
        kind, size, start, end = word & 0xFFFF, word >> 16, place + 4, place + 8
    else:
        kind, size, start = word, cursor.u32(place + 4), place + 8
        end = start + size + (0 if kind == _COMPRESSED else -size % 8)
    if whole and (start + size > len(cursor) or (size > 4 and start == place + 4)):
        left = max(0, len(cursor) - start)
        raise cursor.error(f"cut short or damaged: an element of {size} bytes, but {left} are left", place)
    return Element(kind, start, size, end)


def order_of(data: bytes) -> Order | None:
    """Return the byte order of a MATLAB 5 file; None where this is none."""
    if not data.startswith(b"MATLAB 5.0"):
        return None
    orders: dict[bytes, Order] = {b"\0\1IM": "<", b"\1\0MI": ">"}
    return orders.get(data[124:128])


def matrices(data: bytes) -> Iterator[Matrix]:
    """Yield the matrices of numbers, those in structures and cells as well; what is damaged ends the walk.

    Raises
    ------
    TooLargeError
        A structure unpacks to more than isotherm is willing to hold.
    """
    yield from matrices_in(Cursor(data, order_of(data) or "<", "MAT"))


def matrices_in(cursor: Cursor) -> Iterator[Matrix]:
    """Yield the matrices of a file that need not be in memory; as `matrices`."""
    walk = _Walk()
    place = HEADER_BYTES
    while place + 8 <= len(cursor):
        element = element_at(cursor, place)
        if element.kind == _COMPRESSED:
            yield from walk.variable(cursor, element)
        elif element.kind == _MATRIX:
            yield from walk.matrix(cursor, place, "", 0)
        place = element.end


class _Walk:
    """Goes through variables, structures and cells, with one budget for the whole file."""

    def __init__(self) -> None:
        self.nodes, self.unpacked = 0, 0

    def variable(self, cursor: Cursor, element: Element) -> Iterator[Matrix]:
        """Yield the matrices of a deflated variable; only a structure or a cell is unpacked for that."""
        parts = _Parts(_inflated(cursor, element.start - 8, _HEAD), 0)
        if parts.dtype is not None:
            yield Matrix(parts.name, parts.dtype, parts.shape, cursor, element.start - 8, compressed=True)
        elif parts.kind in (_CELL, _STRUCT):
            self.unpacked += parts.size
            if self.unpacked > _MOST_UNPACKED:
                raise TooLargeError(f"MAT: {parts.name!r} of {parts.size} bytes; {_MOST_UNPACKED} are unpacked")
            yield from self.matrix(_inflated(cursor, element.start - 8, _MOST_UNPACKED), 0, "", 0)

    def matrix(self, cursor: Cursor, place: int, path: str, depth: int) -> Iterator[Matrix]:
        """Yield the matrix at `place`, or those inside it."""
        self.nodes += 1
        if self.nodes > _MOST_NODES or depth > _DEEPEST:
            raise cursor.error(f"more than {_MOST_NODES} matrices, or {_DEEPEST} inside one another", place)
        if not element_at(cursor, place).size:
            if path:  # an empty place in a cell
                yield Matrix(path, np.dtype("f8"), (0, 0), cursor, place, compressed=False)
            return
        parts = _Parts(cursor, place)
        name = "/".join(part for part in (path, parts.name) if part)
        if parts.dtype is not None:
            yield Matrix(name, parts.dtype, parts.shape, cursor, place, compressed=False)
        elif parts.kind == _CELL:
            yield from self._inside(cursor, parts, [name], depth)
        elif parts.kind == _STRUCT:
            length, names = element_at(cursor, parts.behind), element_at(cursor, element_at(cursor, parts.behind).end)
            width = cursor.u32(length.start) if length.size == 4 else 0
            if not 0 < width <= 256:
                raise cursor.error(f"names of fields of {width} bytes", length.start)
            fields = [cursor.text(start, width) for start in range(names.start, names.start + names.size, width)]
            parts.behind = names.end
            yield from self._inside(cursor, parts, [f"{name}/{field}" for field in fields], depth)

    def _inside(self, cursor: Cursor, parts: _Parts, names: list[str], depth: int) -> Iterator[Matrix]:
        """Yield the matrices of a cell (one name) or a structure (a name for each field, in turn)."""
        place, turn = parts.behind, 0
        while place + 8 <= min(parts.end, len(cursor)) and names:
            yield from self.matrix(cursor, place, names[turn % len(names)], depth + 1)
            place, turn = element_at(cursor, place).end, turn + 1


def _inflated(cursor: Cursor, place: int, most: int) -> Cursor:
    """Return the first `most` bytes of the deflated element at `place`; its declared size is checked beforehand."""
    element = element_at(cursor, place)
    raw = cursor.data[element.start : element.start + element.size]
    try:
        head = zlib.decompressobj().decompress(raw, 8)
        declared = Cursor(head, cursor.order, "MAT: a variable").u32(4) + 8
        if declared > most >= _MOST_UNPACKED:
            raise TooLargeError(f"MAT: a variable of {declared} bytes; at most {most} are unpacked", place)
        if declared > _MOST_RATIO * (element.size + 1):
            raise cursor.error(f"a variable cannot hold {declared} bytes in {element.size}", place)
        found = zlib.decompressobj().decompress(raw, min(declared, most))
    except zlib.error as error:
        raise cursor.error(f"damaged deflate data ({error})", element.start) from error
    return Cursor(found, cursor.order, "MAT", origins=((0, element.start),))
