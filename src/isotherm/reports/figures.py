"""Figures drawn with matplotlib, which only the modules called figures import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from isotherm.reports.figures_parts import figure_png

Style = Literal["default", "steps-pre"]
NORMAL_COLOUR, ANOMALOUS_COLOUR = "#0072b2", "#d55e00"
"""Blue and vermilion of Okabe and Ito, which colour-blind readers tell apart."""
MANY = 12
"""With more groups than this their curves share one legend entry, and their rows get no names."""
FAR = 30.0
"""Where scores lie so far out, the axis becomes logarithmic beyond `NEAR`."""
NEAR = 5.0
SCORE_LABEL = "score [deviations above the held-out median]"


@dataclass(frozen=True, eq=False)
class ScoreGroup:
    """The pictures of one site: true for anomalous (N), their standings (N), and those of their thresholds (N)."""

    name: str
    labels: Bool[np.ndarray, " N"]
    scores: Float[np.ndarray, " N"]
    limits: Float[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class Curve:
    """One polyline; the curve over all groups is called ``all``."""

    name: str
    x: Float[np.ndarray, " P"]
    y: Float[np.ndarray, " P"]


def error_analysis(title: str, groups: Sequence[ScoreGroup], roc: Sequence[Curve], recall: Sequence[Curve]) -> bytes:
    """Draw score distributions, ROC curves and precision over recall side by side; returns a PNG."""
    rows = len(groups) if len(groups) > 1 else 2
    figure = Figure(figsize=(15, max(4.6, 1.6 + 0.34 * rows)), dpi=100, layout="constrained")
    scores_axes, roc_axes, recall_axes = figure.subplots(1, 3)
    figure.suptitle(title)
    _draw_scores(scores_axes, groups)
    _draw_curves(roc_axes, roc, "false positive rate", "true positive rate", "ROC")
    roc_axes.plot([0, 1], [0, 1], color="0.8", linewidth=1, zorder=0)
    # Average precision takes the precision at the end of each gain in recall.
    _draw_curves(recall_axes, recall, "recall", "precision", "precision over recall", style="steps-pre")
    return figure_png(figure)


def _draw_scores(axes: Axes, groups: Sequence[ScoreGroup]) -> None:
    scale_scores(axes, np.concatenate([group.scores for group in groups]))
    if len(groups) == 1:
        _draw_histograms(axes, groups[0])
    else:
        _draw_rows(axes, groups)
    axes.set_xlabel(SCORE_LABEL)
    axes.set_title("scores")
    axes.legend(fontsize=8)


def scale_scores(axes: Axes, scores: Float[np.ndarray, " N"]) -> None:
    """Make the axis of scores logarithmic beyond `NEAR` where some lie far out."""
    if float(np.abs(scores).max()) > FAR:
        axes.set_xscale("symlog", linthresh=NEAR, linscale=1.5)


def _draw_histograms(axes: Axes, group: ScoreGroup) -> None:
    scale = axes.xaxis.get_transform()
    low, high = scale.transform(np.array([group.scores.min(), group.scores.max()])).tolist()
    edges = scale.inverted().transform(np.linspace(low, high if high > low else low + 1e-6, 41))
    for truth, name, colour in ((False, "normal", NORMAL_COLOUR), (True, "anomalous", ANOMALOUS_COLOUR)):
        chosen = group.scores[group.labels == truth]
        if chosen.size:
            axes.hist(chosen, edges.tolist(), color=colour, alpha=0.6, label=f"{name} ({chosen.size})")
    for limit in np.unique(group.limits):
        name = "threshold" if limit == group.limits.min() else "_"
        axes.axvline(limit, color="0.3", linestyle="--", linewidth=1, label=name)
    axes.set_ylabel("pictures")


def _draw_rows(axes: Axes, groups: Sequence[ScoreGroup]) -> None:
    for truth, name, colour in ((False, "normal", NORMAL_COLOUR), (True, "anomalous", ANOMALOUS_COLOUR)):
        # Normal pictures lie a little above, anomalous ones a little below the middle of their row.
        places = [
            np.full((group.labels == truth).sum(), row + (0.15 if truth else -0.15)) for row, group in enumerate(groups)
        ]
        values = [group.scores[group.labels == truth] for group in groups]
        axes.scatter(
            np.concatenate(values), np.concatenate(places), s=14, color=colour, alpha=0.6, linewidths=0, label=name
        )
    for row, group in enumerate(groups):
        limits = np.unique(group.limits)
        name = "threshold" if row == 0 else "_"
        axes.vlines(limits, row - 0.4, row + 0.4, color="0.3", linestyle="--", linewidth=1, label=name)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    if len(groups) <= MANY:
        axes.set_yticks(range(len(groups)), [group.name for group in groups])
    else:
        axes.set_ylabel("sites")


def _draw_curves(axes: Axes, curves: Sequence[Curve], x: str, y: str, title: str, style: Style = "default") -> None:
    for place, curve in enumerate(curves):
        whole = curve.name == "all" or len(curves) == 1
        named = whole or len(curves) <= MANY + 1
        axes.plot(
            curve.x,
            curve.y,
            color="black" if whole else f"C{place % 10}",
            linewidth=2.2 if whole else 1.1,
            drawstyle=style,
            marker="." if curve.x.size < MANY else None,
            label=curve.name if named else None,
        )
    axes.set(xlabel=x, ylabel=y, title=title, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    if curves:
        axes.legend(fontsize=8)
    else:
        axes.text(0.5, 0.5, "needs normal and anomalous pictures", ha="center", va="center")
