"""Guide TP8 and TP8S: a JPEG of the thermal picture, and behind it temperatures and a photo at fixed places.

The places were found in two files of a TP8S (no public document): 288 x 384 signed 16-bit numbers at byte 209536, and a
BMP of 16 bits a pixel at byte 430720. That the numbers are tenths of a degree Celsius is inferred: sky, ambient and hot
spots come out right, and they follow the picture's brightness, but no read-out of a camera was at hand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isotherm.core.capture import Alignment, VisualPhoto
from isotherm.core.errors import FormatError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.radiometry.linear import linear

ROWS, COLUMNS = 288, 384
TEMPERATURES = 209_536
PHOTO = TEMPERATURES + 2 * ROWS * COLUMNS
_STEP_C = 0.1
_LARGEST_PHOTO = 64 * 1024 * 1024
# The camera's JPEG has a segment APP1 of nothing but these.
_MARK = b"\xff" * 13
# Where the edges of a power line's tower agree best in one file (correlation 0.53; 0.19 where the pictures are only
# centred). The camera stores no alignment, and near objects lie elsewhere.
_ALIGNMENT = Alignment(1.28, 1.28, 104.0, 26.0, "fitted to a far scene of one TP8S")


class GuideReader:
    """Temperatures in tenths of a degree as the camera computed them, and its photo."""

    name = "guide"
    card = FormatCard(
        makers="Guide TP8, TP8S",
        suffixes=".jpg",
        numbers="0.1 °C a count (inferred)",
        evidence="inferred",
        extras=("photo", "alignment"),
        source="two files of a TP8S; unit and sign inferred",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether a JPEG of 384 x 288 pixels has a BMP at the photo's place, or is the camera's and ends before."""
        return (data[PHOTO : PHOTO + 2] == b"BM" or _cut(data)) and _framed(data)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's signature)
        """Decode the temperatures and the photo."""
        cursor = Cursor(data, "<", "Guide file")
        if len(data) < PHOTO:
            raise cursor.error(f"cut short: the temperatures reach to byte {PHOTO}", len(data))
        if not b"BM".startswith(data[PHOTO : PHOTO + 2]):
            raise cursor.error("no BMP behind the temperatures", PHOTO)
        raw = cursor.take(TEMPERATURES, 2 * ROWS * COLUMNS)
        return Thermogram(
            counts=np.frombuffer(raw, "<i2").astype(np.int16).reshape(ROWS, COLUMNS),
            calibration=replace(linear(_STEP_C, 0.0, "c"), kind="vendor"),
            scene=assumed_scene(),
            format=self.name,
            camera=Camera(maker="Guide", model="TP8"),
            visual=_photo(cursor),
            notes=("unit (0.1 °C) and sign of the temperatures are inferred: no camera read-out was there to check",),
        )


def _cut(data: bytes) -> bool:
    """Say whether this is the begin of a camera's file, cut before its photo; its JPEG alone is a whole picture."""
    marked = (segment.marker == jpeg.APP1 and segment.payload == _MARK for segment in jpeg.segments(data))
    return len(data) < PHOTO + 2 and any(marked) and not data.endswith(b"\xff\xd9")


def _framed(data: bytes) -> bool:
    """Say whether the JPEG's frame header declares the size of the temperatures."""
    for segment in jpeg.segments(data):
        if segment.marker in (0xC0, 0xC1, 0xC2) and len(segment.payload) >= 5:
            height, width = (int.from_bytes(segment.payload[place : place + 2], "big") for place in (1, 3))
            return (height, width) == (ROWS, COLUMNS)
    return False


def _photo(cursor: Cursor) -> VisualPhoto | None:
    """Return the photo as a BMP that picture libraries read; None where it is cut short, for it decides no pixel."""
    try:
        length = cursor.u32(PHOTO + 2)
        data = cursor.take(PHOTO, length) if 70 <= length <= _LARGEST_PHOTO else b""
    except FormatError:
        return None
    if not data:
        return None
    width, height = (abs(Cursor(data, "<", "Guide photo").i32(place)) for place in (18, 22))
    return VisualPhoto(_corrected(data), alignment=_ALIGNMENT if (width, height) == (640, 480) else None)


def _corrected(bmp: bytes) -> bytes:
    """Return the BMP with what its header should say.

    The camera writes 58 as the size of a header of 56 bytes (BITMAPV3INFOHEADER), and a positive height (rows from the
    bottom up) where its rows run from the top down, as the thermal picture shows.
    """
    head = bytearray(bmp[:70])
    size, height = int.from_bytes(head[14:18], "little"), int.from_bytes(head[22:26], "little", signed=True)
    if size == 58:
        head[14:18] = (56).to_bytes(4, "little")
    if height > 0:
        head[22:26] = (-height).to_bytes(4, "little", signed=True)
    return bytes(head) + bmp[70:]


READER = GuideReader()
