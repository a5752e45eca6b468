"""16-bit grey PNG: counts with a scale that the file declares, the user gives, or that is guessed and said."""

from __future__ import annotations

import json
import math

import numpy as np
from PIL import Image, PngImagePlugin  # noqa: F401

from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.exif import read_exif
from isotherm.formats.raster import headers, open_picture, pixels
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.formats.scaling import CENTIKELVIN, Meaning, of_counts, over_declared
from isotherm.radiometry.linear import TO_KELVIN, linear

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
DECLARATION = "isotherm"
"""Keyword of the text chunk that declares the scale, as JSON: ``{"scale": 0.01, "offset": 0, "unit": "k"}``."""


class Png16Reader:
    """16-bit grey PNG: radiometric where a scale is known, else grey levels of 16 bits."""

    name = "png16"
    card = FormatCard(
        makers="isotherm, data sets",
        suffixes=".png",
        numbers="16-bit counts with a step",
        evidence="documented",
        hints=("step", "offset", "unit"),
        extras=("position",),
        source="PNG specification",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether this is a PNG of 16 bits and one channel."""
        return data.startswith(_SIGNATURE) and data[12:16] == b"IHDR" and data[24:26] == b"\x10\x00"

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the counts; the scale is the user's, else the file's (text chunk), else guessed as 0.01 K."""
        image = open_picture(data, "16-bit PNG", ("PNG",))
        counts = pixels(image, "16-bit PNG").astype(np.uint16)
        declared = _declared(image)
        if declared is not None:
            meaning = over_declared(declared, hints)
        else:
            meaning = of_counts(counts, hints, "16-bit PNG", steps=CENTIKELVIN)
        block = image.info.get("exif", b"")
        block = block.removeprefix(b"Exif\0\0") if isinstance(block, bytes) else b""
        exif = read_exif(block)
        return Thermogram(
            counts=counts,
            calibration=meaning.calibration,
            scene=assumed_scene(),
            format=self.name,
            camera=exif.camera,
            position=exif.position,
            notes=meaning.notes,
            exif=block,
        )


def _declared(image: Image.Image) -> Meaning | None:
    with headers("16-bit PNG"):
        text = getattr(image, "text", {}).get(DECLARATION)
    if not isinstance(text, str):
        return None
    try:
        values = json.loads(text)
        scale, offset, unit = float(values["scale"]), float(values["offset"]), values["unit"]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None
    if unit not in (*TO_KELVIN,) or not (math.isfinite(scale) and math.isfinite(offset) and scale > 0):
        return None
    return Meaning(linear(scale, offset, unit, nodata=0))


READER = Png16Reader()
