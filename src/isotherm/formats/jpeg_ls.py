"""JPEG-LS pictures of one 16-bit channel (ISO/IEC 14495-1): the size is checked here, the samples decoded by CharLS."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt16

from isotherm.core.errors import TooLargeError
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.raster import open_picture, pixels
from isotherm.formats.reader import MAX_PIXELS

_FRAME, _END = 0xFFF7, b"\xff\xd9"
_MOST_SEGMENTS = 16


def declared_size(block: Cursor) -> tuple[int, int]:
    """Return height and width [px] of the picture at the start of `block` (big-endian).

    Raises
    ------
    FormatError
        It is no JPEG-LS picture of one channel with 9 to 16 bits, or its headers are damaged.
    TooLargeError
        It declares more than `MAX_PIXELS` pixels.
    """
    if block.take(0, 3) != jpeg.SIGNATURE:
        raise block.error("does not begin like a JPEG-LS picture", 0)
    place = 2
    for _ in range(_MOST_SEGMENTS):
        marker, length = block.u16(place), block.u16(place + 2)
        if marker == _FRAME:
            return _frame_size(block.part(place + 4, max(length, 2) - 2, block.what))
        # Application segments (0xffe0..0xffef, SPIFF) may come first, and nothing else.
        if marker & 0xFFF0 != 0xFFE0 or length < 2:
            raise block.error(f"marker 0x{marker:04x} where the frame header (0xfff7) should be", place)
        place += 2 + length
    raise block.error("no frame header (0xfff7)", place)


def _frame_size(frame: Cursor) -> tuple[int, int]:
    """Return height and width from a frame header: bits, height, width, number of channels."""
    bits, channels = frame.take(0, 1)[0], frame.take(5, 1)[0]
    height, width = frame.u16(1), frame.u16(3)
    if channels != 1 or not 8 < bits <= 16:
        raise frame.error(f"{channels} channels of {bits} bits; one of 9 to 16 bits is needed", 0)
    if height * width == 0:
        raise frame.error(f"{width} x {height} pixels hold nothing", 1)
    if height * width > MAX_PIXELS:
        raise TooLargeError(f"{width} x {height} pixels; at most {MAX_PIXELS} are decoded", frame.place(1))
    return height, width


def decode(block: Cursor) -> UInt16[np.ndarray, "H W"]:
    """Return the samples of the picture at the start of `block`; raises FormatError where it is damaged."""
    # The import tells Pillow of the format.
    import pillow_jpls  # noqa: F401

    size = declared_size(block)
    # A stream without an end sends CharLS counting zeros for seconds: it gets one, behind its own where it has that.
    image = open_picture(block.data + _END, block.what, ("JPEG-LS",))
    if image.mode != "I;16" or image.size != size[::-1]:
        raise block.error(f"{image.size[0]} x {image.size[1]} pixels of mode {image.mode} were found", 0)
    return pixels(image, block.what).astype(np.uint16)
