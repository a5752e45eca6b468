"""Two models on the same pictures: whether one is better, or the difference could be chance.

Both saw the same pictures, so their errors go together, and the difference is known better than either value:
overlapping intervals of two AUROCs do not say that the models are alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from jaxtyping import Bool, Float

from isotherm.core.proportions import binomial_tail
from isotherm.evaluation.bootstrap import Interval, resampled
from isotherm.evaluation.metrics import auroc_of, average_precision_of, f1_of, ranked
from isotherm.evaluation.ranking import Metric, Undefined

Labels = Bool[np.ndarray, " N"]
Scores = Float[np.ndarray, " N"]
Called = Bool[np.ndarray, " N"]


@dataclass(frozen=True)
class Difference:
    """A metric of both models on the same pictures, and the first's minus the second's with its 95 % interval."""

    first: Metric
    second: Metric
    difference: Metric
    interval: Interval | Undefined


def differences(
    labels: Labels,
    first: Scores,
    second: Scores,
    called: tuple[Called, Called],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return ``auroc average_precision f1`` of both and their differences, by a paired bootstrap.

    Each resample draws pictures within each class, the same for both models.

    Parameters
    ----------
    labels
        (N) true for anomalous.
    first, second
        (N) scores of the two models for the same pictures.
    called
        What the first and the second model call anomalous (N), for F1.
    """

    def statistics(model: int, drawn: np.ndarray) -> Mapping[str, Metric]:
        ranking = ranked(labels[drawn], (first, second)[model][drawn])
        return {
            "auroc": auroc_of(ranking),
            "average_precision": average_precision_of(ranking),
            "f1": f1_of(labels[drawn], called[model][drawn]),
        }

    values = [statistics(model, np.arange(labels.size)) for model in (0, 1)]

    def both(drawn: np.ndarray) -> dict[str, Metric]:
        one, other = statistics(0, drawn), statistics(1, drawn)
        return {name: minus(one[name], other[name]) for name in one}

    spread = resampled(both, labels, resamples=resamples, seed=seed)
    return {
        name: Difference(values[0][name], values[1][name], minus(values[0][name], values[1][name]), spread[name])
        for name in values[0]
    }


def minus(first: Metric, second: Metric) -> Metric:
    """Return the difference of two metrics; undefined where one of them is."""
    if isinstance(first, Undefined):
        return first
    return second if isinstance(second, Undefined) else first - second


@dataclass(frozen=True)
class DeLong:
    """The DeLong test of two correlated AUROCs.

    Parameters
    ----------
    difference
        First AUROC minus the second.
    error
        Its standard error.
    p
        Two-sided; how often equal models would differ at least so much.
    """

    difference: float
    error: float
    p: float


def delong(labels: Labels, first: Scores, second: Scores) -> DeLong | Undefined:
    """Test whether two AUROCs on the same pictures differ (DeLong, DeLong & Clarke-Pearson 1988, equations 2 to 8).

    Undefined with fewer than two pictures of a class, and where the difference has no spread (both models rank
    perfectly, or they rank alike).
    """
    scarce = min(int(labels.sum()), int((~labels).sum()))
    if scarce < 2:
        return Undefined(f"a test needs two pictures of each class; one class has {scarce}")
    placements = [_placements(labels, scores) for scores in (first, second)]
    difference = float(placements[0][0].mean() - placements[1][0].mean())
    gaps = [placements[0][side] - placements[1][side] for side in (0, 1)]
    error = sqrt(sum(float(np.var(gap, ddof=1)) / gap.size for gap in gaps))
    if error == 0:
        return Undefined("both models order every picture alike, so their difference has no spread")
    return DeLong(difference, error, erfc(abs(difference) / error / sqrt(2)))


def _placements(labels: Labels, scores: Scores) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " Q"]]:
    """Return for each anomalous picture the share of normal ones below it, and for each normal one that above it."""
    high, low = scores[labels], scores[~labels]
    return _share_below(high, low), 1.0 - _share_below(low, high)


def _share_below(scores: Float[np.ndarray, " P"], others: Float[np.ndarray, " Q"]) -> Float[np.ndarray, " P"]:
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
    return np.asarray(below / (2 * others.size))


@dataclass(frozen=True)
class McNemar:
    """Pictures that only one of two models calls rightly, and how likely equal models would share them so unevenly."""

    only_first: int
    only_second: int
    p: float


def mcnemar(labels: Labels, first: Called, second: Called) -> McNemar | Undefined:
    """Test whether one model's decisions are right more often (exact two-sided form of McNemar 1947).

    Only pictures count on which the models differ; undefined where there is none.
    """
    right_first, right_second = first == labels, second == labels
    only_first, only_second = int((right_first & ~right_second).sum()), int((right_second & ~right_first).sum())
    trials = only_first + only_second
    if not trials:
        return Undefined("both models decide alike on every picture")
    return McNemar(only_first, only_second, min(1.0, 2 * binomial_tail(max(only_first, only_second), trials, 0.5)))
