"""FLIR's measurement formula: exact there and back, known values, and the table against the formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from isotherm.core.errors import FormatError
from isotherm.core.scene import Scene, SceneEdit, assumed_scene
from isotherm.core.thermogram import Calibration
from isotherm.radiometry.atmosphere import Atmosphere, water_content
from isotherm.radiometry.planck import PlanckCalibration

# A FLIR B300's constants, as its files carry them.
B300 = PlanckCalibration(
    r1=15309.034,
    r2=0.010798279,
    b=1404.5,
    f=1.0,
    o=-6028,
    atmosphere=Atmosphere(alpha1=0.006569, alpha2=0.01262, beta1=-0.002276, beta2=-0.00667, x=1.9),
)
BASELINE = assumed_scene().edited(SceneEdit(distance_m=5.0))

# Plain values: what the tests themselves build from them is type-checked, which strategies may not do.
edits = st.fixed_dictionaries(
    {
        "emissivity": st.floats(0.1, 1.0),
        "reflected_c": st.floats(-40, 100),
        "atmosphere_c": st.floats(-30, 60),
        "humidity_percent": st.floats(0, 100),
        "distance_m": st.floats(0, 200),
        "window_transmission": st.floats(0.3, 1.0),
        "window_c": st.floats(-20, 60),
    }
)


def scene_of(edit: dict[str, float]) -> Scene:
    return assumed_scene().edited(SceneEdit(**edit))


def kelvin_in_double(calibration: PlanckCalibration, counts: float, scene: Scene) -> float:
    """Return the temperature by the formula as the manual writes it, in plain Python and double precision."""
    eps, tau_w = scene.emissivity.value, scene.window_transmission.value
    air, t = calibration.atmosphere, scene.atmosphere_k.value - 273.15
    root_water = math.sqrt(
        scene.humidity.value * math.exp(1.5587 + 0.06939 * t - 2.7816e-4 * t * t + 6.8455e-7 * t * t * t)
    )
    root_d = math.sqrt(scene.distance_m.value)
    tau = air.x * math.exp(-root_d * (air.alpha1 + air.beta1 * root_water))
    tau += (1 - air.x) * math.exp(-root_d * (air.alpha2 + air.beta2 * root_water))

    def w(kelvin: float) -> float:
        return calibration.r1 / (calibration.r2 * (math.exp(calibration.b / kelvin) - calibration.f)) - calibration.o

    total = counts / (eps * tau * tau_w)
    total -= (1 - eps) / eps * w(scene.reflected_k.value)
    total -= (1 - tau) / (eps * tau) * w(scene.atmosphere_k.value)
    total -= (1 - tau_w) / (eps * tau * tau_w) * w(scene.window_k.value)
    return calibration.b / math.log(calibration.r1 / (calibration.r2 * (total + calibration.o)) + calibration.f)


def read_c(true_c: float, true: Scene, entered: Scene) -> float:
    """Return what is read at an object of `true_c` in one scene when another is entered."""
    counts = B300.counts(np.array([[true_c + 273.15]]), true)
    return float(B300.kelvin(counts, entered)[0, 0]) - 273.15


def test_the_calibration_keeps_its_protocol() -> None:
    assert isinstance(B300, Calibration)
    assert B300.supports == set(assumed_scene().params())
    assert B300.describe()["atmosphere"]["x"] == 1.9


@settings(deadline=None, max_examples=60)
@given(edit=edits, celsius=st.floats(-20, 500))
def test_counts_and_kelvin_are_inverse(edit: dict[str, float], celsius: float) -> None:
    scene = scene_of(edit)
    counts = B300.counts(np.array([[celsius + 273.15]]), scene)
    assert float(B300.kelvin(counts, scene)[0, 0]) == pytest.approx(celsius + 273.15, abs=0.001)


@settings(deadline=None, max_examples=60)
@given(edit=edits)
def test_more_counts_are_hotter(edit: dict[str, float]) -> None:
    scene = scene_of(edit)
    kelvin = B300.kelvin(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64), scene).ravel()
    known = kelvin[np.isfinite(kelvin)]
    assert known.size > 0
    assert np.all(np.diff(known) >= 0)
    # Counts without a temperature are the coldest ones, all together.
    assert np.isfinite(kelvin[-known.size :]).all()


@settings(deadline=None, max_examples=30)
@given(edit=edits, seed=st.integers(0, 1000))
def test_the_table_equals_the_formula_in_double_precision(edit: dict[str, float], seed: int) -> None:
    scene = scene_of(edit)
    # The formula below has no guards.
    assume(0.41 < B300.atmosphere.transmission(scene) < 1)
    assume(water_content(scene.atmosphere_k.value - 273.15, scene.humidity.value) < 6.2365**2)
    counts = np.random.default_rng(seed).integers(15_000, 60_000, (200, 300)).astype(np.uint16)
    counts[0, :2] = 30_000, 30_100
    kelvin = B300.kelvin(counts, scene)
    assert kelvin.dtype == np.float32
    for y, x in ((0, 0), (0, 1), (100, 150), (199, 299)):
        try:
            expected = kelvin_in_double(B300, float(counts[y, x]), scene)
        except ValueError:
            assert math.isnan(kelvin[y, x])
            continue
        assert float(kelvin[y, x]) == pytest.approx(expected, abs=0.001)


def test_table_and_direct_way_agree_for_every_count() -> None:
    counts = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    whole = B300.kelvin(counts, BASELINE)
    np.testing.assert_array_equal(whole, B300.kelvin(counts.astype(np.float64), BASELINE))
    # A window of the same counts goes through a table of its own.
    np.testing.assert_array_equal(B300.kelvin(np.tile(counts[100:120], (4, 1)), BASELINE)[:20], whole[100:120])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_any_type_of_counts(dtype: type) -> None:
    calibration = replace(B300, o=-30, r1=150.0)
    counts = np.arange(60, 120, dtype=dtype).reshape(6, 10)
    expected = calibration.kelvin(counts.astype(np.float64), BASELINE)
    np.testing.assert_array_equal(calibration.kelvin(counts, BASELINE), expected)


def test_counts_too_low_for_a_temperature_are_nan() -> None:
    kelvin = B300.kelvin(np.array([[0, 1000, 20_000]], dtype=np.uint16), BASELINE)
    assert np.isnan(kelvin[0, :2]).all()
    assert np.isfinite(kelvin[0, 2])


def test_nan_counts_stay_nan() -> None:
    assert np.isnan(B300.kelvin(np.array([[np.nan, np.inf]]), BASELINE)[0, 0])


# What a wrong entry costs [K]: read minus true for a B300, baseline E .95, 5 m, 50 %, 20 °C (the project's table).
COSTS = [
    (40, {"emissivity": 0.90}, 1.02),
    (80, {"emissivity": 0.90}, 2.70),
    (150, {"emissivity": 0.90}, 5.25),
    (40, {"emissivity": 0.80}, 3.39),
    (80, {"emissivity": 0.80}, 8.94),
    (150, {"emissivity": 0.80}, 17.4),
    (40, {"reflected_c": 30.0}, -0.46),
    (80, {"reflected_c": 30.0}, -0.35),
    (150, {"reflected_c": 30.0}, -0.25),
    (40, {"reflected_c": -40.0}, 1.88),
    (80, {"reflected_c": -40.0}, 1.42),
    (40, {"distance_m": 20.0}, 0.26),
    (80, {"distance_m": 20.0}, 0.69),
    (150, {"distance_m": 20.0}, 1.35),
    (80, {"distance_m": 50.0}, 1.54),
    (80, {"humidity_percent": 90.0}, 0.20),
    (40, {"window_transmission": 0.80}, 4.5),
    (80, {"window_transmission": 0.80}, 11.8),
    (150, {"window_transmission": 0.80}, 22.9),
]


@pytest.mark.parametrize(("true_c", "entered", "cost_k"), COSTS)
def test_known_costs_of_wrong_parameters(true_c: float, entered: dict[str, float], cost_k: float) -> None:
    read = read_c(true_c, BASELINE, BASELINE.edited(SceneEdit(**entered)))
    assert read - true_c == pytest.approx(cost_k, abs=0.06)


def test_bare_metal_read_with_the_default_emissivity() -> None:
    metal = BASELINE.edited(SceneEdit(emissivity=0.2))
    assert read_c(80, metal, BASELINE) == pytest.approx(35.2, abs=0.1)


def test_a_blackbody_without_air_is_planck_alone() -> None:
    scene = assumed_scene().edited(SceneEdit(emissivity=1.0, distance_m=0.0))
    assert B300.path(scene).gain == pytest.approx(1.0)
    assert B300.path(scene).offset == pytest.approx(0.0)
    assert B300.counts(np.array([353.15]), scene)[0] == pytest.approx(B300.blackbody(353.15))


def test_half_paths_read_higher() -> None:
    counts = B300.counts(np.array([[353.15]]), BASELINE.edited(SceneEdit(distance_m=20.0)))
    old = replace(B300, formula="thermimage")
    excess = old.kelvin(counts, BASELINE.edited(SceneEdit(distance_m=20.0)))[0, 0] - 353.15
    assert excess == pytest.approx(0.55, abs=0.02)


def test_transmission_at_known_points() -> None:
    air = B300.atmosphere
    assert air.transmission(assumed_scene().edited(SceneEdit(distance_m=0.0))) == 1.0
    near, far = (air.transmission(assumed_scene().edited(SceneEdit(distance_m=d))) for d in (5.0, 100.0))
    assert 0.9 < far < near < 1.0
    assert water_content(20, 1.0) == pytest.approx(17.3, abs=0.3)  # [g/m^3] saturated air of 20 °C


def test_guards_of_the_transmission() -> None:
    air = B300.atmosphere
    at_90 = assumed_scene().edited(SceneEdit(atmosphere_c=90.0))
    assert air.transmission(assumed_scene().edited(SceneEdit(atmosphere_c=150.0))) == air.transmission(at_90)
    thick = replace(air, alpha1=5.0, alpha2=5.0)
    assert thick.transmission(assumed_scene()) == 0.4
    gaining = replace(air, alpha1=-900.0, alpha2=0.0)
    assert gaining.transmission(assumed_scene()) == 1.0


def test_absolute_zero_radiates_nothing() -> None:
    assert B300.blackbody(0.0) == 6028
    cold = assumed_scene().edited(SceneEdit(reflected_c=-273.15))
    assert np.isfinite(B300.kelvin(np.array([[20000]], dtype=np.uint16), cold)).all()


@pytest.mark.parametrize("change", [{"r1": 0.0}, {"r2": -1.0}, {"b": math.nan}, {"f": 0.0}, {"o": math.inf}])
def test_constants_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(FormatError):
        replace(B300, **change)
