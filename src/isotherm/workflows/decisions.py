"""What to make of the scores: whether stated rates come true, what mistakes cost, and how late a fault is found.

Everything is measured on judged pictures. Where some of them are set apart as a validation part, a threshold and a
probability are fitted there, and only there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from isotherm.datasets.layouts import natural_key
from isotherm.evaluation.bootstrap import resampled
from isotherm.evaluation.calibration import (
    FalseAlarmCurve,
    Platt,
    Reliability,
    false_alarm_curve,
    fit_platt,
    reliability,
)
from isotherm.evaluation.cost import CostCurve, Costs, cost_curve, cost_of, without_a_model
from isotherm.evaluation.delay import Course, Delays, detection_delays
from isotherm.evaluation.metrics import f1_of
from isotherm.evaluation.ranking import Metric, Undefined
from isotherm.evaluation.summary import Measured
from isotherm.workflows.judging import Judged

Order = Literal["table", "name"]
DEFINITIONS = {
    "false_alarm_calibration": (
        "how often normal pictures were called against how often their p-values by held-out normal scores said, over "
        "all rates; error: the mean distance; error_by_chance: what a perfectly calibrated model would have on average"
    ),
    "fault_probability": (
        "probability of a fault by Platt's logistic function of the score, fitted on the validation part; expected "
        "calibration error over ten bins of equal width, Brier score"
    ),
    "cost": (
        "expected cost a picture; the chosen threshold is that of least cost on the validation part; "
        "least_on_these_labels is fitted on the judged labels, an upper bound of what can be had"
    ),
    "delay": "pictures of an asset from its first faulty one to the first alarm; infinite where there is none",
}
NO_VALIDATION = "no labelled validation part: set one apart with --validation-share"


@dataclass(frozen=True, eq=False)
class Decisions:
    """Curves for the figure, and everything as plain values.

    ``chosen`` is the standing of least cost on the validation part, None without one.
    """

    false_alarms: FalseAlarmCurve | Undefined
    probability: Reliability | Undefined
    cost: CostCurve | Undefined
    chosen: float | None
    plain: dict[str, Any]


@dataclass(frozen=True)
class DecisionSettings:
    """What the decisions are measured with; resamples and seed are those of the bootstrap."""

    costs: Costs
    order: Order
    resamples: int
    seed: int


def apart(judged: Sequence[Judged], share: float, seed: int) -> tuple[list[Judged], list[Judged]]:
    """Split judged pictures into a validation part and the rest, which alone is reported on.

    Whole groups are drawn, those with a faulty picture apart from the others, so that both parts hold both.
    """
    groups: dict[str, list[Judged]] = defaultdict(list)
    for item in judged:
        groups[item.sample.group or f"\0{item.sample.name}"].append(item)
    rng = np.random.default_rng(seed)
    drawn: set[str] = set()
    for faulty in (True, False):
        names = sorted(name for name, items in groups.items() if any(i.sample.anomalous for i in items) == faulty)
        count = min(round(share * len(names)), len(names) - 1)
        drawn |= {names[place] for place in rng.permutation(len(names))[: max(count, 0)].tolist()}
    validation = [item for name in groups if name in drawn for item in groups[name]]
    chosen = {item.sample.name for item in validation}
    return validation, [item for item in judged if item.sample.name not in chosen]


def decide(judged: Sequence[Judged], validation: Sequence[Judged], settings: DecisionSettings) -> Decisions:
    """Measure calibration, cost and delay on `judged`; fit what needs labels on `validation`."""
    labels, scores = labels_and_scores(judged)
    false_alarms = _false_alarms(judged, settings)
    probability, platt = _probability(labels, scores, validation, settings)
    cost = cost_curve(labels, scores, settings.costs)
    chosen = _cheapest(validation, settings.costs)
    plain = {
        "validation": _counts(validation),
        "false_alarm_calibration": _plain_false_alarms(false_alarms),
        "fault_probability": _plain_reliability(probability, platt),
        "cost": _plain_cost(judged, chosen, settings),
        "delay": _plain_delay(_delays(judged, settings)),
    }
    return Decisions(false_alarms, probability, cost, None if isinstance(chosen, Undefined) else chosen, plain)


def labels_and_scores(judged: Sequence[Judged]) -> tuple[Bool[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Return true for anomalous (N), and the standings (N)."""
    labels = np.array([item.sample.anomalous for item in judged], dtype=np.bool_)
    return labels, np.array([item.standing for item in judged], dtype=np.float64)


def called_of(judged: Sequence[Judged]) -> Bool[np.ndarray, " N"]:
    """Return true for what its model calls anomalous (N)."""
    return np.array([item.called for item in judged], dtype=np.bool_)


def _counts(judged: Sequence[Judged]) -> dict[str, int]:
    faulty = sum(item.sample.anomalous for item in judged)
    return {"normal": len(judged) - faulty, "anomalous": faulty}


# --- calibration ------------------------------------------------------------------------------------------------------


def _false_alarms(judged: Sequence[Judged], settings: DecisionSettings) -> FalseAlarmCurve | Undefined:
    normal = [item for item in judged if not item.sample.anomalous]
    p_values = np.array([item.p_value for item in normal], dtype=np.float64)
    held_out = np.array([item.held_out for item in normal], dtype=np.int64)
    return false_alarm_curve(p_values, held_out, resamples=settings.resamples, seed=settings.seed)


