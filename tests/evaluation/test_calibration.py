"""Stated against seen: false alarm rates of normal pictures, and fitted probabilities of a fault."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.calibration import (
    FalseAlarmCurve,
    Platt,
    Reliability,
    calibration_error,
    false_alarm_curve,
    fit_platt,
    reliability,
)
from isotherm.evaluation.ranking import Undefined


def p_values(held_out: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return (1 + (held_out >= scores[:, None]).sum(axis=1)) / (1 + held_out.size)


def curve_of(p: np.ndarray, held_out: int) -> FalseAlarmCurve:
    found = false_alarm_curve(p, np.full(p.size, held_out), resamples=200)
    assert isinstance(found, FalseAlarmCurve)
    return found


def test_by_hand() -> None:
    # Nine held-out scores: the levels are tenths. Of four pictures one lies at 0.1 and three at 1.0.
    found = curve_of(np.array([0.1, 1.0, 1.0, 1.0]), 9)
    at = {level: index for index, level in enumerate(range(1, 101))}
    assert found.expected[at[5]] == 0.0
    assert found.expected[at[19]] == pytest.approx(0.1)
    assert found.observed[at[9]] == 0.0
    assert found.observed[at[10]] == 0.25
    assert found.observed[at[100]] == found.expected[at[100]] == 1.0
    # Ten levels each at 0.1 .. 0.9, where 0.25 are seen, one at 1, and nine below 0.1 where nothing is.
    assert found.error == pytest.approx(10 * sum(abs(0.25 - tenth / 10) for tenth in range(1, 10)) / 100)


def test_exchangeable_pictures_are_calibrated_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    held_out = rng.gamma(2, size=400)
    fair, shifted = curve_of(p_values(held_out, rng.gamma(2, size=400)), 400), None
    assert fair.error < 2.5 * fair.by_chance
    assert isinstance(fair.interval, Interval)
    shifted = curve_of(p_values(held_out, 1.5 + rng.gamma(2, size=400)), 400)
    assert shifted.error > 6 * shifted.by_chance
    assert shifted.observed[4] > shifted.expected[4]
    assert (fair.low <= fair.observed).all()
    assert (fair.observed <= fair.high).all()


def test_the_error_by_chance_is_what_chance_gives() -> None:
    rng = np.random.default_rng(1)
    errors, chance = [], 0.0
    for _ in range(60):
        found = curve_of(p_values(rng.random(30), rng.random(50)), 30)
        errors.append(found.error)
        chance = found.by_chance
    assert np.mean(errors) == pytest.approx(chance, rel=0.15)


def test_no_normal_picture_has_no_false_alarm_rate() -> None:
    assert false_alarm_curve(np.empty(0), np.empty(0, dtype=np.int64)) == Undefined("no normal samples")
    alone = curve_of(np.array([0.5]), 9)
    assert isinstance(alone.interval, Undefined)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 80))
def test_reliability_agrees_with_scikit_learn(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    labels, stated = rng.random(size) < 0.4, rng.random(size)
    found = reliability(labels, stated, resamples=20)
    assert isinstance(found, Reliability)
    observed, mean = calibration_curve(labels, stated, n_bins=10, strategy="uniform")
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.stated, mean)
    assert found.error == pytest.approx(np.sum(found.counts * np.abs(observed - mean)) / size)
    assert found.brier == pytest.approx(brier_score_loss(labels, stated))


def test_the_error_by_hand() -> None:
    # Bins 0.2-0.3 (two pictures, one faulty) and 0.9-1.0 (two, both faulty): 2/4 * 0.25 + 2/4 * 0.05.
    labels, stated = np.array([True, False, True, True]), np.array([0.25, 0.25, 0.9, 1.0])
    assert calibration_error(labels, stated) == pytest.approx(0.15)
    assert reliability(np.empty(0, dtype=bool), np.empty(0)) == Undefined("no samples")


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0, 3))
def test_platts_fit_minimises_his_loss(seed: int, apart: float) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(40) < 15
    scores = 5 + 3 * (rng.normal(size=40) + apart * labels)
    fit = fit_platt(labels, scores)
    assert isinstance(fit, Platt)
    targets = np.where(labels, 16 / 17, 1 / 27)

    def loss(parameters: np.ndarray) -> float:
        logits = parameters[0] * scores + parameters[1]
        return float(np.sum(np.logaddexp(0, logits) - targets * logits))

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000})
    if best.x[0] >= 0:
        assert loss(np.array([fit.slope, fit.offset])) <= best.fun + 1e-6
    else:
        assert fit.slope == 0.0
        assert fit(scores) == pytest.approx(15 / 40)


def test_classes_that_are_apart_still_give_a_finite_fit() -> None:
    labels, scores = np.array([False, False, True, True]), np.array([0.0, 0.0, 1e6, 1e6])
    fit = fit_platt(labels, scores)
    assert isinstance(fit, Platt)
    assert fit(scores) == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=1e-3)
    assert np.isfinite(fit(np.array([-1e300, 1e300]))).all()
    constant = fit_platt(np.array([True, False, False]), np.ones(3))
    assert isinstance(constant, Platt)
    assert constant(np.ones(1))[0] == pytest.approx(0.35, abs=0.1)
    assert isinstance(fit_platt(np.array([True, True]), np.array([1.0, 2.0])), Undefined)
