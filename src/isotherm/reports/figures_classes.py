"""Figures of classifiers: what is taken for what, whether probabilities come true, what rejecting gains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from isotherm.evaluation.calibration import Reliability
from isotherm.evaluation.classes import RejectionCurve
from isotherm.evaluation.ranking import Undefined
from isotherm.reports.figures import ANOMALOUS_COLOUR, NORMAL_COLOUR
from isotherm.reports.figures_parts import figure_png

NUMBERED = 25
"""With more categories than this the cells of a table get no numbers."""
LONGEST_NAME = 24
_BLUES = LinearSegmentedColormap.from_list("share", ["#ffffff", "#9ec9e2", NORMAL_COLOUR, "#00304f"])


def confusion_figure(title: str, labels: Sequence[str], counts: Int[np.ndarray, "C C"]) -> bytes:
    """Draw which categories are taken for which; returns a PNG.

    Parameters
    ----------
    counts
        (C C), pictures of a category (row) that were put into another (column). Colours are shares of the row.
    """
    names = [_short(label) for label in labels]
    side = 0.52 * len(names) + 2.2 + 0.06 * max(map(len, names))
    figure = Figure(figsize=(max(5.0, side + 0.8), max(4.2, side)), dpi=100, layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=_BLUES, vmin=0, vmax=1)
    axes.set_title(title, fontsize=11)
    axes.set(xlabel="put into", ylabel="belongs to")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(
        range(len(names)), [f"{name}  ({sum(row)})" for name, row in zip(names, counts.tolist(), strict=True)]
    )
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    _draw_numbers(axes, counts, shares)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, format=PercentFormatter(1.0))
    bar.set_label("share of the category")
    return figure_png(figure)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_NAME else label[: LONGEST_NAME - 1] + "…"


def _draw_numbers(axes: Axes, counts: Int[np.ndarray, "C C"], shares: Float[np.ndarray, "C C"]) -> None:
    if len(counts) > NUMBERED:
        return
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = shares[row, column] > 0.55
        axes.text(
            column, row, str(counts[row, column]), ha="center", va="center", fontsize=8,
            color="white" if dark else "0.15",
        )  # fmt: skip


def probability_figure(title: str, found: Reliability | Undefined, rejection: RejectionCurve, limit: float) -> bytes:
    """Draw stated against observed probabilities, and what rejecting below a confidence gains; returns a PNG.

    Parameters
    ----------
    limit
        The confidence below which the model gives no category.
    """
    figure = Figure(figsize=(10.5, 4.8), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    _draw_reliability(left, found)
    _draw_rejection(right, rejection, limit)
    return figure_png(figure)


def _draw_reliability(axes: Axes, found: Reliability | Undefined) -> None:
    axes.set_title("do probabilities come true?")
    axes.set(xlabel="stated probability of the category", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.03))
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="as promised")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    if isinstance(found, Undefined):
        axes.text(0.5, 0.5, found.reason, ha="center", va="center")
        return
    axes.errorbar(
        found.stated, found.observed, [found.observed - found.low, found.high - found.observed],
        color=ANOMALOUS_COLOUR, marker="o", markersize=5, capsize=3, linewidth=1.2,
        label=f"seen, 95 % interval; ECE {found.error:.3f}",
    )  # fmt: skip
    for stated, observed, count in zip(found.stated, found.observed, found.counts.tolist(), strict=True):
        axes.annotate(
            str(count), (stated, observed), fontsize=8, color="0.3", xytext=(6, -12), textcoords="offset points"
        )
    axes.legend(fontsize=8, loc="upper left")


def _draw_rejection(axes: Axes, curve: RejectionCurve, limit: float) -> None:
    axes.set_title("what rejecting the unsure gains")
    axes.set(xlabel="least confidence of an answer", xlim=(0, 1), ylim=(0, 1.03))
    axes.plot(curve.thresholds, curve.correct, color=NORMAL_COLOUR, label="of the answered, right")
    axes.plot(curve.thresholds, curve.answered, color=ANOMALOUS_COLOUR, label="answered")
    axes.axvline(limit, color="0.3", linestyle="--", linewidth=1, label=f"limit of the model ({limit:g})")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(fontsize=8, loc="lower left")
