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
from isotherm.reports.view_data import own_span

THUMBNAIL_PX, THUMBNAIL_TYPE = 256, "image/webp"
PICTURE_TYPE = "image/png"
OUTLINED, NUMBERED = 200, 20
"""How many findings are outlined and numbered at most."""
_LEAST_SIDE_PX = 640
"""Smaller pictures grow by a whole factor to about this, so that outlines and numbers can be told apart."""
_QUALITY = 80


def thumbnail(thermogram: Thermogram, values: Values, *, palette: str, side_px: int = THUMBNAIL_PX) -> bytes:
    """Return a WebP of at most `side_px`: false colours where there are temperatures, else the picture's own."""
    height, width = values.shape
    step = max(1, max(height, width) // side_px)
    small = _own_colours(thermogram, step)
    if small is None:
        part = values[::step, ::step]
        fit = Fit(part.shape[1], part.shape[0], 1.0)
        small = shade(part, _span(thermogram, values), _table(thermogram, palette), fit)
    small.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
    return _encoded(small, "WEBP", quality=_QUALITY, method=0)


def full_picture(thermogram: Thermogram, values: Values, findings: Sequence[Finding], *, palette: str) -> bytes:
    """Return a PNG of the whole picture with its findings outlined and the first of them numbered."""
    height, width = values.shape
    scale = max(1, _LEAST_SIDE_PX // max(height, width))
    fit = Fit(width * scale, height * scale, float(scale))
    own = _own_colours(thermogram, 1)
    picture = fit.resize(own) if own else shade(values, _span(thermogram, values), _table(thermogram, palette), fit)
    draw = ImageDraw.Draw(picture)
    draw_outlines(draw, findings[:OUTLINED], fit, colour=HOTSPOT)
    draw_numbers(draw, findings[:NUMBERED], fit)
    return _encoded(picture, "PNG", compress_level=1)


def _own_colours(thermogram: Thermogram, step: int) -> Image.Image | None:
    """Return every so many-th pixel of a coloured picture without measured temperatures, else None."""
    if thermogram.colour is None:
        return None
    return Image.fromarray(np.ascontiguousarray(thermogram.colour[::step, ::step]))


def _span(thermogram: Thermogram, values: Values) -> Span:
    if not thermogram.radiometric and not thermogram.deep:
        return Span(0.0, 255.0)
    return own_span(values, radiometric=thermogram.radiometric)


def _table(thermogram: Thermogram, palette: str) -> str:
    return palette if thermogram.radiometric else "grey"


def _encoded(picture: Image.Image, kind: str, **options: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()
