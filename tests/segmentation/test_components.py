"""Principal components as a layer: the same as those of an eigensolver, with gradients and without surprises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.datasets.plate_random import RandomPlates, draw_plate
from isotherm.datasets.plate_sequence import simulate_plate
from isotherm.segmentation.components import Components, first_curve
from isotherm.sequences.log_frames import log_frames
from isotherm.sequences.pct import Pct, PctConfig
from isotherm.sequences.stack import ThermalSequence
from isotherm.testing.segmentation import cooling_frames


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Sixteen frames of a simulated CFRP plate with defects and camera noise [K]."""
    plate, experiment = draw_plate(RandomPlates(height_px=48, width_px=64), np.random.default_rng(0))
    kelvin = simulate_plate(plate, experiment, seed=0).kelvin()
    return log_frames(ThermalSequence.open(kelvin, frame_rate_hz=20).cold().cooling(), 16).values


def maps_of(values: np.ndarray, count: int = 4) -> np.ndarray:
    return Components(count)(torch.from_numpy(values)).numpy()


@pytest.mark.parametrize("level", [0.0, 300.0])
def test_the_maps_are_those_of_an_eigensolver(frames: np.ndarray, level: float) -> None:
    flat = frames.reshape(16, -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    expected = np.linalg.eigh(flat @ flat.T)[1][:, ::-1][:, :4].T @ flat
    found = maps_of(frames[None] + np.float32(level))[0].reshape(4, -1)
    cosines = np.abs((found * expected).sum(axis=1)) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert (cosines > 0.9999).all()


def test_signs_and_scales_are_those_of_the_method_of_the_same_name(frames: np.ndarray) -> None:
    method = Pct().maps(ThermalSequence.open(frames, frame_rate_hz=1), PctConfig(components=4, solver="exact"))
    np.testing.assert_allclose(maps_of(frames[None])[0], method.values, atol=0.05)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), gain=st.floats(1e-3, 1e4), level=st.floats(-10, 10))
def test_the_unit_and_the_order_of_frames_do_not_matter(seed: int, gain: float, level: float) -> None:
    values = cooling_frames(1, 12, (16, 20), seed=seed).astype(np.float64)
    found = maps_of(values)
    np.testing.assert_allclose(maps_of(gain * (values + level)), found, atol=1e-3)
    np.testing.assert_allclose(maps_of(values[:, ::-1].copy()), found, atol=1e-3)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(axis=(2, 3)), 1, atol=1e-3)


def test_recordings_of_a_batch_do_not_know_each_other() -> None:
    values = cooling_frames(3, 16, (16, 24), seed=3)
    values[1] *= 1000
    for place in range(3):
        np.testing.assert_allclose(maps_of(values)[place], maps_of(values[place : place + 1])[0], atol=1e-4)


def test_the_gradient_is_that_of_finite_differences() -> None:
    values = torch.from_numpy(cooling_frames(2, 5, (3, 4), seed=1).astype(np.float64)).requires_grad_()
    assert torch.autograd.gradcheck(Components(2), values)


@pytest.mark.parametrize("kind", ["constant", "one", "alike"])
def test_frames_with_fewer_components_than_asked_for(kind: str) -> None:
    values = torch.zeros(1, 6, 8, 9)
    if kind == "one":
        values += torch.linspace(1, 2, 6)[:, None, None] * torch.randn(8, 9, generator=torch.Generator().manual_seed(0))
    elif kind == "alike":
        # Two components of the very same variance: left against right, top against bottom.
        values[0, 0, :, :4], values[0, 0, :, 5:] = 1.0, -1.0
        values[0, 1, :4], values[0, 1, 4:] = values[0, 0].square().mean().sqrt(), -values[0, 0].square().mean().sqrt()
    values.requires_grad_()
    maps = Components(3)(values)
    (maps * torch.linspace(0, 1, 72).reshape(8, 9)).sum().backward()
    assert torch.isfinite(values.grad).all()
    assert maps.abs().max() < 10
    empty = {"constant": 0, "one": 1, "alike": 2}[kind]
    np.testing.assert_allclose(maps.detach()[0, empty:], 0, atol=0.01)


def test_two_frames_against_each_other_have_a_first_curve() -> None:
    curve = first_curve(torch.tensor([[[1.0, -1.0, 2.0], [-1.0, 1.0, -2.0]]]))
    np.testing.assert_allclose(np.abs(curve.numpy()), np.sqrt(0.5), atol=1e-6)
    assert float(curve[0, 0] * curve[0, 1]) < 0


def test_learning_in_bfloat16_leaves_the_components_exact(frames: np.ndarray) -> None:
    values = torch.from_numpy(frames)[None]
    with torch.autocast("cpu", torch.bfloat16):
        found = Components()(values)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, Components()(values))
