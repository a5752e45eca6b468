"""HIKMICRO and Hikvision: counts or °C behind the pictures of a JPEG file.

Layouts as in the MIT-licensed ThermoVision_JoeC (``UC_Dev_HikVision.cs``), github.com/Quadricopter/hikmicro (B10S)
and github.com/Higomon/hikmicropy (Pocket2), read anew; those agree. All numbers are little-endian.

- *Counts*: the block ``HDRI`` behind the last picture: 28 hex at 4, width and height (32 bits) at 12 and 16, number
  of bytes at 20 (pixels and 1024 more), 16-bit counts from 44. How the camera turns these into degrees is not known.
  The last 8 of the 1024 bytes hold the highest and the lowest temperature of the picture, so that what lies between
  can be estimated (`isotherm.radiometry.two_point`). The block ``HIPT`` holds emissivity at 40, ambient temperature
  [°C] at 44, humidity [%] at 48, reflected temperature [°C] at 60.
- *Temperatures*: width 160 and height 120 (16 bits), 32-bit floats in °C from 18. Nothing marks this block but its
  size, so that only 19,200 numbers that all can be temperatures are taken for it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isotherm.core.capture import VisualPhoto
from isotherm.core.errors import FormatError
from isotherm.core.scene import ZERO_CELSIUS_K, Scene, assumed_scene
from isotherm.core.thermogram import Calibration, Camera, Counts, Thermogram
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import read_exif
from isotherm.formats.experimental import NOTE, plane, plausible, scene_of, to_k
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.formats.scaling import hinted
from isotherm.formats.unused_hints import not_used
from isotherm.radiometry.linear import TO_KELVIN, stored_temperatures
from isotherm.radiometry.two_point import TwoPointCalibration

_COUNTS_HEAD, _PARAMETERS_HEAD = b"HDRI\x28", b"HIPT"
_COUNTS, _TRAILER, _EXTREMES = 44, 1024, 1016
_FLOATS_HEAD, _FLOATS, _FLOATS_SIZE = struct.pack("<2H", 160, 120), 18, (120, 160)
_MOST_SIDE, _MOST_HITS = 4096, 64
# Every JPEG file is asked: a compiled pattern finds two bytes seven times as fast as bytes.find.
_JPEG_END = re.compile(rb"\xff\xd9")


@dataclass(frozen=True)
class _Found:
    """Which block was found, where, and where the first picture of the file ends."""

    floats: bool
    place: int
    picture_end: int


class HikvisionReader:
    """°C where the file holds them; else counts, whose temperatures are an estimate or unknown."""

    name = "hikvision"
    card = FormatCard(
        makers="HIKMICRO, Hikvision",
        suffixes=".jpg .jpeg",
        numbers="°C, or counts between the lowest and the highest temperature (estimated)",
        evidence="experimental",
        hints=("step", "offset", "unit", "scale"),
        extras=("photo",),
        source="ThermoVision_JoeC (UC_Dev_HikVision.cs); Quadricopter/hikmicro; Higomon/hikmicropy",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether one of the two blocks stands behind the picture of a JPEG file."""
        return _find(data) is not None

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode counts or °C; of counts without known ends only the order of the temperatures is known."""
        found = _find(data)
        if found is None:
            raise FormatError("no HIKMICRO or Hikvision thermal block in this file", 0)
        whole = Cursor(data, "<", "Hikvision block")
        block = whole.part(found.place, len(data) - found.place, "Hikvision block")
        counts, calibration, notes = _floats(block, hints) if found.floats else _counts(block, hints)
        scene, more = _scene(data, found.picture_end)
        exif = jpeg.exif_block(data)
        camera = read_exif(exif).camera
        return Thermogram(
            counts=counts,
            calibration=calibration,
            scene=scene,
            format=self.name,
            camera=camera if camera.maker else Camera(maker="Hikvision"),
            notes=(NOTE, *notes, *more),
            exif=exif,
            visual=_photo(data, found),
        )


def _find(data: bytes) -> _Found | None:
    end = _picture_end(data)
    if end is None:
        return None
    place = next((place for place in _hits(data, _COUNTS_HEAD, end) if _can_hold_counts(data, place)), None)
    if place is not None:
        return _Found(floats=False, place=place, picture_end=end)
    place = next((place for place in _hits(data, _FLOATS_HEAD, end) if _can_hold_floats(data, place)), None)
    return None if place is None else _Found(floats=True, place=place, picture_end=end)


def _picture_end(data: bytes) -> int | None:
    """Return where the first picture of a JPEG file ends; None where it does not."""
    if not data.startswith(jpeg.SIGNATURE):
        return None
    start = max((item.offset + len(item.payload) for item in jpeg.segments(data)), default=2)
    # In the picture's own data a byte FF is always followed by 00 or a restart marker.
    found = _JPEG_END.search(data, start)
    return found.end() if found else None


def _hits(data: bytes, head: bytes, start: int) -> Iterator[int]:
    place = data.find(head, start)
    for _ in range(_MOST_HITS):
        if place < 0:
            return
        yield place
        place = data.find(head, place + 1)


def _can_hold_counts(data: bytes, place: int) -> bool:
    if place + _COUNTS > len(data):
        return False
    return all(0 < side <= _MOST_SIDE for side in struct.unpack_from("<2I", data, place + 12))


def _can_hold_floats(data: bytes, place: int) -> bool:
    height, width = _FLOATS_SIZE
    if place + _FLOATS + 4 * height * width > len(data):
        return False
    return plausible(np.frombuffer(data, "<f4", height * width, place + _FLOATS).reshape(_FLOATS_SIZE))


def _floats(block: Cursor, hints: ReadHints) -> tuple[Counts, Calibration, tuple[str, ...]]:
    unused = tuple(name for name in hints.given() if name in HikvisionReader.card.hints)
    notes = not_used(unused, "this file holds °C")
    return plane(block, _FLOATS, _FLOATS_SIZE, "<f4"), stored_temperatures("c"), notes


def _counts(block: Cursor, hints: ReadHints) -> tuple[Counts, Calibration | None, tuple[str, ...]]:
    counts = plane(block, _COUNTS, (block.u32(16), block.u32(12)), "<u2")
    if hints.step is not None:
        meaning = hinted(hints)
        spare = not_used(("scale",) if hints.scale else (), "--step is")
        return counts, meaning.calibration, (*meaning.notes, *spare)
    ends_k, source = _hinted_ends_k(hints), "the given ends of the scale"
    if ends_k is None:
        ends_k, source = _recorded_ends_k(block, counts.nbytes), "the lowest and highest temperature in the file"
    low, high = int(counts.min()), int(counts.max())
    if ends_k is None or low == high:
        return counts, None, ("its counts are not turned into temperatures: their curve is not known (give --scale)",)
    calibration = TwoPointCalibration(low, high, *ends_k)
    unit = not_used(("unit",) if hints.unit and not hints.scale_ends() else (), "no --scale or --step is given")
    return counts, calibration, (_estimate_note(calibration, source), *unit)


def _hinted_ends_k(hints: ReadHints) -> tuple[float, float] | None:
    ends = hints.scale_ends()
    if ends is None:
        return None
    slope, zero = TO_KELVIN[hints.unit or "c"]
    return ends[0] * slope + zero, ends[1] * slope + zero


def _recorded_ends_k(block: Cursor, size: int) -> tuple[float, float] | None:
    """Return the lowest and the highest temperature [K] at the end of the trailer; None where they make no sense."""
    if len(block) < _COUNTS + size + _TRAILER:
        return None
    high, low = (block.f32(_COUNTS + size + place) for place in (_EXTREMES, _EXTREMES + 4))
    return (to_k(low), to_k(high)) if -100 <= low < high <= 2500 else None


def _estimate_note(calibration: TwoPointCalibration, source: str) -> str:
    ends = " to ".join(f"{kelvin - ZERO_CELSIUS_K:.1f}" for kelvin in (calibration.low_k, calibration.high_k))
    return (
        f"temperatures estimated: the counts are taken as radiance between {source} ({ends} °C); "
        f"standard uncertainty {calibration.typical_sigma_k:.2g} K, because the camera's own curve is not known"
    )


def _scene(data: bytes, start: int) -> tuple[Scene, tuple[str, ...]]:
    for place in _hits(data, _PARAMETERS_HEAD, start):
        if place + 64 > len(data):
            break
        emissivity, ambient_c, humidity, reflected_c = struct.unpack_from("<3f8xf", data, place + 40)
        if 0.01 <= emissivity <= 1:
            return scene_of(
                {
                    "emissivity": emissivity,
                    "atmosphere_k": to_k(ambient_c),
                    "humidity": humidity / 100,
                    "reflected_k": to_k(reflected_c),
                }
            )
    return assumed_scene(), ()


def _photo(data: bytes, found: _Found) -> VisualPhoto | None:
    """Return the second picture of the file, which is the photo."""
    start = data.find(jpeg.SIGNATURE, found.picture_end)
    # Behind a block of temperatures the photo may follow.
    if start < 0 or not (start < found.place or found.floats):
        return None
    end = _picture_end(data[start:])
    return None if end is None else VisualPhoto(data[start : start + end])


READER = HikvisionReader()
