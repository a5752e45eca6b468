"""Whether stated probabilities come true.

Two different probabilities are looked at, and they must not be confused:

* the **false alarm rate**: a model that knows normal pictures only can say how often a normal picture would look at
  least so strange (its p-value against held-out normal scores). On normal pictures that were not held out, expected and
  observed rates are compared. This says nothing about how likely a fault is.
* the **probability of a fault**, which needs labelled pictures of both classes: fitted on a part of them, checked on
  another. It holds for the share of faults in that part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from isotherm.core.proportions import clopper_pearson
from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.ranking import Metric, Undefined

Labels = Bool[np.ndarray, " N"]
Probabilities = Float[np.ndarray, " N"]
LEVELS = 100
BINS = 10


# --- the false alarm rate ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FalseAlarmCurve:
    """Expected against observed false alarm rates of normal pictures.

    Parameters
    ----------
    expected
        (L) the rate at which a normal picture should be called when calling every p-value up to a level.
    observed, low, high
        (L) the rate that was seen, and its exact 95 % interval (Clopper & Pearson).
    error
        Mean distance between expected and observed over all levels: 0 is perfect, 0.5 the worst.
    by_chance
        The error that a perfectly calibrated model would have on average with so few held-out and judged pictures.
    """

    expected: Float[np.ndarray, " L"]
    observed: Float[np.ndarray, " L"]
    low: Float[np.ndarray, " L"]
    high: Float[np.ndarray, " L"]
    error: Metric
    interval: Interval | Undefined
    by_chance: float


def false_alarm_curve(
    p_values: Probabilities, held_out: Int[np.ndarray, " N"], *, resamples: int = 1000, seed: int = 0
) -> FalseAlarmCurve | Undefined:
    """Compare expected with observed false alarm rates at the levels 1, 2 .. 100 %.

    With n held-out scores only the levels k / (n + 1) can be had, so at any other level the one below it is expected.

    Parameters
    ----------
    p_values
        (N) of normal pictures: (1 + held-out scores at least as high) / (1 + held-out scores). With exchangeable
        pictures it is at most u with probability at most u (Vovk, Gammerman & Shafer 2005, chapter 2).
    held_out
        (N) how many held-out scores each was compared with.
    """
    if not p_values.size:
        return Undefined("no normal samples")
    levels = np.arange(1, LEVELS + 1) / LEVELS
    attainable = np.floor(levels[:, None] * (held_out + 1) + 1e-9) / (held_out + 1)
    expected = attainable.mean(axis=1)
    called = p_values <= levels[:, None] + 1e-12
    limits = np.array([clopper_pearson(int(each), p_values.size) for each in called.sum(axis=1)])
    variance = expected * (1 - expected) * (1 / p_values.size + np.mean(1 / (held_out + 1)))
    return FalseAlarmCurve(
        expected=expected,
        observed=called.mean(axis=1),
        low=limits[:, 0],
        high=limits[:, 1],
        error=float(np.abs(called.mean(axis=1) - expected).mean()),
        interval=_error_interval(called, attainable, resamples, seed),
        # The mean distance from 0 of a normal variate is sqrt(2 / pi) times its standard deviation.
        by_chance=float(np.sqrt(2 / np.pi * variance).mean()),
    )


def _error_interval(
    called: Bool[np.ndarray, "L N"], attainable: Float[np.ndarray, "L N"], resamples: int, seed: int
) -> Interval | Undefined:
    count = called.shape[1]
    if count < 2:
        return Undefined("an interval needs two normal pictures; there is 1")
    # Pictures of equal p-value are drawn together: there are no more different ones than held-out scores.
    gaps, members = np.unique(called - attainable, axis=1, return_counts=True)
    times = np.random.default_rng(seed).multinomial(count, members / count, resamples)
    low, high = np.percentile(np.abs(times @ gaps.T / count).mean(axis=1), [2.5, 97.5])
    return Interval(float(low), float(high))


# --- the probability of a fault ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reliability:
    """Stated probabilities of a fault against the observed share of faults, in bins of equal width.

    Parameters
    ----------
    stated, observed, low, high
        (B) mean probability, share of faults, and its exact 95 % interval, of each bin that holds pictures.
    counts
        (B) pictures in it.
    error
        Expected calibration error: mean distance of the two, weighed by the pictures (Naeini, Cooper & Hauskrecht 2015;
        equation 3 of Guo et al. 2017).
    brier
        Mean squared distance of probability and label.
    """

    stated: Float[np.ndarray, " B"]
    observed: Float[np.ndarray, " B"]
    low: Float[np.ndarray, " B"]
    high: Float[np.ndarray, " B"]
    counts: Int[np.ndarray, " B"]
    error: Metric
    interval: Interval | Undefined
    brier: float


def reliability(
    labels: Labels, probabilities: Probabilities, *, resamples: int = 1000, seed: int = 0
) -> Reliability | Undefined:
    """Compare stated probabilities of a fault with what was seen; undefined without a picture."""
    if not labels.size:
        return Undefined("no samples")
    member = _bins(probabilities)
    filled = np.unique(member)
    counts, hits = np.bincount(member, minlength=BINS)[filled], np.bincount(member, labels, BINS)[filled]
    limits = np.array([clopper_pearson(int(hit), int(count)) for hit, count in zip(hits, counts, strict=True)])
    return Reliability(
        stated=np.bincount(member, probabilities, BINS)[filled] / counts,
        observed=hits / counts,
        low=limits[:, 0],
        high=limits[:, 1],
        counts=counts,
        error=calibration_error(labels, probabilities),
        interval=_ece_interval(labels, probabilities, resamples, seed),
        brier=float(np.mean((probabilities - labels) ** 2)),
    )


def calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Return the expected calibration error with ten bins of equal width, 0..1."""
    gaps = np.bincount(_bins(probabilities), probabilities - labels, BINS)
    return float(np.abs(gaps).sum() / labels.size)


