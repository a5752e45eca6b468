"""The figure of a benchmark: accuracy against speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from isotherm.reports.figures_parts import figure_png

COLUMNS = 3
MARKER_PX, LETTER_PX, LINE_PX = 7.0, 7.5, 13.0
"""Half a marker, the width of a letter and the height of a line [px], all generously."""
SHIFTS_PX = tuple(sorted((float(shift) for shift in range(-120, 121, 3)), key=abs))
FRONT_COLOUR = "#009e73"


@dataclass(frozen=True)
class Point:
    """One method: images/s, AUROC and its 95 % interval (NaN where there is none)."""

    name: str
    speed: float
    accuracy: float
    low: float
    high: float


def speed_and_accuracy(panels: Mapping[str, Sequence[Point]]) -> bytes:
    """Draw a panel for each data set: AUROC over images/s, each point labelled; returns a PNG.

    A line joins the methods that no other beats in both.
    """
    columns = max(1, min(COLUMNS, len(panels)))
    rows = max(1, ceil(len(panels) / columns))
    figure = Figure(figsize=(6.2 * columns, 4.6 * rows), dpi=100, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, points) in zip(grid.flat, panels.items(), strict=False):
        _draw(axes, name, points)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    # Labels are placed where the panels will really be.
    figure.draw_without_rendering()
    for axes, points in zip(grid.flat, panels.values(), strict=False):
        _label(axes, points)
    return figure_png(figure)


def _draw(axes: Axes, name: str, points: Sequence[Point]) -> None:
    axes.set(title=name, xlabel="images/s (from files to scores)", ylabel="AUROC (95 % interval)")
    if not points:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no result", ha="center", va="center", color="0.3", transform=axes.transAxes)
        return
    axes.set_xscale("log")
    axes.set_xlim(*_limits([point.speed for point in points]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    front = _front(points)
    axes.plot(
        [point.speed for point in front], [point.accuracy for point in front], color=FRONT_COLOUR, alpha=0.3,
        linewidth=6, solid_capstyle="round", zorder=1, label="no other is better in both",
    )  # fmt: skip
    for place, point in enumerate(points):
        colour = f"C{place % 10}"
        if not np.isnan(point.low):
            axes.plot([point.speed] * 2, [point.low, point.high], color=colour, alpha=0.4, linewidth=1.6, zorder=2)
        axes.plot([point.speed], [point.accuracy], "o", color=colour, markersize=8, zorder=3)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    if len(front) > 1:
        axes.legend(fontsize=8, loc="lower right")


def _limits(speeds: Sequence[float]) -> tuple[float, float]:
    """Return an axis of at least a factor of 4 that leaves its right third to the names."""
    low, high = min(speeds), max(speeds)
    room = max(high / low, 2.5)
    return low / room**0.15, low * room**1.7


def _front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in both speed and accuracy, fastest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda each: (-each.speed, -each.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def _label(axes: Axes, points: Sequence[Point]) -> None:
    """Write each name to the right of its point, moved up or down where two would overlap."""
    if not points:
        return
    places = axes.transData.transform([(point.speed, point.accuracy) for point in points])
    shifts = _shifts([point.name for point in points], places)
    for index, (point, shift) in enumerate(zip(points, shifts, strict=True)):
        text = axes.annotate(
            point.name, (point.speed, point.accuracy), xytext=(12, shift * 72 / 100), textcoords="offset points",
            fontsize=9, va="center", color=f"C{index % 10}", zorder=4,
            arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.8, "shrinkB": 4} if abs(shift) > 12 else None,
        )  # fmt: skip
        # So that it can be read over the intervals of other points.
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])


def _shifts(names: Sequence[str], places: Float[np.ndarray, "P 2"]) -> list[float]:
    """Return how far up [px] each name is moved so that it lies over no point and no other name, where that can be."""
    taken = [(x - MARKER_PX, x + MARKER_PX, y) for x, y in places.tolist()]
    shifts = []
    for name, (x, y) in zip(names, places.tolist(), strict=True):
        left, right = x + MARKER_PX + 2, x + 14 + LETTER_PX * len(name)
        free = [shift for shift in SHIFTS_PX if not _hits(left, right, y + shift, taken)]
        shifts.append(free[0] if free else 0.0)
        taken.append((left, right, y + shifts[-1]))
    return shifts


def _hits(left: float, right: float, height: float, taken: Sequence[tuple[float, float, float]]) -> bool:
    return any(left < end and start < right and abs(height - other) < LINE_PX for start, end, other in taken)
