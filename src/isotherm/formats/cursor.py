"""The one way in which readers touch bytes: bounded, with the offset in every error."""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import Literal

from isotherm.core.errors import FormatError

Order = Literal["<", ">"]


class Cursor:
    """Reads numbers and texts at offsets of a block, never outside it.

    Parameters
    ----------
    data
        The block.
    order
        Byte order of its numbers: ``<`` little-endian, ``>`` big-endian.
    what
        The block's name for error messages.
    origins
        ``(offset in the block, offset in the file)`` of each piece that the block was joined from, ascending; errors
        speak of the file's offsets.
    """

    def __init__(
        self, data: bytes, order: Order, what: str, *, origins: tuple[tuple[int, int], ...] = ((0, 0),)
    ) -> None:
        self.data, self.order, self.what, self.origins = data, order, what, origins

    def __len__(self) -> int:
        return len(self.data)

    def place(self, offset: int) -> int:
        """Return the offset in the file of `offset` in the block."""
        index = max(bisect_right(self.origins, (max(offset, 0), 1 << 62)) - 1, 0)
        start, origin = self.origins[index]
        return origin + offset - start

    def error(self, reason: str, offset: int) -> FormatError:
        """Return the error to raise for something wrong at `offset` of the block."""
        return FormatError(f"{self.what}: {reason}", self.place(offset))

    def take(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; raises FormatError where they are not all inside the block."""
        if offset < 0 or length < 0 or offset + length > len(self.data):
            raise self.error(f"needs {length} bytes at {offset}, but the block has {len(self.data)}", offset)
        return self.data[offset : offset + length]

    def part(self, offset: int, length: int, what: str, *, order: Order | None = None) -> Cursor:
        """Return a cursor over `length` bytes at `offset`."""
        first = bisect_right(self.origins, (max(offset, 0), 1 << 62))
        inside = tuple((start - offset, origin) for start, origin in self.origins[first:] if start < offset + length)
        origins = ((0, self.place(offset)), *inside)
        return Cursor(self.take(offset, length), order or self.order, what, origins=origins)

    def _number(self, code: str, offset: int) -> int | float:
        size = struct.calcsize("<" + code)
        value: int | float = struct.unpack(self.order + code, self.take(offset, size))[0]
        return value

    def u16(self, offset: int) -> int:
        """Return the unsigned 16-bit number at `offset`."""
        return int(self._number("H", offset))

    def i16(self, offset: int) -> int:
        """Return the signed 16-bit number at `offset`."""
        return int(self._number("h", offset))

    def u32(self, offset: int) -> int:
        """Return the unsigned 32-bit number at `offset`."""
        return int(self._number("I", offset))

    def i32(self, offset: int) -> int:
        """Return the signed 32-bit number at `offset`."""
        return int(self._number("i", offset))

    def f32(self, offset: int) -> float:
        """Return the 32-bit float at `offset`; it may be NaN or infinite."""
        return float(self._number("f", offset))

    def f64(self, offset: int) -> float:
        """Return the 64-bit float at `offset`; it may be NaN or infinite."""
        return float(self._number("d", offset))

    def text(self, offset: int, length: int) -> str:
        """Return the text of at most `length` bytes at `offset`, up to its first zero byte."""
        raw = self.take(offset, length).split(b"\0", 1)[0]
        return "".join(letter for letter in raw.decode("utf-8", "replace") if letter.isprintable()).strip()
