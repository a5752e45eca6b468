"""What a classifier makes of labelled pictures, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotherm.classification.method import Values
from isotherm.core.errors import DataError
from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.calibration import Reliability, reliability
from isotherm.evaluation.classes import (
    ClassResult,
    Counts,
    RejectionCurve,
    Share,
    accuracy,
    averages,
    by_class,
    confusion,
    rejection_curve,
    resampled_metrics,
)
from isotherm.evaluation.ranking import Undefined
from isotherm.workflows.classify_model import Classified, Rejection, TrainedClassifier


@dataclass(frozen=True, eq=False)
class Judged:
    """The answers for labelled pictures.

    Parameters
    ----------
    labels
        The model's categories.
    truth
        What each picture is.
    answers
        What the model says of each.
    known
        (N), whether the picture's category is one of the model's.
    """

    labels: tuple[str, ...]
    truth: tuple[str, ...]
    answers: tuple[Classified, ...]
    known: Bool[np.ndarray, " N"]

    @property
    def numbers(self) -> Int64[np.ndarray, " K"]:
        """Return the categories of the pictures of known ones."""
        return self._numbers([label for label, known in zip(self.truth, self.known, strict=True) if known])

    @property
    def nearest(self) -> Int64[np.ndarray, " K"]:
        """Return the most probable categories of the same."""
        return self._numbers([each.nearest for each, known in zip(self.answers, self.known, strict=True) if known])

    def _numbers(self, labels: Sequence[str]) -> Int64[np.ndarray, " K"]:
        places = {label: place for place, label in enumerate(self.labels)}
        return np.array([places[label] for label in labels], np.int64)

    @property
    def confidence(self) -> Float64[np.ndarray, " K"]:
        """Return the probabilities of these."""
        found = [each.confidence for each, known in zip(self.answers, self.known, strict=True) if known]
        return np.array(found, np.float64)

    @property
    def right(self) -> Bool[np.ndarray, " K"]:
        """Return whether these are the right ones."""
        return np.asarray(self.numbers == self.nearest)

    @property
    def counts(self) -> Counts:
        """Return how many pictures of each category were put into which."""
        return confusion(self.numbers, self.nearest, len(self.labels))

    def by_class(self, *, seed: int = 0) -> list[ClassResult]:
        """Return the result of each category."""
        return by_class(self.counts, seed=seed)

    def reliability(self) -> Reliability | Undefined:
        """Compare the probabilities of the most probable categories with how often these are right."""
        return reliability(self.right, np.minimum(self.confidence, 1.0))

    def rejection(self) -> RejectionCurve:
        """Return what rejecting the unsure gains and loses."""
        return rejection_curve(self.right, self.confidence)

    def rejected(self, *, known: bool) -> Share:
        """Return how many pictures of known, or of unknown, categories got no category."""
        chosen = [each for each, is_known in zip(self.answers, self.known, strict=True) if is_known == known]
        return Share(sum(each.rejected for each in chosen), len(chosen))

    def answered(self) -> Share:
        """Return how many of the pictures of known categories that got an answer got the right one."""
        pairs = [
            (each, label)
            for each, label, known in zip(self.answers, self.truth, self.known, strict=True)
            if known and not each.rejected
        ]
        return Share(sum(each.label == label for each, label in pairs), len(pairs))

    def summary(self, *, seed: int = 0) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        counts = self.counts
        found = self.reliability()
        intervals = resampled_metrics(counts, seed=seed)
        return {
            "images": len(self.truth),
            "accuracy": plain_share(accuracy(counts)),
            **{name: plain_metric(value, intervals[name]) for name, value in averages(counts).items()},
            "categories": {
                label: _class(each) for label, each in zip(self.labels, self.by_class(seed=seed), strict=True)
            },
            "confusion": counts.tolist(),
            "expected_calibration_error": _calibration(found),
            "rejected": plain_share(self.rejected(known=True)),
            "accuracy_of_answers": plain_share(self.answered()),
            "unknown": {
                "categories": sorted({label for label, known in zip(self.truth, self.known, strict=True) if not known}),
                "rejected": plain_share(self.rejected(known=False)),
            },
        }


def judged(
    model: TrainedClassifier, values: Values, truth: Sequence[str], rejection: Rejection | None = None
) -> Judged:
    """Return the answers for labelled inputs of a classifier.

    Raises
    ------
    DataError
        None is of a category that the model knows.
    """
    known = np.array([label in model.labels for label in truth], np.bool_)
    if not known.any():
        raise DataError(
            f"no image of a category that the model knows ({', '.join(model.labels)}); found "
            f"{', '.join(sorted(set(truth))) or 'none'}"
        )
    return Judged(model.labels, tuple(truth), tuple(model.judge(values, rejection)), known)


def plain_share(share: Share) -> dict[str, Any]:
    """Return a share with its interval and what it counts, ready for JSON."""
    return {**plain_metric(share.value, share.interval), "hits": share.hits, "count": share.count}


def plain_metric(value: float | Undefined, interval: Interval | Undefined) -> dict[str, Any]:
    """Return a metric with its interval, ready for JSON; one that is undefined has its reason."""
    if isinstance(value, Undefined):
        return {"value": None, "reason": value.reason}
    if isinstance(interval, Undefined):
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": interval.low, "high": interval.high}


def _class(found: ClassResult) -> Mapping[str, Any]:
    return {
        "precision": plain_share(found.precision),
        "recall": plain_share(found.recall),
        "f1": plain_metric(found.f1, found.f1_interval),
        "support": found.support,
    }


def _calibration(found: Reliability | Undefined) -> dict[str, Any]:
    if isinstance(found, Undefined):
        return {"value": None, "reason": found.reason}
    return plain_metric(found.error, found.interval) | {"brier": found.brier}
