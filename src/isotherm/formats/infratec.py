"""InfraTec IRB: blocks in a directory; a picture is a table of 256 temperatures and 16-bit positions in it.

Layout as in the MIT-licensed ThermoVision_JoeC (``UC_Dev_VarioCam.cs``, after
github.com/tomsoftware/Irbis-File-Format) and the Apache-licensed github.com/jonathanschilling/irb, read anew. All
numbers are little-endian. File: ``FF I R B 00`` at 0, type at 5, offset and number of the directory's entries at 25
and 29; an entry of 32 bytes has its kind at 0 (1 picture, 4 more entries), the offset of its block at 12 and its size
at 16. Picture: bytes a pixel, compression, width, height (16 bits each) at 0, emissivity at 24, distance at 28,
ambient temperature at 32, temperature of the path at 40, the table at 60, calibrated range at 1176 and 1180, names of
camera and lens, time at 1624, pixels at 1728.

A pixel is a position p in the table, high byte and low byte: ``kelvin = table[p // 256]``, and a part ``p % 256 /
256`` of the way to the next entry. (ThermoVision divides by 255, which would leave a step of one 255th at each
entry.) Without compression low and high byte stand side by side; with compression 1 all low bytes come first, then
the high bytes as pairs (how often, which). Compression 2 is not known to anybody.

A sequence chains entries: a picture, and the place of the next two entries. Some recordings name no picture at all
and store the first one right behind their entries, as the notes of jonathanschilling/irb tell; that one is read.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.files import sha256
from isotherm.core.scene import ZERO_CELSIUS_K
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats.cursor import Cursor
from isotherm.formats.experimental import NOTE, plane, scene_of
from isotherm.formats.frames import position_of
from isotherm.formats.mapped import MappedFrames
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.radiometry.linear import stored_temperatures

_MAGIC, _SEQUENCE = b"\xffIRB\0", b"\xffIRB\0IRBIS"
_ENTRY, _MOST_ENTRIES = 32, 300_000
_PICTURE, _MORE = 1, 4
_TABLE, _PIXELS = 60, 0x6C0
_MOST_PIXELS = 16_000_000
"""Five times what the largest camera has; the run lengths of a picture are unpacked in memory."""
_RANGE, _TIME = (1176, 1180), 1624
# The camera's clock has no zone.
_NO_TIME = datetime(1899, 12, 30)
_DAY_S = 86_400
_CARD = FormatCard(
    makers="InfraTec VarioCAM, ImageIR (IRBIS)",
    suffixes=".irb",
    numbers="K, as positions in a table of 256 temperatures",
    evidence="experimental",
    frames=True,
    source="ThermoVision_JoeC (UC_Dev_VarioCam.cs); github.com/jonathanschilling/irb",
)


class InfraTecSequence(MappedFrames):
    """The pictures of one file, which is mapped into memory; the directory is walked when it is opened.

    Parameters
    ----------
    source
        A path, or the bytes of a whole file.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        It is no IRB file, or holds no picture.
    """

    def __init__(self, source: str | Path | bytes) -> None:
        super().__init__(source)
        try:
            self._places, self._named = self._directory()
        except FormatError:
            self.close()
            raise

    def _directory(self) -> tuple[list[int], bool]:
        """Return the offset of each picture, and whether the directory names them."""
        head = Cursor(self._file.read(0, min(64, len(self._file))), "<", "IRB file")
        if not head.data.startswith(_MAGIC):
            raise FormatError("no InfraTec IRB file", 0)
        tables, seen, left = deque([(head.u32(25), head.u32(29))]), set(), _MOST_ENTRIES
        places, end = [], 0
        while tables:
            if left <= 0:
                raise TooLargeError(f"IRB: a directory of more than {_MOST_ENTRIES} entries")
            start, count = tables.popleft()
            # Damaged directories point to themselves, or behind the file.
            most = 0 if start in seen else min(count, left, max(len(self._file) - start, 0) // _ENTRY)
            seen.add(start)
            left, end = left - most - 1, start + _ENTRY * most
            for kind, block in self._entries(start, most):
                if kind == _PICTURE:
                    places.append(block)
                elif kind == _MORE:
                    tables.append((block, 2))
        if places:
            return places, True
        if len(seen) < 2 or not self._begins_picture(end):
            raise FormatError("IRB file without a picture in its directory", 25)
        return [end], False

    def _entries(self, start: int, count: int) -> list[tuple[int, int]]:
        """Return the kind and the block's offset of `count` entries."""
        table = np.frombuffer(self._file.read(start, _ENTRY * count) if count else b"", "<u4").reshape(-1, 8)
        return [(int(kind), int(block)) for kind, block in table[:, (0, 3)]]

    def _begins_picture(self, place: int) -> bool:
        try:
            _head(self._cursor(place, 8))
        except FormatError:
            return False
        return True

    def _cursor(self, place: int, length: int) -> Cursor:
        return Cursor(self._file.read(place, length), "<", "IRB picture", origins=((0, place),))

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._places)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first picture [px]; raises FormatError where it is damaged."""
        head = _head(self._cursor(self._places[0], 8))
        return head.height, head.width

    @property
    def times_s(self) -> Float64[np.ndarray, " T"] | None:
        """Seconds since the first picture; None where the file's times make no sense."""
        try:
            days = np.array([self._cursor(place + _TIME, 8).f64(0) for place in self._places])
        except FormatError:
            return None
        with np.errstate(all="ignore"):
            seconds = (days - days[0]) * _DAY_S
            return seconds if np.isfinite(seconds).all() and (np.diff(seconds) >= 0).all() else None

    def frame(self, index: int) -> Thermogram:
        """Return one picture; raises FormatError where there is none of this number, or it is damaged."""
        place = self._places[position_of(index, len(self))]
        head = _head(self._cursor(place, 8))
        # Low and high bytes, or low bytes and a pair for each: what lies behind is never looked at.
        most = _PIXELS + 3 * head.height * head.width
        picture = self._cursor(place, min(most, len(self._file) - place))
        found = _thermogram(picture, head)
        notes = () if self._named else ("the directory names no picture: the one behind it was read",)
        return replace(found, notes=(*found.notes, *notes), digest=sha256(picture.data))


