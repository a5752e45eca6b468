"""Writers of the formats that are known from other people's source only, one beside each reader.

They write what the readers' documentation says, field by field, so that a round trip proves the reader's arithmetic
and its bounds. It proves nothing about real files: those readers stay experimental.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from thermal_files import encoded, segment


def photo(height: int = 6, width: int = 8, level: int = 90) -> bytes:
    """Return a small JPEG."""
    return encoded(np.full((height, width, 3), level, np.uint8), "JPEG")


def celsius(height: int = 12, width: int = 16, low: float = 18.0, high: float = 61.5) -> np.ndarray:
    """Return float32 °C that rise from the upper left to the lower right corner."""
    return np.linspace(low, high, height * width, dtype=np.float32).reshape(height, width)


@dataclass
class TestoFile:
    """A BMT file: a BMP, the photo, a record with °C."""

    __test__ = False

    numbers: np.ndarray = field(default_factory=celsius)
    measured: bool = True
    emissivity: float = 0.93
    scale: tuple[float, float] = (20.0, 55.0)
    recorded: tuple[float, float] | None = None
    photo: bytes = b""
    plain_length: int | None = None
    tail: bytes = b""

    def record(self) -> bytes:
        height, width = self.numbers.shape
        pixels = self.numbers.astype("<f4").tobytes()
        if not self.measured:
            length = len(pixels) + 8 if self.plain_length is None else self.plain_length
            return struct.pack("<4I", 28, length, width, height) + pixels
        low, high = self.recorded or (float(np.nanmin(self.numbers)), float(np.nanmax(self.numbers)))
        head = struct.pack("<IB6fB", 58, 0, 20.0, 10.0, 50.0, 20.0, -20.0, 100.0, 0)
        head += struct.pack("<3f2H", *self.scale, self.emissivity, width, height)
        head += struct.pack("<f2Hf2H", high, width - 1, height - 1, low, 0, 0)
        return head + struct.pack("<2I", 1, len(pixels)) + pixels

    def data(self) -> bytes:
        return encoded(np.zeros((4, 4, 3), np.uint8), "BMP") + self.photo + self.record() + self.tail


@dataclass
class HikvisionFile:
    """A JPEG, the photo, and HDRI counts with the extreme temperatures behind them."""

    counts: np.ndarray = field(default_factory=lambda: np.linspace(5000, 9000, 192).astype(np.uint16).reshape(12, 16))
    ends_c: tuple[float, float] | None = (18.0, 61.5)
    photo: bytes = field(default_factory=photo)
    parameters: tuple[float, float, float, float] | None = (0.96, 21.0, 55.0, 24.0)

    def data(self) -> bytes:
        height, width = self.counts.shape
        pixels = self.counts.astype("<u2").tobytes()
        head = b"HDRI" + struct.pack("<HHI3I", 0x1028, 0, 0, width, height, len(pixels) + 1024)
        body = head.ljust(44, b"\0") + pixels
        if self.ends_c is not None:
            body += struct.pack("<2f", self.ends_c[1], self.ends_c[0]).rjust(1024, b"\0")
        if self.parameters is not None:
            emissivity, ambient, humidity, reflected = self.parameters
            body += (b"HIPT".ljust(40, b"\0") + struct.pack("<3f8xf", emissivity, ambient, humidity, reflected)).ljust(
                196, b"\0"
            )
        return photo(level=30) + self.photo + body


def hikvision_celsius_file(numbers: np.ndarray) -> bytes:
    """Return a JPEG with 160 x 120 floats in °C behind it, and the photo behind those."""
    return photo(level=30) + struct.pack("<2H14x", 160, 120) + numbers.astype("<f4").tobytes() + photo()


@dataclass
class InfraTecFile:
    """An IRB file of one or several pictures."""

    positions: list[np.ndarray] = field(
        default_factory=lambda: [np.linspace(0, 65_279, 192).astype(np.uint16).reshape(12, 16)]
    )
    table: np.ndarray = field(default_factory=lambda: np.linspace(253.15, 393.15, 256, dtype=np.float32))
    compression: int = 0
    range_k: tuple[float, float] = (233.15, 393.15)
    sequence: bool = False
    scene: tuple[float, float, float, float] = (0.92, 3.5, 295.15, 294.15)
    longest_run: int = 255

    def picture(self, positions: np.ndarray, seconds: float = 0.0) -> bytes:
        height, width = positions.shape
        block = bytearray(1728)
        struct.pack_into("<4H", block, 0, 2, self.compression, width, height)
        struct.pack_into("<3f", block, 24, *self.scene[:3])
        struct.pack_into("<f", block, 40, self.scene[3])
        block[60:1084] = self.table.astype("<f4").tobytes()
        struct.pack_into("<2f", block, 1176, *self.range_k)
        struct.pack_into("<d", block, 1624, 45_000.5 + seconds / 86_400)
        for offset, text in {1226: b"VARIOCAM", 1286: b"Lens 1,0/30", 1534: b"S-0815"}.items():
            block[offset : offset + len(text)] = text
        return bytes(block) + (self.packed(positions) if self.compression else positions.astype("<u2").tobytes())

    def packed(self, positions: np.ndarray) -> bytes:
        """Return the low bytes, then (how often, which) of the high bytes."""
        flat = positions.ravel()
        high, pairs = (flat >> 8).astype(np.uint8), bytearray()
        edges = [0, *(np.flatnonzero(np.diff(high)) + 1).tolist(), high.size]
        for start, end in pairwise(edges):
            for at in range(start, end, self.longest_run):
                pairs += bytes([min(self.longest_run, end - at), int(high[start])])
        return (flat & 255).astype(np.uint8).tobytes() + bytes(pairs)

    def data(self) -> bytes:
        """Return header, directory and blocks; a sequence has its further pictures in entries behind the first."""
        pictures = [self.picture(positions, 0.04 * number) for number, positions in enumerate(self.positions)]
        head = b"\xffIRB\0" + (b"IRBIS 3\0" if self.sequence else b"IRBACS\0\0") + b"\0" * 8
        entries = len(pictures) if not self.sequence else 2
        file = bytearray((head + struct.pack("<3I", 0, 64, entries)).ljust(64, b"\0"))
        if not self.sequence:
            place = 64 + 32 * entries
            for number, block in enumerate(pictures):
                file += _entry(1, number, place, len(block))
                place += len(block)
            return bytes(file) + b"".join(pictures)
        for number, block in enumerate(pictures):
            start = len(file) + 64
            file += _entry(1, number, start, len(block)) + _entry(4, 0, start + len(block), 64) + block
        return bytes(file)


def _entry(kind: int, number: int, offset: int, size: int) -> bytes:
    return struct.pack("<8I", kind, 0, number, offset, size, 0, 0, 0)


@dataclass
class BoschFile:
    """A JPEG whose segments hold the counts of a GTC 400 C (120 160) or a GTC 600 C (192 256)."""

    numbers: np.ndarray = field(default_factory=lambda: celsius(120, 160))
    model: int = 400
    emissivity: float = 0.94
    reflected: float = 19.0
    recorded: tuple[float, float] | None = None

    def payload(self) -> bytes:
        if self.model == 400:
            counts = (self.numbers * 100 + 10_000).round().astype("<u2")
        else:
            counts = (self.numbers * 10).round().astype("<i2")
        low, high = self.recorded or (float(self.numbers.min()), float(self.numbers.max()))
        height, width = self.numbers.shape
        record = struct.pack("<2f6x2H6x3f", low, high, width, height, self.reflected, 30.0, self.emissivity)
        magic = b"GTC_400C" if self.model == 400 else b"GTC_600C"
        return (b"\2\0\1\x55\1\7\3\x57" + magic).ljust(32, b"\0") + counts.tobytes() + record

    def data(self) -> bytes:
        marker = 0xEF if self.model == 400 else 0xE1
        body = self.payload()
        pieces = [body[start : start + 65_533] for start in range(0, len(body), 65_533)]
        return b"\xff\xd8" + b"".join(segment(marker, piece) for piece in pieces) + photo().removeprefix(b"\xff\xd8")


@dataclass
class UniTFile:
    """A BMP in the palette's colours, then grey levels, palette and readings."""

    grey: np.ndarray = field(default_factory=lambda: np.arange(192, dtype=np.uint8).reshape(12, 16))
    turn: str = "as shown"
    gap: int = 0
    fahrenheit: bool = False
    readings: tuple[int, int, int] = (123, 854, 330)
    emissivity: int = 95

    def palette(self) -> np.ndarray:
        """Return 256 numbers of 5, 6 and 5 bits, all different."""
        levels = np.arange(256, dtype=np.uint16)
        return (levels >> 3 << 11) | (levels >> 2 << 5) | (levels & 31)

    def colours(self) -> np.ndarray:
        numbers = self.palette().astype(float)
        return np.stack(
            [np.round(np.floor(numbers / 2048) * 255 / 31), np.round(np.floor(numbers / 32) % 64 * 255 / 63),
             np.round(numbers % 32 * 255 / 31)], axis=-1,
        ).astype(np.uint8)  # fmt: skip

    def stored(self) -> np.ndarray:
        if self.turn == "upside down":
            return self.grey[::-1, ::-1]
        return self.grey[:, ::-1].T if self.turn == "columns from the right" else self.grey

    def data(self) -> bytes:
        low, high, centre = self.readings
        readings = struct.pack("<B2hBBhB", int(self.fahrenheit), high, low, 255, 0, centre, self.emissivity)
        bmp = encoded(self.colours()[self.grey], "BMP")
        tail = self.stored().tobytes() + self.palette().astype("<u2").tobytes() + readings.ljust(26, b"\0")
        return bmp + b"\0" * self.gap + tail


