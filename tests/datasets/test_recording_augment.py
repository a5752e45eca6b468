"""Altered copies of recordings: labels stay true, each alteration does what it says and can be turned off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, DataError
from isotherm.datasets.recording_augment import AlteredRecording, RecordingAugment, augmented_recording, first_heated
from isotherm.sequences.features import METHOD, FeaturesConfig
from isotherm.sequences.stack import ThermalSequence

NOTHING = {
    "gain": 0.0,
    "heating": 0.0,
    "noise_k": 0.0,
    "blur_px": 0.0,
    "shift_frames": 0.0,
    "cut_share": 0.0,
    "most_every": 1,
    "turn": False,
    "covered_share": 0.0,
    "eight_bit_share": 0.0,
    "grey_share": 0.0,
}
COLD, COUNT, SIZE = 6, 66, (24, 32)
TIMES = np.arange(COUNT) * 0.1


def recording() -> tuple[np.ndarray, np.ndarray]:
    """A plate that cools as 1/sqrt(t), with two warmer defects."""
    labels = np.zeros(SIZE, np.int32)
    labels[3:9, 4:12], labels[12:20, 15:30] = 1, 2
    since = np.maximum(np.arange(COUNT) - COLD + 0.5, 0)
    rise = np.where(since > 0, 20 / np.sqrt(np.maximum(since, 0.5)), 0)
    noise = np.random.default_rng(0).normal(0, 0.02, (COUNT, *SIZE))
    frames = 293 + rise[:, None, None] * (1 + 0.3 * (labels > 0)) + noise
    return frames.astype(np.float32), labels


FRAMES, LABELS = recording()


def altered(seed: int = 0, **changes: object) -> AlteredRecording:
    config = RecordingAugment(**{**NOTHING, **changes})
    return augmented_recording(FRAMES, TIMES, labels=LABELS, config=config, rng=np.random.default_rng(seed))


def test_with_everything_off_nothing_changes() -> None:
    found = altered()
    np.testing.assert_allclose(found.frames, FRAMES, atol=1e-4)
    np.testing.assert_array_equal(found.times_s, TIMES)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.unit == "K"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_labels_and_frames_move_alike(seed: int) -> None:
    # A recording whose every frame is its own label, higher than anything that is added.
    before = FRAMES.copy()
    drawn = (LABELS > 0) * np.linspace(1000, 2000, COUNT, dtype=np.float32)[:, None, None]
    config = RecordingAugment(blur_px=0.0, gain=0.1, heating=0.1, eight_bit_share=0.5, grey_share=0.3)
    found = augmented_recording(drawn, TIMES, labels=LABELS, config=config, rng=np.random.default_rng(seed))
    assert found.frames.shape == (found.times_s.size, *found.labels.shape)
    assert (np.diff(found.times_s) > 0).all()
    assert np.isfinite(found.frames).all()
    last = found.frames[-1]
    high = last > (last.max() + last.min()) / 2
    covered = (found.labels > 0).sum() < (LABELS > 0).sum()
    assert (high == (found.labels > 0)).mean() > (0.8 if covered else 0.999)
    np.testing.assert_array_equal(FRAMES, before)


def test_all_eight_ways_a_picture_can_lie_occur() -> None:
    found = {
        altered(seed, turn=True).labels.tobytes() + bytes(altered(seed, turn=True).labels.shape) for seed in range(60)
    }
    assert len(found) == 8


def test_gain_and_uneven_heating_scale_the_rise_alone() -> None:
    found = altered(3, gain=0.3, heating=0.4)
    cold = FRAMES[:COLD].mean(axis=0)
    np.testing.assert_allclose(found.frames[:COLD].mean(axis=0), cold, atol=1e-3)
    scale = (found.frames[COLD:] - cold) / (FRAMES[COLD:] - cold)
    np.testing.assert_allclose(scale, scale[:1].repeat(len(scale), 0), rtol=0.01)
    assert np.exp(-0.7) < scale.min() < scale.max() < np.exp(0.7)
    assert scale.max() / scale.min() > 1.05
    assert np.abs(np.diff(scale[0], axis=1)).max() < 0.1


def test_noise_and_blur_are_added() -> None:
    spreads = [np.std(altered(seed, noise_k=0.2).frames - FRAMES) for seed in range(30)]
    assert 0.15 < max(spreads) <= 0.201
    assert min(spreads) < 0.05
    steps = [np.abs(np.diff(altered(seed, blur_px=2.0).frames[COLD], axis=1)).max() for seed in range(10)]
    assert min(steps) < 0.5 * np.abs(np.diff(FRAMES[COLD], axis=1)).max()


def test_the_flash_is_off_by_a_frame_at_most() -> None:
    for seed in range(20):
        times = altered(seed, shift_frames=1.0).times_s
        np.testing.assert_array_equal(times[:COLD], TIMES[:COLD])
        np.testing.assert_allclose(np.diff(times[COLD:]), 0.1)
        assert 0 < times[COLD] - times[COLD - 1] < 0.2


def test_frames_are_thinned_and_cut_but_enough_stay() -> None:
    counts = set()
    for seed in range(40):
        found = altered(seed, most_every=3, cut_share=0.9, least_frames=20)
        np.testing.assert_array_equal(found.times_s[: COLD + 1], TIMES[: COLD + 1])
        steps = np.round(np.diff(found.times_s[COLD:]) / 0.1).astype(int)
        assert len(set(steps)) == 1
        # The first heated frame is never skipped.
        assert first_heated(found.frames) == np.searchsorted(found.times_s, TIMES[COLD] - 1e-6)
        assert (found.times_s >= TIMES[COLD] - 1e-6).sum() >= 20
        counts.add((int(steps[0]), len(found.frames)))
    assert {steps for steps, _ in counts} == {1, 2, 3}
    assert len(counts) > 15


def test_a_fixture_stays_cold_and_has_no_defects() -> None:
    for seed in range(10):
        found = altered(seed, covered_share=1.0)
        warm = found.frames[COLD] - found.frames[:COLD].mean()
        fixture = warm < 0.2 * warm.mean()
        assert 0 < fixture.mean() <= 0.25
        assert (found.labels[fixture] == 0).all()
        np.testing.assert_array_equal(found.labels[~fixture], LABELS[~fixture])
        assert found.frames[-1][fixture].std() == pytest.approx(0.02, rel=0.5)


def test_eight_bits_leave_256_numbers() -> None:
    found = altered(eight_bit_share=1.0).frames
    assert 30 < np.unique(found).size <= 257
    np.testing.assert_allclose(found, FRAMES, atol=np.ptp(FRAMES) / 255 / 2 * 1.01)


def test_grey_copies_are_as_programs_export_them() -> None:
    held = []
    for seed in range(20):
        found = altered(seed, grey_share=1.0)
        assert found.unit == "au"
        assert set(np.unique(found.frames)) <= set(range(256))
        np.testing.assert_array_equal(found.times_s, np.arange(len(found.frames)))
        assert COUNT - COLD - 2 <= len(found.frames) <= COUNT - COLD
        # It begins behind the flash and cools.
        assert found.frames[0].mean() > found.frames[-1].mean() + 50
        held.append(bool((found.frames[0] == found.frames[1]).all()))
    assert {True, False} == set(held)


@pytest.mark.parametrize("seed", range(12))
def test_maps_can_be_made_of_every_copy(seed: int) -> None:
    config = RecordingAugment(grey_share=0.3, least_frames=20)
    found = augmented_recording(FRAMES, TIMES, labels=LABELS, config=config, rng=np.random.default_rng(seed))
    sequence = ThermalSequence.open(found.frames, times_s=found.times_s, unit=found.unit, order="THW")
    pulse = sequence.pulse()
    maps = METHOD.maps(sequence.cold("none" if pulse is None else "before_flash").cooling(), FeaturesConfig())
    assert maps.values.shape[1:] == found.labels.shape
    assert np.isfinite(maps.values).mean() > 0.95


def test_pixels_without_a_number_stay_so() -> None:
    frames = FRAMES.copy()
    frames[:, 5, 7] = np.nan
    config = RecordingAugment(turn=False, covered_share=0.0, grey_share=0.0)
    found = augmented_recording(frames, TIMES, labels=LABELS, config=config, rng=np.random.default_rng(0))
    gone = np.isnan(found.frames)
    assert gone[:, 5, 7].all()
    assert gone.sum() == len(found.frames)


def test_recordings_without_cold_frames_are_altered_too() -> None:
    config = RecordingAugment(grey_share=0.0, turn=False)
    found = augmented_recording(FRAMES[COLD:], TIMES[COLD:], labels=LABELS, config=config, rng=np.random.default_rng(1))
    assert first_heated(FRAMES[COLD:]) == 0
    assert np.abs(found.frames - 293).max() < 60


def test_a_seed_decides_all() -> None:
    config = RecordingAugment()
    once, again, other = (
        augmented_recording(FRAMES, TIMES, labels=LABELS, config=config, rng=np.random.default_rng(seed)).frames
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(once, again)
    assert once.shape != other.shape or (once != other).any()


def test_what_does_not_fit_is_refused() -> None:
    rng, config = np.random.default_rng(0), RecordingAugment()
    with pytest.raises(DataError, match=r"labels of \(24, 31\) pixels"):
        augmented_recording(FRAMES, TIMES, labels=LABELS[:, 1:], config=config, rng=rng)
    with pytest.raises(DataError, match="65 times"):
        augmented_recording(FRAMES, TIMES[1:], labels=LABELS, config=config, rng=rng)
    with pytest.raises(ConfigError, match=r"cut_share must be at most 0\.9"):
        RecordingAugment(cut_share=1.0)
