"""Bosch GTC 400 C and GTC 600 C: 16-bit temperatures in application segments of a JPEG.

Layout as in the MIT-licensed ThermoVision_JoeC (``UC_Dev_BoschGtc400.cs``), read anew: ``GTC_400C`` or ``GTC_600C``
at byte 8 of a segment, the pixels at byte 32, behind them the record of the picture (lowest and highest temperature,
size, reflected temperature, emissivity). The pixels of a GTC 600 C need two segments; ThermoVision's "extra head at
byte 65500" is exactly where the first segment is full, in the middle of a pixel, so that the segments of one kind are
joined here. GTC 400 C: ``°C = (count - 10000) / 100``. GTC 600 C: signed tenths of a degree.
"""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.core.errors import FormatError
from isotherm.core.scene import Scene
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import read_exif
from isotherm.formats.experimental import NOTE, extremes_note, plane, scene_of, to_k
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.radiometry.linear import linear

_MAGIC_AT, _PIXELS = 8, 32


@dataclass(frozen=True)
class _Model:
    """One camera: (height, width), the type of its counts, and ``°C = count * step_c + zero_c``."""

    name: str
    size: tuple[int, int]
    dtype: str
    step_c: float
    zero_c: float


_MODELS = {
    b"GTC_400C": _Model("GTC 400 C", (120, 160), "<u2", 0.01, -100.0),
    b"GTC_600C": _Model("GTC 600 C", (192, 256), "<i2", 0.1, 0.0),
}


class BoschReader:
    """Counts that are hundredths or tenths of a degree; the emissivity was used by the camera and changes nothing."""

    name = "bosch"
    card = FormatCard(
        makers="Bosch GTC 400 C, GTC 600 C",
        suffixes=".jpg",
        numbers="counts of 0.01 or 0.1 °C",
        evidence="experimental",
        source="ThermoVision_JoeC (UC_Dev_BoschGtc400.cs)",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether this is a JPEG with a segment of these cameras."""
        return _block(data) is not None

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's form)
        """Decode the temperatures; what the camera recorded about them becomes the scene."""
        block = _block(data)
        if block is None:
            raise FormatError("no Bosch GTC data in this file", 0)
        model = _MODELS[block.take(_MAGIC_AT, 8)]
        counts = plane(block, _PIXELS, model.size, model.dtype)
        scene, recorded_c, notes = _record(block, _PIXELS + counts.nbytes)
        calibration = linear(model.step_c, model.zero_c, "c")
        celsius = calibration.kelvin(counts, scene) - to_k(0)
        exif = jpeg.exif_block(data)
        return Thermogram(
            counts=counts,
            calibration=calibration,
            scene=scene,
            format=self.name,
            camera=Camera(maker="Bosch", model=model.name, taken_at=read_exif(exif).camera.taken_at),
            notes=(NOTE, *notes, *extremes_note(celsius, recorded_c, step_c=model.step_c)),
            exif=exif,
        )


def _block(data: bytes) -> Cursor | None:
    """Return the camera's segment, joined with those of the same kind that follow it; None where there is none."""
    origins: list[tuple[int, int]] = []
    pieces: list[bytes] = []
    marker, start = None, 0
    for segment in jpeg.segments(data):
        if marker is None and segment.payload[_MAGIC_AT:16] in _MODELS:
            marker = segment.marker
        if marker == segment.marker:
            origins.append((start, segment.offset))
            pieces.append(segment.payload)
            start += len(segment.payload)
    return Cursor(b"".join(pieces), "<", "Bosch GTC data", origins=tuple(origins)) if pieces else None


def _record(block: Cursor, place: int) -> tuple[Scene, tuple[float, float], tuple[str, ...]]:
    """Return the scene, the lowest and highest temperature [°C], and notes, from the record behind the pixels."""
    scene, notes = scene_of({"reflected_k": to_k(block.f32(place + 24)), "emissivity": block.f32(place + 32)})
    return scene, (block.f32(place), block.f32(place + 4)), notes


READER = BoschReader()
