"""The linear budget and its Monte Carlo check."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError
from isotherm.core.scene import Param, Scene, Source, assumed_scene, sigmas_from_edge
from isotherm.core.thermogram import Thermogram
from isotherm.radiometry.atmosphere import Atmosphere
from isotherm.radiometry.linear import stored_temperatures
from isotherm.radiometry.planck import PlanckCalibration
from isotherm.radiometry.uncertainty import (
    Contribution,
    UncertaintySettings,
    amplification,
    budget,
    can_draw,
    draw_scenes,
    shifts,
    spread_of,
    standard_uncertainty_k,
    summary,
)

# The order of a FLIR B300's constants, as in tests/thermal_files.py.
CALIBRATION = PlanckCalibration(
    r1=15309.034,
    r2=0.0107982,
    b=1404.5,
    f=1.0,
    o=-6028,
    atmosphere=Atmosphere(alpha1=0.006569, alpha2=0.01262, beta1=-0.002276, beta2=-0.00667, x=1.9),
)


def scene(**values: float) -> Scene:
    base = assumed_scene()
    return replace(base, **{name: Param(value, "1", Source.USER) for name, value in values.items()})


def counts_of(celsius: float, where: Scene) -> np.ndarray:
    return CALIBRATION.counts(np.array([[celsius + 273.15]]), where)


def effect(name: str, celsius: float, where: Scene) -> float:
    """Return the effect of one standard uncertainty of one parameter on one pixel [K]."""
    counts = counts_of(celsius, where)
    (shift,) = (item for item in shifts(CALIBRATION, where) if item.name == name)
    low, high = (CALIBRATION.kelvin(counts, each)[0, 0] for each in (shift.low, shift.high))
    return float(high - low) * shift.share


@pytest.mark.parametrize("celsius", [40.0, 80.0, 150.0])
def test_the_effect_of_emissivity_is_the_derivative_of_the_formula(celsius: float) -> None:
    # dT/de from W = e W(T) + (1 - e) W(Trefl), without air: (W(Trefl) - W(T)) / (e dW/dT), in closed form.
    where = scene(emissivity=0.9, distance_m=0.0)
    kelvin = celsius + 273.15
    slope = (CALIBRATION.blackbody(kelvin + 0.01) - CALIBRATION.blackbody(kelvin - 0.01)) / 0.02
    reflected = CALIBRATION.blackbody(where.reflected_k.value)
    exact = (reflected - CALIBRATION.blackbody(kelvin)) / (0.9 * slope) * 0.02
    assert effect("emissivity", celsius, where) == pytest.approx(exact, rel=2e-3)


def test_what_a_wrong_emissivity_costs_is_what_the_docs_say() -> None:
    # docs/radiometry.md: at 80 °C, 0.95 -> 0.90 reads 2.7 K more; so one sigma of 0.03 is about 1.6 K.
    assert effect("emissivity", 80, scene(emissivity=0.95, distance_m=5.0)) < 0
    near = abs(effect("emissivity", 80, replace(assumed_scene(), emissivity=Param(0.925, "1", Source.FILE))))
    assert near == pytest.approx(2.7 * 0.03 / 0.05, rel=0.1)


def test_a_parameter_at_its_bound_is_moved_to_the_other_side_only() -> None:
    where = scene(emissivity=1.0)
    (shift,) = (item for item in shifts(CALIBRATION, where) if item.name == "emissivity")
    assert (shift.low.emissivity.value, shift.high.emissivity.value) == (0.98, 1.0)
    assert shift.share == pytest.approx(1.0)


def test_defaults_follow_the_source_and_a_given_sigma_wins() -> None:
    sigmas = [
        spread_of("emissivity", Param(0.9, "1", source)).sigma for source in (Source.USER, Source.FILE, Source.ASSUMED)
    ]
    assert sigmas == sorted(sigmas)
    assert spread_of("emissivity", Param(0.9, "1", Source.ASSUMED, sigma=0.001)).sigma == 0.001
    found, guessed = (spread_of("distance_m", Param(80.0, "m", s)) for s in (Source.RANGEFINDER, Source.CAMERA_DEFAULT))
    assert found.sigma == pytest.approx(0.8)
    assert guessed.sigma == pytest.approx(40)
    assert "camera default" in guessed.reason
    assert spread_of("window_transmission", Param(1.0, "1", Source.FILE)).sigma == 0


def test_a_budget_is_the_root_of_the_sum_of_squares_largest_first() -> None:
    parts = [
        Contribution("a", 1, "K", 3.0, ""),
        Contribution("b", 1, "K", -4.0, ""),
        Contribution("c", 1, "K", 0.0, ""),
    ]
    found = budget(parts, 2.0)
    assert (found.standard_k, found.expanded_k) == (5.0, 10.0)
    assert [item.name for item in found.contributions] == ["b", "a"]


def test_the_cameras_error_grows_with_one_over_emissivity() -> None:
    black = scene(emissivity=1.0, distance_m=0.0)
    assert amplification(CALIBRATION, black, float(counts_of(60, black)[0, 0])) == pytest.approx(1, abs=1e-3)
    grey = scene(emissivity=0.5, distance_m=0.0)
    found = amplification(CALIBRATION, grey, float(counts_of(25, grey)[0, 0]))
    assert found == pytest.approx(2, rel=0.03)
    assert amplification(stored_temperatures("c"), grey, 20.0) == 1


def test_the_camera_counts_as_two_kelvin_or_two_percent() -> None:
    assert UncertaintySettings().camera_k(20) == pytest.approx(2 / math.sqrt(3))
    assert UncertaintySettings().camera_k(300) == pytest.approx(6 / math.sqrt(3))
    with pytest.raises(ConfigError, match="at least"):
        UncertaintySettings(coverage=0)


@settings(deadline=None, max_examples=8)
@given(st.floats(25, 200), st.floats(0.85, 1.0), st.floats(0.5, 30))
def test_monte_carlo_agrees_with_the_linear_form_where_that_holds(
    celsius: float, emissivity: float, metres: float
) -> None:
    where = scene(emissivity=emissivity, distance_m=metres)
    where = where.with_sigmas({"emissivity": 0.005})
    counts = counts_of(celsius, where)
    rng = np.random.default_rng(3)
    drawn = np.array([CALIBRATION.kelvin(counts, each)[0, 0] for each in draw_scenes(CALIBRATION, where, 600, rng)])
    found = summary(drawn.astype(np.float64) - 273.15)
    linear = math.hypot(*(effect(item.name, celsius, where) for item in shifts(CALIBRATION, where)))
    assert found is not None
    # 600 draws know a standard deviation to 3 % (one sigma); a bound cuts a part off where emissivity is near 1.
    assert 0.55 * linear < found.std_k < 1.2 * linear
    if emissivity < 0.98:
        assert found.std_k == pytest.approx(linear, rel=0.15)
        assert found.low_c < celsius < found.high_c


def test_draws_that_have_no_temperature_are_counted() -> None:
    found = summary(np.array([1.0, np.nan, 3.0]))
    assert found is not None
    assert (found.mean_c, found.lost, found.draws) == (2.0, 1, 3)
    assert summary(np.array([np.nan])) is None


def thermogram(counts: np.ndarray, where: Scene) -> Thermogram:
    return Thermogram(counts=counts.astype(np.uint16), calibration=CALIBRATION, scene=where, format="flir")


def test_the_uncertainty_of_a_pixel_is_cheap_and_sums_what_the_parts_are() -> None:
    where = scene(emissivity=0.95)
    picture = thermogram(np.full((4, 5), counts_of(84, where)[0, 0]), where)
    found = standard_uncertainty_k(picture, (2, 3))
    parts = [effect(item.name, 84, where) for item in shifts(CALIBRATION, where)]
    factor = amplification(CALIBRATION, where, float(picture.counts[3, 2]))
    assert found == pytest.approx(math.hypot(*parts, 2 / math.sqrt(3) * factor, 0.05 * factor), rel=1e-3)
    start = time.process_time()
    for _ in range(20):
        standard_uncertainty_k(picture, (2, 3))
    # Measured 0.5 ms without the checks of shapes that the tests add.
    assert (time.process_time() - start) / 20 < 0.05


def test_final_temperatures_have_the_cameras_uncertainty_alone() -> None:
    picture = Thermogram(
        counts=np.full((2, 2), 20.0, np.float32),
        calibration=stored_temperatures("c"),
        scene=assumed_scene(),
        format="npy",
    )
    assert can_draw(stored_temperatures("c"))
    assert standard_uncertainty_k(picture, (0, 0)) == pytest.approx(math.hypot(2 / math.sqrt(3), 0.05))
    plain = replace(picture, calibration=None)
    assert standard_uncertainty_k(plain, (0, 0)) is None
    gap = replace(picture, counts=np.full((2, 2), np.nan, np.float32))
    assert standard_uncertainty_k(gap, (0, 0)) is None


def test_sigmas_are_given_in_the_units_of_flags() -> None:
    assert sigmas_from_edge({"humidity_percent": 5, "reflected_c": 2}) == {"humidity": 0.05, "reflected_k": 2.0}
    with pytest.raises(ConfigError, match="unknown parameter 'humidity'"):
        sigmas_from_edge({"humidity": 5})
    with pytest.raises(ConfigError, match="from 0 up"):
        sigmas_from_edge({"emissivity": -1})
