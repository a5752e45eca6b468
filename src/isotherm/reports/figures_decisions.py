"""The figure of decisions: do stated rates come true, and what do mistakes cost at each threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from isotherm.evaluation.calibration import FalseAlarmCurve, Reliability
from isotherm.evaluation.cost import CostCurve
from isotherm.evaluation.ranking import Undefined
from isotherm.reports.figures import ANOMALOUS_COLOUR, NORMAL_COLOUR, SCORE_LABEL, scale_scores
from isotherm.reports.figures_parts import figure_png

CHOSEN_COLOUR = "#009e73"


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Standings: the thresholds of the models (N, one a picture), and the one chosen on a validation part, if any."""

    of_models: Float[np.ndarray, " N"]
    chosen: float | None


def decisions_figure(
    title: str,
    false_alarms: FalseAlarmCurve | Undefined,
    probability: Reliability | Undefined,
    cost: CostCurve | Undefined,
    thresholds: Thresholds,
) -> bytes:
    """Draw false alarm calibration, reliability of the fault probability and the cost curve; returns a PNG.

    Parameters
    ----------
    probability
        Without it (no validation part) its panel is left out.
    """
    panels = 2 if isinstance(probability, Undefined) else 3
    figure = Figure(figsize=(5 * panels, 4.8), dpi=100, layout="constrained")
    left, *middle, right = figure.subplots(1, panels)
    figure.suptitle(title)
    _draw_false_alarms(left, false_alarms)
    if not isinstance(probability, Undefined):
        _draw_reliability(middle[0], probability)
    _draw_cost(right, cost, thresholds)
    return figure_png(figure)


def _draw_false_alarms(axes: Axes, curve: FalseAlarmCurve | Undefined) -> None:
    axes.set_title("false alarms on normal pictures")
    axes.set(xlabel="expected from the held-out scores", ylabel="observed")
    if isinstance(curve, Undefined):
        _say(axes, curve.reason)
        return
    shown = curve.expected > 0
    expected, observed = curve.expected[shown], curve.observed[shown]
    axes.fill_between(
        expected, curve.low[shown], curve.high[shown], step="post", color=NORMAL_COLOUR, alpha=0.15, linewidth=0,
        label="95 % interval",
    )  # fmt: skip
    axes.step(expected, observed, where="post", color=NORMAL_COLOUR, label=f"error {curve.error:.3f}")
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="as promised")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _percent_axes(axes)
    axes.legend(fontsize=8, loc="lower right")


def _draw_reliability(axes: Axes, found: Reliability) -> None:
    axes.set_title("probability of a fault")
    axes.set(xlabel="stated (fitted on the validation part)", ylabel="observed share of faults")
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--")
    axes.errorbar(
        found.stated, found.observed, [found.observed - found.low, found.high - found.observed],
        color=ANOMALOUS_COLOUR, marker="o", markersize=5, capsize=3, linewidth=1.2, label=f"ECE {found.error:.3f}",
    )  # fmt: skip
    for place, count in enumerate(found.counts.tolist()):
        above = found.observed[place] < 0.9
        axes.annotate(
            str(count), (found.stated[place], found.observed[place]), fontsize=8, color="0.3",
            xytext=(6, 6 if above else -12), textcoords="offset points",
        )  # fmt: skip
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    _percent_axes(axes)
    axes.legend(fontsize=8, loc="upper left")


def _draw_cost(axes: Axes, curve: CostCurve | Undefined, marks: Thresholds) -> None:
    axes.set_title("cost of the decisions")
    axes.set(xlabel=SCORE_LABEL.replace("score", "threshold"), ylabel="expected cost a picture")
    if isinstance(curve, Undefined):
        _say(axes, curve.reason)
        return
    thresholds = curve.thresholds
    scale_scores(axes, thresholds)
    for low, high, colour, name in (
        (0.0 * curve.costs, curve.miss_costs, ANOMALOUS_COLOUR, "misses"),
        (curve.miss_costs, curve.costs, NORMAL_COLOUR, "false alarms"),
    ):
        axes.fill_between(thresholds, low, high, step="post", color=colour, alpha=0.25, linewidth=0, label=name)
    axes.step(thresholds, curve.costs, where="post", color="black", linewidth=1.2, label="both, on the judged pictures")
    lowest, highest = float(marks.of_models.min()), float(marks.of_models.max())
    if highest > lowest:
        axes.axvspan(lowest, highest, color="0.5", alpha=0.15, linewidth=0, label="thresholds of the models")
    else:
        axes.axvline(lowest, color="0.4", linestyle="--", linewidth=1.2, label="threshold of the model")
    if marks.chosen is not None:
        axes.axvline(marks.chosen, color=CHOSEN_COLOUR, linewidth=1.6, label="chosen on the validation part")
    trivial = min(float(curve.costs[0]), float(curve.costs[-1]))
    axes.axhline(trivial, color="0.7", linestyle=":", linewidth=1.4, label="without a model")
    axes.set_ylim(0, 1.08 * float(np.max(curve.costs)))
    axes.legend(fontsize=8)


def _percent_axes(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))


def _say(axes: Axes, reason: str) -> None:
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, f"not defined:\n{reason}", ha="center", va="center", wrap=True, color="0.3", fontsize=9)
