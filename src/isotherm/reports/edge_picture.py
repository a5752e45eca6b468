"""The thermal picture with the edges of the photo over it and the photo beside it, as one PNG."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from isotherm.core.regions import Values
from isotherm.reports.drawing import INK, PAPER, QUIET, Fit, Span, draw_scale, elided, font, scale_width, shade
from isotherm.reports.photos import PlacedPhoto, edges_of, reduced, warped
from isotherm.reports.png import encode_png

BOX = 640
MARGIN, GAP, HEADER = 16, 18, 46
EDGE_INK = (255, 255, 255)


def draw_edges(title: str, values: Values, span: Span, *, table: str, photo: PlacedPhoto) -> bytes:
    """Return the picture: thermal colours with the photo's edges in white, their scale, and the same part of the photo.

    Parameters
    ----------
    title
        The line at the top.
    values
        (H W) °C or grey levels.
    span, table
        The ends of the colours and their palette.
    photo
        The photo and where the thermal picture lies in it.
    """
    fit = Fit.into(values.shape, BOX)
    thermal = shade(values, span, table, fit)
    shown = _shown_size(photo, fit)
    edges, beside = (
        warped(layer, shown.alignment, (fit.width, fit.height), fit.scale)
        for layer in (edges_of(shown.pixels), shown.pixels)
    )
    thermal.paste(EDGE_INK, (0, 0), edges)
    scale = scale_width(span)
    canvas = Image.new("RGB", (2 * MARGIN + 2 * fit.width + 8 + scale + GAP, HEADER + fit.height + 24 + MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    width = canvas.width - 2 * MARGIN
    draw.text((MARGIN, 24), elided(title, width, font(16, bold=True)), INK, font(16, bold=True), anchor="lm")
    canvas.paste(thermal, (MARGIN, HEADER))
    draw_scale(canvas, MARGIN + fit.width + 8, HEADER, fit.height, span=span, table=table)
    canvas.paste(beside, (MARGIN + fit.width + 8 + scale + GAP, HEADER))
    said = f"{photo.origin}; alignment: {photo.alignment.source}"
    draw.text((MARGIN, HEADER + fit.height + 18), elided(said, width, font(12)), QUIET, font(12), anchor="lm")
    return encode_png(np.asarray(canvas))


def _shown_size(photo: PlacedPhoto, fit: Fit) -> PlacedPhoto:
    """Return the photo no larger than it is shown, so that its edges are those that one can see."""
    return reduced(photo, fit.scale / min(photo.alignment.scale_x, photo.alignment.scale_y))
