"""Pages of numbers that Pillow does not know (64-bit and 16-bit floats, 64-bit whole numbers), straight from the tags.

Only what such files are written with is read: one channel, strips or tiles, uncompressed or deflated (TIFF 6.0).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.formats.cursor import Cursor
from isotherm.formats.ifd import Directory, order_of, read_directory
from isotherm.formats.reader import MAX_PIXELS

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES = 0x0100, 0x0101, 0x0102, 0x0103, 0x0115
_STRIPS, _ROWS_PER_STRIP, _STRIP_BYTES, _PREDICTOR = 0x0111, 0x0116, 0x0117, 0x013D
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _FORMAT = 0x0142, 0x0143, 0x0144, 0x0145, 0x0153
# (sample format, bits) -> NumPy's type.
_TYPES = {(1, 64): "u8", (2, 8): "i1", (2, 64): "i8", (3, 16): "f2", (3, 64): "f8"}
_STORED, _DEFLATED = (1,), (8, 32946)


@dataclass(frozen=True)
class NumberPage:
    """A page of numbers: where it is from, its tags, and the type of its numbers."""

    cursor: Cursor
    tags: Directory
    dtype: np.dtype

    def one(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag."""
        numbers = self.many(tag)
        return numbers[0] if numbers else default

    def many(self, tag: int) -> list[int]:
        """Return the whole numbers of a tag, none where it is absent."""
        entry = self.tags.get(tag)
        return [int(number) for number in entry.numbers(self.cursor.order, most=1 << 16)] if entry else []


def number_page(data: bytes) -> NumberPage | None:
    """Return the first page where it holds one channel of a type of this module; else None."""
    order = order_of(data)
    if order is None or len(data) < 8:
        return None
    cursor = Cursor(data, order, "TIFF")
    page = NumberPage(cursor, read_directory(cursor, cursor.u32(4)), np.dtype("u1"))
    code = _TYPES.get((page.one(_FORMAT, 1), page.one(_BITS, 1)))
    if code is None or page.one(_SAMPLES, 1) != 1:
        return None
    return NumberPage(cursor, page.tags, np.dtype(order + code))


def decode(page: NumberPage) -> np.ndarray:
    """Return the numbers (H W) in native byte order.

    Raises
    ------
    FormatError
        The page is damaged, or packed in a way that is not read here.
    TooLargeError
        It declares more than `MAX_PIXELS` pixels.
    """
    height, width = page.one(_HEIGHT, 0), page.one(_WIDTH, 0)
    if height * width > MAX_PIXELS:
        raise TooLargeError(f"TIFF: {width} x {height} pixels; at most {MAX_PIXELS} are decoded")
    if height <= 0 or width <= 0:
        raise FormatError(f"TIFF: a picture of {width} x {height} pixels holds nothing")
    if page.one(_COMPRESSION, 1) not in _STORED + _DEFLATED or page.one(_PREDICTOR, 1) != 1:
        raise FormatError(f"TIFF: {page.dtype.name} numbers are read uncompressed or deflated without predictor only")
    found = np.zeros((height, width), page.dtype.newbyteorder("="))
    for y, x, block in _blocks(page, height, width):
        part = found[y : y + block.shape[0], x : x + block.shape[1]]
        part[:] = block[: part.shape[0], : part.shape[1]]
    return found


def _blocks(page: NumberPage, height: int, width: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield each strip or tile with the place of its upper left corner."""
    if _TILES in page.tags:
        high, wide = page.one(_TILE_HEIGHT, 0), page.one(_TILE_WIDTH, 0)
        offsets, sizes = page.many(_TILES), page.many(_TILE_BYTES)
    else:
        high, wide = min(page.one(_ROWS_PER_STRIP, height), height), width
        offsets, sizes = page.many(_STRIPS), page.many(_STRIP_BYTES)
    if not (0 < high <= MAX_PIXELS and 0 < wide <= MAX_PIXELS and high * wide <= MAX_PIXELS):
        raise FormatError(f"TIFF: strips or tiles of {wide} x {high} pixels")
    places = [(y, x) for y in range(0, height, high) for x in range(0, width, wide)]
    if len(offsets) != len(places) or len(sizes) != len(places):
        raise FormatError(f"TIFF: {len(offsets)} strips or tiles; {len(places)} are needed")
    for (y, x), offset, size in zip(places, offsets, sizes, strict=True):
        rows = high if _TILES in page.tags else min(high, height - y)
        yield y, x, _block(page, offset, size, (rows, wide))


def _block(page: NumberPage, offset: int, size: int, shape: tuple[int, int]) -> np.ndarray:
    needed = shape[0] * shape[1] * page.dtype.itemsize
    raw = page.cursor.take(offset, size)
    if page.one(_COMPRESSION, 1) in _DEFLATED:
        try:
            # Bounded: a few bytes may claim to unpack to gigabytes.
            raw = zlib.decompressobj().decompress(raw, needed)
        except zlib.error as error:
            raise page.cursor.error(f"damaged deflate data ({error})", offset) from error
    if len(raw) < needed:
        raise page.cursor.error(f"{len(raw)} bytes of pixels; {needed} are needed", offset)
    return np.frombuffer(raw, page.dtype, shape[0] * shape[1]).reshape(shape)
