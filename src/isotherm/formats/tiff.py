"""TIFF: float temperatures, 16-bit counts with a scale, or a plain picture of 8 bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from isotherm.core.errors import FormatError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.exif import DESCRIPTION, read_capture, read_exif
from isotherm.formats.float_tiff import CELSIUS
from isotherm.formats.raster import frame_count, headers, open_picture, pixels, plain_picture
from isotherm.formats.reader import ReadHints
from isotherm.formats.scaling import CAMERA_STEPS, Meaning, of_counts, of_temperatures
from isotherm.formats.tiff_numbers import NumberPage, decode, number_page
from isotherm.radiometry.linear import Unit

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GDAL_NODATA = 42113


class TiffReader:
    """TIFF, classic and BigTIFF: one page, one channel of numbers, or a plain picture."""

    name = "tiff"

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like a TIFF."""
        return data.startswith(_SIGNATURES)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the first page: floats are temperatures, 16-bit numbers counts, 8-bit ones a picture."""
        numbers = number_page(data)
        page = _page_of_numbers(numbers, hints) if numbers else _page_of_pillow(data, hints)
        block = read_capture(data).block()
        exif = read_exif(block)
        return Thermogram(
            counts=page.counts,
            calibration=page.meaning.calibration,
            scene=assumed_scene(),
            format=self.name,
            colour=page.colour,
            camera=exif.camera,
            position=exif.position,
            notes=page.meaning.notes,
            exif=block,
        )


@dataclass(frozen=True, eq=False)
class _Page:
    counts: np.ndarray
    colour: np.ndarray | None
    meaning: Meaning


def _page_of_numbers(page: NumberPage, hints: ReadHints) -> _Page:
    numbers = decode(page)
    if numbers.dtype.kind == "f":
        return _Page(numbers, None, of_temperatures(numbers, hints, "TIFF"))
    return _Page(numbers, None, _of_counts(numbers, hints, None))


def _page_of_pillow(data: bytes, hints: ReadHints) -> _Page:
    image = cast(TiffImageFile, open_picture(data, "TIFF", ("TIFF",)))
    pages = frame_count(image)
    page = _numbers(image, hints) if image.mode in ("F", "I", "I;16", "I;16B") else _picture(image)
    notes = (f"{pages} pages: the first is read",) if pages > 1 else ()
    return replace(page, meaning=replace(page.meaning, notes=(*notes, *page.meaning.notes)))


def _picture(image: Image.Image) -> _Page:
    picture = plain_picture(image, "TIFF")
    notes = tuple(note for note in picture.notes if "frames" not in note)
    return _Page(picture.luma, picture.colour, Meaning(None, notes))


def _numbers(image: TiffImageFile, hints: ReadHints) -> _Page:
    numbers = pixels(image, "TIFF")
    nodata = _nodata(image)
    if image.mode == "F":
        declared: Unit | None = "c" if _tag(image, DESCRIPTION) == CELSIUS else None
        return _Page(numbers, None, of_temperatures(numbers, hints, "TIFF", declared=declared, nodata=nodata))
    counts = _narrowed(numbers)
    return _Page(counts, None, _of_counts(counts, hints, nodata))


def _of_counts(counts: np.ndarray, hints: ReadHints, nodata: float | None) -> Meaning:
    meaning = of_counts(counts, hints, "TIFF", steps=CAMERA_STEPS, nodata=nodata)
    if meaning.calibration is None and counts.dtype != np.uint16:
        raise FormatError(f"TIFF: whole numbers of type {counts.dtype} need a scale (give scale, offset and unit)")
    return meaning


def _narrowed(numbers: np.ndarray) -> np.ndarray:
    """Return native uint16 where the numbers fit, else int32."""
    if numbers.dtype.itemsize == 2 and numbers.dtype.kind == "u":
        return numbers.astype(np.uint16)
    return numbers.astype(np.int32)


def _tag(image: TiffImageFile, tag: int) -> str:
    with headers("TIFF"):
        return str(image.tag_v2.get(tag, "")).strip("\0 ")


def _nodata(image: TiffImageFile) -> float | None:
    text = _tag(image, _GDAL_NODATA)
    try:
        return float(text) if text else None
    except ValueError:
        return None


READER = TiffReader()