def _bins(probabilities: Probabilities) -> Int[np.ndarray, " N"]:
    return np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)


def _ece_interval(labels: Labels, probabilities: Probabilities, resamples: int, seed: int) -> Interval | Undefined:
    if labels.size < 2:
        return Undefined("an interval needs two pictures; there is 1")
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, labels.size, labels.size) for _ in range(resamples))
    low, high = np.percentile([calibration_error(labels[row], probabilities[row]) for row in drawn], [2.5, 97.5])
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class Platt:
    """The probability of a fault as a logistic function of the score: 1 / (1 + exp(-(slope s + offset)))."""

    slope: float
    offset: float

    def __call__(self, scores: Float[np.ndarray, " N"]) -> Probabilities:
        """Return the probability of a fault for each score."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * scores + self.offset, -700, 700))))


def fit_platt(labels: Labels, scores: Float[np.ndarray, " N"]) -> Platt | Undefined:
    """Fit Platt's probability by Newton's method (Platt 1999, with the targets and the steps of Lin, Lin & Weng 2007).

    His targets keep away from 0 and 1, so the fit exists also where the classes are perfectly apart. The slope is kept
    from being negative: a higher score never means a lower probability.

    Undefined where a class has no picture.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not (positives and negatives):
        return Undefined("a probability needs normal and anomalous samples to be fitted on")
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    middle, scale = float(scores.mean()), float(scores.std()) or 1.0
    slope, offset = _newton((scores - middle) / scale, targets, float(np.log((positives + 1) / (negatives + 1))))
    if slope < 0:
        slope, offset = 0.0, float(np.log(positives / negatives))
    return Platt(slope / scale, offset - slope / scale * middle)


def _newton(scores: np.ndarray, targets: np.ndarray, offset: float) -> tuple[float, float]:
    design = np.column_stack([scores, np.ones_like(scores)])
    found = np.array([0.0, offset])
    loss = _log_loss(design @ found, targets)
    for _ in range(100):
        stated = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (stated - targets)
        curvature = (design * (stated * (1 - stated))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while length > 1e-10 and _log_loss(design @ (found - length * step), targets) > loss:
            length /= 2
        found = found - length * step
        before, loss = loss, _log_loss(design @ found, targets)
        if before - loss < 1e-12 * max(1.0, before):
            break
    return float(found[0]), float(found[1])


def _log_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(np.sum(np.logaddexp(0, logits) - targets * logits))
