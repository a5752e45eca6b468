"""Metrics of pictures against scikit-learn, with ties, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from isotherm.core.errors import DataError
from isotherm.evaluation.bootstrap import Interval, intervals
from isotherm.evaluation.metrics import (
    auroc,
    average_precision,
    f1_max,
    f1_of,
    precision_recall_curve,
    ranked,
)
from isotherm.evaluation.ranking import Undefined, area_under, rank, roc_curve


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores of few distinct values, so that ties within and across the classes are the rule."""
    size = draw(st.integers(2, 40))
    labels = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    labels[:2] = [True, False]
    values = st.sampled_from([-3.5, -1.0, 0.0, 0.25, 1.0, 7.0, 1e6])
    scores = np.array(draw(st.lists(values, min_size=size, max_size=size)), dtype=np.float32)
    return labels, scores


@settings(deadline=None, max_examples=60)
@given(labelled())
def test_threshold_free_metrics_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert auroc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(labels, scores) == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )


@settings(deadline=None, max_examples=60)
@given(labelled(), st.sampled_from([-4.0, -1.0, 0.3, 1.0, 8.0]))
def test_f1_agrees_with_scikit_learn_and_is_nowhere_above_f1_max(
    case: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    labels, scores = case
    f1 = f1_of(labels, scores > threshold)
    assert f1 == pytest.approx(reference.f1_score(labels, scores > threshold, zero_division=0.0))
    best, at = f1_max(labels, scores)
    assert best >= f1
    assert f1_of(labels, scores > at) == best


@settings(deadline=None, max_examples=60)
@given(labelled(), st.sampled_from([0.05, 0.3, 0.7]))
def test_partial_area_agrees_with_a_dense_reading_of_scikit_learns_curve(
    case: tuple[np.ndarray, np.ndarray], limit: float
) -> None:
    labels, scores = case
    false, true, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    at = float(np.interp(limit, false, true))
    keep = false <= limit
    expected = np.trapezoid(np.append(true[keep], at), np.append(false[keep], limit)) / limit
    # np.interp takes an arbitrary end of a vertical piece; at the limit itself that is a piece of no width.
    assert area_under(*roc_curve(ranked(labels, scores)), limit) == pytest.approx(expected, abs=1e-12)


def test_precision_and_recall_at_each_positive_score() -> None:
    labels = np.array([True, False, True, False])
    recall, precision = precision_recall_curve(ranked(labels, np.array([4.0, 3.0, 2.0, 1.0])))
    np.testing.assert_allclose(recall, [0.5, 1.0])
    np.testing.assert_allclose(precision, [1.0, 2 / 3])


def test_perfect_and_reversed_order() -> None:
    labels = np.array([False, False, True])
    assert auroc(labels, np.array([1.0, 2.0, 3.0])) == 1.0
    assert auroc(labels, np.array([2.0, 3.0, 1.0])) == 0.0
    assert auroc(labels, np.zeros(3)) == 0.5


@pytest.mark.parametrize(
    ("labels", "reason"), [([True, True], "no normal samples"), ([False, False], "no anomalous samples")]
)
def test_one_class_gives_no_number_but_the_reason(labels: list[bool], reason: str) -> None:
    truth, scores = np.array(labels), np.array([1.0, 2.0])
    assert auroc(truth, scores) == Undefined(reason)
    assert average_precision(truth, scores) == Undefined(reason)
    assert f1_max(truth, scores) == (Undefined(reason), None)


def test_f1_needs_anomalous_pictures_only() -> None:
    assert f1_of(np.array([True, True]), np.array([False, True])) == pytest.approx(2 / 3)
    assert f1_of(np.array([False]), np.array([False])) == Undefined("no anomalous samples")


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match="not a number"):
        auroc(np.array([True, False]), np.array([np.nan, 1.0]))


def test_chunks_of_negatives_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    positives, negatives = rng.integers(0, 9, 30).astype(float), rng.integers(0, 9, 100).astype(float)
    whole, parts = rank(positives, [negatives]), rank(positives, np.split(negatives, [1, 50, 50]))
    np.testing.assert_array_equal(whole.above, parts.above)
    np.testing.assert_array_equal(whole.tied, parts.tied)
    assert whole.negatives == parts.negatives == 100


def _auroc_only(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | Undefined]:
    return {"auroc": auroc(labels, scores)}


def test_bootstrap_covers_the_value_is_seeded_and_narrows() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for size in (20, 400):
        labels = np.arange(size) % 2 == 0
        scores = rng.normal(size=size) + labels
        first = intervals(_auroc_only, labels, scores, resamples=300, seed=5)["auroc"]
        assert first == intervals(_auroc_only, labels, scores, resamples=300, seed=5)["auroc"]
        assert isinstance(first, Interval)
        assert first.low < auroc(labels, scores) < first.high
        widths.append(first.high - first.low)
    assert widths[1] < widths[0] / 2


def test_bootstrap_width_agrees_with_the_hanley_mcneil_error() -> None:
    # Hanley & McNeil 1982: SE of the area for A = 0.76, 100 + 100 cases (exponential model) is about 0.034.
    rng = np.random.default_rng(3)
    labels = np.arange(200) < 100
    scores = rng.normal(size=200) + labels
    area = auroc(labels, scores)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = np.sqrt((area * (1 - area) + 99 * (q1 - area**2) + 99 * (q2 - area**2)) / 100**2)
    interval = intervals(_auroc_only, labels, scores, seed=0)["auroc"]
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(error, rel=0.15)


def test_an_interval_needs_two_of_each_class() -> None:
    result = intervals(_auroc_only, np.array([True, False, False]), np.array([1.0, 2.0, 3.0]))
    assert isinstance(result["auroc"], Undefined)
    assert "one class has 1" in result["auroc"].reason
