"""Two models on the same pictures: DeLong by hand and by the jackknife, McNemar against scipy, paired intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from isotherm.evaluation.bootstrap import Interval, intervals
from isotherm.evaluation.comparison import DeLong, McNemar, delong, differences, mcnemar
from isotherm.evaluation.metrics import auroc
from isotherm.evaluation.ranking import Undefined

LABELS = np.array([True, True, True, False, False, False])


def test_delong_by_hand() -> None:
    first = np.array([3.0, 5.0, 6.0, 1.0, 2.0, 4.0])
    second = np.array([1.0, 5.0, 6.0, 3.0, 2.0, 4.0])
    # Shares of normal pictures below each anomalous one: (2/3, 1, 1) and (0, 1, 1): AUROC 8/9 and 2/3.
    # Shares of anomalous ones above each normal one: (1, 1, 2/3) and (2/3, 2/3, 2/3).
    # Their gaps (2/3, 0, 0) and (1/3, 1/3, 0) have variances 4/27 and 1/27, each over 3 pictures: 5/81.
    found = delong(LABELS, first, second)
    assert isinstance(found, DeLong)
    assert found.difference == pytest.approx(8 / 9 - 2 / 3)
    assert found.error == pytest.approx(np.sqrt(5) / 9)
    assert found.p == pytest.approx(2 * stats.norm.sf((2 / 9) / (np.sqrt(5) / 9)))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_delong_is_symmetric_and_its_difference_is_that_of_the_areas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(30) % 3 == 0
    first, second = (np.round(rng.normal(size=30) + labels, 1) for _ in range(2))
    one, other = delong(labels, first, second), delong(labels, second, first)
    if isinstance(one, Undefined):
        assert isinstance(other, Undefined)
        return
    assert isinstance(other, DeLong)
    assert one.difference == pytest.approx(auroc(labels, first) - auroc(labels, second))
    assert (one.error, one.p) == pytest.approx((other.error, other.p))


def test_delong_keeps_its_level() -> None:
    """Two equally good models are called different at 5 % in about 5 % of the sets."""
    rng = np.random.default_rng(4)
    labels = np.arange(120) < 40
    p = []
    for _ in range(400):
        shared = rng.normal(size=120) + labels
        found = delong(labels, shared + rng.normal(size=120), shared + rng.normal(size=120))
        assert isinstance(found, DeLong)
        p.append(found.p)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_a_paired_interval_is_narrower_than_the_single_ones_and_agrees_with_delong() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) < 100
    shared = rng.normal(size=300) + labels
    first, second = shared + 0.3 * rng.normal(size=300), shared + 0.8 * rng.normal(size=300)
    found = differences(labels, first, second, (first > 0.5, second > 0.5), resamples=400)
    assert list(found) == ["auroc", "average_precision", "f1"]
    interval = found["auroc"].interval
    assert isinstance(interval, Interval)
    test = delong(labels, first, second)
    assert isinstance(test, DeLong)
    assert (interval.high - interval.low) / 3.92 == pytest.approx(test.error, rel=0.15)
    single = intervals(lambda truth, values: {"auroc": auroc(truth, values)}, labels, first, resamples=200)["auroc"]
    assert isinstance(single, Interval)
    assert interval.high - interval.low < single.high - single.low
    assert interval.low < found["auroc"].difference < interval.high


def test_a_model_compared_with_itself_differs_in_nothing() -> None:
    scores = np.array([3.0, 1.0, 2.0, 0.5, 2.5, 0.1])
    found = differences(LABELS, scores, scores, (scores > 1, scores > 1), resamples=100)["auroc"]
    assert (found.difference, found.interval) == (0.0, Interval(0.0, 0.0))
    assert delong(LABELS, scores, scores) == Undefined(
        "both models order every picture alike, so their difference has no spread"
    )
    assert mcnemar(LABELS, scores > 1, scores > 1) == Undefined("both models decide alike on every picture")


def test_one_class_gives_no_comparison() -> None:
    labels, scores = np.array([True, True]), np.array([1.0, 2.0])
    assert delong(labels, scores, scores) == Undefined("a test needs two pictures of each class; one class has 0")
    found = differences(labels, scores, scores, (labels, labels))["auroc"]
    assert found.difference == Undefined("no normal samples")
    assert isinstance(found.interval, Undefined)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_mcnemar_agrees_with_the_binomial_test(only_first: int, only_second: int, agreeing: int) -> None:
    first = np.repeat([True, False, True], [only_first, only_second, agreeing])
    second = np.repeat([False, True, True], [only_first, only_second, agreeing])
    found = mcnemar(np.ones(first.size, dtype=bool), first, second)
    if only_first + only_second == 0:
        assert isinstance(found, Undefined)
        return
    assert isinstance(found, McNemar)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert found.p == pytest.approx(stats.binomtest(only_first, only_first + only_second).pvalue, abs=1e-9)
