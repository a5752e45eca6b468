"""TSR against polyfit, against the exact slab, and where there is no logarithm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slabs import plate, slab

from isotherm.core.errors import DataError
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr import Tsr, TsrConfig, calibrated_diffusivity_m2_s, depth_m, fit
from isotherm.sequences.tsr_peak import peak_times, slab_curve

ALPHA = 4.5e-7
TIMES = 0.0125 + np.arange(800) / 40


def opened(numbers: np.ndarray, times: np.ndarray = TIMES) -> ThermalSequence:
    return ThermalSequence.open(numbers, times_s=times, order="THW")


@settings(deadline=None, max_examples=20)
@given(st.integers(3, 9), st.integers(30, 200), st.integers(0, 99))
def test_the_fit_is_that_of_polyfit(order: int, frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = 0.05 + np.arange(frames) / 10
    numbers = np.exp(rng.normal(0, 0.05, (frames, 3, 4))) * (3 / np.sqrt(times))[:, None, None]
    numbers = numbers.astype(np.float32)
    curves, notes = fit(opened(numbers, times), order=order, bins=0)
    logs = np.log(numbers.reshape(frames, -1).astype(np.float64))
    wanted = np.polynomial.Polynomial.fit(np.log(times), logs[:, 0], order)
    at = np.geomspace(times[0], times[-1], 9)
    scale = 1 + np.abs(wanted.deriv(2)(np.log(at))).max()
    assert notes == ()
    assert np.allclose(np.log(curves.rebuilt(at))[:, 0, 0], wanted(np.log(at)), atol=1e-4)
    assert np.allclose(curves.d1(at)[:, 0, 0], wanted.deriv()(np.log(at)), atol=1e-4 * scale)
    assert np.allclose(curves.d2(at)[:, 0, 0], wanted.deriv(2)(np.log(at)), atol=1e-4 * scale)
    if order <= 5:
        a_k = curves.powers()[:, 0, 0].astype(np.float64)
        assert np.allclose(np.polynomial.Polynomial(a_k)(np.log(at)), wanted(np.log(at)), atol=1e-3)


def test_a_thick_sound_part_cools_with_the_slope_of_minus_a_half() -> None:
    frames = plate(TIMES, np.full((20, 30), 6e-3), noise_k=0.025)
    curves, _ = fit(opened(frames))
    slopes = curves.d1(np.array([0.1, 0.4, 1.6]))
    assert np.abs(slopes.mean(axis=(1, 2)) + 0.5).max() <= 0.015
    assert slopes.std(axis=(1, 2)).max() < 0.02


@pytest.mark.parametrize("order", [5, 7, 9])
def test_depths_of_slabs_are_found_through_noise(order: int) -> None:
    depths = np.repeat(np.geomspace(0.5e-3, 2.2e-3, 20)[None], 20, axis=0)
    curves, _ = fit(opened(plate(TIMES, depths, noise_k=0.025)), order=order)
    wrong = np.abs(depth_m(peak_times(curves), ALPHA) / depths - 1)
    assert np.nanmedian(wrong) < 0.01
    assert np.nanmax(wrong) < 0.3
    assert np.isnan(wrong).mean() < 0.2
    raw = np.abs(depth_m(peak_times(curves, corrected=False), ALPHA) / depths - 1)
    assert np.nanmedian(raw) > 4 * np.nanmedian(wrong)


def test_a_flash_whose_time_is_half_a_frame_off_costs_few_depths() -> None:
    depths = np.repeat(np.geomspace(0.9e-3, 2.2e-3, 20)[None], 20, axis=0)
    for late in (-0.005, 0.01):
        curves, _ = fit(opened(plate(TIMES, depths, noise_k=0.025), TIMES + late))
        wrong = np.abs(depth_m(peak_times(curves), ALPHA) / depths - 1)
        assert (wrong < 0.15).mean() > 0.85


def test_a_half_space_has_no_peak() -> None:
    frames = (3 / np.sqrt(TIMES))[:, None, None] + np.random.default_rng(1).normal(0, 0.02, (TIMES.size, 9, 12))
    curves, _ = fit(opened(frames.astype(np.float32)))
    assert np.isnan(peak_times(curves)).all()


def test_the_curve_of_a_slab_is_that_of_the_slow_series() -> None:
    times = np.geomspace(1e-4, 30, 60)
    wanted = slab(times, 1e-3, np.pi**-1 * 1e-6)
    assert np.allclose(slab_curve(times), wanted, rtol=1e-9)


def test_calibration_on_a_known_thickness_is_the_inverse_of_depth() -> None:
    diffusivity = calibrated_diffusivity_m2_s(2.5, 3e-3)
    assert depth_m(np.full((1, 1), 2.5, np.float32), diffusivity)[0, 0] == pytest.approx(3e-3)


def test_negative_differences_are_left_out_and_told() -> None:
    frames = plate(TIMES, np.full((16, 20), 2e-3), noise_k=0.01, heat=3)
    frames[-300::3, 4, 5] = -0.001
    curves, notes = fit(opened(frames), bins=0)
    assert any("differences near 0" in note and note.endswith(" 1") for note in notes)
    assert np.isfinite(curves.coefficients).all()
    at = np.array([0.1, 1.0, 5.0])
    assert np.abs(curves.d1(at)[:, 4, 5] - curves.d1(at)[:, 4, 6]).max() < 0.05


def test_frames_below_the_noise_are_left_out_and_no_pixel_runs_away() -> None:
    decay = 3 * np.exp(-TIMES / 2)[:, None, None] / np.sqrt(TIMES)[:, None, None]
    frames = decay + np.random.default_rng(2).normal(0, 0.05, (TIMES.size, 16, 20))
    curves, notes = fit(opened(frames.astype(np.float32)))
    assert any("below twice the noise" in note for note in notes)
    assert curves.times_s[-1] < 15
    at = curves.spread_times(7)
    truth = -0.5 - at / 2
    assert np.abs(np.median(curves.d1(at), axis=(1, 2)) - truth).max() < 0.25
    assert np.abs(curves.d1(at) - truth[:, None, None]).max() < 2


def test_dead_pixels_come_out_as_nan_alone() -> None:
    frames = plate(TIMES, np.full((6, 7), 2e-3))
    frames[3, 1, 2] = np.nan
    frames[:, 4, 4] = 0
    stack = Tsr().maps(opened(frames), TsrConfig())
    missing = np.isnan(stack.values).all(axis=0)
    assert missing[1, 2]
    assert missing[4, 4]
    assert missing.sum() == 2


def test_maps_have_names_units_and_depths_in_millimetres() -> None:
    frames = plate(TIMES, np.full((6, 7), 1.5e-3))
    stack = Tsr().maps(opened(frames), TsrConfig(diffusivity_m2_s=ALPHA, coefficients=True, order=5))
    assert stack.names == (
        "tsr_d1_1", "tsr_d1_2", "tsr_d1_3", "tsr_d2_1", "tsr_d2_2", "tsr_d2_3",
        "tsr_a_0", "tsr_a_1", "tsr_a_2", "tsr_a_3", "tsr_a_4", "tsr_a_5", "tsr_peak", "tsr_depth",
    )  # fmt: skip
    assert stack.units[-2:] == ("s", "mm")
    assert np.allclose(stack["tsr_depth"], 1.5, rtol=0.02)
    assert stack.details["time_s"].shape == (3,)


@pytest.mark.parametrize(
    ("sequence", "said"),
    [
        (ThermalSequence.open(np.ones((40, 3, 4), np.float32)), "time of each frame"),
        (ThermalSequence.open(np.ones((40, 3, 4), np.float32), frame_rate_hz=10), "count from the flash"),
        (ThermalSequence.open(np.ones((40, 3, 4)), times_s=0.1 + np.arange(40), unit="K"), "subtract a cold frame"),
        (opened(np.ones((8, 3, 4), np.float32), TIMES[:8]), "9 are needed"),
        (opened(-np.ones((40, 3, 4), np.float32), TIMES[:40]), "is the cold frame right"),
        (opened(np.full((40, 3, 4), np.nan, np.float32), TIMES[:40]), "no pixel"),
    ],
)
def test_what_has_no_logarithm_is_told(sequence: ThermalSequence, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fit(sequence)
