"""Pictures that the server shows: drawn and encoded by us from the values, never a byte of the file that was sent."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from isotherm.core.findings import Finding
from isotherm.core.regions import Values
from isotherm.core.thermogram import Thermogram
from isotherm.reports.drawing import HOTSPOT, Fit, Span, draw_numbers, draw_outlines, shade
from isotherm.reports.png import encode_png
from isotherm.reports.view_data import own_span

THUMBNAIL_PX, THUMBNAIL_TYPE = 256, "image/webp"
PICTURE_TYPE = "image/png"
OUTLINED, NUMBERED = 200, 20
"""How many findings are outlined and numbered at most."""
_LEAST_SIDE_PX = 640
"""Smaller pictures grow by a whole factor to about this, so that outlines and numbers can be told apart."""
_QUALITY = 80
_LEVELS = Span(0.0, 255.0)


def thumbnail(thermogram: Thermogram, values: Values, *, palette: str, side_px: int = THUMBNAIL_PX) -> bytes:
    """Return a WebP of at most `side_px`: false colours where there are temperatures, else the picture's own.

    Small pictures grow by a whole factor.
    """
    # Every so many-th pixel first, because to average all of them takes longer than all the rest.
    step = max(1, max(values.shape) // side_px)
    fit = Fit.into((-(-values.shape[0] // step), -(-values.shape[1] // step)), side_px)
    return _webp(_shown(thermogram, values, fit, palette=palette, step=step))


def full_picture(thermogram: Thermogram, values: Values, findings: Sequence[Finding], *, palette: str) -> bytes:
    """Return a PNG of the whole picture with its findings outlined and the first of them numbered."""
    height, width = values.shape
    scale = max(1, _LEAST_SIDE_PX // max(height, width))
    fit = Fit(width * scale, height * scale, float(scale))
    picture = _shown(thermogram, values, fit, palette=palette)
    draw = ImageDraw.Draw(picture)
    draw_outlines(draw, findings[:OUTLINED], fit, colour=HOTSPOT)
    draw_numbers(draw, findings[:NUMBERED], fit)
    return encode_png(np.asarray(picture))


def _shown(thermogram: Thermogram, values: Values, fit: Fit, *, palette: str, step: int = 1) -> Image.Image:
    """Return every so many-th pixel at the size of `fit`."""
    if thermogram.colour is not None:
        return fit.resize(Image.fromarray(np.ascontiguousarray(thermogram.colour[::step, ::step])))
    thinned = values[::step, ::step]
    if thermogram.radiometric:
        return shade(thinned, own_span(thinned, radiometric=True), palette, fit)
    span = own_span(thinned, radiometric=False) if thermogram.deep else _LEVELS
    return shade(thinned, span, "grey", fit)


def _webp(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=_QUALITY, method=0)
    return stream.getvalue()
