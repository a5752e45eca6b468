"""The stability index, the test of Kolmogorov and Smirnov, and the verdict of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.evaluation.drift import kolmogorov_smirnov, shifts, stability_index, worst

RANDOM = np.random.default_rng(7)


def normal(count: int, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, count)


def test_the_index_of_a_hand_computed_case() -> None:
    # Two bins at the median 2.5: 2 and 2 values against 1 and 3, each with half a value more.
    shares = (2.5 / 5, 2.5 / 5), (1.5 / 5, 3.5 / 5)
    wanted = sum((now - then) * math.log(now / then) for then, now in zip(*shares, strict=True))
    assert stability_index(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 3, 4]), bins=2) == pytest.approx(wanted)


def test_the_test_of_a_hand_computed_case() -> None:
    distance, p_value = kolmogorov_smirnov(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]))
    assert distance == 0.5
    # Q((sqrt 2 + .12 + .11 / sqrt 2) / 2) = 0.5344 (Numerical Recipes, probks)
    reach = (math.sqrt(2) + 0.12 + 0.11 / math.sqrt(2)) * 0.5
    wanted = 2 * sum((-1) ** (term - 1) * math.exp(-2 * (term * reach) ** 2) for term in range(1, 50))
    assert p_value == pytest.approx(wanted)


def test_kolmogorov_at_its_known_quantile() -> None:
    # Smirnov's table: P(K > 1.3581) = 0.05, so for very many values D = 1.3581 / sqrt(n m / (n + m)).
    first = np.arange(200_000.0)
    distance, p_value = kolmogorov_smirnov(first, first + 1.3581 / math.sqrt(100_000) * 200_000)
    assert distance == pytest.approx(1.3581 / math.sqrt(100_000), abs=1e-5)
    assert p_value == pytest.approx(0.05, abs=0.001)


def test_the_same_values_have_not_moved() -> None:
    values = normal(200)
    assert stability_index(values, values) == 0
    assert kolmogorov_smirnov(values, values) == (0.0, 1.0)


def test_a_shift_of_a_whole_spread_is_drift() -> None:
    (found,) = shifts({"mean_c": normal(200)}, {"mean_c": normal(100, 1.0, seed=1)})
    assert found.state == "drift"
    assert found.psi is not None
    assert found.psi > 0.5
    assert (found.reference_count, found.count) == (200, 100)
    assert found.median == pytest.approx(1.0, abs=0.3)


def test_a_small_shift_of_many_is_watched() -> None:
    (found,) = shifts({"mean_c": normal(3000)}, {"mean_c": normal(3000, 0.4, seed=1)})
    assert found.state == "watch"


def test_a_trifle_that_is_certain_is_stable() -> None:
    (found,) = shifts({"mean_c": normal(20_000)}, {"mean_c": normal(20_000, 0.1, seed=1)})
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert found.state == "stable"


def test_few_values_say_nothing() -> None:
    (found,) = shifts({"mean_c": normal(200)}, {"mean_c": normal(19, 9.0)})
    assert (found.state, found.psi, found.p_value) == ("unknown", None, None)
    assert found.median is not None
    (empty,) = shifts({"mean_c": normal(0)}, {"mean_c": normal(0)})
    assert (empty.median, empty.state) == (None, "unknown")


def test_values_that_are_none_are_left_out() -> None:
    current = np.concatenate([normal(30), [np.nan, np.inf]])
    (found,) = shifts({"mean_c": normal(30)}, {"mean_c": current})
    assert found.count == 30


def test_small_samples_of_one_source_are_seldom_called_moved() -> None:
    moved = sum(
        shifts({"a": normal(40, seed=seed)}, {"a": normal(25, seed=seed + 1000)})[0].state != "stable"
        for seed in range(300)
    )
    # The index alone is above 0.25 in most of them.
    assert moved <= 8


def test_a_quantity_with_a_single_value_can_move() -> None:
    for other in (0.5, 2.0):
        (found,) = shifts({"score": np.ones(50)}, {"score": np.full(50, other)})
        assert found.state == "drift"
    assert shifts({"score": np.ones(50)}, {"score": np.ones(50)})[0].state == "stable"


@settings(deadline=None, max_examples=60)
@given(st.integers(20, 80), st.integers(20, 80), st.integers(0, 1000), st.floats(0.5, 20), st.floats(-100, 100))
def test_other_units_change_nothing(first: int, second: int, seed: int, scale: float, offset: float) -> None:
    values = normal(first, seed=seed), normal(second, 0.5, seed=seed + 1)
    (one,) = shifts({"a": values[0]}, {"a": values[1]})
    (other,) = shifts({"a": values[0] * scale + offset}, {"a": values[1] * scale + offset})
    assert other.distance == pytest.approx(one.distance, abs=1e-9)
    assert other.psi == pytest.approx(one.psi, abs=1e-9)


def test_the_worst_state() -> None:
    assert worst([]) == "unknown"
    assert worst(["stable", "unknown"]) == "stable"
    assert worst(["stable", "drift", "watch"]) == "drift"
