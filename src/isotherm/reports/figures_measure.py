"""The figure of a measurement: picture with regions, profiles of lines, histograms; drawn with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse as EllipsePatch
from matplotlib.patches import Patch, Rectangle
from matplotlib.patches import Polygon as PolygonPatch

from isotherm.core.shapes import Box, Ellipse, Line, Polygon, Shape, Spot
from isotherm.reports import palette
from isotherm.reports.drawing import Span

# Okabe and Ito's colours, once light for the dark picture and once dark for white paper; the colours go round.
ON_PICTURE = ("#56d0ff", "#3ee6a8", "#ff9ad5", "#ffd21f", "#ffffff", "#b6a7ff", "#ff9d5c")
ON_PAPER = ("#0072b2", "#009e73", "#cc79a7", "#a07a00", "#333333", "#6a51a3", "#d55e00")
MANY = 8
LEAST_SPAN_K = 0.5


@dataclass(frozen=True, eq=False)
class DrawnRegion:
    """A region in the figure: its label with the reading beside it, its shape, and its values.

    ``edges`` and ``counts`` are its histogram, ``distance`` and ``along`` its profile; None where it has none.
    """

    label: str
    text: str
    shape: Shape | None
    mask: Bool[np.ndarray, "H W"] | None = None
    edges: Float[np.ndarray, " bins_plus_1"] | None = None
    counts: Float[np.ndarray, " bins"] | None = None
    distance: Float[np.ndarray, " P"] | None = None
    along: Float[np.ndarray, " P"] | None = None


@dataclass(frozen=True, eq=False)
class Marking:
    """An isotherm in the figure: its text and its pixels (H W)."""

    text: str
    mask: Bool[np.ndarray, "H W"]


def measurement_figure(
    title: str,
    celsius: Float[np.ndarray, "H W"],
    regions: Sequence[DrawnRegion],
    markings: Sequence[Marking] = (),
    *,
    colours: str = "iron",
) -> bytes:
    """Draw one measurement; returns a PNG.

    Parameters
    ----------
    title
        The line at the top.
    celsius
        (H W) [°C].
    regions, markings
        Regions with their histograms and profiles; isotherms.
    colours
        A palette of `isotherm.reports.palette`.
    """
    profiles = [region for region in regions if region.distance is not None and region.distance.size]
    figure = Figure(figsize=(13, 6.4), dpi=100, layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(2 if profiles else 1, 2, width_ratios=(1.25, 1))
    shown = {region.label: number % len(ON_PICTURE) for number, region in enumerate(regions)}
    _draw_picture(figure.add_subplot(grid[:, 0]), celsius, regions, markings, shown, colours)
    if profiles:
        _draw_profiles(figure.add_subplot(grid[0, 1]), profiles, shown)
    _draw_histograms(figure.add_subplot(grid[-1, 1]), regions, shown)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _draw_picture(
    axes: Axes,
    celsius: Float[np.ndarray, "H W"],
    regions: Sequence[DrawnRegion],
    markings: Sequence[Marking],
    shown: dict[str, int],
    colours: str,
) -> None:
    span = Span.of(celsius, least=LEAST_SPAN_K)
    red, green, blue = (part / 255 for part in palette.INVALID)
    table = ListedColormap(palette.table(colours) / 255).with_extremes(bad=(red, green, blue))
    image = axes.imshow(celsius, cmap=table, vmin=span.low, vmax=span.high, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label="°C", shrink=0.85)
    for number, marking in enumerate(markings):
        colour = ON_PICTURE[-1 - number % len(ON_PICTURE)]
        if marking.mask.any() and not marking.mask.all():
            axes.contour(marking.mask, levels=[0.5], colors=[colour], linewidths=1, linestyles="dashed")
            axes.plot([], [], color=colour, linewidth=1, linestyle="dashed", label=marking.text)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="lower right", facecolor="black", labelcolor="white", framealpha=0.65)
    for region in regions:
        _draw_region(axes, region, ON_PICTURE[shown[region.label]])
    axes.set_xlim(-0.5, celsius.shape[1] - 0.5)
    axes.set_ylim(celsius.shape[0] - 0.5, -0.5)
    axes.set(xlabel="x [px]", ylabel="y [px]")


def _draw_region(axes: Axes, region: DrawnRegion, colour: str) -> None:
    if region.shape is None:
        if region.mask is not None and not region.mask.all():
            axes.contour(region.mask, levels=[0.5], colors=[colour], linewidths=1.2)
    elif isinstance(region.shape, Line):
        line = region.shape
        for width, ink in ((3.5, "black"), (1.6, colour)):
            axes.plot([line.x0, line.x1], [line.y0, line.y1], color=ink, linewidth=width)
    else:
        for width, ink in ((3.0, "black"), (1.4, colour)):
            axes.add_patch(_patch(region.shape, width, ink))
    _write(axes, region, colour)


def _write(axes: Axes, region: DrawnRegion, colour: str) -> None:
    """Write a region's text at its upper corner, on the side that has more room; nothing for the whole picture."""
    if region.mask is None or region.mask.all():
        return
    rows, columns = np.flatnonzero(region.mask.any(axis=1)), np.flatnonzero(region.mask.any(axis=0))
    to_left = columns[-1] > 0.6 * region.mask.shape[1]
    below = rows[0] < 0.06 * region.mask.shape[0]
    axes.annotate(
        region.text,
        (float(columns[-1] if to_left else columns[0]), float(rows[-1] if below else rows[0])),
        (0, -4 if below else 4),
        textcoords="offset points",
        horizontalalignment="right" if to_left else "left",
        verticalalignment="top" if below else "bottom",
        color=colour,
        fontsize=8,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "black", "edgecolor": "none", "alpha": 0.65},
        clip_on=True,
    )


def _patch(shape: Shape, width: float, ink: str) -> Patch:
    # Pixel centres lie at whole numbers, so a box begins half a pixel before its first one.
    look: dict[str, Any] = {"fill": False, "linewidth": width, "edgecolor": ink}
    if isinstance(shape, Spot):
        half = shape.size_px / 2
        return Rectangle((shape.x - half, shape.y - half), shape.size_px, shape.size_px, **look)
    if isinstance(shape, Box):
        return Rectangle((shape.x - 0.5, shape.y - 0.5), shape.width, shape.height, **look)
    if isinstance(shape, Ellipse):
        return EllipsePatch((shape.x, shape.y), 2 * shape.radius_x, 2 * shape.radius_y, **look)
    assert isinstance(shape, Polygon)
    return PolygonPatch(np.array(shape.corners), closed=True, **look)


def _draw_profiles(axes: Axes, regions: Sequence[DrawnRegion], shown: dict[str, int]) -> None:
    for region in regions[:MANY]:
        assert region.distance is not None
        assert region.along is not None
        colour = ON_PAPER[shown[region.label]]
        axes.plot(region.distance, region.along, color=colour, linewidth=1.3, label=region.label)
    axes.set(xlabel="distance from the start of the line [px]", ylabel="°C", title="profiles")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)


def _draw_histograms(axes: Axes, regions: Sequence[DrawnRegion], shown: dict[str, int]) -> None:
    some = [region for region in regions if region.counts is not None and region.edges is not None]
    for region in some[:MANY]:
        assert region.counts is not None
        share = 100 * region.counts / max(1.0, float(region.counts.sum()))
        axes.stairs(share, region.edges, color=ON_PAPER[shown[region.label]], linewidth=1.3, label=region.label)
    axes.set(xlabel="°C", ylabel="share of the region's pixels [%]", title="histograms")
    axes.grid(alpha=0.25)
    if some:
        axes.legend(fontsize=8)
