"""Temperatures read back from colours: the two laws of a scale, and the uncertainty."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Calibration
from isotherm.radiometry.estimated import EstimatedCalibration, Law

SCENE = assumed_scene()


def scale(
    low_c: float = 7.8, high_c: float = 52.6, law: Law = "unknown", place_sigma: float = 0.01
) -> EstimatedCalibration:
    return EstimatedCalibration(low_c + 273.15, high_c + 273.15, 0.0289, np.full(16, place_sigma), law)


def places(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


def celsius(calibration: EstimatedCalibration, *values: float) -> np.ndarray:
    return calibration.kelvin(places(*values), SCENE)[0] - 273.15


def test_it_keeps_the_protocol_and_supports_no_parameter() -> None:
    calibration = scale()
    assert isinstance(calibration, Calibration)
    assert calibration.kind == "estimated"
    assert calibration.supports == frozenset()
    assert json.loads(json.dumps(calibration.describe()))["kind"] == "estimated"


@pytest.mark.parametrize("law", ["unknown", "temperature"])
def test_the_ends_are_the_printed_ones(law: Law) -> None:
    np.testing.assert_allclose(celsius(scale(law=law), 0.0, 1.0), [7.8, 52.6], atol=1e-3)


def test_ticks_at_equal_distances_mean_equal_steps() -> None:
    np.testing.assert_allclose(celsius(scale(law="temperature"), 0.25, 0.5), [19.0, 30.2], atol=1e-3)


def test_an_unknown_law_lies_half_way_between_equal_steps_of_temperature_and_of_signal() -> None:
    # By hand: W = 1 / (exp(1430 / T) - 1): W(280.95 K) = 0.0061970, W(325.75 K) = 0.0125581; their middle 0.0093775 is
    # 1430 / ln(1 + 1 / 0.0093775) = 305.636 K; equal steps of temperature give 30.2 °C.
    signal = 305.636 - 273.15
    assert celsius(scale(), 0.5)[0] == pytest.approx((30.2 + signal) / 2, abs=1e-3)


def test_the_uncertainty_is_that_of_place_ends_and_law() -> None:
    calibration = scale(law="temperature")
    # 44.8 K times 1 %, and the rounding of both ends, half each: sqrt(0.448^2 + (0.0289 / sqrt 2)^2).
    assert calibration.sigma_k(places(0.5))[0, 0] == pytest.approx(0.4485, abs=1e-3)
    law = scale().sigma_k(places(0.5))[0, 0]
    difference = 2 * (celsius(scale(), 0.5)[0] - 30.2)
    slope = (celsius(scale(), 0.51)[0] - celsius(scale(), 0.49)[0]) / 0.02
    assert law == pytest.approx(np.sqrt((0.01 * slope) ** 2 + 0.0289**2 / 2 + difference**2 / 12), rel=0.01)


def test_the_uncertainty_agrees_with_a_simulation() -> None:
    calibration = EstimatedCalibration(280.0, 330.0, 0.05, np.linspace(0.01, 0.03, 33), "temperature")
    rng = np.random.default_rng(0)
    place, count = 0.4, 40_000
    sigma = np.interp(place, np.linspace(0, 1, 33), calibration.place_sigma)
    low, high = 280 + rng.normal(0, 0.05, count), 330 + rng.normal(0, 0.05, count)
    drawn = low + (place + rng.normal(0, sigma, count)) * (high - low)
    assert calibration.sigma_k(places(place))[0, 0] == pytest.approx(drawn.std(), rel=0.02)


def test_what_has_no_place_has_no_temperature() -> None:
    assert np.isnan(celsius(scale(), np.nan)).all()
    assert np.isnan(scale().sigma_k(places(np.nan))).all()


@settings(deadline=None, max_examples=60)
@given(low=st.floats(-273.1, 500), span=st.floats(0.1, 2000), law=st.sampled_from(["unknown", "temperature"]))
def test_temperature_rises_along_every_scale(low: float, span: float, law: Law) -> None:
    calibration = scale(low, low + span, law)
    along = celsius(calibration, *np.linspace(0, 1, 33))
    assert np.isfinite(along).all()
    assert np.all(np.diff(along) >= -1e-3)
    assert along[0] == pytest.approx(low, abs=0.01)
    assert along[-1] == pytest.approx(low + span, abs=0.01)
    assert np.isfinite(calibration.sigma_k(places(*np.linspace(0, 1, 33)))).all()
    assert calibration.typical_sigma_k > 0
