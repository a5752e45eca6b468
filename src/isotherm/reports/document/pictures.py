"""The pictures of a fault: thermal, outlined and with its scale, and the photo with the same outlines."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from isotherm.core.capture import Alignment
from isotherm.core.findings import Finding, ImageResult
from isotherm.core.regions import Values
from isotherm.core.thermogram import Thermogram
from isotherm.reports.document.content import FaultPictures, Figure
from isotherm.reports.document.wording import Wording
from isotherm.reports.drawing import (
    ANOMALY,
    HOTSPOT,
    PAPER,
    Fit,
    Span,
    draw_numbers,
    draw_outlines,
    draw_scale,
    scale_width,
    shade,
)
from isotherm.reports.panels import LEAST_SPAN_K, NUMBERED, OUTLINED
from isotherm.reports.photos import PlacedPhoto, reduced
from isotherm.reports.value_steps import ValueSteps
from isotherm.reports.view_data import encode_plane

BOX = 480
"""Longest side of a shown picture [px]."""
QUALITY = 85
_ASSUMED = "centred (assumed)"


@dataclass(frozen=True, eq=False)
class Pictured:
    """One picture of an inspection, read again to be shown.

    Parameters
    ----------
    result, thermogram
        What was found in it, and the picture.
    photo
        The photo of the same view; None where there is none.
    palette, span
        As in the panels of the inspection; without a span, the picture's own.
    """

    result: ImageResult
    thermogram: Thermogram
    photo: PlacedPhoto | None = None
    palette: str = "iron"
    span: Span | None = None


def fault_pictures(pictured: Pictured, wording: Wording, *, plane_px: int | None = None) -> FaultPictures:
    """Return what is shown of a picture; with `plane_px` its temperatures too, at most that many on a side."""
    values = pictured.thermogram.values()
    thermal, share = _thermal(pictured, values, wording)
    plane = None
    if plane_px is not None and pictured.thermogram.radiometric:
        plane = _plane(values, plane_px) | {"share": share}
    photo = None if pictured.photo is None else _photo(pictured, pictured.photo, wording)
    return FaultPictures(thermal, photo, plane)


def _plane(values: Values, most_px: int) -> dict[str, Any]:
    """Return temperatures to 0.1 °C, so small that a page can carry many: of larger pictures every n-th pixel."""
    step = -(-max(values.shape) // most_px)
    tenths = np.round(10 * values[::step, ::step].astype(np.float64))
    known = np.isfinite(tenths)
    low, high = (float(tenths[known].min()), float(tenths[known].max())) if known.any() else (0.0, -1.0)
    # The steps are known beforehand: looking for them would take longer than all the rest.
    table = np.append(np.arange(low, high + 1) / 10, np.nan).astype(np.float32)
    indexes = np.where(known, tenths - low, table.size - 1).astype(np.int64).ravel()
    shown = np.where(known, tenths / 10, np.nan).astype(np.float32)
    return encode_plane(shown, ValueSteps(table, indexes, np.zeros(0, np.int64)))


def _thermal(pictured: Pictured, values: Values, w: Wording) -> tuple[Figure, float]:
    """Return the thermal picture with its scale, and which share of its width is the picture itself."""
    radiometric = pictured.thermogram.radiometric
    fit = Fit.into(values.shape, BOX)
    span = (pictured.span if radiometric else None) or Span.of(values, least=LEAST_SPAN_K if radiometric else 1.0)
    colour = pictured.thermogram.colour
    if radiometric or colour is None:
        table = pictured.palette if radiometric else "grey"
        picture = shade(values, span, table, fit)
    else:
        table, picture = "", fit.resize(Image.fromarray(colour))
    _outline(picture, pictured.result.findings, fit)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    unit = "°C" if radiometric else ""
    words = {"image": pictured.result.image, "low": w.number(low), "high": w.number(high), "unit": unit}
    alt = w("thermal_alt", count=len(pictured.result.findings), **words)
    caption = f"{w('thermal')}: {words['low']} … {words['high']} {unit}".strip()
    whole = _with_scale(picture, span, table) if radiometric else picture
    return Figure(_jpeg(whole), "jpeg", alt, caption), picture.width / whole.width


def _outline(picture: Image.Image, findings: Iterable[Finding], fit: Fit) -> None:
    found = list(findings)
    hotspots = [finding for finding in found if finding.kind == "hotspot"]
    draw = ImageDraw.Draw(picture)
    draw_outlines(draw, [finding for finding in found if finding.kind == "anomaly"][:OUTLINED], fit, colour=ANOMALY)
    draw_outlines(draw, hotspots[:OUTLINED], fit, colour=HOTSPOT)
    draw_numbers(draw, hotspots[:NUMBERED], fit)


def _with_scale(picture: Image.Image, span: Span, table: str) -> Image.Image:
    canvas = Image.new("RGB", (picture.width + 8 + scale_width(span), picture.height), PAPER)
    canvas.paste(picture, (0, 0))
    draw_scale(canvas, picture.width + 8, 0, picture.height, span=span, table=table)
    return canvas


def _photo(pictured: Pictured, photo: PlacedPhoto, w: Wording) -> Figure:
    small = reduced(photo, BOX / max(photo.pixels.shape[:2]))
    picture = Image.fromarray(small.pixels).convert("RGB")
    at = small.alignment
    if at.source != _ASSUMED:
        _frame(picture, pictured, at)
    alignment = w.phrase(at.source)
    alt = w("photo_alt", image=pictured.result.image, alignment=alignment)
    return Figure(_jpeg(picture), "jpeg", alt, f"{w('photo')} ({alignment})")


def _frame(picture: Image.Image, pictured: Pictured, at: Alignment) -> None:
    """Draw where the thermal picture lies in the photo, and the regions in it."""
    height, width = pictured.thermogram.size
    draw = ImageDraw.Draw(picture)
    corners = [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5), (-0.5, -0.5)]
    draw.line([_in_photo(point, at) for point in corners], fill=(255, 255, 255), width=1)
    for finding in pictured.result.findings[:OUTLINED]:
        contour = [_in_photo(point, at) for point in finding.region.contour]
        if len(contour) > 1:
            ring = [*contour, contour[0]]
            draw.line(ring, fill=(0, 0, 0), width=4)
            draw.line(ring, fill=HOTSPOT if finding.kind == "hotspot" else ANOMALY, width=2)


def _in_photo(point: tuple[float, float], at: Alignment) -> tuple[float, float]:
    return point[0] * at.scale_x + at.offset_x, point[1] * at.scale_y + at.offset_y


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    # Full colour resolution keeps thin outlines and small print sharp.
    picture.save(stream, "JPEG", quality=QUALITY, subsampling="4:4:4")
    return stream.getvalue()
