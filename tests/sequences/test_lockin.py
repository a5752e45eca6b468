"""Lock-in: what was put in comes out, whatever the times and the drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError
from isotherm.sequences.lockin import Lockin, LockinConfig, four_bucket, phase_lag_depth_m, strongest_hz
from isotherm.sequences.stack import ThermalSequence


def heated(times: np.ndarray, hz: float, drift: float = 0.0, level: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return frames of pixels of known amplitude and phase, and their phases."""
    amplitudes, phases = np.meshgrid(np.linspace(0.5, 2, 5), np.linspace(-2.5, 2.5, 4))
    waves = amplitudes * np.cos(2 * np.pi * hz * times[:, None, None] + phases)
    slow = level + drift * times[:, None, None] / times[-1]
    return (waves + slow).astype(np.float32), np.stack([amplitudes, phases])


def opened(numbers: np.ndarray, times: np.ndarray) -> ThermalSequence:
    return ThermalSequence.open(numbers, times_s=times, order="THW")


@settings(deadline=None, max_examples=25)
@given(st.floats(0.05, 2.0), st.integers(60, 300), st.floats(-20, 20), st.sampled_from([0.0, 300.0]), st.booleans())
def test_amplitude_and_phase_come_back_through_drift_and_uneven_times(
    hz: float, frames: int, drift: float, level: float, uneven: bool
) -> None:
    rng = np.random.default_rng(frames)
    gaps = rng.uniform(0.5, 1.5, frames) if uneven else np.ones(frames)
    times = np.concatenate([[0], np.cumsum(gaps)])[:frames] * (3.3 / hz / frames)
    numbers, wanted = heated(times, hz, drift, level)
    stack = Lockin().maps(opened(numbers, times), LockinConfig(frequency_hz=hz))
    assert np.allclose(stack["lockin_amplitude"], wanted[0], atol=2e-3)
    assert np.allclose(stack["lockin_phase"], wanted[1], atol=4e-3)


def test_without_drift_it_is_the_sum_of_the_textbook() -> None:
    times = np.arange(200) / 20
    numbers, _ = heated(times, 0.5)
    stack = Lockin().maps(opened(numbers, times), LockinConfig(frequency_hz=0.5, drift=0))
    sums = 2 / 200 * np.tensordot(np.exp(-2j * np.pi * 0.5 * times), numbers.astype(np.float64), axes=1)
    assert np.allclose(stack["lockin_amplitude"], np.abs(sums), atol=1e-5)
    assert np.allclose(stack["lockin_phase"], np.angle(sums), atol=1e-5)


def test_harmonics_are_told_apart() -> None:
    times = np.arange(400) / 40
    numbers, wanted = heated(times, 0.4)
    third, _ = heated(times, 1.2)
    stack = Lockin().maps(opened(numbers + 0.25 * third, times), LockinConfig(frequency_hz=0.4, harmonics=3))
    assert stack.names[:3] == ("lockin_amplitude", "lockin_amplitude_2", "lockin_amplitude_3")
    assert np.allclose(stack["lockin_amplitude"], wanted[0], atol=1e-3)
    assert np.allclose(stack["lockin_amplitude_2"], 0, atol=1e-3)
    assert np.allclose(stack["lockin_amplitude_3"], wanted[0] / 4, atol=1e-3)


def test_the_frequency_is_found_and_told() -> None:
    times = np.arange(500) / 25
    numbers, _ = heated(times, 0.237, drift=5)
    numbers = np.abs(numbers[:, :1]) * 0 + numbers[:, 1:2] + 0.01
    sequence = opened(numbers.astype(np.float32), times)
    assert strongest_hz(sequence) == pytest.approx(0.237, rel=0.02)
    assert "0.23" in Lockin().maps(sequence, LockinConfig()).notes[0]


@pytest.mark.parametrize(
    ("hz", "frames", "said"),
    [(0.01, 100, "no whole period"), (5.0, 100, "apart"), (None, 6, "too few"), (0.5, 0, "time of each frame")],
)
def test_what_holds_no_period_is_told(hz: float | None, frames: int, said: str) -> None:
    numbers = np.random.default_rng(0).normal(size=(frames or 20, 3, 4)).astype(np.float32)
    sequence = ThermalSequence.open(numbers, frame_rate_hz=10 if frames else None, order="THW")
    with pytest.raises(DataError, match=said):
        Lockin().maps(sequence, LockinConfig(frequency_hz=hz))


def test_a_level_mean_has_no_frequency() -> None:
    with pytest.raises(DataError, match="does not swing"):
        strongest_hz(ThermalSequence.open(np.ones((30, 3, 4), np.float32), frame_rate_hz=10, order="THW"))


def heated_evenly(curve: np.ndarray, times: np.ndarray) -> ThermalSequence:
    return opened(np.repeat(curve.astype(np.float32), 6).reshape(-1, 2, 3), times)


@pytest.mark.parametrize("hz", [0.1, 0.5, 1.0, None])
def test_heat_that_came_once_is_told_and_what_would_be_right(hz: float | None) -> None:
    times = np.arange(600) / 30
    flash = np.where(times < 1, 0, 3 / np.sqrt(np.maximum(times - 1, 0.02)))
    for curve in (flash, 1 / np.sqrt(times + 0.05)):
        note = Lockin().maps(heated_evenly(curve, times), LockinConfig(frequency_hz=hz)).notes[-1]
        assert "repeat" in note
        assert "take ppt, pct or tsr" in note


@pytest.mark.parametrize("hz", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("wave", [np.cos, lambda angle: np.sign(np.sin(angle))])
def test_heat_that_comes_again_and_again_raises_no_doubt_while_the_part_warms_up(hz: float, wave) -> None:
    times = np.arange(600) / 30
    sequence = heated_evenly(5 * (1 - np.exp(-times / 4)) + 0.5 * wave(2 * np.pi * hz * times), times)
    assert Lockin().maps(sequence, LockinConfig(frequency_hz=hz)).notes == ()


def test_four_frames_of_a_sine_give_its_amplitude_and_phase() -> None:
    phase = np.linspace(-3, 3, 12).reshape(3, 4)
    buckets = np.stack([5 + 2 * np.sin(phase + turn) for turn in (0, np.pi / 2, np.pi, 3 * np.pi / 2)])
    amplitude, found = four_bucket(buckets)
    assert np.allclose(amplitude, 2)
    assert np.allclose(found, phase)


def test_a_wave_lags_by_one_radian_in_a_diffusion_length() -> None:
    assert phase_lag_depth_m(np.ones(1, np.float32), 0.1, 4.5e-7)[0] == pytest.approx(1.1968e-3, rel=1e-4)
