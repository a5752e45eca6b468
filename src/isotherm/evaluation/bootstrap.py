"""How far a metric could move with other pictures of the same kind: stratified percentile bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from isotherm.evaluation.ranking import Metric, Undefined

Labels = Bool[np.ndarray, " N"]
Scores = Float[np.ndarray, " N"]
Statistics = Callable[[Labels, Scores], Mapping[str, Metric]]
Places = Int[np.ndarray, " _"]


@dataclass(frozen=True)
class Interval:
    """The 2.5 and the 97.5 percentile of a metric over resampled pictures."""

    low: float
    high: float


def intervals(
    statistics: Statistics, labels: Labels, scores: Scores, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval | Undefined]:
    """Return the 95 % percentile interval of each statistic (Efron & Tibshirani 1993, chapter 13).

    Normal and anomalous pictures are drawn separately with replacement, so that each resample keeps their numbers. The
    interval speaks of other pictures like these, not of other sites; it is too narrow where pictures depend on one
    another, and has no width where the classes are perfectly apart.

    Parameters
    ----------
    statistics
        Gives the metrics by name for labels (N) and scores (N).
    resamples
        How many sets are drawn.
    seed
        Same seed, same intervals.
    """
    return resampled(lambda drawn: statistics(labels[drawn], scores[drawn]), labels, resamples=resamples, seed=seed)


def resampled(
    statistics: Callable[[Places], Mapping[str, Metric]], labels: Labels, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval | Undefined]:
    """Return the 95 % interval of whatever can be computed from some of the pictures.

    Parameters
    ----------
    statistics
        Gives values by name for the places of the pictures that were drawn. What it computes from several arrays is
        paired: each picture brings all its values along.
    """
    classes = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    scarce = min(group.size for group in classes)
    if scarce < 2:
        reason = Undefined(f"an interval needs two pictures of each class; one class has {scarce}")
        return dict.fromkeys(statistics(np.arange(labels.size)), reason)
    rng = np.random.default_rng(seed)
    values = [statistics(_draw(rng, classes)) for _ in range(resamples)]
    return {name: _interval([each[name] for each in values]) for name in values[0]}


def _draw(rng: np.random.Generator, classes: list[Places]) -> Places:
    return np.concatenate([rng.choice(group, group.size) for group in classes])


def _interval(values: list[Metric]) -> Interval | Undefined:
    for value in values:
        if isinstance(value, Undefined):
            return value
    low, high = np.percentile(np.array(values, dtype=np.float64), [2.5, 97.5])
    return Interval(float(low), float(high))
