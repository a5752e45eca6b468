"""Testo BMT: a BMP picture, and behind it records, one of which holds °C as 32-bit floats.

Layout as in the MIT-licensed ThermoVision_JoeC (``UC_Dev_Testo.cs``), whose comments list the heads of 25 real files;
from those heads the fields here are read anew. Two kinds of record hold a picture, both with 32-bit floats from the
upper left pixel on:

- *measured* (testo 880): length 58 at 0, ends of the camera's colour scale at 30 and 34, emissivity at 38, width and
  height (16 bits) at 42 and 44, highest and lowest temperature with their places at 46 and 54, 1 at 62, the number of
  bytes at 66, the floats at 70;
- *plain* (testo 570, 885): kind 28 at 0, number of bytes (or 12) at 4, width and height (32 bits) at 8 and 12, floats
  at 16.

A question on the web gives the place of the first float in a file of 160 x 120 pixels, which agrees: the picture ends
where the file ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float32

from isotherm.core.capture import VisualPhoto
from isotherm.core.errors import FormatError
from isotherm.core.scene import Scene
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats.cursor import Cursor
from isotherm.formats.experimental import NOTE, PLAUSIBLE_C, extremes_note, plane, plausible, scene_of
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.radiometry.linear import stored_temperatures

_BMP = b"BM"
_BMP_HEADER = 54
_MEASURED, _PLAIN = struct.pack("<I", 58), struct.pack("<I", 28)
_MOST_HITS, _MOST_LOOKS = 10_000, 8
_MOST_SIDE = 4096
_STEP_C = 0.01
# A pixel that holds a small whole number in place of a float has no temperature.
_LEAST_FLOAT = np.float32(2e-43)


@dataclass(frozen=True)
class _Record:
    """Where a record starts, where its floats start and end, and their (height, width)."""

    start: int
    floats: int
    end: int
    size: tuple[int, int]
    measured: bool


class TestoReader:
    """°C as the camera computed them with the emissivity that is kept in the scene."""

    __test__ = False
    name = "testo"
    card = FormatCard(
        makers="Testo",
        suffixes=".bmt",
        numbers="°C",
        evidence="experimental",
        extras=("photo",),
        source="ThermoVision_JoeC (UC_Dev_Testo.cs)",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether this is a BMP picture with a record of temperatures behind it."""
        return data.startswith(_BMP) and _record(data) is not None

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's form)
        """Decode the temperatures; of several records that hold a picture the last."""
        record = _record(data)
        if not data.startswith(_BMP) or record is None:
            raise FormatError("no Testo temperatures behind a BMP picture", 0)
        cursor = Cursor(data, "<", "Testo BMT")
        celsius, notes = _celsius(cursor, record)
        scene, more = _scene(cursor, record)
        return Thermogram(
            counts=celsius,
            calibration=stored_temperatures("c"),
            scene=scene,
            format=self.name,
            camera=Camera(maker="Testo"),
            display_span=_span(cursor, record),
            notes=(NOTE, *notes, *more, *_extremes_note(cursor, record, celsius)),
            visual=_photo(data, record),
        )


def _record(data: bytes) -> _Record | None:
    """Return the last record that holds a picture whose numbers can be temperatures; None where there is none."""
    for head, check in ((_PLAIN, _plain), (_MEASURED, _measured)):
        records = filter(None, (check(data, place) for place in _from_the_end(data, head)))
        # To look at all numbers of a record takes time: a file made of heads alone must not take hours.
        for record in islice(records, _MOST_LOOKS):
            if _believable(data, record):
                return record
    return None


def _from_the_end(data: bytes, head: bytes) -> Iterator[int]:
    """Yield the places of `head` behind the BMP picture, the last one first."""
    start, place = _picture_end(data), len(data)
    for _ in range(_MOST_HITS):
        place = data.rfind(head, start, place + len(head) - 1)
        if place < 0:
            return
        yield place


def _picture_end(data: bytes) -> int:
    declared = int.from_bytes(data[2:6], "little")
    return declared if _BMP_HEADER <= declared < len(data) else _BMP_HEADER


def _plain(data: bytes, place: int) -> _Record | None:
    if place + 16 > len(data):
        return None
    length, width, height = struct.unpack_from("<3I", data, place + 4)
    size = 4 * width * height
    if length not in (12, size + 8):
        return None
    return _fitting(data, _Record(place, place + 16, place + 16 + size, (height, width), measured=False))


def _measured(data: bytes, place: int) -> _Record | None:
    if place + 70 > len(data):
        return None
    width, height = struct.unpack_from("<2H", data, place + 42)
    one, size = struct.unpack_from("<2I", data, place + 62)
    if one != 1 or size != 4 * width * height:
        return None
    return _fitting(data, _Record(place, place + 70, place + 70 + size, (height, width), measured=True))


def _fitting(data: bytes, record: _Record) -> _Record | None:
    fits = record.end <= len(data) and all(0 < side <= _MOST_SIDE for side in record.size)
    return record if fits else None


def _believable(data: bytes, record: _Record) -> bool:
    numbers = np.frombuffer(data, "<f4", count=record.size[0] * record.size[1], offset=record.floats)
    return plausible(numbers.reshape(record.size))


def _celsius(cursor: Cursor, record: _Record) -> tuple[Float32[np.ndarray, "H W"], tuple[str, ...]]:
    numbers = plane(cursor, record.floats, record.size, "<f4")
    empty = (numbers > 0) & (numbers < _LEAST_FLOAT)
    numbers[empty] = np.nan
    lost = int(np.count_nonzero(empty))
    return numbers, ((f"{lost} px hold no temperature",) if lost else ())


def _scene(cursor: Cursor, record: _Record) -> tuple[Scene, tuple[str, ...]]:
    return scene_of({"emissivity": cursor.f32(record.start + 38)} if record.measured else {})


def _span(cursor: Cursor, record: _Record) -> tuple[float, float] | None:
    if not record.measured:
        return None
    low, high = cursor.f32(record.start + 30), cursor.f32(record.start + 34)
    return (low, high) if PLAUSIBLE_C[0] <= low < high <= PLAUSIBLE_C[1] else None


def _extremes_note(cursor: Cursor, record: _Record, celsius: Float32[np.ndarray, "H W"]) -> tuple[str, ...]:
    if not record.measured:
        return ()
    recorded_c = cursor.f32(record.start + 54), cursor.f32(record.start + 46)
    return extremes_note(celsius, recorded_c, step_c=_STEP_C)


def _photo(data: bytes, record: _Record) -> VisualPhoto | None:
    """Return the photo, a JPEG or a second BMP, that stands between the picture and the record, or behind it."""
    for start, end in ((_picture_end(data), record.start), (record.end, len(data))):
        found = _jpeg(data, start, end) or _bmp(data, start, end)
        if found:
            return VisualPhoto(found)
    return None


def _jpeg(data: bytes, start: int, end: int) -> bytes:
    first = data.find(b"\xff\xd8\xff", start, end)
    last = data.rfind(b"\xff\xd9", first, end)
    return data[first : last + 2] if 0 <= first < last else b""


def _bmp(data: bytes, start: int, end: int) -> bytes:
    place = data.find(_BMP, start, end)
    for _ in range(_MOST_HITS):
        if place < 0:
            break
        size, pixels = (int.from_bytes(data[place + at : place + at + 4], "little") for at in (2, 10))
        if _BMP_HEADER <= pixels < size <= end - place:
            return data[place : place + size]
        place = data.find(_BMP, place + 1, end)
    return b""


READER = TestoReader()
