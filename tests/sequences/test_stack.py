"""Sequences: frames, blocks, times, and what is no sequence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError, UsageError
from isotherm.sequences.stack import ThermalSequence


def ramp(frames: int = 6, height: int = 4, width: int = 5, dtype: str = "float32") -> np.ndarray:
    return np.arange(frames * height * width).reshape(frames, height, width).astype(dtype)


def test_an_array_is_read_without_a_copy_and_cannot_be_written() -> None:
    numbers = ramp()
    sequence = ThermalSequence.open(numbers, frame_rate_hz=10)
    frames = sequence.frames(1, 3)
    assert np.shares_memory(frames, numbers)
    assert not frames.flags.writeable
    assert np.array_equal(frames, numbers[1:3])
    assert np.allclose(sequence.times_s, np.arange(6) / 10)
    ((pixels, curves),) = sequence.blocks()
    assert pixels == slice(0, 20)
    assert np.shares_memory(curves, numbers)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(2, 7), st.integers(1, 6), st.integers(1, 6), st.integers(1, 4000), st.sampled_from(["THW", "HWT"]),
    st.sampled_from(["float32", "float64", "uint16", ">i2"]),
)  # fmt: skip
def test_blocks_put_together_are_the_whole(
    frames: int, height: int, width: int, most: int, order: str, dtype: str
) -> None:
    numbers = ramp(frames, height, width, dtype)
    sequence = ThermalSequence.open(np.moveaxis(numbers, 0, 2) if order == "HWT" else numbers, order=order)
    assert sequence.shape == (frames, height, width)
    found = np.full((frames, height * width), np.nan, np.float32)
    for pixels, curves in sequence.blocks(most):
        assert curves.dtype == np.float32
        assert curves.nbytes <= max(most, 4 * frames)
        assert np.isnan(found[:, pixels]).all()
        found[:, pixels] = curves
    assert np.array_equal(found.reshape(numbers.shape), numbers)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (np.zeros((4, 5)), "single picture"),
        (np.zeros((1, 4, 5)), "at least two frames"),
        (np.zeros((4, 0, 5)), "at least two frames with pixels"),
        (np.zeros((2, 3, 4, 5)), "4 axes"),
        (np.zeros((2, 3, 4), complex), "plain numbers"),
    ],
)
def test_what_is_no_sequence_is_refused_with_a_reason(numbers: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ThermalSequence.open(numbers)


def test_times_and_frame_rates_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="3 times for 6 frames"):
        ThermalSequence.open(ramp(), times_s=np.arange(3.0))
    with pytest.raises(DataError, match="do not rise"):
        ThermalSequence.open(ramp(), times_s=np.array([0.0, 1, 1, 2, 3, 4]))
    with pytest.raises(UsageError, match="above 0"):
        ThermalSequence.open(ramp(), frame_rate_hz=0)
    with pytest.raises(DataError, match="no frames 4 to 9"):
        ThermalSequence.open(ramp()).frames(4, 9)


def test_without_times_frames_are_numbered_and_it_says_so() -> None:
    sequence = ThermalSequence.open(ramp())
    assert not sequence.timed
    assert np.array_equal(sequence.times_s, np.arange(6))
