"""Metrics of whole pictures: does the score put anomalous ones above normal ones.

A picture is called anomalous where its score is above the threshold, strictly, as everywhere in isotherm.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from isotherm.evaluation.ranking import Metric, Ranking, Undefined, area_under, rank, roc_curve

Labels = Bool[np.ndarray, " N"]
Scores = Float[np.ndarray, " N"]


def ranked(labels: Labels, scores: Scores) -> Ranking:
    """Rank anomalous (`labels` true) against normal pictures."""
    return rank(scores[labels], [scores[~labels]])


def auroc(labels: Labels, scores: Scores) -> Metric:
    """Return the area under the ROC curve: the chance that an anomalous picture scores above a normal one.

    A tie counts as half. Undefined where a class is absent.

    Parameters
    ----------
    labels
        (N) true for anomalous.
    scores
        (N) larger is stranger.
    """
    return auroc_of(ranked(labels, scores))


def auroc_of(ranking: Ranking) -> Metric:
    """Return the area under the ROC curve of a ranking."""
    return ranking.missing() or area_under(*roc_curve(ranking), 1.0)


def average_precision(labels: Labels, scores: Scores) -> Metric:
    """Return the sum of precision times gain in recall over all distinct thresholds (no interpolation)."""
    return average_precision_of(ranked(labels, scores))


def average_precision_of(ranking: Ranking) -> Metric:
    """Return the average precision of a ranking; undefined where a class is absent."""
    missing = ranking.missing()
    if missing:
        return missing
    recall, precision = precision_recall_curve(ranking)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def precision_recall_curve(ranking: Ranking) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Return recall and precision at each distinct score of a positive, from the strictest threshold on."""
    hits = ranking.true_positives()
    return hits / hits[-1], hits / (hits + ranking.false_positives())


def f1_of(labels: Labels, called: Bool[np.ndarray, " N"]) -> Metric:
    """Return the F1 of decisions (N, true: called anomalous); undefined where nothing is anomalous."""
    return f1_of_counts(int(np.sum(called & labels)), int(np.sum(called & ~labels)), int(np.sum(~called & labels)))


def f1_of_counts(hits: int, false_alarms: int, misses: int) -> Metric:
    """Return F1 from counts; undefined where nothing is anomalous."""
    if hits + misses == 0:
        return Undefined("no anomalous samples")
    return 2 * hits / (2 * hits + false_alarms + misses)


def f1_max(labels: Labels, scores: Scores) -> tuple[Metric, float | None]:
    """Return the best F1 that any threshold gives **on these very labels**, and that threshold.

    It is fitted on the data it is measured on: an upper bound for comparison with literature, never a promise.
    """
    return f1_max_of(ranked(labels, scores))


def f1_max_of(ranking: Ranking) -> tuple[Metric, float | None]:
    """Return the best F1 of a ranking and the threshold (scores strictly above it are called anomalous)."""
    missing = ranking.missing()
    if missing:
        return missing, None
    hits, false = ranking.true_positives(), ranking.false_positives()
    f1 = 2 * hits / (hits + false + hits[-1])
    best = int(np.argmax(f1))
    # The score itself has to be called, so the threshold lies just below it.
    return float(f1[best]), float(np.nextafter(ranking.scores[best], -np.inf))
