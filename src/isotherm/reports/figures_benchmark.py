"""The figure of a benchmark: accuracy against speed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

COLUMNS = 3
LABEL_PX = 13.0
"""Labels closer than this to one another in height [px] are moved apart."""
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
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _draw(axes: Axes, name: str, points: Sequence[Point]) -> None:
    axes.set(title=name, xlabel="images/s (from files to scores)", ylabel="AUROC (95 % interval)")
    if not points:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no result", ha="center", va="center", color="0.3", transform=axes.transAxes)
        return
    axes.set_xscale("log")
    speeds = np.array([point.speed for point in points])
    # Room for the names on the right.
    axes.set_xlim(speeds.min() / 1.4, max(speeds.max() / speeds.min(), 2.0) ** 1.5 * speeds.min() * 1.3)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    front = _front(points)
    axes.plot(
        [p.speed for p in front], [p.accuracy for p in front], color=FRONT_COLOUR, alpha=0.4, linewidth=5, zorder=1
    )
    for place, point in enumerate(points):
        colour = f"C{place % 10}"
        if not np.isnan(point.low):
            axes.plot([point.speed] * 2, [point.low, point.high], color=colour, alpha=0.45, linewidth=1.6, zorder=2)
        axes.plot([point.speed], [point.accuracy], "o", color=colour, markersize=8, zorder=3)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


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
    heights = _spread_out(places[:, 1])
    for index, (point, height) in enumerate(zip(points, heights, strict=True)):
        shift = height - places[index, 1]
        axes.annotate(
            point.name, (point.speed, point.accuracy), xytext=(10, shift * 72 / 100), textcoords="offset points",
            fontsize=9, va="center", color=f"C{index % 10}",
            arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.8} if abs(shift) > 2 else None,
        )  # fmt: skip


def _spread_out(heights: np.ndarray) -> np.ndarray:
    """Return the heights with neighbours at least `LABEL_PX` apart, each close to where it was."""
    order = np.argsort(heights)
    moved = heights[order].astype(np.float64)
    for _ in range(200):
        gaps = np.diff(moved)
        close = gaps < LABEL_PX - 1e-6
        if not close.any():
            break
        push = np.where(close, (LABEL_PX - gaps) / 2, 0.0)
        moved[1:] += push
        moved[:-1] -= push
    spread = np.empty_like(moved)
    spread[order] = moved
    return spread
