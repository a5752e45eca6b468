"""Writes temperatures as a TIFF of 32-bit floats, with the capture's EXIF and GPS kept."""

from __future__ import annotations

import zlib

from isotherm.core.thermogram import Temperatures
from isotherm.formats.cursor import Order
from isotherm.formats.exif import DESCRIPTION, Capture
from isotherm.formats.ifd import LONG, SHORT, encode, numbers_entry, text_entry

CELSIUS = "temperature in degrees Celsius"
"""Image description that declares the unit of a float TIFF."""
_DEFLATE, _BLACK_IS_ZERO, _IEEE_FLOAT = 8, 1, 3


def encode_celsius(celsius: Temperatures, capture: Capture) -> bytes:
    """Return a TIFF of one deflated strip, NaN where there is no temperature (TIFF 6.0; deflate: Adobe TN 2002).

    It is little-endian whatever the capture was, because Pillow misreads deflated floats of the other order.
    """
    height, width = celsius.shape
    order: Order = "<"
    capture = capture.in_order(order)
    strip = zlib.compress(celsius.astype("<f4").tobytes())
    page = {
        0x0100: numbers_entry(order, LONG, width),
        0x0101: numbers_entry(order, LONG, height),
        0x0102: numbers_entry(order, SHORT, 32),
        0x0103: numbers_entry(order, SHORT, _DEFLATE),
        0x0106: numbers_entry(order, SHORT, _BLACK_IS_ZERO),
        DESCRIPTION: text_entry(CELSIUS),
        0x0111: numbers_entry(order, LONG, 8),
        0x0115: numbers_entry(order, SHORT, 1),
        0x0116: numbers_entry(order, LONG, height),
        0x0117: numbers_entry(order, LONG, len(strip)),
        0x0153: numbers_entry(order, SHORT, _IEEE_FLOAT),
    }
    return encode(order, {**capture.main, **page}, capture.nested, strip)
