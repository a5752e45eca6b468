"""Expected cost: by hand, against a sweep, and the threshold it leads to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError
from isotherm.evaluation.cost import CostCurve, Costs, cost_curve, cost_of, without_a_model
from isotherm.evaluation.metrics import f1_max, f1_of
from isotherm.evaluation.ranking import Undefined

LABELS = np.array([True, True, False, False, False, False])
SCORES = np.array([3.0, 1.5, 2.0, 1.0, 1.0, 0.5])


def test_by_hand() -> None:
    costs = Costs(cost_miss=10, cost_false_alarm=1, prevalence=0.1)
    # Above 1.5 one of two faults and one of four normals are called: 0.1 * 10 * 1/2 + 0.9 * 1 * 1/4.
    assert cost_of(LABELS, SCORES > 1.5, costs) == pytest.approx(0.725)
    # Called nothing: 0.1 * 10; called everything: 0.9.
    assert without_a_model(LABELS, costs) == pytest.approx(0.9)
    curve = cost_curve(LABELS, SCORES, costs)
    assert isinstance(curve, CostCurve)
    np.testing.assert_allclose(curve.thresholds, [0.5, 0.75, 1.25, 1.75, 2.5, 3.0], atol=1e-9)
    np.testing.assert_allclose(curve.misses, [0, 0, 0, 0.5, 0.5, 1])
    np.testing.assert_allclose(curve.false_alarms, [1, 0.75, 0.25, 0.25, 0, 0])
    assert curve.cheapest() == 1.25
    # Where a false alarm costs as much as a miss and faults are rare, only the surest is called.
    assert cost_curve(LABELS, SCORES, Costs(1, 1, 0.01)).cheapest() == 2.5


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 20.0]), st.sampled_from([None, 0.02, 0.7]))
def test_the_curve_is_the_cost_of_its_thresholds_and_nothing_is_cheaper(
    seed: int, miss: float, prevalence: float | None
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(20) < 8
    scores = rng.integers(0, 9, 20).astype(float)
    costs = Costs(miss, 1.0, prevalence)
    curve = cost_curve(labels, scores, costs)
    assert isinstance(curve, CostCurve)
    swept = [cost_of(labels, scores > threshold, costs) for threshold in curve.thresholds]
    np.testing.assert_allclose(curve.costs, swept, atol=1e-12)
    least = cost_of(labels, scores > curve.cheapest(), costs)
    assert all(least <= cost_of(labels, scores > t, costs) + 1e-12 for t in np.linspace(-1, 10, 60))
    assert least <= without_a_model(labels, costs) + 1e-12


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_the_threshold_of_best_f1_reaches_f1_max(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(20) < 8
    scores = rng.integers(0, 12, 20) + 3.0 * labels
    curve = cost_curve(labels, scores, Costs())
    assert isinstance(curve, CostCurve)
    assert f1_of(labels, scores > curve.best_f1(labels)) == pytest.approx(f1_max(labels, scores)[0])


def test_neighbouring_floats_stay_apart() -> None:
    scores = np.array([1.0, np.nextafter(1.0, 2.0)])
    curve = cost_curve(np.array([False, True]), scores, Costs())
    assert isinstance(curve, CostCurve)
    assert curve.costs.min() == 0.0
    assert ((scores > curve.cheapest()) == [False, True]).all()


def test_one_class_has_no_cost() -> None:
    for labels, reason in (([True, True], "no normal samples"), ([False, False], "no anomalous samples")):
        truth, scores = np.array(labels), np.array([1.0, 2.0])
        assert cost_of(truth, scores > 1.0, Costs()) == Undefined(reason)
        assert cost_curve(truth, scores, Costs()) == Undefined(reason)
        assert without_a_model(truth, Costs()) == Undefined(reason)


@pytest.mark.parametrize("bad", [{"cost_miss": -1.0}, {"cost_miss": 0.0, "cost_false_alarm": 0.0}, {"prevalence": 1.0}])
def test_costs_that_make_no_sense_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must"):
        Costs(**bad)
