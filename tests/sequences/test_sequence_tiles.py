"""Products by tiles: those of NumPy, however the frames are cut up and whoever computes them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.products import most_multiplications
from isotherm.sequences import tiles
from isotherm.sequences.pct import orthonormal
from isotherm.sequences.pct_passes import there_and_back
from isotherm.sequences.tiles import Cut, by_strips, cut_for, multiply


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 70), st.integers(1, 90), st.integers(1, 4000), st.booleans(), st.integers(0, 99))
def test_rows_times_frames_are_those_of_numpy(rows: int, frames: int, pixels: int, changed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((rows, frames), dtype=np.float32)
    numbers = rng.standard_normal((frames, pixels), dtype=np.float32)
    found, levels = np.empty((rows, pixels), np.float32), rng.standard_normal((frames, pixels), dtype=np.float32)

    def less(tile: np.ndarray, place: tuple[slice, slice], room: np.ndarray) -> np.ndarray:
        return np.subtract(tile, levels[place], out=room)

    multiply(weights, numbers, found, less if changed else None)
    wanted = weights.astype(np.float64) @ (numbers - levels if changed else numbers)
    np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_all_ways_of_cutting_come_to_the_same(small: bool, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((5, 67), dtype=np.float32)
    numbers = rng.standard_normal((67, 1000), dtype=np.float32)
    numbers[3, 77] = np.nan
    cut = Cut(20, 192, threads) if small else Cut(64, 16384, 1)
    for module in ("tiles", "pct_passes"):
        monkeypatch.setattr(f"isotherm.sequences.{module}.cut_for", lambda rows: cut)
    monkeypatch.setattr(tiles, "unpacked", lambda: small)
    found = np.empty((5, 1000), np.float32)
    multiply(weights, numbers, found)
    np.testing.assert_allclose(found, weights @ numbers, atol=1e-4)
    kept = np.delete(numbers, 77, axis=1)
    parts = list(there_and_back(weights, numbers))
    ones = np.ones((1, 999), np.float32)
    wanted = kept @ np.concatenate([weights @ kept, ones]).T
    np.testing.assert_allclose(sum(back for back, _, _ in parts), wanted, rtol=1e-4, atol=1e-2)
    assert sum(squares for _, squares, _ in parts) == pytest.approx(np.square(kept).sum(), rel=1e-5)
    assert sum(pixels for _, _, pixels in parts) == 999


def test_strips_come_in_their_order_from_several_threads() -> None:
    seen = set()

    def work(strip: slice) -> slice:
        seen.add(threading.get_ident())
        return strip

    strips = list(by_strips(work, 1001, Cut(20, 10, 3)))
    assert [strip.start for strip in strips] == list(range(0, 1001, 10))
    assert strips[-1].stop == 1001
    assert threading.get_ident() not in seen


def test_no_product_of_a_tile_is_so_large_that_it_wakes_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "unpacked", lambda: True)
    for rows in range(1, 65):
        cut = cut_for(rows)
        assert rows * cut.frames * cut.pixels <= most_multiplications()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 16), st.floats(0, 7), st.integers(0, 99))
def test_orthonormal_columns_span_what_steep_ones_did(columns: int, decades: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((columns, columns))
    space = (rng.standard_normal((60, columns)) * np.logspace(0, -decades / 2, columns)) @ mixed
    found = orthonormal(space)
    np.testing.assert_allclose(found.T @ found, np.eye(columns), atol=1e-6)
    outside = space - found @ (found.T @ space)
    assert np.abs(outside).max() <= 1e-4 * np.abs(space).max()
