"""Preparing sequences: flash, cold frame, crop, window, bins in log time, regions; and what cannot be prepared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError, UsageError
from isotherm.core.shapes import Box
from isotherm.sequences.sources import MappedSource, mapping_of
from isotherm.sequences.stack import ThermalSequence

RATE_HZ = 50.0


def flashed(
    *,
    cold: int = 5,
    frames: int = 80,
    height: int = 12,
    width: int = 15,
    noise_k: float = 0.02,
    seed: int = 3,
    lag: float = 0.5,
) -> np.ndarray:
    """Return a plate (kelvin) with a fixed pattern, flashed `lag` frames before frame `cold` (root law)."""
    rng = np.random.default_rng(seed)
    pattern = rng.normal(295.0, 0.5, (height, width))
    since = (np.arange(frames) - cold + lag) / RATE_HZ
    rise = np.where(since > 0, 1.5 / np.sqrt(np.maximum(since, 1e-9)), 0.0)
    heat = 0.8 + 0.4 * np.linspace(0, 1, width)
    numbers = pattern + rise[:, None, None] * heat + rng.normal(0, noise_k, (frames, height, width))
    return numbers.astype(np.float32)


def opened(numbers: np.ndarray) -> ThermalSequence:
    return ThermalSequence.open(numbers, frame_rate_hz=RATE_HZ, order="THW", unit="K")


@pytest.mark.parametrize("cold", [1, 5, 30])
def test_the_flash_is_found_where_the_mean_jumps(cold: int) -> None:
    sequence = opened(flashed(cold=cold))
    pulse = sequence.pulse()
    assert pulse is not None
    assert (sequence.flash(), pulse.first, pulse.last) == (cold, cold, cold)
    assert pulse.t0_s == pytest.approx((cold - 0.5) / RATE_HZ, abs=0.02 / RATE_HZ)


@pytest.mark.parametrize("lag", [0.05, 0.3, 0.7, 0.95])
def test_the_moment_of_the_flash_between_two_frames_is_told_by_the_cooling(lag: float) -> None:
    sequence = opened(flashed(lag=lag, noise_k=0.05))
    for prepared in (sequence, sequence.cold("first_mean:3"), sequence.cold("before_flash")):
        pulse = prepared.pulse()
        assert pulse is not None
        assert pulse.t0_s == pytest.approx((5 - lag) / RATE_HZ, abs=0.05 / RATE_HZ)
    cooling = sequence.cold("before_flash").cooling()
    assert cooling.times_s[0] == pytest.approx((1 + lag) / RATE_HZ, abs=0.05 / RATE_HZ)


def test_the_middle_of_the_flash_stays_between_its_frames_where_the_cooling_tells_nothing() -> None:
    numbers = flashed(lag=0.9)
    # The first frame of cooling is saturated like the flash itself.
    cut = np.minimum(numbers, np.float32(np.quantile(numbers[8], 0.5)))
    slow = numbers.copy()
    slow[6:] = slow[6]
    for stack in (cut, slow):
        pulse = opened(stack).pulse()
        assert pulse is not None
        assert pulse.t0_s == (pulse.start_s + pulse.end_s) / 2


def test_a_pulse_of_several_frames_is_found_from_end_to_end() -> None:
    on = np.clip(np.arange(60) - 9, 0, 6) / 6
    numbers = (20 + 5 * on * np.where(np.arange(60) > 15, (np.maximum(np.arange(60), 16) - 14) ** -0.5, 1))[
        :, None, None
    ]
    noisy = numbers + np.random.default_rng(1).normal(0, 0.01, (60, 8, 9))
    pulse = opened(noisy.astype(np.float32)).pulse()
    assert pulse is not None
    assert (pulse.first, pulse.last) == (10, 15)
    assert pulse.t0_s == pytest.approx((9 + 15) / 2 / RATE_HZ)


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_cooling_alone_are_no_flash(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = opened(rng.normal(0, 1, (50, 6, 7)).astype(np.float32))
    cooling = opened(flashed(cold=0, seed=seed))
    for sequence in (noise, cooling):
        assert sequence.pulse() is None
        with pytest.raises(DataError, match="no flash shows"):
            sequence.flash()


def test_a_given_flash_wins_and_stays_where_it_was_when_frames_are_left_out() -> None:
    sequence = opened(flashed(cold=5)).heated(7, 8)
    assert sequence.flash() == 7
    assert sequence.every(1, start=4).flash() == 3
    with pytest.raises(DataError, match="no frames 7 to 200"):
        sequence.heated(7, 200)


@pytest.mark.parametrize(
    ("mode", "frames"),
    [
        ("first", slice(0, 1)),
        ("last", slice(79, 80)),
        ("first_mean:3", slice(0, 3)),
        ("last_mean:7", slice(73, 80)),
        ("last_mean", slice(70, 80)),
        ("before_flash", slice(0, 5)),
    ],
)
def test_the_cold_frame_is_the_mean_of_the_frames_asked_for(mode: str, frames: slice) -> None:
    numbers = flashed()
    cold = opened(numbers).cold(mode)
    assert cold.subtracted
    assert "negative ones are normal" in cold.notes[-1]
    assert np.allclose(cold.frames(), numbers - numbers[frames].mean(axis=0, dtype=np.float64), atol=1e-4)


def test_without_a_cold_frame_nothing_changes_and_celsius_become_differences_in_kelvin() -> None:
    sequence = ThermalSequence.open(flashed() - 273.15, unit="°C", order="THW")
    assert sequence.cold("none") is sequence
    assert sequence.cold("first").unit == "K"


@pytest.mark.parametrize(
    ("mode", "error", "said"),
    [
        ("middle", UsageError, "unknown cold frame 'middle'"),
        ("last_mean:x", UsageError, "'x' is no number of frames"),
        ("last_mean:0", UsageError, "no number of frames"),
        ("first:3", UsageError, "unknown cold frame"),
        ("last_mean:81", DataError, "only 80 frames"),
    ],
)
def test_cold_frames_that_are_none_are_refused(mode: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        opened(flashed()).cold(mode)


def test_a_recording_that_starts_hot_has_no_frames_before_the_flash() -> None:
    with pytest.raises(DataError, match="take last_mean:10"):
        opened(flashed(cold=0)).cold("before_flash")
    with pytest.raises(DataError, match="frame 0 is heated already"):
        opened(flashed()).heated(0).cold("before_flash")


def test_cooling_counts_time_from_the_middle_of_the_pulse() -> None:
    numbers = flashed(cold=5)
    cooling = opened(numbers).cold().cooling()
    # The frame that was flashed, frame 5, is the last one with the heat on.
    assert cooling.shape[0] == 74
    assert cooling.times_s[0] == pytest.approx(1.5 / RATE_HZ, abs=0.02 / RATE_HZ)
    assert np.allclose(cooling.frames(), numbers[6:] - numbers[:5].mean(axis=0), atol=1e-4)
    assert opened(numbers).cooling(t0_s=0.2).times_s[0] == pytest.approx(0.02)
    hot = opened(flashed(cold=0)).cooling()
    assert hot.times_s[0] == pytest.approx(0.5 / RATE_HZ)
    assert "no flash in the recording" in hot.notes[-1]


def test_saturated_frames_behind_the_flash_are_left_out_also_when_a_cold_frame_is_subtracted() -> None:
    numbers = flashed(cold=5)
    top = np.float32(np.quantile(numbers[8], 0.5))
    cut = np.minimum(numbers, top)
    for sequence in (opened(cut), opened(cut).cold()):
        cooling = sequence.cooling()
        first = round((cooling.times_s[0] + 4.5 / RATE_HZ) * RATE_HZ)
        assert (cut[first:] == top).sum(axis=(1, 2)).max() < 4
        assert (cut[first - 1] == top).sum() >= 4
        assert any("saturated frames" in note for note in cooling.notes)


def test_crop_window_and_steps_are_what_numpy_cuts() -> None:
    numbers = flashed()
    sequence = opened(numbers)
    assert np.array_equal(sequence.crop(Box(2, 3, 5, 4)).frames(), numbers[:, 3:7, 2:7])
    window = sequence.window(0.2, 0.5)
    assert np.array_equal(window.frames(), numbers[10:26])
    assert np.allclose(window.times_s, np.arange(10, 26) / RATE_HZ)
    assert np.array_equal(sequence.every(3, start=4, stop=30).frames(), numbers[4:30:3])
    twice = sequence.crop(Box(2, 3, 5, 4)).every(2).crop(Box(1, 1, 2, 2))
    assert np.array_equal(twice.frames(), numbers[::2, 4:6, 3:5])


@pytest.mark.parametrize("box", [Box(-1, 0, 3, 3), Box(0, 0, 0, 3), Box(13, 0, 3, 3), Box(0, 10, 3, 3)])
def test_boxes_outside_the_frames_are_refused(box: Box) -> None:
    with pytest.raises(DataError, match="not inside the frames of 15 x 12"):
        opened(flashed()).crop(box)


def test_windows_and_steps_that_leave_nothing_are_refused() -> None:
    sequence = opened(flashed())
    with pytest.raises(DataError, match=r"0 frames lie between 9 and 10 s.*from 0 to 1.58 s"):
        sequence.window(9, 10)
    with pytest.raises(DataError, match="times of its frames are not known"):
        ThermalSequence.open(flashed(), order="THW").window(0, 1)
    for step in (0, -1, 79, 200):
        with pytest.raises(DataError, match="two are needed"):
            sequence.every(step, start=1)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 90), st.integers(0, 1000))
def test_bins_in_log_time_hold_each_frame_once_and_are_means(bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 0.2, 60))
    numbers = rng.normal(300, 1, (60, 4, 5)).astype(np.float32)
    binned = ThermalSequence.open(numbers, times_s=times, order="THW").log_bins(bins)
    count = binned.shape[0]
    assert 2 <= count <= min(bins, 60)
    edges = np.searchsorted(times, binned.times_s, side="right")
    found = binned.frames()
    # Equal weights by the number of frames in a bin: what all bins hold together is what all frames hold.
    sizes = binned.source.edges[1:] - binned.source.edges[:-1]  # type: ignore[attr-defined]
    assert sizes.sum() == 60
    assert (np.diff(edges) > 0).all()
    assert np.allclose((found * sizes[:, None, None]).sum(axis=0), numbers.sum(axis=0), rtol=1e-5)
    assert np.allclose(found[0], numbers[: sizes[0]].mean(axis=0), rtol=1e-5)
    blocks = np.concatenate([curves for _, curves in binned.blocks(300)], axis=1)
    assert np.array_equal(blocks.reshape(found.shape), found)


def test_bins_in_log_time_need_times_behind_the_flash() -> None:
    with pytest.raises(DataError, match="times after the flash"):
        opened(flashed()).log_bins(10)
    with pytest.raises(UsageError, match="at least 2"):
        opened(flashed()).cooling().log_bins(1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 3000))
def test_a_region_holds_its_pixels_and_puts_them_back(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(0, 1, (4, 6, 7)).astype(np.float32)
    mask = rng.random((6, 7)) < 0.4
    mask[2, 3] = True
    region = ThermalSequence.open(numbers, order="THW").region(mask)
    assert region.shape == (4, 1, mask.sum())
    assert np.array_equal(region.frames()[:, 0], numbers[:, mask])
    assert np.array_equal(np.concatenate([curves for _, curves in region.blocks(most)], axis=1), numbers[:, mask])
    back = region.spread(region.frames()[:, 0])
    assert np.array_equal(back[:, mask], numbers[:, mask])
    assert np.isnan(back[:, ~mask]).all()


def test_masks_that_do_not_fit_are_refused() -> None:
    sequence = opened(flashed())
    with pytest.raises(DataError, match=r"rows and columns swapped\?"):
        sequence.region(np.ones((15, 12), bool))
    with pytest.raises(DataError, match=r"a mask of \(3, 3\)"):
        sequence.region(np.ones((3, 3), bool))
    with pytest.raises(DataError, match="holds no pixel"):
        sequence.region(np.zeros((12, 15), bool))
    with pytest.raises(DataError, match="it is no region"):
        sequence.spread(np.zeros((2, 5), np.float32))


def test_frames_without_numbers_are_left_out_and_named() -> None:
    numbers = flashed()
    numbers[[3, 20]] = np.nan
    numbers[30, 0, 0] = np.nan
    checked = opened(numbers).checked()
    assert checked.shape[0] == 78
    assert np.allclose(np.diff(checked.times_s)[[2, 18]], 2 / RATE_HZ)
    assert any(note.startswith("frames 3, 20 without any number (NaN) left out") for note in checked.notes)
    assert any("have no number (NaN); maps have gaps" in note for note in checked.notes)
    assert checked.flash() == 4


def test_sequences_without_content_are_refused() -> None:
    with pytest.raises(DataError, match=r"the same value \(7\) everywhere"):
        opened(np.full((5, 4, 4), 7, np.float32)).checked()
    with pytest.raises(DataError, match="4 of 5 frames hold no number"):
        opened(np.where(np.arange(5)[:, None, None] == 2, 1.0, np.nan) * np.ones((5, 4, 4))).checked()


def test_lost_frames_are_told_and_good_sequences_are_left_alone() -> None:
    numbers = flashed()
    assert opened(numbers).checked().notes == ()
    numbers[40] = 0
    assert "frame 40: one and the same value everywhere" in opened(numbers).checked().notes[-1]


def test_the_curve_of_a_pixel_is_read_alone_or_as_a_mean() -> None:
    numbers = flashed()
    sequence = opened(numbers)
    assert np.array_equal(sequence.curve(3, 2), numbers[:, 2, 3])
    assert np.allclose(sequence.curve(0, 2, size_px=3), numbers[:, 1:4, 0:2].mean(axis=(1, 2)))
    with pytest.raises(DataError, match="x 15, y 2 is outside"):
        sequence.curve(15, 2)


def test_a_mapped_array_gives_copies_and_the_same_numbers(tmp_path: Path) -> None:
    numbers = flashed()
    np.save(tmp_path / "a.npy", numbers)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    sequence = opened(mapped)
    assert isinstance(sequence.source, MappedSource)
    assert mapping_of(np.moveaxis(mapped, 0, 2)) is not None
    assert mapping_of(np.load(tmp_path / "a.npy", mmap_mode="c")) is None
    assert not np.may_share_memory(sequence.frames(), mapped)
    assert np.array_equal(sequence.cold().frames(), opened(numbers).cold().frames())


@pytest.mark.parametrize(
    ("shape", "likely"), [((100, 100, 1000), "HWT"), ((1000, 100, 100), "THW"), ((60, 105, 120), None)]
)
def test_the_shape_alone_may_tell_the_order(shape: tuple[int, int, int], likely: str | None) -> None:
    numbers = np.zeros(shape, np.uint8)
    if likely == "HWT":
        with pytest.raises(DataError, match=r"looks like height x width x frames \(order HWT\).*give the order"):
            ThermalSequence.open(numbers)
        assert "read as THW, as it was asked for" in ThermalSequence.open(numbers, order="THW").notes[0]
    else:
        assert ThermalSequence.open(numbers).notes == ()


def test_a_flash_along_the_last_axis_tells_the_order_and_a_warm_side_does_not() -> None:
    numbers = flashed(frames=40, height=30, width=40, noise_k=0.01)
    assert ThermalSequence.open(numbers).notes == ()
    with pytest.raises(DataError, match="order HWT"):
        ThermalSequence.open(np.moveaxis(numbers, 0, 2))
    assert ThermalSequence.open(np.moveaxis(numbers, 0, 2), order="HWT").shape == (40, 30, 40)
    rng = np.random.default_rng(0)
    warm = np.linspace(20, 60, 50) + rng.normal(0, 0.1, (40, 30, 50))
    pattern = rng.normal(0, 0.3, (30, 50))
    for stack in (warm, warm + pattern):
        assert ThermalSequence.open(stack).notes == ()


@pytest.mark.parametrize("sides", [(40, 30, 50), (40, 40, 40), (50, 30, 30)])
@pytest.mark.parametrize("noise_k", [0.0, 0.02, 0.1])
def test_slow_cooling_without_a_jump_tells_the_order_by_the_roughness_of_the_axes(
    sides: tuple[int, int, int], noise_k: float
) -> None:
    rng = np.random.default_rng(sides[0])
    decay = 8 * np.exp(-np.arange(sides[0]) / 20)[:, None, None]
    numbers = decay + rng.normal(0, 0.4, sides[1:]) + rng.normal(0, noise_k, sides)
    assert ThermalSequence.open(numbers).notes == ()
    with pytest.raises(DataError, match="order HWT"):
        ThermalSequence.open(np.moveaxis(numbers, 0, 2))
