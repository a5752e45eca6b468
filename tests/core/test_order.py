"""The quick median is NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.order import median


@given(st.integers(0, 10_000), st.integers(20_000, 20_007), st.sampled_from(["normal", "tied", "wide", "negative"]))
@settings(max_examples=60, deadline=None)
def test_the_middle_is_numpys(seed: int, count: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    numbers = {
        "normal": lambda: rng.normal(20, 15, count),
        "tied": lambda: rng.integers(-2, 3, count),
        "wide": lambda: np.ldexp(rng.normal(size=count), rng.integers(-140, 120, count)),
        "negative": lambda: -rng.exponential(50, count),
    }[kind]()
    known = np.asarray(numbers, np.float32)
    known[rng.integers(count, size=3)] = np.inf, -np.inf, -0.0
    assert median(known) == float(np.median(known))


@pytest.mark.parametrize("low_share", [0.5, 0.49999, 0.3])
def test_the_two_numbers_in_the_middle_may_be_far_apart(low_share: float) -> None:
    known = np.where(np.arange(30_000) < low_share * 30_000, np.float32(-80.5), np.float32(900.25))
    assert median(known) == float(np.median(known))


def test_few_numbers_and_those_of_other_kinds() -> None:
    for known in (np.array([3.5], np.float32), np.arange(4.0), np.linspace(0, 1, 30_001)):
        assert median(known) == float(np.median(known))
    strided = np.linspace(-5, 9, 60_000, dtype=np.float32)[::2]
    assert median(strided) == float(np.median(strided))
