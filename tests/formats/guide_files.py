"""Guide TP8 files as the tests write them."""

from __future__ import annotations

import struct

import numpy as np

from thermal_files import encoded

TEMPERATURES, PHOTO = 209_536, 430_720


def guide(counts: np.ndarray | None = None, *, photo_size: tuple[int, int] = (4, 3)) -> bytes:
    """Return a JPEG of 384 x 288 with int16 counts at byte 209536 and a small BMP, rows from the top, behind them."""
    if counts is None:
        counts = np.linspace(-373, 2615, 288 * 384).astype("<i2").reshape(288, 384)
    return camera_jpeg().ljust(TEMPERATURES, b"\0") + counts.astype("<i2").tobytes() + bmp(*photo_size)


def camera_jpeg() -> bytes:
    """Return a JPEG of 384 x 288 with the segment APP1 of thirteen bytes 255 that the camera writes behind APP0."""
    picture = encoded(np.zeros((288, 384), np.uint8), "JPEG")
    return picture[:20] + b"\xff\xe1\0\x0f" + b"\xff" * 13 + picture[20:]


def bmp(width: int, height: int) -> bytes:
    """Return a BMP of 16 bits a pixel as the camera writes it: wrong header size, wrong sign of the height.

    Its first row is red, the others are green.
    """
    row = np.full((height, width + width % 2), 0x07E0, "<u2")
    row[0] = 0xF800
    body = row.tobytes() + b"\0\0"
    head = struct.pack("<2sIHHI", b"BM", 70 + len(body), 0, 0, 70)
    head += struct.pack("<IiiHHIIiiII", 58, width, height, 1, 16, 3, len(body), 2834, 2834, 0, 0)
    return head + struct.pack("<4I", 0xF800, 0x07E0, 0x1F, 0) + body
