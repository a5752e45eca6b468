"""The figure of a measurement: picture with regions, profiles of lines, histograms; drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse as EllipsePatch
from matplotlib.patches import Patch, Rectangle
from matplotlib.patches import Polygon as PolygonPatch

from isotherm.core.shapes import Box, Ellipse, Line, Polygon, Shape, Spot
from isotherm.reports.drawing import Span
from isotherm.reports.figures_parts import colour_map, figure_png

# Okabe and Ito's colours, once light for the dark picture and once dark for white paper. The first is for the whole
# picture alone; the others go round, with another kind of line each time.
ON_PICTURE = ("#ffffff", "#56d0ff", "#3ee6a8", "#ff9ad5", "#ffd21f", "#b6a7ff", "#ff9d5c")
ON_PAPER = ("#333333", "#0072b2", "#009e73", "#cc79a7", "#a07a00", "#6a51a3", "#d55e00")
LINES = ("solid", "dashed", "dotted")
MANY = 8
LEAST_SPAN_K = 0.5
LETTER_WIDTH, TEXT_HEIGHT = 6.2, 17.0
"""About what a letter of the regions' texts takes in the figure [px]."""


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
    shown = _numbers(regions)
    _draw_picture(figure.add_subplot(grid[:, 0]), celsius, regions, markings, shown, colours)
    if profiles:
        _draw_profiles(figure.add_subplot(grid[0, 1]), profiles, shown)
    _draw_histograms(figure.add_subplot(grid[-1, 1]), regions, shown)
    return figure_png(figure)


def _numbers(regions: Sequence[DrawnRegion]) -> dict[str, int]:
    """Return a number for each region by its label: 0 for the whole picture, 1, 2 ... for the others."""
    whole = {region.label for region in regions if region.mask is not None and region.mask.all()}
    parts = [region.label for region in regions if region.label not in whole]
    return dict.fromkeys(whole, 0) | {label: number for number, label in enumerate(parts, start=1)}


def _ink(inks: Sequence[str], number: int) -> str:
    return inks[1 + (number - 1) % (len(inks) - 1)] if number else inks[0]


def _line(number: int) -> str:
    return LINES[max(0, number - 1) // (len(ON_PAPER) - 1) % len(LINES)]


def _draw_picture(
    axes: Axes,
    celsius: Float[np.ndarray, "H W"],
    regions: Sequence[DrawnRegion],
    markings: Sequence[Marking],
    shown: dict[str, int],
    colours: str,
) -> None:
    span = Span.of(celsius, least=LEAST_SPAN_K)
    image = axes.imshow(celsius, cmap=colour_map(colours), vmin=span.low, vmax=span.high, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label="°C", shrink=0.85)
    for number, marking in enumerate(markings):
        colour = ON_PICTURE[-1 - number % len(ON_PICTURE)]
        if marking.mask.any() and not marking.mask.all():
            axes.contour(marking.mask, levels=[0.5], colors=[colour], linewidths=1, linestyles="dashed")
            axes.plot([], [], color=colour, linewidth=1, linestyle="dashed", label=marking.text)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="lower right", facecolor="black", labelcolor="white", framealpha=0.65)
    for region in regions:
        _draw_region(axes, region, _ink(ON_PICTURE, shown[region.label]))
    _write_texts(axes, regions, shown, (celsius.shape[0], celsius.shape[1]))
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


def _write_texts(axes: Axes, regions: Sequence[DrawnRegion], shown: dict[str, int], size: tuple[int, int]) -> None:
    """Write each region's text beside it where it hides no other; where there is no room, its label alone."""
    # Pixels of the picture for one pixel of the figure: the axes are about 590 wide and 450 high.
    step = max(size[1] / 590, size[0] / 450)
    taken: list[_Frame] = []
    for region in regions:
        if region.mask is None or region.mask.all():
            continue
        text, frame = _free_place(region, taken, step, size)
        taken.append(frame)
        axes.text(
            frame.left + 4 * step,
            frame.top + TEXT_HEIGHT * step / 2,
            text,
            verticalalignment="center",
            color=_ink(ON_PICTURE, shown[region.label]),
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "black", "edgecolor": "none", "alpha": 0.65},
            clip_on=True,
        )


@dataclass(frozen=True)
class _Frame:
    """A rectangle in pixels of the picture."""

    left: float
    top: float
    width: float
    height: float

    def hits(self, other: _Frame) -> bool:
        apart = self.left >= other.left + other.width or other.left >= self.left + self.width
        return not (apart or self.top >= other.top + other.height or other.top >= self.top + self.height)


def _free_place(region: DrawnRegion, taken: Sequence[_Frame], step: float, size: tuple[int, int]) -> tuple[str, _Frame]:
    """Return what is written of a region and where: above, below or in it, where no other text is."""
    places = [(text, frame) for text in (region.text, region.label) for frame in _places(region, text, step)]
    inside = [(text, _kept_inside(frame, size)) for text, frame in places]
    free = (place for place in inside if not any(place[1].hits(other) for other in taken))
    return next(free, inside[-1])


def _places(region: DrawnRegion, text: str, step: float) -> list[_Frame]:
    assert region.mask is not None
    rows, columns = np.flatnonzero(region.mask.any(axis=1)), np.flatnonzero(region.mask.any(axis=0))
    width, height = (LETTER_WIDTH * len(text) + 8) * step, TEXT_HEIGHT * step
    above, below = rows[0] - 0.5 - height, rows[-1] + 0.5
    # At a border of the picture places are moved inwards, where they meet; those farther off stay apart.
    farther = [top for lines in (1, 2, 3) for top in (above - lines * height, below + lines * height)]
    tops = (above, below, *farther, rows[0] - 0.5)
    left, right = columns[0] - 0.5, columns[-1] + 0.5 - width
    return [_Frame(float(start), float(top), width, height) for top in tops for start in (left, right)]


def _kept_inside(frame: _Frame, size: tuple[int, int]) -> _Frame:
    left = min(max(frame.left, 0.0), max(size[1] - frame.width, 0.0))
    top = min(max(frame.top, 0.0), max(size[0] - frame.height, 0.0))
    return _Frame(left, top, frame.width, frame.height)


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


def _curve(region: DrawnRegion, shown: dict[str, int]) -> dict[str, Any]:
    """Return how a region's curve looks."""
    number = shown[region.label]
    return {"color": _ink(ON_PAPER, number), "linestyle": _line(number), "linewidth": 1.3, "label": region.label}


def _draw_profiles(axes: Axes, regions: Sequence[DrawnRegion], shown: dict[str, int]) -> None:
    for region in regions[:MANY]:
        assert region.distance is not None
        assert region.along is not None
        axes.plot(region.distance, region.along, **_curve(region, shown))
    axes.set(xlabel="distance from the start of the line [px]", ylabel="°C", title="profiles")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)


def _draw_histograms(axes: Axes, regions: Sequence[DrawnRegion], shown: dict[str, int]) -> None:
    some = [region for region in regions if region.counts is not None and region.edges is not None]
    for region in some[:MANY]:
        assert region.counts is not None
        share = 100 * region.counts / max(1.0, float(region.counts.sum()))
        axes.stairs(share, region.edges, **_curve(region, shown))
    axes.set(xlabel="°C", ylabel="share of the region's pixels [%]", title="histograms")
    axes.grid(alpha=0.25)
    if some:
        axes.legend(fontsize=8)