def _plain_false_alarms(curve: FalseAlarmCurve | Undefined) -> dict[str, Any]:
    if isinstance(curve, Undefined):
        return {"error": Measured(curve).to_mapping()}
    return {
        "error": Measured(curve.error, curve.interval).to_mapping(),
        "error_by_chance": curve.by_chance,
        "expected": curve.expected.tolist(),
        "observed": curve.observed.tolist(),
        "low": curve.low.tolist(),
        "high": curve.high.tolist(),
    }


def _probability(
    labels: Bool[np.ndarray, " N"],
    scores: Float[np.ndarray, " N"],
    validation: Sequence[Judged],
    settings: DecisionSettings,
) -> tuple[Reliability | Undefined, Platt | None]:
    if not validation:
        return Undefined(NO_VALIDATION), None
    fitted = fit_platt(*labels_and_scores(validation))
    if isinstance(fitted, Undefined):
        return fitted, None
    return reliability(labels, fitted(scores), resamples=settings.resamples, seed=settings.seed), fitted


def _plain_reliability(found: Reliability | Undefined, fit: Platt | None) -> dict[str, Any]:
    if isinstance(found, Undefined):
        return {"expected_calibration_error": Measured(found).to_mapping()}
    return {
        "expected_calibration_error": Measured(found.error, found.interval).to_mapping(),
        "brier": found.brier,
        "platt": asdict(fit) if fit else None,
        "bins": [
            dict(zip(("stated", "observed", "low", "high", "images"), row, strict=True))
            for row in zip(
                found.stated.tolist(),
                found.observed.tolist(),
                found.low.tolist(),
                found.high.tolist(),
                found.counts.tolist(),
                strict=True,
            )
        ],
    }


# --- cost -------------------------------------------------------------------------------------------------------------


def _cheapest(validation: Sequence[Judged], costs: Costs) -> float | Undefined:
    if not validation:
        return Undefined(NO_VALIDATION)
    curve = cost_curve(*labels_and_scores(validation), costs)
    return curve if isinstance(curve, Undefined) else curve.cheapest()


def _plain_cost(judged: Sequence[Judged], chosen: float | Undefined, settings: DecisionSettings) -> dict[str, Any]:
    labels, scores = labels_and_scores(judged)
    costs = settings.costs
    curve = cost_curve(labels, scores, costs)
    least: Metric = curve if isinstance(curve, Undefined) else float(curve.costs.min())
    return {
        "costs": asdict(costs),
        "share_of_faulty": costs.share_of_faulty(labels),
        "at_the_models_threshold": _at(labels, called_of(judged), settings),
        "at_the_chosen_threshold": (
            Measured(chosen).to_mapping()
            if isinstance(chosen, Undefined)
            else {**_chosen_scores(judged, chosen), **_at(labels, scores > chosen, settings)}
        ),
        "without_a_model": Measured(without_a_model(labels, costs)).to_mapping(),
        "least_on_these_labels": Measured(least).to_mapping(),
    }


def _chosen_scores(judged: Sequence[Judged], chosen: float) -> dict[str, Any]:
    """Return the standing that was chosen, and which score that is for the model of each fold."""
    return {"standing": chosen, "threshold_of_fold": {item.fold: item.yardstick.value(chosen) for item in judged}}


def _at(labels: Bool[np.ndarray, " N"], called: Bool[np.ndarray, " N"], settings: DecisionSettings) -> dict[str, Any]:
    def statistics(drawn: np.ndarray) -> dict[str, Metric]:
        return {
            "cost": cost_of(labels[drawn], called[drawn], settings.costs),
            "f1": f1_of(labels[drawn], called[drawn]),
        }

    spread = resampled(statistics, labels, resamples=settings.resamples, seed=settings.seed)
    values = statistics(np.arange(labels.size))
    return {
        **{name: Measured(value, spread[name]).to_mapping() for name, value in values.items()},
        "misses": int((~called & labels).sum()),
        "false_alarms": int((called & ~labels).sum()),
    }


# --- delay ------------------------------------------------------------------------------------------------------------


def _delays(judged: Sequence[Judged], settings: DecisionSettings) -> Delays | Undefined:
    grouped = [item for item in judged if item.sample.group]
    if not grouped:
        return Undefined("the pictures belong to no groups (--groups, or the layout 'items')")
    if settings.order == "table" and any(item.sample.order is None for item in grouped):
        return Undefined("the pictures have no order (a column 'order' in --groups, or --order name)")
    courses: dict[str, list[Judged]] = defaultdict(list)
    for item in sorted(grouped, key=lambda each: (each.sample.order or 0.0, natural_key(each.sample.name))):
        courses[item.sample.group].append(item)
    made = [
        Course(
            name,
            np.array([item.sample.anomalous for item in items], dtype=np.bool_),
            called_of(items),
        )
        for name, items in courses.items()
    ]
    return detection_delays(made, resamples=settings.resamples, seed=settings.seed)


def _plain_delay(found: Delays | Undefined) -> dict[str, Any]:
    if isinstance(found, Undefined):
        return {"median": Measured(found).to_mapping()}
    return {
        "assets": found.assets,
        "never_found": found.never,
        "alarmed_early": found.early,
        "found_at_once": Measured(found.at_once, found.at_once_interval).to_mapping(),
        "median": Measured(found.median, found.median_interval).to_mapping(),
        "mean_of_found": Measured(found.mean_of_found).to_mapping(),
    }
