"""Writes temperatures as a TIFF of 32-bit floats, with the capture's EXIF and GPS kept."""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import Float32

from isotherm.core.thermogram import Temperatures
from isotherm.formats.cursor import Order
from isotherm.formats.exif import DESCRIPTION, Capture
from isotherm.formats.ifd import LONG, SHORT, encode, numbers_entry, text_entry

CELSIUS = "temperature in degrees Celsius"
"""Image description that declares the unit of a float TIFF."""
_DEFLATE, _BLACK_IS_ZERO, _IEEE_FLOAT = 8, 1, 3


def encode_celsius(celsius: Temperatures, capture: Capture) -> bytes:
    """Return a TIFF of temperatures that declares its unit; NaN where there is none."""
    return _encoded(celsius, capture, CELSIUS)


def encode_numbers(values: Float32[np.ndarray, "H W"], description: str) -> bytes:
    """Return a TIFF of any numbers, described in words; NaN where there is none."""
    return _encoded(values, Capture(), description)


def _encoded(values: Float32[np.ndarray, "H W"], capture: Capture, description: str) -> bytes:
    """Return a TIFF of one deflated strip (TIFF 6.0; deflate: Adobe TN 2002).

    It is little-endian whatever the capture was, because Pillow misreads deflated floats of the other order.
    """
    height, width = values.shape
    order: Order = "<"
    capture = capture.in_order(order)
    strip = zlib.compress(values.astype("<f4").tobytes())
    page = {
        0x0100: numbers_entry(order, LONG, width),
        0x0101: numbers_entry(order, LONG, height),
        0x0102: numbers_entry(order, SHORT, 32),
        0x0103: numbers_entry(order, SHORT, _DEFLATE),
        0x0106: numbers_entry(order, SHORT, _BLACK_IS_ZERO),
        DESCRIPTION: text_entry(description),
        0x0111: numbers_entry(order, LONG, 8),
        0x0115: numbers_entry(order, SHORT, 1),
        0x0116: numbers_entry(order, LONG, height),
        0x0117: numbers_entry(order, LONG, len(strip)),
        0x0153: numbers_entry(order, SHORT, _IEEE_FLOAT),
    }
    return encode(order, {**capture.main, **page}, capture.nested, strip)
