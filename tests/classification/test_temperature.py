"""The temperature: the least loss, whatever the scale, and never full certainty from few examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from isotherm.classification.calibration import Temperature, softmax


def too_sure(count: int, factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are `factor` times too large for how often they are right."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (count, 4))
    labels = np.array([rng.choice(4, p=row) for row in softmax(honest)], np.int64)
    return honest * factor, labels


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_the_right_temperature_is_found(factor: float) -> None:
    logits, labels = too_sure(4000, factor)
    found = Temperature.fit(logits, labels)
    assert found.value == pytest.approx(factor, rel=0.08)
    best = minimize_scalar(lambda log: Temperature(float(np.exp(log))).loss(logits, labels), bounds=(-5, 5)).x
    assert found.value == pytest.approx(float(np.exp(best)), rel=0.01)


def test_logits_twice_as_large_need_twice_the_temperature() -> None:
    logits, labels = too_sure(200, 1.0)
    once, twice = Temperature.fit(logits, labels), Temperature.fit(2 * logits, labels)
    assert twice.value == pytest.approx(2 * once.value, rel=1e-6)
    assert np.allclose(once.probabilities(logits), twice.probabilities(2 * logits))


def test_perfect_examples_give_no_full_certainty() -> None:
    logits = np.tile(np.array([[10.0, -10.0], [-10.0, 10.0]]), (10, 1))
    found = Temperature.fit(logits, np.tile(np.array([0, 1]), 10)).probabilities(logits)
    # Platt's target for twenty examples: 1 - 1 / (20 + 2).
    assert found.max(axis=1) == pytest.approx(np.full(20, 21 / 22), abs=1e-6)


def test_too_few_to_fit_on() -> None:
    logits, labels = too_sure(19, 5.0)
    assert Temperature.fit(logits, labels).value == 1.0
    assert Temperature.fit(np.empty((0, 3)), np.empty(0, np.int64)).value == 1.0


def test_huge_logits_stay_numbers() -> None:
    found = Temperature().probabilities(np.array([[1e6, -1e6, 0.0]]))
    assert found.tolist() == [[1.0, 0.0, 0.0]]
