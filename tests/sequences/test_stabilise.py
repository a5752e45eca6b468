"""Shifts of frames: found to a tenth of a pixel under noise and cooling, and undone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError, UsageError
from isotherm.sequences.sources import ArraySource
from isotherm.sequences.stabilise import moved_back, movement
from isotherm.sequences.stack import ThermalSequence

SIZE = (72, 90)


def scene(down: float, right: float, *, seed: int = 0, size: tuple[int, int] = SIZE, spots: int = 25) -> np.ndarray:
    """Return a scene of smooth spots, computed at its shifted place (no resampling)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    y, x = y - down, x - right
    found = np.zeros(size)
    for _ in range(spots):
        place, width, height = rng.uniform((-5, -5), (size[0] + 5, size[1] + 5)), rng.uniform(2, 6), rng.normal()
        found += height * np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * width**2))
    return found


def shaken(count: int = 12, *, noise_k: float = 0.03, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return frames of a cooling scene under a fixed pattern and noise, and how far each was moved (T, 2)."""
    rng = np.random.default_rng(seed)
    moves = rng.uniform(-3, 3, (count, 2))
    moves[count // 2] = 0
    pattern = rng.normal(0, noise_k, SIZE)
    level = 300 + 10 / np.sqrt(np.arange(count) + 0.5)
    frames = [
        scene(*move) + value + pattern + rng.normal(0, noise_k, SIZE) for move, value in zip(moves, level, strict=True)
    ]
    return np.array(frames, np.float32), moves


@pytest.mark.parametrize("seed", range(4))
def test_shifts_are_found_to_a_tenth_of_a_pixel(seed: int) -> None:
    frames, moves = shaken(seed=seed)
    found = movement(ArraySource(frames), 6, 6.0)
    assert found.sure.all()
    assert np.abs(found.down - moves[:, 0]).max() < 0.12
    assert np.abs(found.right - moves[:, 1]).max() < 0.12
    assert np.sqrt(np.mean((found.down - moves[:, 0]) ** 2)) < 0.05


def test_large_frames_are_compared_at_half_their_size_and_found_as_well() -> None:
    rng = np.random.default_rng(2)
    moves = np.array([[0, 0], [2.4, -1.7], [-0.6, 3.1]])
    pattern = rng.normal(0, 0.03, (210, 260))
    frames = [scene(*move, size=(210, 260), spots=150) + pattern + rng.normal(0, 0.03, (210, 260)) for move in moves]
    found = movement(ArraySource(np.array(frames, np.float32)), 0, 6.0)
    assert found.sure.all()
    assert np.abs(np.stack([found.down, found.right], axis=1) - moves).max() < 0.1


def test_frames_are_moved_back_to_the_reference() -> None:
    frames, moves = shaken(noise_k=0.0)
    still = ThermalSequence.open(frames, order="THW").stabilised()
    inner = (slice(None), slice(6, -6), slice(6, -6))
    target = scene(0, 0)[inner[1:]]
    before = frames[inner] - frames[inner].mean(axis=(1, 2), keepdims=True)
    after = still.frames()[inner] - still.frames()[inner].mean(axis=(1, 2), keepdims=True)
    rms_before = np.sqrt(np.mean((before - (target - target.mean())) ** 2))
    rms_after = np.sqrt(np.mean((after - (target - target.mean())) ** 2))
    assert rms_after < rms_before / 15
    assert "frames moved back by up to" in still.notes[-1]
    assert f"{np.hypot(*moves.T).max():.1f}" in still.notes[-1]
    blocks = np.concatenate([curves for _, curves in still.blocks(10_000)], axis=1)
    assert np.array_equal(blocks.reshape(frames.shape), still.frames())


def test_frames_that_stand_still_are_left_as_they_are() -> None:
    rng = np.random.default_rng(0)
    frames = (scene(0, 0) + rng.normal(0, 0.02, (8, *SIZE)) + np.linspace(5, 0, 8)[:, None, None]).astype(np.float32)
    sequence = ThermalSequence.open(frames, order="THW")
    still = sequence.stabilised()
    assert still.source is sequence.source
    assert "no movement above 0.05 px" in still.notes[-1]


def test_frames_without_structure_are_taken_where_their_neighbours_are() -> None:
    frames, moves = shaken()
    frames[4] = np.random.default_rng(0).normal(300, 0.03, SIZE)
    moves[4] = (moves[3] + moves[5]) / 2
    found = movement(ArraySource(frames), 6, 6.0)
    assert found.sure[4] == 0
    assert np.allclose([found.down[4], found.right[4]], moves[4], atol=0.1)
    notes = ThermalSequence.open(frames, order="THW").stabilised().notes
    assert "1 frames show no clear shift" in notes[-1]


def test_nothing_is_moved_where_most_frames_share_no_structure() -> None:
    frames, _ = shaken()
    frames[:7] = np.random.default_rng(0).normal(300, 0.03, (7, *SIZE))
    sequence = ThermalSequence.open(frames, order="THW")
    still = sequence.stabilised(reference=9)
    assert still.source is sequence.source
    assert "nothing was moved: only 5 of 12 frames share clear structure with frame 9" in still.notes[-1]


def test_gaps_do_not_hide_the_shift() -> None:
    frames, moves = shaken()
    frames[3, 20:24, 30:34] = np.nan
    found = movement(ArraySource(frames), 6, 6.0)
    assert np.allclose([found.down[3], found.right[3]], moves[3], atol=0.1)


@settings(deadline=None, max_examples=30)
@given(st.floats(-4, 4), st.floats(-4, 4))
def test_moving_back_undoes_a_shift_and_keeps_planes(down: float, right: float) -> None:
    inner = (slice(6, -6), slice(6, -6))
    back = moved_back(scene(down, right).astype(np.float32), down, right)
    assert np.abs(back - scene(0, 0))[inner].max() < 0.02
    plane = np.add.outer(np.arange(SIZE[0]), 2.0 * np.arange(SIZE[1]))
    moved = moved_back(plane.astype(np.float32), down, right)
    assert np.allclose(moved[inner], plane[inner] + down + 2 * right, atol=1e-3)


def test_what_cannot_be_stabilised_says_why() -> None:
    frames, _ = shaken()
    sequence = ThermalSequence.open(frames, order="THW")
    with pytest.raises(DataError, match="too small to look for movements of 30 px"):
        sequence.stabilised(most_px=30)
    with pytest.raises(UsageError, match="must be above 0"):
        sequence.stabilised(most_px=0)
    with pytest.raises(DataError, match="no frame 12"):
        sequence.stabilised(reference=12)
    with pytest.raises(DataError, match="no structure"):
        ThermalSequence.open(np.full((3, 60, 60), 7.0), order="THW").stabilised()
