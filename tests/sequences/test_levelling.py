"""Maps made level, and what stands out of its surroundings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.sequences.levelling import levelled, smoothed
from isotherm.sequences.prominence import HEIGHT, rebuilt, score_of, standing_out


def test_uneven_heating_strips_and_uneven_noise_are_taken_out() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:80j, -1:1:100j]
    noise = np.exp(0.8 * x) * rng.standard_normal((80, 100))
    bent = 40 * x**2 + 25 * y * x - 10 * y**3 + 30 * (x > 0.96) + noise
    known = np.ones(bent.shape, np.bool_)
    (level,) = levelled(bent[None].astype(np.float32), known, smooth_px=0)
    left, right = level[:, :20], level[:, -30:]
    assert abs(np.median(left)) < 0.2 * left.std()
    assert left.std() == pytest.approx(right.std(), rel=0.3)
    assert noise[:, :20].std() < 0.5 * noise[:, -30:].std()
    assert np.abs(np.median(level, axis=0)).max() < 0.5 * level.std()


def test_a_defect_stays_while_the_ground_goes() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :100]
    defect = np.hypot(y - 40, x - 30) <= 12
    maps = (0.5 * x + rng.standard_normal((80, 100)) + 10 * defect)[None].astype(np.float32)
    (level,) = levelled(maps, np.ones(defect.shape, np.bool_), smooth_px=1.0)
    noise = level[:, 60:].std()
    assert level[defect].mean() - level[~defect].mean() > 15 * noise


def test_constant_maps_and_bare_surfaces_are_left_out_and_unknown_pixels_stay_so() -> None:
    rng = np.random.default_rng(0)
    known = np.ones((30, 40), np.bool_)
    known[:, 5], known[3] = False, False
    maps = rng.standard_normal((3, 30, 40)).astype(np.float32)
    maps[1] = 7
    maps[2] = np.linspace(0, 1, 40)
    maps[0, ~known] = np.nan
    level = levelled(maps, known, smooth_px=1.5)
    assert level.shape == (1, 30, 40)
    assert np.array_equal(np.isfinite(level[0]), known)
    assert levelled(maps[1:2], known, smooth_px=1.5).shape == (0, 30, 40)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999), st.floats(0.3, 4))
def test_smoothing_keeps_level_and_ignores_unknown_pixels(seed: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    known = rng.random((20, 25)) > 0.2
    assert np.allclose(smoothed(np.full(known.shape, 3.0), known, sigma)[known], 3)
    values = rng.standard_normal(known.shape)
    other = np.where(known, values, 1e6)
    assert np.allclose(smoothed(values, known, sigma), smoothed(other, known, sigma))


def test_a_peak_stands_out_down_to_half_its_height_and_its_skirt_does_not() -> None:
    y, x = np.mgrid[:40, :60]
    strong = 100 * np.exp(-(np.hypot(y - 20, x - 18) ** 2) / 72)
    weak = 8 * np.exp(-(np.hypot(y - 20, x - 48) ** 2) / 18)
    height = (strong + weak).astype(np.float32)
    out = standing_out(height)
    assert out[20, 18] == pytest.approx(50, rel=0.01)
    assert out[20, 48] == pytest.approx(4, rel=0.05)
    assert (out[(strong < 49) & (x < 36)] < 1e-3).all()
    assert (out[strong > 51] > 0).all()
    score = score_of(height)
    assert score[20, 48] > score[20, 29]
    height[0, 0] = np.nan
    assert np.isnan(standing_out(height)[0, 0])
    assert np.isfinite(standing_out(height)).sum() == height.size - 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999))
def test_what_is_rebuilt_lies_between_marker_and_mask_and_is_rebuilt_from_itself(seed: int) -> None:
    mask = np.random.default_rng(seed).random((15, 18)).astype(np.float32)
    marker = np.float32(HEIGHT) * mask
    found = rebuilt(marker, mask)
    assert ((marker <= found) & (found <= mask)).all()
    assert np.array_equal(rebuilt(found, mask), found)
