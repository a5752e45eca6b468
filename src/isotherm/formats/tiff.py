"""TIFF: float temperatures, 16-bit counts with a scale, or a plain picture of 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import TiffImagePlugin  # noqa: F401 (the plug-in)

from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.exif import ORIENTATION, read_capture, read_exif
from isotherm.formats.raster import open_picture, pixels, plain_picture
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.formats.scaling import Meaning
from isotherm.formats.tiff_meaning import meaning_of
from isotherm.formats.tiff_numbers import Page, check_fits, decode, page_at

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _COMPRESSION = 0x0102, 0x0103


class TiffReader:
    """TIFF, classic and BigTIFF: one page at a time, one channel of numbers, or a plain picture."""

    name = "tiff"
    card = FormatCard(
        makers="FLIR Duo, Duo Pro and Vue Pro (0.01, 0.04, 0.40 K a count), drone software, GDAL, isotherm",
        suffixes=".tif .tiff",
        numbers="°C or K as floats; 16-bit counts with a step",
        evidence="documented",
        hints=("step", "offset", "unit"),
        frames=True,
        extras=("position",),
        source="TIFF 6.0; BigTIFF; FLIR Duo Pro R User Guide, 6.2.2; FLIR Duo User Guide, 5.1.7.3; GDAL's tags",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like a TIFF."""
        return data.startswith(_SIGNATURES)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode a page: floats are temperatures, 16-bit numbers counts, 8-bit ones a picture."""
        page = page_at(data, hints)
        notes = list(page.notes)
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
        check_fits(page)
        image = open_picture(_upright(data, page), "TIFF", ("TIFF",), frame=page.index)
        if image.mode not in ("F", "I", "I;16", "I;16B"):
            picture = plain_picture(image, "TIFF")
            said = tuple(note for note in picture.notes if "frames" not in note)
            return _Content(picture.luma, picture.colour, Meaning(None, said))
        numbers = _native(pixels(image, "TIFF"), page, image.mode)
    return _Content(numbers, None, meaning_of(numbers, page, hints))


def _upright(data: bytes, page: Page) -> bytes:
    """Return the file with its orientation set to 1: Pillow would turn the pixels of this format, and of no other."""
    layout, cursor = page.layout, page.cursor
    if page.one(ORIENTATION, 1) == 1:
        return data
    for entry in layout.entries(cursor, page.offset):
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


READER = TiffReader()
