"""Binomial tails, beta quantiles and exact intervals against scipy and published numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from isotherm.core.errors import DataError
from isotherm.core.proportions import beta_quantile, binomial_tail, clopper_pearson


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 400), st.integers(1, 400), st.floats(0, 1))
def test_tails_agree_with_scipy(successes: int, trials: int, rate: float) -> None:
    expected = stats.binom.sf(successes - 1, trials, rate)
    assert binomial_tail(successes, trials, rate) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.001, 0.999))
def test_quantiles_agree_with_scipy(a: int, b: int, share: float) -> None:
    assert beta_quantile(a, b, share) == pytest.approx(stats.beta.ppf(share, a, b), abs=1e-8)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 60), st.integers(1, 60))
def test_exact_intervals_agree_with_scipy(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert clopper_pearson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-8)


@pytest.mark.parametrize(
    ("successes", "trials", "rate"), [(40_000, 100_000, 0.4), (3, 100_000, 1e-5), (60_000, 100_000, 0.6)]
)
def test_many_trials(successes: int, trials: int, rate: float) -> None:
    assert binomial_tail(successes, trials, rate) == pytest.approx(
        stats.binom.sf(successes - 1, trials, rate), abs=1e-9
    )


def test_no_success_in_ten_is_the_rule_of_three() -> None:
    # 1 - (0.025)^(1/10): Clopper & Pearson 1934; 0.3085 in every published table.
    assert clopper_pearson(0, 10) == pytest.approx((0.0, 0.3085), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (3, 2), (-1, 2)])
def test_what_is_no_share_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(DataError, match="no share"):
        clopper_pearson(successes, trials)
