"""FLIR records beside pixels and calibration, JPEG-LS frames, FPF and HCC files, as tests write them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pillow_jpls  # noqa: F401 (tells Pillow of JPEG-LS)
from PIL import Image

from thermal_files import FlirFile, encoded

PHOTO, TOOLS, PALETTE, PICTURE_IN_PICTURE = 0x0E, 0x21, 0x22, 0x2A


@dataclass
class JpegLsFrame(FlirFile):
    """A frame of a CSQ file: counts packed as JPEG-LS."""

    def raw_record(self) -> bytes:
        height, width = self.counts.shape
        return struct.pack("<3H", 2, width, height).ljust(32, b"\0") + jpeg_ls(self.counts)


def jpeg_ls(counts: np.ndarray) -> bytes:
    """Return counts as JPEG-LS without a SPIFF header, as cameras write it."""
    return encoded(Image.fromarray(counts.astype(np.uint16)), "JPEG-LS", spiff=None)


def photo_record(data: bytes, height: int, width: int) -> tuple[int, bytes]:
    return PHOTO, struct.pack("<3H", 3, width, height).ljust(32, b"\0") + data


def pip_record(wider: float, offset_x: int, offset_y: int) -> tuple[int, bytes]:
    return PICTURE_IN_PICTURE, struct.pack("<f6h", wider, offset_x, offset_y, 0, 15, 0, 11).ljust(64, b"\0")


def palette_record(levels: np.ndarray, name: str) -> tuple[int, bytes]:
    """Return a palette of luma, red and blue difference (K 3)."""
    head = bytearray(0x70)
    head[0] = len(levels)
    head[0x50 : 0x50 + len(name)] = name.encode()
    return PALETTE, bytes(head) + levels.astype(np.uint8).tobytes()


def tools_record(*tools: tuple[int, tuple[int, ...], str], order: str = "<") -> tuple[int, bytes]:
    """Return measurement tools, each as kind, coordinates and label; the last one says that none follows."""
    body = b""
    for number, (kind, coordinates, label) in enumerate(tools):
        text = (label + "\0").encode("utf-16-le" if order == "<" else "utf-16-be")
        block = bytearray(0x24) + struct.pack(f"{order}{len(coordinates)}h", *coordinates) + text
        step = 0 if number == len(tools) - 1 else len(block)
        struct.pack_into(order + "6H", block, 0, step, 0x100, 2 * len(coordinates), len(text), 0, kind)
        body += bytes(block)
    return TOOLS, struct.pack(order + "6H", 1, 12, 36, 0, 0, 0) + body


def fpf(values: np.ndarray, *, kind: int = 0, order: str = "<", emissivity: float = 0.9) -> bytes:
    """Return an FPF file of the numbers (H W), written as FLIR's header file describes it."""
    code = {"int16": 0, "int32": 1, "float32": 2, "float64": 3}[values.dtype.name]
    height, width = values.shape
    head = bytearray(892)
    head[:23] = b"FPF Public Image Format"
    struct.pack_into(order + "IIHHHH", head, 0x20, 2, 892, kind, code, width, height)
    head[0x78:0x80] = b"SC 3000X"
    scene = (emissivity, 2.5, 295.0, 290.0, 0.4, 0.0, 0.0, 0.0, 294.0, 1.0)
    struct.pack_into(order + "10f", head, 0x1E0, *scene)
    struct.pack_into(order + "7I", head, 0x248, 2009, 5, 14, 13, 7, 9, 42)
    return bytes(head) + values.astype(values.dtype.newbyteorder(order)).tobytes()


def hcc_frame(
    counts: np.ndarray, *, number: int = 0, mode: int = 2, offset_k: float = 273.15, exponent: int = -8
) -> bytes:
    """Return one frame of a Telops recording of 50 Hz (header version 12.7)."""
    height, width = counts.shape
    head = bytearray(4 * width)
    head[:4] = b"TC\x07\x0c"
    struct.pack_into("<H2xIfb", head, 4, 4 * width, number, offset_k, exponent)
    struct.pack_into("<B", head, 28, mode)
    struct.pack_into("<HH", head, 32, width, height)
    struct.pack_into("<I", head, 44, 50_000)
    return bytes(head) + counts.astype("<u2").tobytes()
