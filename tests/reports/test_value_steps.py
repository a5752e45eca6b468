"""The steps of a picture's values are the same, whichever way they are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.reports.value_steps import ValueSteps


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30), st.sampled_from([np.uint8, np.uint16]))
@settings(max_examples=100, deadline=None)
def test_counts_lead_to_the_same_steps(seed: int, height: int, width: int, kind: type) -> None:
    rng = np.random.default_rng(seed)
    top = int(rng.choice([2, 40, 255]))
    counts = rng.integers(0, top, (height, width)).astype(kind)
    by_count = rng.normal(20, 5, 256).astype(np.float32)
    by_count[rng.integers(0, 256, 60)] = rng.choice([np.nan, 21.5, -3.0])
    values = by_count[counts]
    quick, plain = ValueSteps.of(values, counts), ValueSteps.of(values)
    assert np.array_equal(quick.table, plain.table, equal_nan=True)
    assert np.array_equal(quick.indexes, plain.indexes)
    assert np.array_equal(quick.first, plain.first)


@pytest.mark.parametrize("steps", [ValueSteps.of, lambda values: ValueSteps.of(values, np.zeros((2, 3), np.uint16))])
def test_steps_are_what_they_say(steps) -> None:
    values = np.array([[3.0, np.nan, 1.0], [1.0, 3.0, np.nan]], np.float32)
    found = steps(values)
    assert np.array_equal(found.table, np.array([1, 3, np.nan], np.float32), equal_nan=True)
    assert found.indexes.tolist() == [1, 2, 0, 0, 1, 2]
    assert found.first.tolist() == [2, 0, 1]
