"""The segments of a JPEG file, walked from marker to marker and never searched for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\xff\xd8\xff"
APP1, APP2, APP3, APP4, COMMENT = 0xE1, 0xE2, 0xE3, 0xE4, 0xFE
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
EXIF_PREFIX = b"Exif\0\0"


@dataclass(frozen=True)
class Segment:
    """One marker segment: ``offset`` is that of its payload in the file."""

    marker: int
    offset: int
    payload: bytes


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments before the picture's data; stops quietly where the chain is broken.

    The preview picture of a thermal file is often damaged or cut short; its metadata must not suffer for that.
    """
    for marker, place, length in _chain(data):
        if place + length <= len(data):
            yield Segment(marker, place, data[place : place + length])


def torn(data: bytes) -> Segment | None:
    """Return what is there of the segment in which the file ends before its picture's data; None where it does not."""
    for marker, place, length in _chain(data):
        if place + length > len(data):
            return Segment(marker, place, data[place:])
    return None


def _chain(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, place and declared length of each segment's payload; the last may reach over the end."""
    place = 2 if data.startswith(SIGNATURE) else len(data)
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in (_START_OF_SCAN, _END):
            return
        else:
            length = int.from_bytes(data[place + 2 : place + 4], "big")
            if length < 2:
                return
            yield marker, place + 4, length - 2
            place += 2 + length


def exif_block(data: bytes) -> bytes:
    """Return the EXIF block (TIFF structure) of a JPEG file, empty where there is none."""
    for segment in segments(data):
        if segment.marker == APP1 and segment.payload.startswith(EXIF_PREFIX):
            return segment.payload[len(EXIF_PREFIX) :]
    return b""
