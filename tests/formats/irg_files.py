"""IRG files as the tests write them."""

from __future__ import annotations

import struct

import numpy as np


def irg(
    counts: np.ndarray,
    *,
    magic: bytes = b"\xca\xac",
    emissivity: float = 0.95,
    distance_m: float = 0.25,
    photo: bytes = b"",
    flag: int = 0,
    high_gain: int = 1,
) -> bytes:
    """Return an IRG file of uint16 counts (H W): header of 128 bytes, coarse picture, counts, photo."""
    height, width = counts.shape
    header = bytearray(128)
    header[:2], header[-2:] = magic, b"\xac\xca"
    struct.pack_into("<H", header, 2, len(header))
    struct.pack_into("<IHHB", header, 4, height * width, height, width, flag)
    struct.pack_into("<IHHB", header, 13, 2 * height * width, height, width, 1)
    struct.pack_into("<IHH", header, 22, len(photo), height, width)
    struct.pack_into("<I", header, 30, round(emissivity * 1e4))
    struct.pack_into("<III", header, 34, 2_730_000, 2_730_000, round(distance_m * 1e4))
    struct.pack_into("<I", header, 74, high_gain)
    coarse = (counts >> 8).astype(np.uint8)
    return bytes(header) + coarse.tobytes() + counts.astype("<u2").tobytes() + photo
