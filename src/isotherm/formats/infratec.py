"""InfraTec IRB: blocks in a directory; a picture is a table of 256 temperatures and 16-bit positions in it.

Layout as in the MIT-licensed ThermoVision_JoeC (``UC_Dev_VarioCam.cs``, after
github.com/tomsoftware/Irbis-File-Format) and the Apache-licensed github.com/jonathanschilling/irb, read anew. All
numbers are little-endian. File: ``FF I R B 00`` at 0, type at 5, offset and number of the directory's entries at 25
and 29; an entry of 32 bytes has its kind at 0 (1 picture, 4 more entries), the offset of its block at 12 and its size
at 16. Picture: bytes a pixel, compression, width, height (16 bits each) at 0, emissivity at 24, distance at 28,
ambient temperature at 32, temperature of the path at 40, the table at 60, calibrated range at 1176 and 1180, names of
camera and lens, pixels at 1728.

A pixel is a position p in the table, high byte and low byte: ``kelvin = table[p // 256]``, and a part ``p % 256 /
256`` of the way to the next entry. (ThermoVision divides by 255, which would leave a step of one 255th at each
entry.) Without compression low and high byte stand side by side; with compression 1 all low bytes come first, then
the high bytes as pairs (how often, which). Compression 2 is not known to anybody.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats.cursor import Cursor
from isotherm.formats.experimental import NOTE, plane, scene_of
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.radiometry.linear import stored_temperatures

_MAGIC = b"\xffIRB\0"
_ENTRY, _MOST_ENTRIES = 32, 100_000
_PICTURE, _MORE = 1, 4
_TABLE, _PIXELS = 60, 0x6C0
_MOST_PIXELS = 16_000_000
"""Five times what the largest camera has; the run lengths of a picture are unpacked in memory."""
_RANGE = (1176, 1180)
# The camera's clock has no zone.
_NO_TIME = datetime(1899, 12, 30)


class InfraTecReader:
    """Kelvin as the camera computed them; the scene is kept and changes nothing."""

    name = "infratec"
    card = FormatCard(
        makers="InfraTec VarioCAM, ImageIR (IRBIS)",
        suffixes=".irb",
        numbers="K, as positions in a table of 256 temperatures",
        evidence="experimental",
        frames=True,
        source="ThermoVision_JoeC (UC_Dev_VarioCam.cs); github.com/jonathanschilling/irb",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like an IRB file."""
        return data.startswith(_MAGIC)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one picture of the file, the first or the hinted frame."""
        if not data.startswith(_MAGIC):
            raise FormatError("no InfraTec IRB file", 0)
        places = list(_pictures(Cursor(data, "<", "IRB directory")))
        picture, note = _chosen(data, places, hints.frame)
        kelvin = _kelvin(picture)
        scene, notes = scene_of(_scene(picture))
        return Thermogram(
            counts=kelvin,
            calibration=stored_temperatures("k"),
            scene=scene,
            format=self.name,
            camera=_camera(picture),
            notes=(NOTE, *note, *notes, *_range_note(picture, kelvin)),
        )


def _pictures(cursor: Cursor) -> Iterator[int]:
    """Yield the offset of each picture's block, in the order of the directory and of the entries that it points to."""
    tables, seen, left = [(cursor.u32(25), cursor.u32(29))], set(), _MOST_ENTRIES
    while tables:
        start, count = tables.pop(0)
        # Damaged directories point to themselves, or behind the file.
        most = 0 if start in seen else min(count, left, max(len(cursor) - start, 0) // _ENTRY)
        seen.add(start)
        for place in range(start, start + _ENTRY * most, _ENTRY):
            left -= 1
            kind, block = cursor.u32(place), cursor.u32(place + 12)
            if kind == _PICTURE:
                yield block
            elif kind == _MORE:
                # Sequences go on with two entries each: the next picture, and the place of the entries after it.
                tables.append((block, 2))


def _chosen(data: bytes, places: list[int], frame: int) -> tuple[Cursor, tuple[str, ...]]:
    if not places:
        raise FormatError("IRB file without a picture in its directory", 25)
    if not -len(places) <= frame < len(places):
        raise FormatError(f"IRB file of {len(places)} pictures has no frame {frame}")
    place = places[frame]
    whole = Cursor(data, "<", "IRB picture")
    rest = whole.part(place, max(len(data) - place, 0), "IRB picture")
    several = f"{len(places)} frames: frame {frame % len(places)} is read"
    return rest, (several,) if len(places) > 1 else ()


@dataclass(frozen=True)
class _Head:
    compression: int
    height: int
    width: int


def _head(picture: Cursor) -> _Head:
    bytes_a_pixel, compression, width, height = (picture.u16(place) for place in (0, 2, 4, 6))
    if compression not in (0, 1):
        raise picture.error(f"pixels are packed by compression {compression}, which is not known; 0 and 1 are", 2)
    if compression == 0 and bytes_a_pixel != 2:
        raise picture.error(f"{bytes_a_pixel} bytes a pixel; 2 are known", 0)
    if width * height > _MOST_PIXELS:
        place = picture.place(4)
        raise TooLargeError(f"IRB: {width} x {height} pixels; at most {_MOST_PIXELS} are decoded", place)
    return _Head(compression, height, width)


def _kelvin(picture: Cursor) -> Float32[np.ndarray, "H W"]:
    head = _head(picture)
    table = np.frombuffer(picture.take(_TABLE, 1024), "<f4").astype(np.float32)
    ends = np.append(table[1:], table[-1])
    positions = _packed(picture, head) if head.compression else _plain(picture, head)
    entry, part = positions >> 8, (positions & 0xFF).astype(np.float32) / np.float32(256)
    with np.errstate(invalid="ignore", over="ignore"):
        kelvin: Float32[np.ndarray, "H W"] = table[entry] * (1 - part) + ends[entry] * part
    return kelvin


def _plain(picture: Cursor, head: _Head) -> UInt16[np.ndarray, "H W"]:
    return plane(picture, _PIXELS, (head.height, head.width), "<u2")


def _packed(picture: Cursor, head: _Head) -> UInt16[np.ndarray, "H W"]:
    low = plane(picture, _PIXELS, (head.height, head.width), "u1")
    start = _PIXELS + low.size
    # A pair for each pixel is the most that there can be.
    pairs = picture.take(start, min(2 * low.size, len(picture) - start) & ~1)
    high = _unpacked(np.frombuffer(pairs, np.uint8).reshape(-1, 2), low.size)
    if high.size < low.size:
        raise picture.error(f"run lengths for {high.size} of {low.size} pixels", start)
    positions: UInt16[np.ndarray, "H W"] = (high.reshape(low.shape).astype(np.uint16) << 8) | low
    return positions


def _unpacked(pairs: UInt8[np.ndarray, "P 2"], most: int) -> UInt8[np.ndarray, " N"]:
    """Return the high bytes of at most `most` pixels; a run of length 0 is one of length 1, as in the other readers."""
    runs = np.maximum(pairs[:, 0], 1).astype(np.int64)
    needed = int(np.searchsorted(np.cumsum(runs), most)) + 1
    return np.repeat(pairs[:needed, 1], runs[:needed])[:most]


def _scene(picture: Cursor) -> dict[str, float]:
    places = {"emissivity": 24, "distance_m": 28, "reflected_k": 32, "atmosphere_k": 40}
    return {name: picture.f32(place) for name, place in places.items()}


def _camera(picture: Cursor) -> Camera:
    return Camera(
        maker="InfraTec",
        model=picture.text(1226, 12),
        serial=picture.text(1534, 16),
        lens=picture.text(1286, 32),
        taken_at=_time(picture.f64(1624)),
    )


def _time(days: float) -> str:
    """Return the time from days since the end of 1899 (OLE); empty where it makes no sense."""
    if not (math.isfinite(days) and 1 <= days <= 100_000):
        return ""
    return (_NO_TIME + timedelta(days=days)).isoformat(timespec="milliseconds")


def _range_note(picture: Cursor, kelvin: Float32[np.ndarray, "H W"]) -> tuple[str, ...]:
    low, high = (picture.f32(place) for place in _RANGE)
    if not 0 < low < high < math.inf:
        return ()
    outside = int(np.count_nonzero((kelvin < low) | (kelvin > high)))
    span = f"{low - 273.15:.0f} to {high - 273.15:.0f} °C"
    return (f"{outside} px outside the camera's calibrated range ({span})",) if outside else ()


READER = InfraTecReader()
