"""What mistakes cost: expected cost a picture at every threshold, and the threshold that costs least.

A threshold is chosen on one set of labelled pictures and its cost is reported on another; the least cost that any
threshold reaches on the judged pictures themselves is an upper bound of what could be had, no promise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError
from isotherm.evaluation.ranking import Metric, Undefined

Labels = Bool[np.ndarray, " N"]
Scores = Float[np.ndarray, " N"]


@dataclass(frozen=True)
class Costs:
    """What a missed fault and a false alarm cost, in one unit of the user's choice."""

    cost_miss: float = setting(1.0, "what a missed fault costs", low=0.0)
    cost_false_alarm: float = setting(1.0, "what a false alarm costs, in the same unit", low=0.0)
    prevalence: float | None = setting(
        None,
        "share of faulty images where the model will be used; not given: as in the labelled images",
        low=1e-6,
        high=1 - 1e-6,
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.cost_miss + self.cost_false_alarm == 0:
            raise ConfigError("Costs: cost_miss and cost_false_alarm must not both be 0")

    def share_of_faulty(self, labels: Labels) -> float:
        """Return the prevalence that counts for these labelled pictures."""
        return float(labels.mean()) if self.prevalence is None else self.prevalence

    def of(self, miss_rate: np.ndarray, false_alarm_rate: np.ndarray, labels: Labels) -> Float[np.ndarray, " K"]:
        """Return the expected cost a picture at these rates."""
        share = self.share_of_faulty(labels)
        return np.asarray(share * self.cost_miss * miss_rate + (1 - share) * self.cost_false_alarm * false_alarm_rate)


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Expected cost a picture, called where the score is above the threshold.

    Parameters
    ----------
    thresholds
        (K) ascending: below all scores, between each two distinct neighbours, and the highest score.
    costs, miss_costs
        (K) what a picture costs on average, and the part of it that is for misses.
    misses, false_alarms
        (K) their rates.
    """

    thresholds: Float[np.ndarray, " K"]
    costs: Float[np.ndarray, " K"]
    miss_costs: Float[np.ndarray, " K"]
    misses: Float[np.ndarray, " K"]
    false_alarms: Float[np.ndarray, " K"]

    def cheapest(self) -> float:
        """Return the threshold of least cost; of several equally cheap ones that in the middle of the longest run."""
        return self._middle_of(np.isclose(self.costs, self.costs.min(), rtol=1e-12, atol=0))

    def best_f1(self, labels: Labels) -> float:
        """Return the threshold of highest F1 on these labels, chosen among equals in the same way."""
        faulty, normal = labels.sum(), (~labels).sum()
        hits = faulty * (1 - self.misses)
        f1 = 2 * hits / (hits + normal * self.false_alarms + faulty)
        return self._middle_of(np.isclose(f1, f1.max(), rtol=1e-12, atol=0))

    def _middle_of(self, best: Bool[np.ndarray, " K"]) -> float:
        places = np.flatnonzero(best)
        longest = max(np.split(places, np.flatnonzero(np.diff(places) > 1) + 1), key=len)
        return float(self.thresholds[longest[(len(longest) - 1) // 2]])


def cost_curve(labels: Labels, scores: Scores, costs: Costs) -> CostCurve | Undefined:
    """Return the expected cost at every threshold that changes a decision; undefined where a class is absent."""
    missing = _one_class(labels)
    if missing:
        return missing
    thresholds = _between(np.unique(scores))
    misses = np.searchsorted(np.sort(scores[labels]), thresholds, side="right") / labels.sum()
    false_alarms = 1.0 - np.searchsorted(np.sort(scores[~labels]), thresholds, side="right") / (~labels).sum()
    whole, of_misses = costs.of(misses, false_alarms, labels), costs.of(misses, 0 * misses, labels)
    return CostCurve(thresholds, whole, of_misses, misses, false_alarms)


def _between(ascending: Float[np.ndarray, " D"]) -> Float[np.ndarray, " K"]:
    below = np.nextafter(ascending[0], -np.inf)
    # Two neighbours may be so close that their middle is the upper one, which would then not be called.
    middles = np.minimum((ascending[1:] + ascending[:-1]) / 2, np.nextafter(ascending[1:], -np.inf))
    return np.concatenate([[below], middles, ascending[-1:]])


def cost_of(labels: Labels, called: Bool[np.ndarray, " N"], costs: Costs) -> Metric:
    """Return the expected cost a picture of decisions (N, true: called anomalous); undefined for one class."""
    missing = _one_class(labels)
    if missing:
        return missing
    misses, false_alarms = np.mean(~called[labels], keepdims=True), np.mean(called[~labels], keepdims=True)
    return float(costs.of(misses, false_alarms, labels)[0])


def without_a_model(labels: Labels, costs: Costs) -> Metric:
    """Return the expected cost a picture of the better of calling nothing and calling everything."""
    return _one_class(labels) or float(costs.of(np.array([1.0, 0.0]), np.array([0.0, 1.0]), labels).min())


def _one_class(labels: Labels) -> Undefined | None:
    if not labels.any():
        return Undefined("no anomalous samples")
    return Undefined("no normal samples") if labels.all() else None
