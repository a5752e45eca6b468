"""Probability of detection against scikit-learn, scipy and definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.linear_model import LogisticRegression

from isotherm.core.errors import ConfigError, DataError
from isotherm.evaluation.pod import PodCurve, PodRules, exact_interval, fit_pod, pod_table
from isotherm.evaluation.ranking import Undefined


def trials(seed: int, count: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Defects whose true a90 is exp((ln 9 + 3) / 3) = 5.65."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(np.log(0.5), np.log(12), count))
    return sizes, rng.random(count) < 1 / (1 + np.exp(3 - 3 * np.log(sizes)))


def curve(seed: int, rules: PodRules | None = None, count: int = 80) -> PodCurve:
    fitted = fit_pod(*trials(seed, count), rules)
    assert isinstance(fitted, PodCurve)
    return fitted


def likelihood(intercept: float, slope: float, x: np.ndarray, found: np.ndarray) -> float:
    linear = intercept + slope * x
    return float(-np.logaddexp(0, np.where(found, -linear, linear)).sum())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("log_size", [True, False])
def test_the_curve_is_that_of_scikit_learn(seed: int, log_size: bool) -> None:
    sizes, found = trials(seed)
    x = np.log(sizes) if log_size else sizes
    reference = LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000).fit(x[:, None], found)
    mine = curve(seed, PodRules(log_size=log_size, bound="wald"))
    assert mine.slope == pytest.approx(reference.coef_[0, 0], rel=1e-3)
    assert mine.intercept == pytest.approx(reference.intercept_[0], rel=1e-3)
    x90 = (np.log(9) - mine.intercept) / mine.slope
    assert mine.a90 == pytest.approx(np.exp(x90) if log_size else x90)


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_by_likelihood_is_where_the_best_curve_through_it_is_as_unlikely_as_said(seed: int) -> None:
    sizes, found = trials(seed)
    x = np.log(sizes)
    mine = curve(seed)
    assert isinstance(mine.a90_95, float)
    at = np.log(mine.a90_95)
    through = optimize.minimize_scalar(
        lambda slope: -likelihood(np.log(9) - slope * at, slope, x, found), bounds=(0, 50), method="bounded"
    )
    deviance = 2 * (likelihood(mine.intercept, mine.slope, x, found) + through.fun)
    assert deviance == pytest.approx(stats.chi2.ppf(0.90, 1), rel=1e-4)
    assert mine.a90_95 > mine.a90


def test_the_bound_by_wald_is_that_of_the_covariance() -> None:
    sizes, _ = trials(1)
    mine = curve(1, PodRules(bound="wald"))
    assert isinstance(mine.a90_95, float)
    design = np.stack([np.ones_like(sizes), np.log(sizes)], axis=1)
    p = 1 / (1 + np.exp(-(design @ [mine.intercept, mine.slope])))
    covariance = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    at = np.array([1, np.log(mine.a90_95)])
    low = at @ [mine.intercept, mine.slope] - stats.norm.ppf(0.95) * np.sqrt(at @ covariance @ at)
    assert low == pytest.approx(np.log(9), abs=1e-6)


@pytest.mark.parametrize("bound", ["wald", "likelihood-ratio"])
def test_the_lower_curve_lies_below_and_reaches_the_probability_at_a90_95(bound: str) -> None:
    mine = curve(0, PodRules(bound=bound))
    assert isinstance(mine.a90_95, float)
    assert (mine.lower <= mine.pod).all()
    assert (np.diff(mine.pod) > 0).all()
    assert np.interp(mine.a90_95, mine.sizes, mine.lower) == pytest.approx(0.9, abs=0.01)


def test_the_bound_covers_the_true_size_about_as_often_as_it_says() -> None:
    true = np.exp((np.log(9) + 3) / 3)
    bounds = [curve(seed, PodRules(bound="wald"), 120).a90_95 for seed in range(150)]
    above = np.mean([not isinstance(bound, float) or bound >= true for bound in bounds])
    assert 0.92 <= above <= 1
    bounds = [curve(seed, PodRules(bound="wald", confidence=0.6), 120).a90_95 for seed in range(150)]
    assert np.mean([not isinstance(bound, float) or bound >= true for bound in bounds]) < 0.8


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 1000), st.integers(0, 50))
def test_sizes_in_other_units_give_the_same_curve(scale: float, seed: int) -> None:
    sizes, found = trials(seed, 60)
    one, other = (fit_pod(sizes * by, found, PodRules(bound="wald")) for by in (1.0, scale))
    if isinstance(one, Undefined):
        assert isinstance(other, Undefined)
        return
    assert isinstance(other, PodCurve)
    assert other.slope == pytest.approx(one.slope, rel=1e-6)
    if isinstance(one.a90, float):
        assert other.a90 == pytest.approx(one.a90 * scale, rel=1e-6)


@pytest.mark.parametrize(
    ("sizes", "found", "says"),
    [
        ([], [], "no defects"),
        ([1, 2, 3], [True, True, True], "all 3 defects were found"),
        ([1, 2, 3], [False, False, False], "all 3 defects were missed"),
        ([1, 2, 3, 4], [False, False, True, True], "every defect up to 2 was missed and every one from 3 on found"),
        ([1, 2, 2, 4], [False, False, True, True], "how steep"),
        ([1, 2, 3, 4], [True, True, False, False], "size does not decide"),
        ([2, 2, 2, 2], [True, True, False, False], "how steep"),
    ],
)
def test_no_curve_is_invented(sizes: list[float], found: list[bool], says: str) -> None:
    result = fit_pod(np.array(sizes, np.float64), np.array(found, np.bool_))
    assert isinstance(result, Undefined)
    assert says in result.reason


def test_a90_is_undefined_where_the_curve_falls_or_the_data_are_few() -> None:
    falling = fit_pod(np.arange(1.0, 9), np.array([1, 1, 1, 0, 1, 0, 0, 0], np.bool_))
    assert isinstance(falling, PodCurve)
    assert isinstance(falling.a90, Undefined)
    for bound in ("wald", "likelihood-ratio"):
        few = fit_pod(np.arange(1.0, 6), np.array([0, 1, 0, 1, 1], np.bool_), PodRules(bound=bound))
        assert isinstance(few, PodCurve)
        assert isinstance(few.a90, float)
        assert isinstance(few.a90_95, Undefined)
        assert "5 defects are too few" in few.a90_95.reason


def test_wrong_sizes_and_rules_are_errors() -> None:
    for sizes in ([0.0, 1.0], [np.nan, 1.0]):
        with pytest.raises(DataError, match="finite size above 0"):
            fit_pod(np.array(sizes), np.array([True, False]))
    with pytest.raises(ConfigError, match="ends excluded"):
        PodRules(confidence=1.0)


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (0, 29), (29, 29), (3, 7), (99, 100), (250, 400), (1, 1)])
def test_exact_intervals_are_those_of_the_beta_distribution(hits: int, count: int) -> None:
    found = exact_interval(hits, count)
    low = 0.0 if hits == 0 else stats.beta.ppf(0.025, hits, count - hits + 1)
    high = 1.0 if hits == count else stats.beta.ppf(0.975, hits + 1, count - hits)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_twenty_nine_of_twenty_nine_are_ninety_percent_with_ninety_five_of_confidence() -> None:
    # The binomial rule of 29 of 29: two-sided 90 % is one-sided 95 %.
    assert exact_interval(29, 29, confidence=0.90).low >= 0.9 > exact_interval(28, 28, confidence=0.90).low


def test_the_table_counts_each_range_with_its_lower_end() -> None:
    rows = pod_table(np.array([1.0, 3.0, 5.9, 6.0, 20.0]), np.array([False, True, False, True, True]), (3, 6))
    assert [(row.count, row.hits) for row in rows] == [(1, 0), (2, 1), (2, 2)]
    assert rows[1].share == 0.5
    none = pod_table(np.array([1.0]), np.array([True]), (3,))[1]
    assert isinstance(none.share, Undefined)
    assert (none.interval.low, none.interval.high) == (0, 1)
