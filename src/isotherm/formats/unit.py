"""Uni-T: the grey picture behind a BMP, for the eye only.

Layout as in the MIT-licensed ThermoVision_JoeC (``UC_Dev_UniT.cs``) and github.com/Santi-hr/UNI-T-Thermal-Utilities
(UTi260B), read anew. Behind the BMP (or three bytes later): 8-bit grey levels, as many as the BMP has pixels; 256
colours of 16 bits (5 red, 6 green, 5 blue); unit (0 °C, 1 °F); tenths of degrees, highest at 1, lowest at 3, centre
at 7; emissivity in percent at 9; places of the lowest at 14, highest at 18.

The camera stretches the contrast before it stores the grey levels: read as even steps between the lowest and the
highest temperature, a hand of 31 °C becomes one of 142 °C (measured by the author of UNI-T-Thermal-Utilities). So
this is a picture without temperatures, and the camera's three readings are told as notes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import BmpImagePlugin  # noqa: F401 (the plug-in for the picture in front)

from isotherm.core.capture import CameraPalette
from isotherm.core.errors import FormatError
from isotherm.core.scene import ZERO_CELSIUS_K
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats.cursor import Cursor
from isotherm.formats.experimental import NOTE, plane, scene_of
from isotherm.formats.raster import open_picture, plain_picture
from isotherm.formats.reader import FormatCard, ReadHints

Grey = UInt8[np.ndarray, "H W"]
Colour = UInt8[np.ndarray, "H W 3"]

_PALETTE_BYTES, _READINGS_BYTES = 512, 26
_GAPS = (0, 3)
_MOST_PIXELS = 1 << 20
# The cameras store their grey levels in different directions: as shown, upside down, or by columns from the right.
_TURNS: tuple[Callable[[Grey], Grey], ...] = (
    lambda grey: grey,
    lambda grey: grey[::-1, ::-1],
    lambda grey: grey.reshape(grey.shape[::-1]).T[:, ::-1],
)


@dataclass(frozen=True)
class _Found:
    """Where the grey levels start, and the (height, width) of the BMP in front of them."""

    place: int
    size: tuple[int, int]

    @property
    def palette(self) -> int:
        return self.place + self.size[0] * self.size[1]

    @property
    def readings(self) -> int:
        return self.palette + _PALETTE_BYTES


class UniTReader:
    """Grey levels in the camera's own colours, never degrees."""

    name = "uni-t"
    card = FormatCard(
        makers="Uni-T UTi260B, UTi690A, UTi85A, UTi80P",
        suffixes=".bmp",
        numbers="grey levels and colours, no temperatures",
        evidence="experimental",
        extras=("palette",),
        source="ThermoVision_JoeC (UC_Dev_UniT.cs); github.com/Santi-hr/UNI-T-Thermal-Utilities",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether grey levels, colours and readings that make sense stand behind a BMP picture."""
        return _find(data) is not None

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's form)
        """Decode the grey levels, turned as the picture in front of them shows the scene."""
        found = _find(data)
        if found is None:
            raise FormatError("no Uni-T data behind a BMP picture", 0)
        cursor = Cursor(data, "<", "Uni-T BMP")
        palette = _colours(cursor.take(found.palette, _PALETTE_BYTES))
        grey = _turned(plane(cursor, found.place, found.size, "u1"), palette, _shown(data[: found.place]))
        scene, notes = scene_of({"emissivity": data[found.readings + 9] / 100})
        return Thermogram(
            counts=grey,
            calibration=None,
            scene=scene,
            format=self.name,
            colour=palette[grey],
            camera=Camera(maker="Uni-T"),
            palette=CameraPalette("camera", palette),
            notes=(NOTE, *_readings(cursor, found.readings), *notes),
        )


def _find(data: bytes) -> _Found | None:
    if not data.startswith(b"BM") or len(data) < 54:
        return None
    cursor = Cursor(data, "<", "BMP")
    end, width, height = cursor.u32(2), cursor.i32(18), abs(cursor.i32(22))
    if width <= 0 or height <= 0 or width * height > _MOST_PIXELS:
        return None
    candidates = (_Found(end + gap, (height, width)) for gap in _GAPS)
    return next((found for found in candidates if _believable(cursor, found)), None)


def _believable(cursor: Cursor, found: _Found) -> bool:
    """Say whether the readings behind the grey levels make sense: unit, emissivity, and their order."""
    place = found.readings
    if place + _READINGS_BYTES > len(cursor):
        return False
    unit, emissivity = cursor.data[place], cursor.data[place + 9]
    high, low, centre = (cursor.i16(place + at) for at in (1, 3, 7))
    return unit in (0, 1) and 10 <= emissivity <= 100 and low <= centre <= high and low < high


def _colours(raw: bytes) -> UInt8[np.ndarray, "256 3"]:
    """Return the palette as 8-bit sRGB from 16-bit numbers of 5, 6 and 5 bits."""
    numbers = np.frombuffer(raw, "<u2").astype(np.uint32)
    parts = ((numbers >> 11, 31), (numbers >> 5 & 63, 63), (numbers & 31, 31))
    return np.stack([(part * 255 + most // 2) // most for part, most in parts], axis=-1).astype(np.uint8)


def _shown(bmp: bytes) -> Colour | None:
    """Return what the picture in front shows; None where it cannot be decoded."""
    try:
        picture = plain_picture(open_picture(bmp, "Uni-T picture", ("BMP",)), "Uni-T picture")
    except FormatError:
        return None
    return picture.colour


def _turned(grey: Grey, palette: UInt8[np.ndarray, "256 3"], shown: Colour | None) -> Grey:
    """Return the grey levels turned so that in the palette's colours they are nearest to what the camera showed."""
    if shown is None or shown.shape[:2] != grey.shape:
        return grey

    def distance(turn: Callable[[Grey], Grey]) -> float:
        return float(np.abs(palette[turn(grey)].astype(np.int16) - shown).mean())

    return np.ascontiguousarray(min(_TURNS, key=distance)(grey))


def _readings(cursor: Cursor, place: int) -> tuple[str, ...]:
    fahrenheit = cursor.data[place] == 1
    kelvin = [_kelvin(cursor.i16(place + at) / 10, fahrenheit=fahrenheit) for at in (1, 3, 7)]
    high, low, centre = (f"{value - ZERO_CELSIUS_K:.1f}" for value in kelvin)
    return (
        f"the camera read {low} to {high} °C, {centre} °C in the centre; its grey levels are stretched for the eye and "
        "are not turned into temperatures",
    )


def _kelvin(value: float, *, fahrenheit: bool) -> float:
    return (value - 32) * 5 / 9 + ZERO_CELSIUS_K if fahrenheit else value + ZERO_CELSIUS_K


READER = UniTReader()
