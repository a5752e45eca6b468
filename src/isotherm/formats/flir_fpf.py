"""FLIR Public Image Format (FPF): a header of 892 bytes, then numbers (layout as in FLIR's fpfimg.h, version 2)."""

from __future__ import annotations

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.core.thermogram import Camera, Counts, Thermogram
from isotherm.formats import experimental
from isotherm.formats.cursor import Cursor, Order
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.radiometry.linear import LinearCalibration, Unit, linear, stored_temperatures

_MAGIC = b"FPF Public Image Format\0"
_HEADER = 892
_NUMBERS = {0: "i2", 1: "i4", 2: "f4", 3: "f8"}
# Scene parameter -> where it is; the record's units are the scene's own.
_SCENE = {
    "emissivity": 0x1E0, "distance_m": 0x1E4, "reflected_k": 0x1E8, "atmosphere_k": 0x1EC, "humidity": 0x1F0,
    "window_k": 0x200, "window_transmission": 0x204,
}  # fmt: skip
# No camera sees 150 K as the middle of a picture, and no test piece is that hot in °C as a rule.
_LEAST_MEDIAN_K = 150.0


class FpfReader:
    """Temperatures as the program that wrote the file computed them; the scene is recorded and changes nothing."""

    name = "flir-fpf"
    card = FormatCard(
        makers="FLIR (ThermaCAM Researcher, ExaminIR)",
        suffixes=".fpf",
        numbers="K or °C (guessed)",
        evidence="experimental",
        hints=("step", "offset", "unit"),
        source="FLIR's fpfimg.h; Exiftool's FLIR.pm",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether this is an FPF file."""
        return data.startswith(_MAGIC)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one file."""
        cursor = _cursor(data)
        kind = cursor.u16(0x28)
        if kind != 0:
            raise cursor.error(f"numbers of kind {kind} (differences or signals) are no temperatures", 0x28)
        counts = _numbers(cursor)
        calibration, notes = _calibration(counts, hints, cursor)
        scene, scene_notes = experimental.scene_of({name: cursor.f32(place) for name, place in _SCENE.items()})
        return Thermogram(
            counts=counts,
            calibration=calibration,
            scene=scene,
            format=self.name,
            camera=_camera(cursor),
            notes=(experimental.NOTE, *notes, *scene_notes),
        )


def _cursor(data: bytes) -> Cursor:
    cursor = Cursor(data, "<", "FPF file")
    cursor.take(0, _HEADER)
    # Version 1 or 2 tells the order of bytes.
    order: Order = "<" if cursor.u32(0x20) & 0xFFFF else ">"
    return Cursor(data, order, "FPF file")


def _numbers(cursor: Cursor) -> Counts:
    code = _NUMBERS.get(cursor.u16(0x2A))
    if code is None:
        raise cursor.error(f"numbers of type {cursor.u16(0x2A)}; 0 to 3 are known", 0x2A)
    start = cursor.u32(0x24)
    if start < _HEADER:
        raise cursor.error(f"pixels at byte {start}, inside the header of {_HEADER}", 0x24)
    return experimental.plane(cursor, start, (cursor.u16(0x2E), cursor.u16(0x2C)), cursor.order + code)


def _calibration(counts: Counts, hints: ReadHints, cursor: Cursor) -> tuple[LinearCalibration, tuple[str, ...]]:
    if hints.step is not None:
        return linear(hints.step, hints.offset or 0.0, hints.unit or "c"), ()
    if counts.dtype.kind != "f":
        raise cursor.error("whole numbers without a scale: say the temperature of one count (--step)", 0x2A)
    if hints.unit is not None:
        return stored_temperatures(hints.unit), ()
    finite = counts[np.isfinite(counts)]
    if finite.size == 0:
        raise FormatError("FPF file: no pixel is a finite number", cursor.u32(0x24))
    unit: Unit = "k" if float(np.median(finite)) >= _LEAST_MEDIAN_K else "c"
    return stored_temperatures(unit), (f"unit of the temperatures guessed: {'K' if unit == 'k' else '°C'} (--unit)",)


def _camera(cursor: Cursor) -> Camera:
    year, month, day, hour, minute, second, thousandths = (cursor.u32(0x248 + 4 * index) for index in range(7))
    known = 1970 <= year <= 2999 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61
    moment = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{min(thousandths, 999):03}"
    return Camera(
        maker="FLIR",
        model=cursor.text(0x78, 32),
        serial=cursor.text(0xB8, 32),
        lens=cursor.text(0xE0, 32),
        taken_at=moment if known else "",
    )


READER = FpfReader()
