"""Numbers of classifiers: scikit-learn's report, and intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as theirs

from isotherm.core.errors import DataError
from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.classes import (
    Share,
    accuracy,
    averages,
    by_class,
    confusion,
    rejection_curve,
    resampled_metrics,
)
from isotherm.evaluation.ranking import Undefined

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50)


@settings(max_examples=30, deadline=None)
@given(pairs)
def test_equals_scikit_learn(found: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(side, np.int64) for side in zip(*found, strict=True))
    counts = confusion(labels, predicted, 4)
    assert np.array_equal(counts, theirs(labels, predicted, labels=range(4)))
    present = sorted(set(labels.tolist()))
    report = classification_report(labels, predicted, labels=present, output_dict=True, zero_division=0)
    results = by_class(counts, resamples=20)
    for label in present:
        assert results[label].f1 == pytest.approx(report[str(label)]["f1-score"])
        assert results[label].recall.value == pytest.approx(report[str(label)]["recall"])
        assert results[label].support == report[str(label)]["support"]
        if isinstance(precision := results[label].precision.value, float):
            assert precision == pytest.approx(report[str(label)]["precision"])
    assert averages(counts)["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    assert averages(counts)["balanced_accuracy"] == pytest.approx(report["macro avg"]["recall"])
    assert accuracy(counts).hits == int((labels == predicted).sum())


def test_a_category_without_pictures_has_no_recall() -> None:
    counts = confusion(np.array([0, 0]), np.array([0, 1]), 3)
    _, wrongly_called, absent = by_class(counts, resamples=10)
    assert wrongly_called.precision.value == 0.0
    assert isinstance(wrongly_called.recall.value, Undefined)
    assert isinstance(absent.precision.interval, Undefined)
    assert isinstance(absent.f1, Undefined)
    assert averages(counts) == {"balanced_accuracy": 0.5, "macro_f1": pytest.approx(2 / 3)}


def test_nothing_to_judge() -> None:
    with pytest.raises(DataError):
        averages(np.zeros((2, 2), np.int64))


def test_exact_intervals() -> None:
    # 8 of 10: Clopper and Pearson's interval, as R's binom.test(8, 10) prints it.
    interval = Share(8, 10).interval
    assert isinstance(interval, Interval)
    assert (interval.low, interval.high) == pytest.approx((0.4439045, 0.9747893), abs=1e-6)


def test_intervals_hold_in_95_of_100_cases() -> None:
    rng, truth = np.random.default_rng(0), np.array([[0.8, 0.2], [0.3, 0.7]])
    held = 0
    for seed in range(200):
        counts = np.stack([rng.multinomial(80, row) for row in truth])
        interval = resampled_metrics(counts, resamples=300, seed=seed)["balanced_accuracy"]
        held += interval.low <= 0.75 <= interval.high
    assert 180 <= held <= 199


def test_the_rejection_curve_by_hand() -> None:
    curve = rejection_curve(np.array([True, False, True, True]), np.array([0.9, 0.5, 0.7, 1.0]))
    at = {round(threshold, 2): place for place, threshold in enumerate(curve.thresholds.tolist())}
    assert (curve.answered[at[0.5]], curve.correct[at[0.5]]) == (1.0, 0.75)
    assert (curve.answered[at[0.51]], curve.correct[at[0.51]]) == (0.75, 1.0)
    assert (curve.answered[at[1.0]], curve.correct[at[1.0]]) == (0.25, 1.0)
    empty = rejection_curve(np.array([True]), np.array([0.3]))
    assert np.isnan(empty.correct[-1])
