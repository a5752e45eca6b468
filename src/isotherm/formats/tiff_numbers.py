"""Pages of numbers straight from the tags, where they lie in a file uncompressed or deflated (TIFF 6.0).

Pillow does not know all types of numbers and (version 13) gives compressed big-endian floats in the wrong byte order.
What is packed in another way goes through it all the same.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.formats.cursor import Cursor
from isotherm.formats.frames import chosen_frame
from isotherm.formats.ifd import Directory, Layout, directory_offsets, layout_of, read_directory
from isotherm.formats.reader import MAX_PIXELS, ReadHints

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _FILL_ORDER, _SAMPLES = 0x0100, 0x0101, 0x0102, 0x0103, 0x010A, 0x0115
_STRIPS, _ROWS_PER_STRIP, _STRIP_BYTES, _PREDICTOR = 0x0111, 0x0116, 0x0117, 0x013D
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _FORMAT = 0x0142, 0x0143, 0x0144, 0x0145, 0x0153
# (sample format, bits) -> NumPy's type.
_TYPES = {
    (1, 16): "u2", (1, 32): "u4", (1, 64): "u8", (2, 8): "i1", (2, 16): "i2", (2, 32): "i4", (2, 64): "i8",
    (3, 16): "f2", (3, 32): "f4", (3, 64): "f8",
}  # fmt: skip
_STORED, _DEFLATED = (1,), (8, 32946)
_MOST_BYTES = 4 * MAX_PIXELS
_MOST_RATIO = 4096  # of LZW, whose codes of 12 bits stand for less than 4096 bytes; deflate packs less tightly


@dataclass(frozen=True, eq=False)
class Page:
    """One page of a TIFF file: tags, what is needed to follow them, where they lie, which page, and notes on that."""

    cursor: Cursor
    layout: Layout
    tags: Directory
    offset: int
    index: int
    notes: tuple[str, ...]

    def one(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag."""
        numbers = self.many(tag)
        return numbers[0] if numbers else default

    def many(self, tag: int) -> list[int]:
        """Return the whole numbers of a tag, none where it is absent; raises FormatError for NaN and infinite ones."""
        entry = self.tags.get(tag)
        numbers = entry.numbers(self.layout.order, most=1 << 16) if entry else ()
        if not all(map(math.isfinite, numbers)):
            raise FormatError(f"TIFF: the tag {tag} holds what is no number")
        return [int(number) for number in numbers]

    def text(self, tag: int) -> str:
        """Return the text of a tag, empty where it is absent."""
        entry = self.tags.get(tag)
        return entry.text() if entry else ""

    @property
    def dtype(self) -> np.dtype | None:
        """The type of its numbers, in the file's byte order; None where they cannot be read here."""
        code = _TYPES.get((self.one(_FORMAT, 1), self.one(_BITS, 1)))
        packed = self.one(_COMPRESSION, 1) not in _STORED + _DEFLATED or self.one(_PREDICTOR, 1) != 1
        if code is None or packed or self.one(_SAMPLES, 1) != 1 or self.one(_FILL_ORDER, 1) != 1:
            return None
        return np.dtype(self.layout.order + code)


def page_at(data: bytes, hints: ReadHints) -> Page:
    """Return the page that is asked for as a frame; raises FormatError where there is none."""
    layout = layout_of(data)
    if layout is None:
        raise FormatError("TIFF: does not begin like one", 0)
    cursor = Cursor(data, layout.order, "TIFF")
    offsets = directory_offsets(cursor, layout) or [layout.first(cursor)]
    place, notes = chosen_frame(hints, len(offsets))
    return Page(cursor, layout, read_directory(cursor, layout, offsets[place]), offsets[place], place, notes)


def decode(page: Page, dtype: np.dtype) -> np.ndarray:
    """Return the numbers (H W), which are of the page's `dtype`, in native byte order.

    Raises
    ------
    FormatError
        The page is damaged.
    TooLargeError
        It declares more than `MAX_PIXELS` pixels.
    """
    height, width = page.one(_HEIGHT, 0), page.one(_WIDTH, 0)
    if height * width > MAX_PIXELS or height * width * dtype.itemsize > _MOST_BYTES:
        raise TooLargeError(
            f"TIFF: {width} x {height} pixels of {dtype.itemsize} bytes; at most {MAX_PIXELS} pixels and "
            f"{_MOST_BYTES} bytes are decoded"
        )
    if height <= 0 or width <= 0:
        raise FormatError(f"TIFF: a picture of {width} x {height} pixels holds nothing")
    check_fits(page)
    found = np.zeros((height, width), dtype.newbyteorder("="))
    for y, x, block in _blocks(page, dtype, (height, width)):
        part = found[y : y + block.shape[0], x : x + block.shape[1]]
        part[:] = block[: part.shape[0], : part.shape[1]]
    return found


def check_fits(page: Page) -> None:
    """Check sizes before pixels get any memory or time.

    Raises
    ------
    FormatError
        No packing could hold the page's pixels in its file.
    TooLargeError
        Its tiles stand out so far over the picture that unpacking them would take minutes.
    """
    height, width, bits = page.one(_HEIGHT, 0), page.one(_WIDTH, 0), page.one(_BITS, 1)
    if height * width * bits // 8 > _MOST_RATIO * len(page.cursor):
        raise FormatError(f"TIFF: {width} x {height} pixels cannot lie in a file of {len(page.cursor)} bytes")
    if _TILES in page.tags:
        high, wide = max(1, page.one(_TILE_HEIGHT, 0)), max(1, page.one(_TILE_WIDTH, 0))
        tiles = -(-height // high) * -(-width // wide)
        if tiles * high * wide * bits // 8 > 2 * _MOST_BYTES:
            raise TooLargeError(f"TIFF: {tiles} tiles of {wide} x {high} for {width} x {height} pixels")


def _blocks(page: Page, dtype: np.dtype, size: tuple[int, int]) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield each strip or tile of a page of `size` (height, width) with the place of its upper left corner."""
    height, width = size
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
    for (y, x), offset, length in zip(places, offsets, sizes, strict=True):
        rows = high if _TILES in page.tags else min(high, height - y)
        raw = _unpacked(page, offset, length, rows * wide * dtype.itemsize)
        yield y, x, np.frombuffer(raw, dtype, rows * wide).reshape(rows, wide)


def _unpacked(page: Page, offset: int, length: int, needed: int) -> bytes:
    """Return at least the `needed` bytes of a strip or tile."""
    raw = page.cursor.take(offset, length)
    if page.one(_COMPRESSION, 1) in _DEFLATED:
        try:
            # Bounded: a few bytes may claim to unpack to gigabytes.
            raw = zlib.decompressobj().decompress(raw, needed)
        except zlib.error as error:
            raise page.cursor.error(f"damaged deflate data ({error})", offset) from error
    if len(raw) < needed:
        raise page.cursor.error(f"{len(raw)} bytes of pixels; {needed} are needed", offset)
    return raw
