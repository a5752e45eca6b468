"""What the simulated camera adds to the temperatures, effect by effect."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.core.errors import ConfigError
from isotherm.datasets.plate_camera import PlateCamera, record

NOTHING = {
    "netd_mk": 0.0,
    "blur_px": 0.0,
    "fixed_pattern_mk": 0.0,
    "reflection_mk": 0.0,
    "emissivity_spread": 0.0,
    "vignetting": 0.0,
}


def kelvin(rise: np.ndarray, lit: np.ndarray | None = None, seed: int = 1, **changes: float) -> np.ndarray:
    camera = PlateCamera(**{**NOTHING, **changes})
    lit = np.zeros(len(rise), bool) if lit is None else lit
    counts = record(rise.astype(np.float32), lit, camera, frame_s=0.02, rng=np.random.default_rng(seed))
    return camera.lookup_k(300.0)[counts] - 300.0


def ramp(frames: int = 3, size: tuple[int, int] = (30, 40)) -> np.ndarray:
    return np.linspace(0, 50, frames * size[0] * size[1]).reshape(frames, *size)


@pytest.mark.parametrize("bits", [8, 12, 14, 16])
def test_a_perfect_camera_gives_the_temperatures_but_for_its_whole_numbers(bits: int) -> None:
    step = 80 / 2**bits
    np.testing.assert_allclose(kelvin(ramp(), bits=bits), ramp(), atol=step / 2 * 1.01 + 1e-4)


def test_what_is_hotter_than_the_range_is_saturated() -> None:
    shown = kelvin(ramp() * 3)
    assert shown.max() == pytest.approx(0.9 * 80, abs=0.01)
    assert (shown == shown.max()).mean() == pytest.approx(1 - 72 / 150, abs=0.01)
    assert kelvin(ramp() - 40).min() == pytest.approx(-8, abs=0.01)


def test_noise_is_as_large_as_said_and_new_in_each_frame() -> None:
    shown = kelvin(np.full((60, 40, 50), 10.0), netd_mk=30.0, bits=16)
    assert shown.std(axis=0).mean() == pytest.approx(0.030, rel=0.02)
    assert np.corrcoef(shown[0].ravel(), shown[1].ravel())[0, 1] == pytest.approx(0, abs=0.1)
    assert shown.mean() == pytest.approx(10, abs=0.002)


def test_fixed_patterns_go_with_the_cold_frame() -> None:
    rise = np.concatenate([np.zeros((1, 40, 50)), np.full((2, 40, 50), 10.0)])
    shown = kelvin(rise, fixed_pattern_mk=50.0, reflection_mk=300.0, bits=16)
    assert shown[0].std() == pytest.approx(np.hypot(0.05, 0.3), rel=0.1)
    np.testing.assert_allclose(shown[1] - shown[0], 10, atol=0.003)
    # Emissivity and vignetting scale the rise itself: no cold frame takes them away.
    uneven = kelvin(rise, emissivity_spread=0.02, vignetting=0.1, bits=16)
    np.testing.assert_allclose(uneven[0], 0, atol=0.001)
    assert uneven[1, 0, 0] < 9.5 < uneven[1, 20, 25]
    np.testing.assert_array_equal(uneven[1], uneven[2])


def test_a_point_spreads_to_a_gaussian_and_keeps_its_sum() -> None:
    rise = np.zeros((1, 31, 31))
    rise[0, 15, 15] = 50.0
    spot = kelvin(rise, blur_px=1.2, bits=16)[0]
    assert spot.sum() == pytest.approx(50, rel=0.01)
    offset = np.arange(31) - 15
    assert (spot.sum(axis=0) @ offset**2) / spot.sum() == pytest.approx(1.2**2, rel=0.05)
    np.testing.assert_allclose(spot, spot.T, atol=0.002)
    np.testing.assert_allclose(kelvin(np.full((1, 9, 9), 5.0), blur_px=1.2, bits=16), 5, atol=0.001)


def test_a_slow_detector_follows_a_step_exponentially() -> None:
    rise = np.full((5, 4, 4), 20.0)
    shown = kelvin(rise, response_ms=20.0, bits=16)
    np.testing.assert_allclose(shown[:, 0, 0], 20 * (1 - np.exp(-np.arange(1, 6))), atol=0.002)


def test_the_lamp_glares_in_the_frames_in_which_it_is_on() -> None:
    lit = np.array([False, True, False])
    shown = kelvin(np.zeros((3, 4, 4)), lit, glare_k=500.0)
    assert shown[1].min() == shown[1].max() == pytest.approx(72, abs=0.01)
    np.testing.assert_allclose(shown[[0, 2]], 0, atol=0.003)


def test_a_drift_is_slow_and_the_same_all_over() -> None:
    shown = kelvin(np.full((120, 20, 30), 10.0), drift_mk=100.0, bits=16)
    np.testing.assert_allclose(shown, shown[:, :1, :1].repeat(20, 1).repeat(30, 2), atol=0.0025)
    course = shown[:, 0, 0]
    assert course.std() == pytest.approx(0.1, rel=0.05)
    assert np.abs(np.diff(course)).max() < 0.03


def test_marks_and_texture_scale_the_rise() -> None:
    rise = np.concatenate([np.zeros((1, 60, 80)), np.full((2, 60, 80), 40.0)])
    marked = kelvin(rise, marks=5, bits=16)
    np.testing.assert_allclose(marked[0], 0, atol=0.001)
    np.testing.assert_array_equal(marked[1], marked[2])
    assert 0.75 * 40 - 0.01 <= marked[1].min() < 39
    assert 0.4 < (marked[1] > 39.99).mean() < 0.999
    coarse = kelvin(rise, emissivity_spread=0.02, texture_px=6.0, bits=16)[1]
    fine = kelvin(rise, emissivity_spread=0.02, texture_px=0.0, bits=16)[1]
    assert coarse.std() == pytest.approx(fine.std(), rel=0.1) == pytest.approx(0.8, rel=0.1)
    assert np.abs(np.diff(coarse)).mean() < np.abs(np.diff(fine)).mean() / 4


def test_dead_pixels_are_stuck() -> None:
    shown = kelvin(ramp(5, (60, 80)), dead_share=0.02, netd_mk=30.0)
    stuck = (shown == shown[0]).all(axis=0)
    assert stuck.mean() == pytest.approx(0.02, rel=0.3)
    assert np.ptp(shown[0][stuck]) > 60


def test_the_seed_decides_all_patterns() -> None:
    changes = {"netd_mk": 30.0, "fixed_pattern_mk": 50.0, "emissivity_spread": 0.02}
    once, again, other = (kelvin(ramp(), seed=seed, **changes) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).mean() > 0.9


def test_impossible_cameras_are_refused() -> None:
    with pytest.raises(ConfigError, match="bits must be at most 16, not 20"):
        PlateCamera(bits=20)
    with pytest.raises(ConfigError, match="netd_mk must be at least 0"):
        PlateCamera(netd_mk=-1.0)
