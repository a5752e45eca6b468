"""Components against a full singular value decomposition, phases against a plain Fourier transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError
from isotherm.sequences.pct import Pct, PctConfig
from isotherm.sequences.pct_robust import sparse_part
from isotherm.sequences.ppt import Ppt, PptConfig, blind_depth_m
from isotherm.sequences.stack import ThermalSequence


def heated(frames: int = 40, height: int = 24, width: int = 30, level: float = 0.0, seed: int = 0) -> np.ndarray:
    """Return a made-up cooling plate with two defects, uneven heating and noise."""
    rng = np.random.default_rng(seed)
    t = 0.05 + np.arange(frames) / 10
    y, x = np.mgrid[:height, :width]
    heat = 1 - 0.4 * ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width * height)
    numbers = heat * (1 / np.sqrt(t))[:, None, None]
    for (row, column), late in (((6, 7), 0.4), ((15, 20), 1.2)):
        mask = (y - row) ** 2 + (x - column) ** 2 < 10
        numbers = numbers + 0.5 * mask * np.exp(-((np.log(t) - np.log(late)) ** 2))[:, None, None]
    return (numbers + rng.normal(0, 0.01, numbers.shape) + level).astype(np.float32)


def opened(numbers: np.ndarray, rate_hz: float = 10) -> ThermalSequence:
    return ThermalSequence.open(numbers, frame_rate_hz=rate_hz)


def true_components(numbers: np.ndarray, centre: str, standardise: bool = False) -> tuple[np.ndarray, np.ndarray]:
    flat = numbers.reshape(len(numbers), -1).astype(np.float64)
    axis = 1 if centre == "frame" else 0
    flat = flat - flat.mean(axis=axis, keepdims=True)
    if standardise:
        flat = flat / flat.std(axis=axis, keepdims=True)
    _, spread, maps = np.linalg.svd(flat, full_matrices=False)
    return maps, spread


def cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    flat = found.reshape(len(found), -1).astype(np.float64)
    return np.abs((flat * wanted[: len(flat)]).sum(axis=1)) / np.linalg.norm(flat, axis=1)


@pytest.mark.parametrize("solver", ["exact", "fast", "auto"])
@pytest.mark.parametrize("centre", ["frame", "pixel"])
@pytest.mark.parametrize("level", [0.0, 300.0])
@pytest.mark.parametrize("standardise", [False, True])
def test_components_are_those_of_a_full_decomposition(
    solver: str, centre: str, level: float, standardise: bool
) -> None:
    numbers = heated(level=level)
    config = PctConfig(components=3, centre=centre, solver=solver, standardise=standardise)
    stack = Pct().maps(opened(numbers), config)
    maps, spread = true_components(numbers, centre, standardise)
    assert (cosines(stack.values, maps) >= 0.9999).all()
    assert np.allclose(stack.details["singular_value"], spread[:3], rtol=1e-4)
    assert np.allclose(stack.details["variance_share"], spread[:3] ** 2 / (spread**2).sum(), rtol=1e-3)
    assert np.allclose(np.square(stack.values).mean(axis=(1, 2)), 1, rtol=1e-4)
    assert np.allclose(np.linalg.norm(stack.details["curves"], axis=1), 1)


def test_small_blocks_give_the_same_components(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Pct().maps(opened(heated()), PctConfig(solver="exact"))
    for module in ("kernels.ALL_BYTES", "kernels.COPY_BYTES", "pct_passes.COPY_BYTES", "pct_passes.VIEW_BYTES"):
        monkeypatch.setattr(f"isotherm.sequences.{module}", 40 * 4 * 50)
    for solver in ("exact", "fast"):
        blocked = Pct().maps(opened(heated()), PctConfig(solver=solver, rounds=3))
        assert np.allclose(whole.values[:3], blocked.values[:3], atol=2e-3)


@pytest.mark.parametrize("centre", ["frame", "pixel"])
@pytest.mark.parametrize("solver", ["exact", "fast"])
@pytest.mark.parametrize("standardise", [False, True])
def test_dead_pixels_come_out_as_nan_and_spoil_nothing(centre: str, solver: str, standardise: bool) -> None:
    numbers = heated()
    dead = np.zeros(numbers.shape[1:], bool)
    dead[3, 4] = dead[20, 1] = True
    broken = numbers.copy()
    broken[:, 3, 4] = np.nan
    broken[7, 20, 1] = np.inf
    config = PctConfig(components=2, centre=centre, solver=solver, standardise=standardise)
    found = Pct().maps(opened(broken), config).values
    wanted, _ = true_components(numbers[:, ~dead][:, :, None], centre, standardise)
    assert np.isnan(found[:, dead]).all()
    assert (cosines(found[:, ~dead], wanted) >= 0.9999).all()


def test_signs_are_such_that_small_bright_parts_are_positive_whatever_the_numbers_sign() -> None:
    for sign in (1, -1):
        stack = Pct().maps(opened(sign * heated()), PctConfig(components=3))
        for each in stack.values:
            assert ((each - each.mean()) ** 3).mean() > 0


def test_low_rank_and_sparse_parts_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    low = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 500))
    spikes = np.where(rng.random(low.shape) < 0.03, rng.choice([-5.0, 5.0], low.shape), 0)
    found = sparse_part((low + spikes).astype(np.float32))
    assert np.abs(found - spikes).max() < 1e-3


@pytest.mark.parametrize("solver", ["robust", "sparse"])
def test_variants_show_the_defects_and_leave_dead_pixels_out(solver: str) -> None:
    numbers = heated()
    numbers[:, 0, 0] = np.nan
    stack = Pct().maps(opened(numbers), PctConfig(components=2, solver=solver))
    y, x = np.mgrid[:24, :30]
    defect = (y - 6) ** 2 + (x - 7) ** 2 < 10
    sound = ((y - 6) ** 2 + (x - 7) ** 2 > 30) & ((y - 15) ** 2 + (x - 20) ** 2 > 30)
    best = max(
        abs(np.nanmean(each[defect]) - np.nanmean(each[sound])) / np.nanstd(each[sound]) for each in stack.values
    )
    assert best > 5
    assert np.isnan(stack.values[:, 0, 0]).all()
    if solver == "sparse":
        assert (stack.values[1] == 0).mean() > 0.5


@pytest.mark.parametrize(
    ("numbers", "config", "said"),
    [
        (heated(frames=5), PctConfig(components=5), "ask for 4 components"),
        (heated(height=1, width=3), PctConfig(components=3), "ask for 2 components"),
        (np.full((9, 4, 5), np.nan, np.float32), PctConfig(), "no pixel"),
        (np.full((9, 4, 5), 3, np.float32), PctConfig(), "alike"),
        (np.full((9, 4, 5), 3, np.float32), PctConfig(solver="fast"), "alike"),
    ],
)
def test_what_has_no_components_is_told(numbers: np.ndarray, config: PctConfig, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Pct().maps(opened(numbers), config)


@settings(deadline=None, max_examples=25)
@given(st.integers(8, 60), st.integers(1, 4), st.sampled_from([0.0, 300.0]), st.integers(0, 9))
def test_phases_are_those_of_the_fourier_transform(frames: int, bins: int, level: float, seed: int) -> None:
    numbers = heated(frames, 6, 7, level, seed)
    stack = Ppt().maps(opened(numbers, 25.0), PptConfig(bins=bins))
    wanted = np.fft.fft(numbers.astype(np.float64), axis=0)[1 : bins + 1] / 25
    phases, amplitudes = stack.values[bins:], stack.values[:bins]
    wrong = np.angle(np.exp(1j * (phases - np.angle(wanted))))
    assert np.abs(wrong).max() <= 1e-5
    assert np.allclose(amplitudes, np.abs(wanted), rtol=1e-5)
    assert np.allclose(stack.details["frequency_hz"], np.arange(1, bins + 1) * 25 / frames)


def test_uneven_times_give_the_phases_of_even_ones() -> None:
    """A decay that is sampled densely first: the same integrals within the error of the trapezoids."""
    even = np.arange(2000) * 0.01
    uneven = np.unique(np.concatenate([np.arange(0, 2, 0.01), np.arange(2, 20, 0.04), [19.99]]))
    curve = lambda t: (np.exp(-t / 3) + 0.2 * np.exp(-t / 0.7)).astype(np.float32)[:, None, None]  # noqa: E731
    config = PptConfig(bins=4)
    stacks = [
        Ppt().maps(ThermalSequence.open(np.repeat(curve(t), 4, 2), times_s=t, order="THW"), config)
        for t in (even, uneven)
    ]
    assert np.allclose(stacks[0].values, stacks[1].values, rtol=1e-3, atol=2e-3)


def test_a_constant_pixel_has_no_amplitude_at_uneven_times() -> None:
    times = np.array([0, 0.1, 0.15, 0.3, 0.4, 0.65, 0.7, 1.0])
    sequence = ThermalSequence.open(np.full((8, 2, 3), 300, np.float32), times_s=times, order="THW")
    assert np.abs(Ppt().maps(sequence, PptConfig(bins=2)).values[:2]).max() < 1e-3


def test_more_frequencies_than_frames_resolve_are_told() -> None:
    with pytest.raises(DataError, match="resolve up to 5 Hz"):
        Ppt().maps(opened(heated(frames=10)), PptConfig(bins=6))


def test_nan_pixels_have_nan_phases_and_no_others() -> None:
    numbers = heated()
    numbers[5, 2, 3] = np.nan
    stack = Ppt().maps(opened(numbers), PptConfig())
    assert np.isnan(stack.values[:, 2, 3]).all()
    assert np.isnan(stack.values).sum() == 8


def test_blind_depth_falls_with_the_root_of_the_frequency() -> None:
    assert blind_depth_m(0.1, 4.469e-7) == pytest.approx(1.82 * 1.19271e-3, rel=1e-4)
    assert blind_depth_m(0.4, 4.469e-7) == pytest.approx(blind_depth_m(0.1, 4.469e-7) / 2)