@dataclass
class FlukeFile:
    """An IS2 archive: counts, one calibration curve ``count = a T² + b T + c``, and the picture's parameters."""

    counts: np.ndarray = field(default_factory=lambda: np.linspace(1400, 3900, 192).astype(np.uint16).reshape(12, 16))
    curve: tuple[float, float, float] = (0.05, 12.0, 1100.0)
    emissivity: float = 0.9
    background_c: float = 22.0
    extremes: tuple[float, float] | None = None
    extra: dict[str, bytes] = field(default_factory=dict)
    left_out: str = ""

    def members(self) -> dict[str, bytes]:
        height, width = self.counts.shape
        a, b, c = self.curve
        # The numbers of a curve stand in protobuf fields of five bytes: a tag, a 32-bit float.
        band = b"\x4a\x19\x0d" + struct.pack("<f", -50) + b"\x15" + struct.pack("<f", 300)
        band += b"\x1d" + struct.pack("<f", c) + b"\x25" + struct.pack("<f", b) + b"\x2d" + struct.pack("<f", a)
        picture = bytearray(60)
        struct.pack_into("<fxfxf", picture, 33, self.emissivity, self.background_c, 1.0)
        properties = {
            "IRPROP_THERMAL_IMAGER_MAKE": "Fluke",
            "IRPROP_THERMAL_IMAGER_MODEL": '"Ti000"',
            "IRPROP_THERMAL_IMAGER_SN": '"SN-7"',
            "IRPROP_IR_SENSOR_WIDTH": width,
            "IRPROP_IR_SENSOR_HEIGHT": height,
            "IRPROP_THERMAL_IMAGE_EMISSIVITY": self.emissivity,
            "IRPROP_THERMAL_IMAGE_BG_TEMP_C": self.background_c,
            "IRPROP_THERMAL_IMAGE_CAPTURE_DATE_TIME": "2024-05-06T07:08:09",
        }
        if self.extremes:
            properties |= {
                "IRPROP_THERMAL_IMAGE_MIN_TEMP_C": self.extremes[0],
                "IRPROP_THERMAL_IMAGE_MAX_TEMP_C": self.extremes[1],
            }
        found = {
            "Images/Main/IR.data": b"\0" * 2 * width + self.counts.astype("<u2").tobytes(),
            "CalibrationData.gpbenc": b"\0" * 18 + b"\1" + b"\0" * 3 + band + b"\0" * 8,
            "Images/Main/IRImageInfo.gpbenc": bytes(picture),
            "ImageProperties.json": json.dumps(properties).encode(),
            "Images/Main/small.jpg": photo(4, 4),
            "Images/Main/whole.jpg": photo(48, 64),
        }
        return {name: data for name, data in (found | self.extra).items() if name != self.left_out}

    def data(self) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.members().items():
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        return stream.getvalue()

    def celsius(self) -> np.ndarray:
        """Return what the package computes: the curve backwards, then emissivity by fourth powers."""
        a, b, c = (float(np.float32(number)) for number in self.curve)
        apparent = (-b + np.sqrt(b * b - 4 * a * (c - self.counts.astype(float)))) / (2 * a) + 273.15
        background = self.background_c + 273.15
        return ((apparent**4 - (1 - self.emissivity) * background**4) / self.emissivity) ** 0.25 - 273.15
