"""How well pictures are put into categories.

Everything is said of the most probable category; what rejecting the unsure changes is a curve of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from isotherm.core.errors import DataError
from isotherm.core.proportions import clopper_pearson
from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.ranking import Metric, Undefined

Labels = Int[np.ndarray, " N"]
Counts = Int[np.ndarray, "C C"]


@dataclass(frozen=True)
class Share:
    """A share of some pictures, and its exact 95 % interval (Clopper & Pearson); undefined of none."""

    hits: int
    count: int

    @property
    def value(self) -> Metric:
        """Return the share."""
        return self.hits / self.count if self.count else Undefined("no such picture")

    @property
    def interval(self) -> Interval | Undefined:
        """Return its interval."""
        return Interval(*clopper_pearson(self.hits, self.count)) if self.count else Undefined("no such picture")


@dataclass(frozen=True)
class ClassResult:
    """One category.

    Parameters
    ----------
    precision
        Of the pictures that were put into it, those that belong there.
    recall
        Of the pictures that belong there, those that were put into it.
    f1
        Their harmonic mean, 0 where none was found; its interval is a bootstrap's.
    support
        How many pictures belong there.
    """

    precision: Share
    recall: Share
    f1: Metric
    f1_interval: Interval | Undefined
    support: int


def confusion(labels: Labels, predicted: Labels, classes: int) -> Counts:
    """Return how many pictures of each category (row) were put into which (column)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def accuracy(counts: Counts) -> Share:
    """Return the share of pictures that were put where they belong."""
    return Share(int(np.trace(counts)), int(counts.sum()))


def by_class(counts: Counts, *, resamples: int = 1000, seed: int = 0) -> list[ClassResult]:
    """Return precision, recall and F1 of each category."""
    intervals = resampled_metrics(counts, resamples=resamples, seed=seed)
    found = []
    for place, hits in enumerate(np.diag(counts).tolist()):
        called, support = int(counts[:, place].sum()), int(counts[place].sum())
        found.append(
            ClassResult(
                precision=Share(hits, called),
                recall=Share(hits, support),
                f1=2 * hits / (called + support) if support else Undefined("no picture of this category"),
                f1_interval=intervals[f"f1 {place}"] if support else Undefined("no picture of this category"),
                support=support,
            )
        )
    return found


def averages(counts: Counts) -> dict[str, float]:
    """Return the balanced accuracy (mean recall) and the mean F1 over the categories that have pictures."""
    present = counts.sum(axis=1) > 0
    if not present.any():
        raise DataError("no picture to judge")
    hits, called, support = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    recall = hits[present] / support[present]
    return {
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float((2 * hits[present] / (called + support)[present]).mean()),
    }


def resampled_metrics(counts: Counts, *, resamples: int = 1000, seed: int = 0) -> Mapping[str, Interval]:
    """Return 95 % percentile intervals of F1 (``f1 <place>``) and of the averages over other pictures like these.

    Pictures of each category are drawn with replacement, so that each resample keeps their numbers; all that matters of
    a picture is the cell of the table that it is in.
    """
    rng, support = np.random.default_rng(seed), counts.sum(axis=1)
    present = np.flatnonzero(support)
    drawn = np.zeros((resamples, *counts.shape))
    for row in present:
        drawn[:, row] = rng.multinomial(support[row], counts[row] / support[row], resamples)
    hits = np.diagonal(drawn, axis1=1, axis2=2)
    f1 = 2 * hits / np.maximum(drawn.sum(axis=1) + drawn.sum(axis=2), 1)
    recall = hits[:, present] / support[present]
    values = {f"f1 {place}": f1[:, place] for place in range(len(counts))}
    values |= {"balanced_accuracy": recall.mean(axis=1), "macro_f1": f1[:, present].mean(axis=1)}
    return {name: _interval(each) for name, each in values.items()}


def _interval(values: Float[np.ndarray, " R"]) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))


@dataclass(frozen=True, eq=False)
class RejectionCurve:
    """What is gained and lost by rejecting pictures below a confidence.

    Parameters
    ----------
    thresholds
        (L) rising.
    answered
        (L) share of the pictures at or above it.
    correct
        (L) share of these that are right; NaN where there are none.
    """

    thresholds: Float[np.ndarray, " L"]
    answered: Float[np.ndarray, " L"]
    correct: Float[np.ndarray, " L"]


def rejection_curve(right: Bool[np.ndarray, " N"], confidence: Float[np.ndarray, " N"]) -> RejectionCurve:
    """Return the curve at thresholds of 0, 0.01 .. 1; a picture exactly at a threshold is answered."""
    thresholds = np.linspace(0, 1, 101)
    kept = confidence >= thresholds[:, None] - 1e-12
    count = kept.sum(axis=1)
    hits = (kept & right).sum(axis=1)
    correct = np.where(count > 0, hits / np.maximum(count, 1), np.nan)
    return RejectionCurve(thresholds, count / max(1, right.size), correct)
