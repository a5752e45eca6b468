"""Positives against negatives, counted once: every threshold-free metric is read off a `Ranking`.

Curves only change their recall at the scores of positives, so the counts at those scores are all that an exact metric
needs. Positives (defect pixels, faulty pictures) are few; negatives are streamed through and never held together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from isotherm.core.errors import DataError

Values = Float[np.ndarray, " _"]


@dataclass(frozen=True)
class Undefined:
    """A metric that these data cannot give, and why; it is never replaced by a number."""

    reason: str


Metric = float | Undefined


@dataclass(frozen=True, eq=False)
class Ranking:
    """Counts at the K distinct scores of the positives, highest score first.

    Parameters
    ----------
    scores
        (K) the distinct scores.
    weights
        (K) positives at this score: their number, or the sum of their weights.
    above
        (K) negatives below the next higher distinct score and strictly above this one.
    tied
        (K) negatives of exactly this score.
    negatives
        All negatives, those below the lowest positive included.
    """

    scores: Float[np.ndarray, " K"]
    weights: Float[np.ndarray, " K"]
    above: Int[np.ndarray, " K"]
    tied: Int[np.ndarray, " K"]
    negatives: int

    def true_positives(self) -> Float[np.ndarray, " K"]:
        """Return the weight of the positives at or above each score."""
        return np.cumsum(self.weights)

    def false_positives(self) -> Int[np.ndarray, " K"]:
        """Return the number of negatives at or above each score."""
        return np.cumsum(self.above + self.tied)

    def missing(self) -> Undefined | None:
        """Return why a curve over both classes is undefined, or None where both are there."""
        if not self.scores.size:
            return Undefined("no anomalous samples")
        return None if self.negatives else Undefined("no normal samples")


def rank(positives: Values, negatives: Iterable[Values], weights: Values | None = None) -> Ranking:
    """Rank positives against a stream of negatives, exactly, ties included.

    Memory is that of the positives and of one chunk of negatives.

    Parameters
    ----------
    positives
        (N) scores.
    negatives
        Chunks of scores, each of any length.
    weights
        (N) weight of each positive; 1 where absent.

    Raises
    ------
    DataError
        A score is not a number: it has no rank.
    """
    _check(positives)
    ascending, place = np.unique(positives, return_inverse=True)
    summed = np.bincount(place, weights=weights, minlength=ascending.size).astype(np.float64)
    lower = np.zeros(ascending.size, dtype=np.int64)
    not_higher = np.zeros(ascending.size, dtype=np.int64)
    total = 0
    for chunk in negatives:
        _check(chunk)
        ordered = np.sort(chunk)
        lower += np.searchsorted(ordered, ascending, side="left")
        not_higher += np.searchsorted(ordered, ascending, side="right")
        total += chunk.size
    return Ranking(
        scores=ascending[::-1],
        weights=summed[::-1],
        above=(np.append(lower[1:], total) - not_higher)[::-1],
        tied=(not_higher - lower)[::-1],
        negatives=total,
    )


def _check(scores: Values) -> None:
    if np.isnan(scores).any():
        raise DataError("a score is not a number (NaN), so it cannot be ranked")


def roc_curve(ranking: Ranking) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Return the corners of the ROC curve (false positive rate, true positive rate) from (0, 0) to (1, 1).

    Negatives tied with positives give a slanted piece, so the area counts each tie as half.
    """
    hits = ranking.true_positives()
    false = ranking.false_positives()
    # Two corners a score: after the negatives strictly above it, then after everything tied with it.
    across = np.column_stack([false - ranking.tied, false]).ravel() / max(ranking.negatives, 1)
    up = np.column_stack([hits - ranking.weights, hits]).ravel() / hits[-1]
    return np.concatenate([[0.0], across, [1.0]]), np.concatenate([[0.0], up, [1.0]])


def area_under(x: Float[np.ndarray, " P"], y: Float[np.ndarray, " P"], limit: float) -> float:
    """Return the area under a polyline from x = 0 to `limit`, over `limit` (1 is the best)."""
    inside = x <= limit
    # The last point at or before the limit may be followed by a piece that crosses it.
    xs = np.append(x[inside], limit)
    ys = np.append(y[inside], _at(x, y, limit))
    return float(np.trapezoid(ys, xs) / limit)


def _at(x: Float[np.ndarray, " P"], y: Float[np.ndarray, " P"], limit: float) -> float:
    after = int(np.searchsorted(x, limit, side="right"))
    if after == x.size:
        return float(y[-1])
    step = (limit - x[after - 1]) / (x[after] - x[after - 1])
    return float(y[after - 1] + step * (y[after] - y[after - 1]))
