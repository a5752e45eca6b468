"""The pictures of a fault: thermal, outlined and with its scale, and the photo with the same outlines."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from isotherm.core.capture import Alignment
from isotherm.core.findings import Finding, ImageResult
from isotherm.core.regions import Values
from isotherm.core.thermogram import Thermogram
from isotherm.reports.content import shown
from isotherm.reports.document.content import ANOMALIES, FaultPictures, Figure
from isotherm.reports.document.wording import Wording
from isotherm.reports.drawing import (
    ANOMALY,
    HOTSPOT,
    PAPER,
    Fit,
    Span,
    draw_labels,
    draw_outlines,
    draw_scale,
    scale_width,
    shade,
)
from isotherm.reports.panels import LEAST_SPAN_K, NUMBERED, OUTLINED
from isotherm.reports.photos import PlacedPhoto, reduced
from isotherm.reports.value_steps import ValueSteps
from isotherm.reports.view_data import LEAST_SPAN_LEVELS, encode_plane

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


@dataclass(frozen=True, eq=False)
class Drawn:
    """The pictures of a fault, without any word.

    Parameters
    ----------
    thermal, photo
        JPEG; `photo` is empty where there is none, `alignment` says how it is known to lie.
    low, high
        The least and the highest value; NaN where none is known.
    radiometric
        Whether values are temperatures [°C].
    plane
        See `FaultPictures`.
    """

    thermal: bytes
    low: float
    high: float
    radiometric: bool
    photo: bytes = b""
    alignment: str = ""
    plane: Mapping[str, Any] | None = None


def packed(drawn: Drawn) -> bytes:
    """Return drawn pictures as JSON, to be sent by the child that draws them; `unpacked` reads it."""
    texts = {name: base64.b64encode(getattr(drawn, name)).decode() for name in ("thermal", "photo")}
    ends = {name: None if math.isnan(getattr(drawn, name)) else getattr(drawn, name) for name in ("low", "high")}
    return json.dumps({**vars(drawn), **texts, **ends}).encode("ascii")


def unpacked(data: bytes) -> Drawn:
    """Return what `packed` was given."""
    found = json.loads(data)
    pictures = {name: base64.b64decode(found[name]) for name in ("thermal", "photo")}
    ends = {name: float("nan") if found[name] is None else found[name] for name in ("low", "high")}
    return Drawn(**{**found, **pictures, **ends})


def draw(pictured: Pictured, *, plane_px: int | None = None) -> Drawn:
    """Return the pictures of a fault; with `plane_px` its temperatures too, at most that many on a side."""
    values = pictured.thermogram.values()
    radiometric = pictured.thermogram.radiometric
    thermal, share = _thermal(pictured, values)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (float("nan"), float("nan"))
    plane = _plane(values, plane_px) | {"share": share} if plane_px is not None and radiometric else None
    photo = b"" if pictured.photo is None else _photo(pictured, pictured.photo)
    alignment = "" if pictured.photo is None else pictured.photo.alignment.source
    return Drawn(thermal, low, high, radiometric, photo, alignment, plane)


def worded(drawn: Drawn, result: ImageResult, w: Wording) -> FaultPictures:
    """Return drawn pictures with their captions, and the words for those who do not see them."""
    low, high = (w("not_known") if math.isnan(value) else w.number(value) for value in (drawn.low, drawn.high))
    unit = "°C" if drawn.radiometric else ""
    alt = w("thermal_alt", image=result.image, low=low, high=high, unit=unit, count=len(shown(result)))
    caption = f"{w('thermal')}: {low} … {high} {unit}".strip()
    thermal = Figure(drawn.thermal, "jpeg", alt, "; ".join(filter(None, (caption, _of_model(result, w)))))
    if not drawn.photo:
        return FaultPictures(thermal, None, drawn.plane)
    alignment = w.phrase(drawn.alignment)
    photo = Figure(
        drawn.photo,
        "jpeg",
        w("photo_alt", image=result.image, alignment=alignment),
        f"{w('photo')} ({alignment})",
    )
    return FaultPictures(thermal, photo, drawn.plane)


def _of_model(result: ImageResult, w: Wording) -> str:
    """Return what a model says of a picture, and how its regions are called in it."""
    said = result.anomaly
    if said is None:
        return ""
    score = f"{w('score')}: {w('score_text', score=w.short(said.score), threshold=w.short(said.threshold))}"
    regions = any(finding.kind == "anomaly" for finding in result.findings)
    return f"{ANOMALIES}1 …: {w('unlike_normal')}; {score}" if regions else score


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
    # Which pixel has each step first is not asked here.
    return encode_plane(shown, ValueSteps(table, indexes, np.full(table.size, -1))) | {"step": step}


def _thermal(pictured: Pictured, values: Values) -> tuple[bytes, float]:
    """Return the thermal picture with its scale, and which share of its width is the picture itself."""
    thermogram = pictured.thermogram
    fit = Fit.into(values.shape, BOX)
    if not thermogram.radiometric and thermogram.colour is not None:
        picture = fit.resize(Image.fromarray(thermogram.colour))
        _outline(picture, shown(pictured.result), fit)
        return _jpeg(picture), 1.0
    least = LEAST_SPAN_K if thermogram.radiometric else LEAST_SPAN_LEVELS
    span = pictured.span or Span.of(values, least=least)
    picture = shade(values, span, pictured.palette if thermogram.radiometric else "grey", fit)
    _outline(picture, shown(pictured.result), fit)
    if not thermogram.radiometric:
        return _jpeg(picture), 1.0
    whole = _with_scale(picture, span, pictured.palette)
    return _jpeg(whole), picture.width / whole.width


def _outline(picture: Image.Image, findings: Iterable[Finding], fit: Fit) -> None:
    found = list(findings)
    hotspots, anomalies = ([one for one in found if one.kind == kind] for kind in ("hotspot", "anomaly"))
    draw = ImageDraw.Draw(picture)
    draw_outlines(draw, anomalies[:OUTLINED], fit, colour=ANOMALY)
    draw_outlines(draw, hotspots[:OUTLINED], fit, colour=HOTSPOT)
    labelled = [(str(number), one) for number, one in enumerate(hotspots[:NUMBERED], start=1)]
    labelled += [(f"{ANOMALIES}{number}", one) for number, one in enumerate(anomalies[:NUMBERED], start=1)]
    draw_labels(draw, labelled, fit)


def _with_scale(picture: Image.Image, span: Span, table: str) -> Image.Image:
    canvas = Image.new("RGB", (picture.width + 8 + scale_width(span), picture.height), PAPER)
    canvas.paste(picture, (0, 0))
    draw_scale(canvas, picture.width + 8, 0, picture.height, span=span, table=table)
    return canvas


def _photo(pictured: Pictured, photo: PlacedPhoto) -> bytes:
    small = reduced(photo, BOX / max(photo.pixels.shape[:2]))
    picture = Image.fromarray(small.pixels).convert("RGB")
    if small.alignment.source != _ASSUMED:
        _frame(picture, pictured, small.alignment)
    return _jpeg(picture)


def _frame(picture: Image.Image, pictured: Pictured, at: Alignment) -> None:
    """Draw where the thermal picture lies in the photo, and the regions in it."""
    height, width = pictured.thermogram.size
    draw = ImageDraw.Draw(picture)
    corners = [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5), (-0.5, -0.5)]
    draw.line([_in_photo(point, at) for point in corners], fill=(255, 255, 255), width=1)
    for finding in shown(pictured.result)[:OUTLINED]:
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
