"""Connected regions, clean-up and outlines, against scipy and contourpy."""

from __future__ import annotations

import numpy as np
import pytest
from contourpy import contour_generator
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from isotherm.core.regions import clean, closed, dilate, drop_small, erode, label, opened
from isotherm.measurement.outlines import outline, outlines

EIGHT = np.ones((3, 3))
masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14))
radii = st.integers(0, 5)
quick = settings(deadline=None, max_examples=60)


def disc(radius: int) -> np.ndarray:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return x**2 + y**2 <= radius**2


def spiral(size: int) -> np.ndarray:
    mask = np.zeros((size, size), dtype=np.bool_)
    x, y, dx, dy = 0, 0, 1, 0
    mask[0, 0] = True
    for turn in range(size):
        for _ in range(size - 1 - 2 * (turn // 2) - (turn % 2)):
            x, y = x + dx, y + dy
            mask[y % size, x % size] = True
        dx, dy = -dy, dx
    return mask


def hard_masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:60, :81]
    comb = x % 2 == 0
    comb[:, :] |= y == 59
    upside_down = comb[::-1].copy()
    zigzag = (x % 2 == 0) | ((y == 59) & (x % 4 == 1)) | ((y == 0) & (x % 4 == 3))
    teeth = np.zeros((60, 81), dtype=np.bool_)
    for column in range(0, 81, 2):
        teeth[rng.integers(60) :, column] = True
    teeth[-1] = True
    return {
        "empty": np.zeros((5, 7), dtype=np.bool_),
        "full": np.ones((5, 7), dtype=np.bool_),
        "one pixel": np.ones((1, 1), dtype=np.bool_),
        "one row": rng.random((1, 50)) < 0.5,
        "one column": rng.random((50, 1)) < 0.5,
        "comb": comb,
        "comb upside down": upside_down,
        "zigzag": zigzag,
        "teeth": teeth,
        "chessboard": (x + y) % 2 == 0,
        "spiral": spiral(61),
        "row end and row start": (x == 80) & (y % 2 == 0) | (x == 0) & (y % 2 == 1),
        **{f"noise {share}": rng.random((97, 113)) < share for share in (0.05, 0.3, 0.4, 0.5, 0.6, 0.9)},
    }


@pytest.mark.parametrize("name", hard_masks())
def test_label_equals_scipy_on_hard_masks(name: str) -> None:
    mask = hard_masks()[name]
    labels, count = label(mask)
    expected, expected_count = ndimage.label(mask, EIGHT)
    assert count == expected_count
    np.testing.assert_array_equal(labels, expected)


@quick
@given(masks)
def test_label_equals_scipy(mask: np.ndarray) -> None:
    labels, count = label(mask)
    expected, expected_count = ndimage.label(mask, EIGHT)
    assert count == expected_count
    np.testing.assert_array_equal(labels, expected)


def test_label_takes_a_view_and_leaves_it_alone() -> None:
    mask = np.random.default_rng(0).random((40, 60)) < 0.4
    view = mask[::2, ::3]
    before = mask.copy()
    np.testing.assert_array_equal(label(view)[0], ndimage.label(view, EIGHT)[0])
    np.testing.assert_array_equal(mask, before)


@quick
@given(masks, radii)
def test_dilation_and_erosion_equal_scipy(mask: np.ndarray, radius: int) -> None:
    np.testing.assert_array_equal(dilate(mask, radius), ndimage.binary_dilation(mask, disc(radius)))
    np.testing.assert_array_equal(erode(mask, radius), ndimage.binary_erosion(mask, disc(radius), border_value=1))


@quick
@given(masks, radii)
def test_opening_only_removes_closing_only_adds_and_twice_is_once(mask: np.ndarray, radius: int) -> None:
    smaller, larger = opened(mask, radius), closed(mask, radius)
    assert not (smaller & ~mask).any()
    assert not (mask & ~larger).any()
    np.testing.assert_array_equal(opened(smaller, radius), smaller)
    np.testing.assert_array_equal(closed(larger, radius), larger)


@quick
@given(masks, st.integers(0, 6))
def test_drop_small_keeps_exactly_the_large_regions_in_order(mask: np.ndarray, least: int) -> None:
    labels, count = label(mask)
    kept, kept_count = drop_small(labels, count, least)
    sizes = np.bincount(labels.ravel())[1:]
    assert kept_count == (sizes >= least).sum()
    np.testing.assert_array_equal(kept, label(kept > 0)[0])
    np.testing.assert_array_equal(kept > 0, np.isin(labels, np.flatnonzero(sizes >= least) + 1))


def test_clean_opens_closes_and_drops() -> None:
    mask = np.zeros((20, 30), dtype=np.bool_)
    mask[2:9, 2:9] = True
    mask[5, 5] = False  # a gap that closing fills
    mask[5, 9:20] = True  # a thin tail that opening removes
    mask[15:17, 25:27] = True  # too small
    cleaned = clean(mask, open_px=0, close_px=1, min_area_px=5)
    assert cleaned[5, 5]
    assert cleaned[5, 15]
    assert not cleaned[15:17, 25:27].any()
    whole = mask.copy()
    whole[5, 5] = True
    assert not clean(whole, open_px=1, close_px=0, min_area_px=5)[:, 10:].any()
    np.testing.assert_array_equal(clean(mask, open_px=0, close_px=0, min_area_px=1), mask)


def shoelace(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def contourpy_outline(region: np.ndarray) -> np.ndarray:
    """Return the outer contour at 0.5; the hair above 1 joins pixels that touch by a corner."""
    lines = contour_generator(z=np.pad(region * (1 + 1e-9), 1)).lines(0.5)
    return max((np.round(2 * (line - 1)) / 2 for line in lines), key=lambda line: abs(shoelace(line[:-1])))[:-1]


@quick
@given(masks)
def test_outlines_are_the_contours_at_one_half(mask: np.ndarray) -> None:
    labels, count = label(mask)
    rings = outlines(labels, count)
    assert len(rings) == count
    for number, ring in enumerate(rings, start=1):
        expected = contourpy_outline(labels == number)
        assert set(ring) <= set(map(tuple, expected.tolist()))
        assert shoelace(np.array(ring)) == pytest.approx(abs(shoelace(expected)), abs=1e-9)
        assert len(set(ring)) == len(ring)


def test_outline_of_one_pixel_of_a_box_and_at_the_border() -> None:
    assert outline(np.ones((1, 1), dtype=np.bool_)) == ((0.0, -0.5), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.0))
    box = np.zeros((6, 8), dtype=np.bool_)
    box[2:5, 3:7] = True
    corners = {(3, 1.5), (6, 1.5), (6.5, 2), (6.5, 4), (6, 4.5), (3, 4.5), (2.5, 4), (2.5, 2)}
    assert set(outline(box)) == corners
    assert len(outline(box)) == 8
    assert min(x for x, _ in outline(np.ones((4, 4), dtype=np.bool_))) == -0.5
    assert outline(np.zeros((3, 3), dtype=np.bool_)) == ()


def test_outlines_leave_holes_out_and_see_a_region_inside_another() -> None:
    mask = np.zeros((9, 9), dtype=np.bool_)
    mask[0:9, 0:9] = True
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    outer, inner = outlines(*label(mask))
    assert min(outer) == (-0.5, 0.0)
    assert inner == ((4.0, 3.5), (4.5, 4.0), (4.0, 4.5), (3.5, 4.0))


def test_outline_of_several_regions_is_that_of_the_first() -> None:
    mask = np.zeros((3, 9), dtype=np.bool_)
    mask[1, 1] = mask[0, 7] = True
    assert outline(mask)[0] == (7.0, -0.5)
