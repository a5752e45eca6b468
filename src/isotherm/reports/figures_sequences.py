"""Figures of recordings: sheets of maps, curves of temperature over time; drawn with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from isotherm.reports.figures_parts import colour_map, figure_png
from isotherm.sequences.defects import Defect
from isotherm.sequences.maps import MapStack

_COLUMNS = 4
_DPI = 110
_CLIPPED_PERCENT = 0.5
_UNIT_TEXT = {"1": ""}


def maps_sheet(title: str, stack: MapStack) -> bytes:
    """Return one PNG with all maps of a stack, each with its own colour scale over its middle 99 %."""
    columns = min(_COLUMNS, len(stack.names))
    rows = math.ceil(len(stack.names) / columns)
    height, width = stack.values.shape[1:]
    figure = Figure(
        figsize=(3.4 * columns, min(3.0 * height / width, 6) * rows + 0.9 * rows + 0.4), layout="constrained"
    )
    figure.suptitle(f"{title}: {stack.method}", fontsize=11)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(stack.names) :]:
        axes.axis("off")
    for axes, name, unit, values in zip(panels, stack.names, stack.units, stack.values, strict=False):
        _draw_map(figure, axes, name=name, unit=unit, values=values)
    return figure_png(figure, dpi=_DPI)


def _draw_map(
    figure: Figure,
    axes: Axes,
    *,
    name: str,
    unit: str,
    values: Float32[np.ndarray, "H W"],
    span: tuple[float, float] | None = None,
    told: str = "",
) -> None:
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (_CLIPPED_PERCENT, 100 - _CLIPPED_PERCENT)) if known.size else (0.0, 1.0)
    low, high = span or (low, high)
    colours = colour_map("clear")
    shown = axes.imshow(values, cmap=colours, vmin=low, vmax=high if high > low else low + 1, interpolation="nearest")
    axes.set_title(f"{name} [{unit}]" if _UNIT_TEXT.get(unit, unit) else name, fontsize=9)
    axes.tick_params(labelsize=7)
    scale = figure.colorbar(shown, ax=axes, shrink=0.85, label=told)
    scale.ax.tick_params(labelsize=7)


def curves_figure(
    title: str,
    times_s: Float[np.ndarray, " T"],
    curves: Mapping[str, Float[np.ndarray, " T"]],
    *,
    unit: str,
    timed: bool,
    log: bool,
) -> bytes:
    """Return one PNG with the temperature of several places over time; in log-log where asked and where it can be."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for label, values in curves.items():
        axes.plot(times_s, np.where(values > 0, values, np.nan) if log else values, lw=1.1, label=label)
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
        for side in (axes.xaxis, axes.yaxis):
            # Plain numbers are read faster than powers of ten.
            side.set_major_locator(LogLocator(subs=(1, 2, 5)))
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            side.set_minor_formatter(NullFormatter())
    axes.set(title=title, xlabel="time [s]" if timed else "frame", ylabel=f"[{unit}]")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure_png(figure, dpi=_DPI)


def defects_figure(
    title: str,
    score: Float32[np.ndarray, "H W"],
    mask: Bool[np.ndarray, "H W"],
    *,
    defects: Sequence[Defect],
    probability: bool = False,
) -> bytes:
    """Return one PNG: the score of each pixel, with the outline and the number of each defect.

    A score is how far the pixel is from the usual, or the probability of a defect, which is drawn from 0 to 1.
    """
    height, width = score.shape
    figure = Figure(figsize=(7.5, 7.5 * height / width * 0.86 + 0.6), layout="constrained")
    axes = figure.subplots()
    many = "1 defect" if len(defects) == 1 else f"{len(defects)} defects"
    name = f"{title}: {many}, {mask.mean():.1%} of the picture"
    span, told = ((0.0, 1.0), "probability of a defect") if probability else (None, "score")
    _draw_map(figure, axes, name=name, unit="1", values=score, span=span, told=told)
    for defect in defects:
        x, y = np.array([*defect.region.contour, defect.region.contour[0]]).T
        axes.plot(x, y, color="#e0218a", lw=1.2)
        depth = "" if defect.depth_mm is None else f" {defect.depth_mm:.2f} mm"
        left, top = float(x.max()), float(y.min())
        axes.annotate(f"{defect.number}{depth}", (left, top), color="#e0218a", fontsize=8, fontweight="bold")
    return figure_png(figure, dpi=_DPI)
