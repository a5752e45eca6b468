"""DJI R-JPEG and InfiRay IJPEG files as the tests write them."""

from __future__ import annotations

import struct

import numpy as np

from thermal_files import encoded, exif_block, segment

XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"


def xmp(**values: str) -> bytes:
    """Return an APP1 segment with DJI's properties as attributes."""
    attributes = "\n".join(f'drone-dji:{name}="{value}"' for name, value in values.items())
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {attributes}/></rdf:RDF></x:xmpmeta>'
    return segment(0xE1, XMP_PREFIX + packet.encode())


def dji(
    counts: np.ndarray | None = None, *, model: str = "M30T", packet: bytes = b"", preview: bytes | None = None
) -> bytes:
    """Return a JPEG of a DJI camera with uint16 counts and padding in APP3 segments of 12 kB.

    The counts' height and width (u16) stand before them: that is the tests' own layout, which no real reader knows.
    """
    counts = np.arange(4600, 4612, dtype=np.uint16).reshape(3, 4) if counts is None else counts
    raw = struct.pack("<HH", *counts.shape) + counts.astype("<u2").tobytes()
    raw = raw.ljust(24_000, b"\0")
    picture = encoded(np.arange(64, dtype=np.uint8).reshape(8, 8), "JPEG") if preview is None else preview
    parts = b"".join(segment(0xE3, raw[start : start + 12_000]) for start in range(0, len(raw), 12_000))
    head = segment(0xE1, b"Exif\0\0" + exif_block(maker="DJI", model=model))
    return b"\xff\xd8" + head + packet + parts + picture.removeprefix(b"\xff\xd8")


def ijpeg(counts: np.ndarray, *, scene: tuple[float, ...] = (25.0, 0.25, 0.99, 0.5, 22.0), part: int = 100) -> bytes:
    """Return an IJPEG of uint16 counts (H W): sizes in APP2, a grey plane and the counts in APP3, the scene in APP5."""
    height, width = counts.shape
    header = bytearray(80)
    header[4:10] = b"IJPEG\0"
    for place in (0x20, 0x30):
        struct.pack_into("<QHHH", header, place, 2 * counts.size, 0, width, 2 * height)
    planes = bytes([7, 128]) * counts.size + counts.astype("<u2").tobytes()
    parts = b"".join(segment(0xE3, planes[start : start + part]) for start in range(0, len(planes), part))
    picture = encoded(np.zeros((8, 8), np.uint8), "JPEG").removeprefix(b"\xff\xd8")
    scene_part = segment(0xE5, struct.pack("<5f", *scene).ljust(42, b"\0"))
    return b"\xff\xd8" + segment(0xE2, bytes(header)) + parts + scene_part + picture
