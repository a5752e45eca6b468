"""TIFF: float temperatures, 16-bit counts with a scale, or a plain picture of 8 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import TiffImagePlugin  # noqa: F401 (the plug-in)

from isotherm.core.errors import FormatError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.exif import DESCRIPTION, ORIENTATION, read_capture, read_exif
from isotherm.formats.float_tiff import CELSIUS
from isotherm.formats.ifd import directory_offsets
from isotherm.formats.raster import open_picture, pixels, plain_picture
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.formats.scaling import CAMERA_STEPS, Meaning, of_counts, of_temperatures
from isotherm.formats.tiff_numbers import Page, decode, first_page
from isotherm.radiometry.linear import Unit

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _COMPRESSION, _GDAL_NODATA = 0x0102, 0x0103, 42113


class TiffReader:
    """TIFF, classic and BigTIFF: one page, one channel of numbers, or a plain picture."""

    name = "tiff"
    card = FormatCard(
        makers="FLIR Duo and Tau, drone software, isotherm",
        suffixes=".tif .tiff",
        numbers="°C or K as floats; 16-bit counts with a step",
        evidence="documented",
        extras=("position",),
        source="TIFF 6.0; BigTIFF; GDAL's nodata tag",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like a TIFF."""
        return data.startswith(_SIGNATURES)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the first page: floats are temperatures, 16-bit numbers counts, 8-bit ones a picture."""
        page = first_page(data)
        pages = len(directory_offsets(page.cursor, page.layout))
        notes = [f"{pages} pages: the first is read"] if pages > 1 else []
        block = read_capture(data).block()
        exif = read_exif(block)
        if exif.orientation != 1:
            notes.append(f"orientation {exif.orientation} is not applied: positions are those of the stored pixels")
        content = _content(data, page, hints)
        return Thermogram(
            counts=content.counts,
            calibration=content.meaning.calibration,
            scene=assumed_scene(),
            format=self.name,
            colour=content.colour,
            camera=exif.camera,
            position=exif.position,
            notes=(*notes, *content.meaning.notes),
            exif=block,
        )


@dataclass(frozen=True, eq=False)
class _Content:
    counts: np.ndarray
    colour: np.ndarray | None
    meaning: Meaning


def _content(data: bytes, page: Page, hints: ReadHints) -> _Content:
    if page.dtype is not None:
        numbers = decode(page, page.dtype)
    else:
        image = open_picture(_upright(data, page), "TIFF", ("TIFF",))
        if image.mode not in ("F", "I", "I;16", "I;16B"):
            picture = plain_picture(image, "TIFF")
            said = tuple(note for note in picture.notes if "frames" not in note)
            return _Content(picture.luma, picture.colour, Meaning(None, said))
        numbers = _native(pixels(image, "TIFF"), page, image.mode)
    return _Content(numbers, None, _meaning(numbers, page, hints))


def _upright(data: bytes, page: Page) -> bytes:
    """Return the file with its orientation set to 1: Pillow would turn the pixels of this format, and of no other."""
    layout, cursor = page.layout, page.cursor
    if page.one(ORIENTATION, 1) == 1:
        return data
    for entry in layout.entries(cursor, layout.first(cursor)):
        if layout.unsigned(cursor, entry, 2) == ORIENTATION:
            place = layout.value_place(entry)
            return data[:place] + (b"\1\0" if layout.order == "<" else b"\0\1") + data[place + 2 :]
    return data


def _native(numbers: np.ndarray, page: Page, mode: str) -> np.ndarray:
    """Return numbers that Pillow decoded as they were meant, in native order."""
    bits = page.one(_BITS, 1)
    if page.layout.order == ">" and page.one(_COMPRESSION, 1) != 1 and mode in ("F", "I") and bits in (16, 32):
        # Its library has put them in native order already, and Pillow (13) swaps them once more.
        numbers = numbers.astype(f"{'f' if mode == 'F' else 'i'}{bits // 8}").byteswap()
    if numbers.dtype.itemsize == 2 and numbers.dtype.kind == "u":
        return numbers.astype(np.uint16)
    return numbers.astype(np.float32 if mode == "F" else np.int32)


def _meaning(numbers: np.ndarray, page: Page, hints: ReadHints) -> Meaning:
    nodata = _nodata(page.text(_GDAL_NODATA))
    if numbers.dtype.kind == "f":
        declared: Unit | None = "c" if page.text(DESCRIPTION) == CELSIUS else None
        return of_temperatures(numbers, hints, "TIFF", declared=declared, nodata=nodata)
    meaning = of_counts(numbers, hints, "TIFF", steps=CAMERA_STEPS, nodata=nodata)
    if meaning.calibration is None and numbers.dtype != np.uint16:
        raise FormatError(f"TIFF: whole numbers of type {numbers.dtype} need a scale (give step, offset and unit)")
    return meaning


def _nodata(text: str) -> float | None:
    try:
        gap = float(text)
    except ValueError:
        return None
    return gap if math.isfinite(gap) else None


READER = TiffReader()