class InfraTecReader:
    """Kelvin as the camera computed them; the scene is kept and changes nothing."""

    name = "infratec"
    card = _CARD

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like an IRB file."""
        return data.startswith(_MAGIC)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one picture of the file, the first or the hinted frame."""
        if not data:
            raise FormatError("no InfraTec IRB file", 0)
        with InfraTecSequence(data) as sequence:
            return sequence.frame(hints.frame)


class InfraTecSequenceReader:
    """Sequences of IRBIS 3; a file of one picture is one of one frame."""

    name = "infratec"
    card = _CARD

    def recognises(self, head: bytes) -> bool:
        """Say whether a file that begins with these bytes is a sequence."""
        return head.startswith(_SEQUENCE)

    def open(self, source: str | Path | bytes, hints: ReadHints) -> InfraTecSequence:  # noqa: ARG002 (the seam's form)
        """Open a path, mapped into memory, or the bytes of a whole file."""
        return InfraTecSequence(source)


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
    if width * height == 0:
        raise picture.error(f"a picture of {width} x {height} pixels holds nothing", 4)
    return _Head(compression, height, width)


def _thermogram(picture: Cursor, head: _Head) -> Thermogram:
    kelvin = _kelvin(picture, head)
    scene, notes = scene_of(_scene(picture))
    return Thermogram(
        counts=kelvin,
        calibration=stored_temperatures("k"),
        scene=scene,
        format=InfraTecReader.name,
        camera=_camera(picture),
        notes=(NOTE, *notes, *_range_note(picture, kelvin)),
    )


def _kelvin(picture: Cursor, head: _Head) -> Float32[np.ndarray, "H W"]:
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
        taken_at=_time(picture.f64(_TIME)),
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
    span = f"{low - ZERO_CELSIUS_K:.0f} to {high - ZERO_CELSIUS_K:.0f} °C"
    return (f"{outside} px outside the camera's calibrated range ({span})",) if outside else ()


READER, SEQUENCE_READER = InfraTecReader(), InfraTecSequenceReader()
