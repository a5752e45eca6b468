"""One picture's panel: input, what the model expects, heatmap and overlay side by side, as PNG.

Without a model it has two parts, input and overlay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image, ImageDraw

from isotherm.core.findings import Finding
from isotherm.reports.drawing import (
    ANOMALY,
    HOTSPOT,
    INK,
    PAPER,
    QUIET,
    Fit,
    Font,
    Span,
    draw_numbers,
    draw_outlines,
    draw_scale,
    elided,
    font,
    scale_width,
    shade,
    tint,
    to_image,
)
from isotherm.reports.png import encode_png

BOX = 432
"""Longest side of a shown picture [px]."""
MARGIN, GAP, HEADER, CAPTION = 16, 18, 58, 24
LEAST_WIDTH = 300
LEAST_SPAN_K = 0.5
"""Narrowest span of a temperature scale [K], so that noise does not look like a finding."""
OUTLINED, NUMBERED = 200, 20
"""How many findings are outlined and numbered at most; the table has them all."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """What a model says about a picture.

    Parameters
    ----------
    map
        (H W), larger is stranger.
    threshold
        Map values above it belong to the mask.
    reference
        (3 r c) what the picture should look like, °C or grey levels 0..255; None where the method has none.
    reference_name
        "Nearest normal", "Reconstruction" ...
    """

    map: Float32[np.ndarray, "H W"]
    threshold: float
    reference: Float32[np.ndarray, "3 r c"] | None = None
    reference_name: str = "Expected"


@dataclass(frozen=True, eq=False)
class View:
    """Everything that a panel shows.

    Parameters
    ----------
    title, facts
        The two lines at the top.
    values
        (H W) °C, or grey levels 0..255.
    radiometric
        Whether `values` are temperatures.
    mask
        (H W) what is marked: the anomaly mask with a model, the hotspot mask without.
    colour
        (H W 3) for a coloured plain picture.
    findings
        Hotspots (outlined and numbered in this order) and anomalies (outlined).
    expectation
        None without a model.
    span
        The ends of the colours, the same for all panels of a set; None for this picture's own.
    palette
        The colours of temperatures, see `isotherm.reports.palette`.
    """

    title: str
    facts: str
    values: Float[np.ndarray, "H W"]
    radiometric: bool
    mask: Bool[np.ndarray, "H W"]
    colour: UInt8[np.ndarray, "H W 3"] | None = None
    findings: tuple[Finding, ...] = ()
    expectation: Expectation | None = None
    span: Span | None = None
    palette: str = "iron"


@dataclass(frozen=True, eq=False)
class _Cell:
    caption: str
    picture: Image.Image
    span: Span | None = None
    table: str = ""
    mark: float | None = None

    @property
    def width(self) -> int:
        return self.picture.width + (8 + scale_width(self.span) if self.span else 0)


def draw_panel(view: View) -> bytes:
    """Return the panel as PNG; the same view gives the same bytes."""
    fit = Fit.into(view.values.shape, BOX)
    span = (view.span or Span.of(view.values, least=LEAST_SPAN_K)) if view.radiometric else None
    cells = [_input(view, span, fit)]
    if view.expectation is not None:
        if view.expectation.reference is not None:
            cells.append(_reference(view.expectation, span, fit, view.palette))
        cells.append(_heatmap(view.expectation, fit))
    cells.append(_overlay(view, fit))
    return encode_png(np.asarray(_laid_out(view, cells)))


def _input(view: View, span: Span | None, fit: Fit) -> _Cell:
    if span is not None:
        known = view.values[np.isfinite(view.values)]
        extent = f"{known.min():.1f} … {known.max():.1f} °C" if known.size else "no valid temperature"
        return _Cell(f"Input   {extent}", shade(view.values, span, view.palette, fit), span, view.palette)
    if view.colour is not None:
        return _Cell("Input   colours, no temperatures", fit.resize(Image.fromarray(view.colour)))
    return _Cell("Input   grey levels, no temperatures", _grey(view, fit))


def _reference(expectation: Expectation, span: Span | None, fit: Fit, table: str) -> _Cell:
    assert expectation.reference is not None
    if span is not None:
        side = Fit(fit.width, fit.height, 0.5)  # smooth: the network's pixels are not the picture's
        return _Cell(
            expectation.reference_name, shade(expectation.reference.mean(axis=0), span, table, side), span, table
        )
    levels = np.moveaxis(expectation.reference, 0, 2).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(levels))
    return _Cell(expectation.reference_name, picture.resize((fit.width, fit.height), Image.Resampling.BILINEAR))


def _heatmap(expectation: Expectation, fit: Fit) -> _Cell:
    low, high = float(expectation.map.min()), float(expectation.map.max())
    # The threshold is always on the scale, so that a harmless picture does not look alarming.
    span = Span(min(low, expectation.threshold), max(high, expectation.threshold * 1.1, low + 1e-6))
    caption = f"Heatmap   highest {high:.3g}, threshold {expectation.threshold:.3g}"
    return _Cell(caption, shade(expectation.map, span, "sea", fit), span, "sea", expectation.threshold)


def _overlay(view: View, fit: Fit) -> _Cell:
    picture = _grey(view, fit).convert("RGB")
    hotspots = [finding for finding in view.findings if finding.kind == "hotspot"]
    anomalies = [finding for finding in view.findings if finding.kind == "anomaly"]
    if view.mask.any():
        # Pixels that are set must not vanish when the picture shrinks.
        shown = fit.resize(to_image(view.mask)).point([0, *([255] * 255)])
        colour, opacity = (HOTSPOT, 0.15) if view.expectation is None else (ANOMALY, 0.35)
        tint(picture, shown, colour, opacity)
    draw = ImageDraw.Draw(picture)
    draw_outlines(draw, anomalies[:OUTLINED], fit, colour=ANOMALY)
    draw_outlines(draw, hotspots[:OUTLINED], fit, colour=HOTSPOT)
    draw_numbers(draw, hotspots[:NUMBERED], fit)
    return _Cell(_overlay_caption(view, len(hotspots)), picture)


def _overlay_caption(view: View, hotspots: int) -> str:
    numbered = "1 hotspot" if hotspots == 1 else f"{hotspots} hotspots"
    if hotspots > NUMBERED:
        numbered += f", {NUMBERED} numbered"
    if view.expectation is None:
        return f"Overlay   {numbered}"
    return f"Overlay   mask {int(view.mask.sum())} px (red), {numbered} (blue)"


def _grey(view: View, fit: Fit) -> Image.Image:
    if not view.radiometric:
        return fit.resize(Image.fromarray(view.values.clip(0, 255).astype(np.uint8)))
    # What is hot has its outline here; the surroundings should be seen.
    span = Span.of(view.values, least=LEAST_SPAN_K, percent=(1, 98))
    # Neither black nor white, so that outlines show everywhere.
    return fit.resize(Image.fromarray(span.bytes(view.values))).point([25 + level * 195 // 255 for level in range(256)])


def _laid_out(view: View, cells: list[_Cell]) -> Image.Image:
    columns = 2
    width = max(LEAST_WIDTH, *(cell.width for cell in cells))
    row = CAPTION + cells[0].picture.height
    rows = -(-len(cells) // columns)
    total = 2 * MARGIN + columns * width + (columns - 1) * GAP
    canvas = Image.new("RGB", (total, HEADER + rows * row + (rows - 1) * GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    _line(draw, (MARGIN, 21), view.title, (total - 2 * MARGIN, font(16, bold=True), INK))
    _line(draw, (MARGIN, 43), view.facts, (total - 2 * MARGIN, font(13), QUIET))
    for place, cell in enumerate(cells):
        left = MARGIN + (place % columns) * (width + GAP)
        top = HEADER + (place // columns) * (row + GAP)
        _line(draw, (left, top + 11), cell.caption, (width, font(12), INK))
        _place(canvas, cell, left, top + CAPTION)
    return canvas


def _line(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, style: tuple[int, Font, tuple[int, int, int]]
) -> None:
    width, face, colour = style
    draw.text(at, elided(text, width, face), colour, face, anchor="lm")


def _place(canvas: Image.Image, cell: _Cell, left: int, top: int) -> None:
    canvas.paste(cell.picture, (left, top))
    if cell.span is not None:
        marks = () if cell.mark is None else (cell.mark,)
        beside = left + cell.picture.width + 8
        draw_scale(canvas, beside, top, cell.picture.height, span=cell.span, table=cell.table, marks=marks)
