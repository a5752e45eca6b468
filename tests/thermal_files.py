"""Small synthetic files of the formats that isotherm reads, for the tests of every room."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

# Constants of the order of a real camera's; the temperatures of the tests are computed from these, not copied.
PLANCK = {"r1": 15309.034, "r2": 0.0107982, "b": 1404.5, "f": 1.0, "o": -6028}
AIR = {"alpha1": 0.006569, "alpha2": 0.01262, "beta1": -0.002276, "beta2": -0.00667, "x": 1.9}


def ramp(height: int = 12, width: int = 16, low: int = 17000, high: int = 24000) -> np.ndarray:
    """Return uint16 counts that rise from the upper left to the lower right corner."""
    return np.linspace(low, high, height * width).round().astype(np.uint16).reshape(height, width)


@dataclass
class FlirFile:
    """A FLIR frame as this module writes it; change fields, then ask for ``fff()`` or ``jpeg()``."""

    counts: np.ndarray = field(default_factory=ramp)
    directory_order: str = ">"
    record_order: str = "<"
    packed: bool = False
    magic: bytes = b"FFF\0"
    emissivity: float = 0.95
    distance_m: float = 1.0
    reflected_k: float = 293.15
    atmosphere_k: float = 293.15
    window_k: float = 293.15
    window_transmission: float = 1.0
    humidity: float = 0.5
    raw_range: tuple[int, int] = (8000, 59000)
    median_and_range: tuple[int, int] = (20500, 7001)
    planck: dict[str, float] = field(default_factory=lambda: dict(PLANCK))
    seconds: int = 1_600_000_000
    gps: tuple[float, float, float] | None = None
    extra_records: list[tuple[int, bytes]] = field(default_factory=list)

    def raw_record(self) -> bytes:
        height, width = self.counts.shape
        head = struct.pack(self.record_order + "3H", 2, width, height).ljust(32, b"\0")
        if self.packed:
            return head + encoded(self.counts.astype(np.uint16).byteswap(), "PNG")
        return head + self.counts.astype(self.record_order + "u2").tobytes()

    def camera_record(self) -> bytes:
        record, order = bytearray(0x500), self.record_order
        floats = {
            0x20: self.emissivity, 0x24: self.distance_m, 0x28: self.reflected_k, 0x2C: self.atmosphere_k,
            0x30: self.window_k, 0x34: self.window_transmission, 0x3C: self.humidity,
            0x58: self.planck["r1"], 0x5C: self.planck["b"], 0x60: self.planck["f"], 0x30C: self.planck["r2"],
            0x70: AIR["alpha1"], 0x74: AIR["alpha2"], 0x78: AIR["beta1"], 0x7C: AIR["beta2"], 0x80: AIR["x"],
            0x1B4: 25.0,
        }  # fmt: skip
        struct.pack_into(order + "H", record, 0, 2)
        for offset, value in floats.items():
            struct.pack_into(order + "f", record, offset, value)
        struct.pack_into(order + "i", record, 0x308, int(self.planck["o"]))
        struct.pack_into(order + "2H", record, 0x310, *self.raw_range)
        struct.pack_into(order + "H", record, 0x338, self.median_and_range[0])
        struct.pack_into(order + "H", record, 0x33C, self.median_and_range[1])
        struct.pack_into(order + "IIh", record, 0x384, self.seconds, 250, -60)
        for offset, text in {0xD4: b"Test T1", 0x104: b"S-0815", 0x170: b"L25"}.items():
            record[offset : offset + len(text)] = text
        return bytes(record)

    def gps_record(self) -> bytes:
        assert self.gps is not None
        record, order = bytearray(0x80), self.record_order
        struct.pack_into(order + "I", record, 0, 1)
        struct.pack_into(order + "2d", record, 0x10, *self.gps[:2])
        struct.pack_into(order + "f", record, 0x20, self.gps[2])
        return bytes(record)

    def fff(self) -> bytes:
        """Return one frame: header, directory, records."""
        records = [(0x01, self.raw_record()), (0x20, self.camera_record()), *self.extra_records]
        if self.gps is not None:
            records.append((0x2B, self.gps_record()))
        order, place = self.directory_order, 64 + 32 * len(records)
        header = bytearray(64)
        header[:4] = self.magic
        struct.pack_into(order + "3I", header, 0x14, 101, 64, len(records))
        entries, body = b"", b""
        for kind, record in records:
            entries += struct.pack(order + "HHIIII", kind, 0, 100, 0, place + len(body), len(record)).ljust(32, b"\0")
            body += record
        return bytes(header) + entries + body

    def jpeg(self, *, part_bytes: int = 65000, exif: bytes = b"", preview: bytes | None = None) -> bytes:
        """Return an R-JPEG: the frame in FLIR segments of at most `part_bytes`, before a small preview picture."""
        frame = self.fff()
        parts = [frame[start : start + part_bytes] for start in range(0, len(frame), part_bytes)]
        segments = [segment(0xE1, b"Exif\0\0" + exif)] if exif else []
        for number, part in enumerate(parts):
            segments.append(segment(0xE1, b"FLIR\0\1" + bytes([number, len(parts) - 1]) + part))
        picture = encoded(np.zeros((8, 8), np.uint8), "JPEG") if preview is None else preview
        return b"\xff\xd8" + b"".join(segments) + picture.removeprefix(b"\xff\xd8")


def segment(marker: int, payload: bytes) -> bytes:
    """Return one JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def encoded(picture: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    """Return an array or picture as a file of Pillow's `kind`."""
    stream = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif_block(*, maker: str = "Maker", model: str = "Model", gps: bool = True, orientation: int = 1) -> bytes:
    """Return an EXIF block without its prefix, written by Pillow."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = maker, model, orientation
    detail = exif.get_ifd(0x8769)
    detail[0x9003], detail[0x9011], detail[0xA431] = "2024:05:06 07:08:09", "+02:00", "123"
    if gps:
        place = exif.get_ifd(0x8825)
        place[1], place[2], place[3], place[4] = "S", (10.0, 30.0, 0.0), "W", (20.0, 15.0, 36.0)
        place[5], place[6] = b"\1", 12.5
    return exif.tobytes().removeprefix(b"Exif\0\0")


def npy(array: np.ndarray) -> bytes:
    """Return an array as an NPY file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()
