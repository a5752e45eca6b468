from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Calibration
from isotherm.radiometry.linear import linear, stored_temperatures

SCENE = assumed_scene()


@pytest.mark.parametrize(
    ("unit", "number", "kelvin"),
    [("c", 25.0, 298.15), ("f", 77.0, 298.15), ("k", 298.15, 298.15), ("f", -40.0, 233.15), ("c", -40.0, 233.15)],
)
def test_units(unit: str, number: float, kelvin: float) -> None:
    found = stored_temperatures(unit).kelvin(np.array([[number]]), SCENE)
    assert found.dtype == np.float32
    assert float(found[0, 0]) == pytest.approx(kelvin, abs=1e-4)


def test_counts_with_scale_and_offset() -> None:
    counts = np.array([[1000, 1253]], dtype=np.uint16)
    celsius = linear(0.1, -100, "c").kelvin(counts, SCENE) - 273.15
    np.testing.assert_allclose(celsius, [[0.0, 25.3]], atol=1e-4)
    np.testing.assert_allclose(linear(0.04, 0, "k").kelvin(np.array([[7329]]), SCENE), [[293.16]], atol=1e-4)


def test_what_is_no_temperature_becomes_nan() -> None:
    numbers = np.array([[np.nan, np.inf, -np.inf, -9999.0, 1e300, 20.0, 7.0]])
    kelvin = stored_temperatures("c", nodata=7.0).kelvin(numbers, SCENE)
    assert np.isnan(kelvin[0]).tolist() == [True, True, True, True, True, False, True]


def test_it_honours_no_parameter_and_describes_itself() -> None:
    calibration = stored_temperatures("f")
    assert isinstance(calibration, Calibration)
    assert calibration.supports == frozenset()
    assert calibration.describe()["kind"] == "vendor"
    assert linear(0.01, 0, "k").kind == "linear"


@settings(deadline=None, max_examples=40)
@given(st.floats(-200, 3000), st.sampled_from(["c", "f", "k"]))
def test_units_agree_with_each_other(celsius: float, unit: str) -> None:
    number = {"c": celsius, "f": celsius * 1.8 + 32, "k": celsius + 273.15}[unit]
    kelvin = stored_temperatures(unit).kelvin(np.array([[number]]), SCENE)[0, 0]
    assert float(kelvin) == pytest.approx(celsius + 273.15, abs=1e-3, rel=1e-6)
