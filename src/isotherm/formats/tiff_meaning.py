"""What the numbers of a TIFF mean: by what the file declares, else by a guess that is said aloud.

Declarations that are known: the step of FLIR's cores in XMP (``Camera:TlinearGain``, kelvin a count; 0 where the counts
are no temperatures), GDAL's scale, offset and unit, and a unit in the image description.
"""

from __future__ import annotations

import math
import re

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.formats.exif import DESCRIPTION
from isotherm.formats.float_tiff import CELSIUS
from isotherm.formats.reader import ReadHints
from isotherm.formats.scaling import CAMERA_STEPS, GIVE_SCALE, Meaning, of_counts, of_temperatures, over_declared
from isotherm.formats.text_numbers import unit_named_in
from isotherm.formats.tiff_numbers import Page
from isotherm.radiometry.linear import Unit, linear

_XMP, _GDAL_METADATA, _GDAL_NODATA = 700, 42112, 42113
_TLINEAR = re.compile(rb"Camera:TlinearGain\s{0,8}(?:=\s{0,8}[\"']|>)\s{0,8}([0-9.eE+-]{1,32})")
_GDAL_ITEM = re.compile(r"role\s{0,8}=\s{0,8}\"(scale|offset|unittype)\"[^<>]{0,64}>([^<>]{0,64})<")
_GDAL_UNITS: dict[str, Unit] = {"c": "c", "degc": "c", "°c": "c", "celsius": "c", "k": "k", "kelvin": "k", "f": "f"}


def meaning_of(numbers: np.ndarray, page: Page, hints: ReadHints) -> Meaning:
    """Return how the numbers of a page become kelvin; the user's word wins over the file's, that over a guess.

    Raises
    ------
    FormatError
        Whole numbers of another type than uint16 whose step nobody says.
    """
    nodata = _finite(page.text(_GDAL_NODATA))
    declared = _declared_step(page, nodata) if numbers.dtype.kind != "f" else None
    if declared is not None:
        return over_declared(declared, hints, nodata=nodata)
    unit = _declared_unit(page)
    if numbers.dtype.kind == "f":
        return of_temperatures(numbers, hints, "TIFF", declared=unit, nodata=nodata)
    meaning = of_counts(numbers, hints, "TIFF", steps=CAMERA_STEPS, nodata=nodata)
    if meaning.calibration is None and numbers.dtype != np.uint16:
        raise FormatError(f"TIFF: whole numbers of type {numbers.dtype} need a scale ({GIVE_SCALE})")
    return meaning


def _declared_step(page: Page, nodata: float | None) -> Meaning | None:
    """Return the meaning that the file declares for counts; None where it declares none."""
    gain = _tlinear_gain(page)
    if gain is not None and gain > 0:
        return Meaning(linear(gain, 0.0, "k", nodata=nodata))
    if gain == 0 and page.dtype is not None and page.dtype.kind == "u" and page.dtype.itemsize == 2:
        note = "the camera was not in its temperature mode (T-linear gain 0): read as grey levels"
        return Meaning(None, (note,))
    items = dict(_GDAL_ITEM.findall(page.text(_GDAL_METADATA)))
    scale, offset = _finite(items.get("scale", "")), _finite(items.get("offset", "0"))
    unit = _GDAL_UNITS.get(items.get("unittype", "").strip().casefold())
    if scale and offset is not None and unit and scale > 0:
        return Meaning(linear(scale, offset, unit, nodata=nodata))
    return None


def _tlinear_gain(page: Page) -> float | None:
    entry = page.tags.get(_XMP)
    found = _TLINEAR.search(entry.raw) if entry else None
    return _finite(found[1].decode("ascii")) if found else None


def _declared_unit(page: Page) -> Unit | None:
    description = page.text(DESCRIPTION)
    if description == CELSIUS:
        return "c"
    items = dict(_GDAL_ITEM.findall(page.text(_GDAL_METADATA)))
    return _GDAL_UNITS.get(items.get("unittype", "").strip().casefold()) or unit_named_in(description[:200])


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
