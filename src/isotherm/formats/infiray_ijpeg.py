"""InfiRay's IJPEG (P2 Pro, Thermal Master P2): a JPEG whose application segments hold the temperatures.

Layout as in Exiftool's InfiRay.pm: sizes in APP2, the planes one after the other in the joined APP3 segments, the scene
in APP5. That the second plane is in sixty-fourths of a kelvin is the finding of two public projects (p2proviewer,
Thermal-Master-P2-Extractor), one of which compared it with the app's read-out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from PIL import JpegImagePlugin  # noqa: F401 (the plug-in of the preview)

from isotherm.core.errors import TooLargeError
from isotherm.core.scene import ZERO_CELSIUS_K, Param, Scene, Source, assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import read_exif
from isotherm.formats.experimental import NOTE, plane
from isotherm.formats.reader import MAX_PIXELS, FormatCard, ReadHints
from isotherm.radiometry.linear import linear

_APP5 = 0xE5
_MARK, _HEADER = b"IJPEG\0", 0x40
_STEP_K = 1 / 64
# Offset in APP5, added to reach the scene's unit, lowest and highest value that make sense.
_SCENE = {
    "atmosphere_k": (0x00, ZERO_CELSIUS_K, 173.0, 473.0),
    "distance_m": (0x04, 0.0, 0.0, 100_000.0),
    "emissivity": (0x08, 0.0, 0.01, 1.0),
    "humidity": (0x0C, 0.0, 0.0, 1.0),
    "reflected_k": (0x10, ZERO_CELSIUS_K, 0.0, 3300.0),
}


class IjpegReader:
    """The temperatures as the app computed them; what it used is kept, but changes nothing."""

    name = "infiray-ijpeg"
    card = FormatCard(
        makers="InfiRay P2 Pro; Thermal Master P2",
        suffixes=".jpg",
        numbers="temperatures, 1/64 K a count",
        evidence="experimental",
        extras=("position",),
        source="Exiftool's InfiRay.pm; p2proviewer; Thermal-Master-P2-Extractor",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether a JPEG has the header and as much data as it declares (exported pictures have none)."""
        segments = _segments(data)
        header = _header(segments)
        if header is None:
            return False
        start, length = _place(header)
        return 0 < length <= sum(len(item.payload) for item in segments if item.marker == jpeg.APP3) - start

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's signature)
        """Decode the plane of temperatures and the scene."""
        segments = _segments(data)
        header = _header(segments)
        if header is None:
            raise Cursor(data, "<", "IJPEG file").error("no IJPEG header in an APP2 segment", 0)
        block = jpeg.exif_block(data)
        exif = read_exif(block)
        return Thermogram(
            counts=_counts(header, _joined(segments)),
            calibration=replace(linear(_STEP_K, 0.0, "k"), kind="vendor"),
            scene=_scene(segments),
            format=self.name,
            camera=exif.camera,
            position=exif.position,
            notes=(NOTE, "temperatures as the app computed them: no parameter changes them"),
            exif=block,
        )


def _segments(data: bytes) -> list[jpeg.Segment]:
    return [item for item in jpeg.segments(data) if item.marker in (jpeg.APP2, jpeg.APP3, _APP5)]


def _header(segments: Iterable[jpeg.Segment]) -> Cursor | None:
    for item in segments:
        if item.marker == jpeg.APP2 and item.payload[4:10] == _MARK and len(item.payload) >= _HEADER:
            return Cursor(item.payload, "<", "IJPEG header", origins=((0, item.offset),))
    return None


def _place(header: Cursor) -> tuple[int, int]:
    """Return where the temperatures begin behind the picture's plane, and their length, both in bytes."""
    return header.u32(0x20), header.u32(0x30)


def _joined(segments: Iterable[jpeg.Segment]) -> Cursor:
    pieces = [item for item in segments if item.marker == jpeg.APP3]
    origins, start = [], 0
    for item in pieces:
        origins.append((start, item.offset))
        start += len(item.payload)
    joined = b"".join(item.payload for item in pieces)
    return Cursor(joined, "<", "IJPEG data", origins=tuple(origins) or ((0, 0),))


def _counts(header: Cursor, data: Cursor) -> np.ndarray:
    """Return the counts; their rows follow from length and width, because the declared height is of both planes."""
    start, length = _place(header)
    width = header.u16(0x3A)
    rows = length // (2 * width) if width else 0
    if rows == 0:
        raise header.error(f"{length} bytes of temperatures for {width} columns hold nothing", 0x30)
    if rows * width > MAX_PIXELS:
        raise TooLargeError(f"{width} x {rows} pixels; at most {MAX_PIXELS} are decoded", header.place(0x30))
    return plane(data, start, (rows, width), "<u2")


def _scene(segments: Iterable[jpeg.Segment]) -> Scene:
    """Return the scene that the app used; assumed where a value is missing or makes no sense."""
    payload = next((item.payload for item in segments if item.marker == _APP5 and len(item.payload) >= 0x14), b"")
    scene = assumed_scene()
    if not payload:
        return scene
    record, params = Cursor(payload, "<", "IJPEG scene"), scene.params()
    for name, (offset, added, low, high) in _SCENE.items():
        value = float(f"{record.f32(offset):.7g}") + added
        if math.isfinite(value) and low <= value <= high:
            params[name] = Param(value, params[name].unit, Source.FILE)
    return Scene(**params)


READER = IjpegReader()
