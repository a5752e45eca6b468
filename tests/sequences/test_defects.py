"""The table of defects: sizes, contrast, depth with uncertainty, verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.shapes import Box
from isotherm.sequences.defects import COLUMNS, DefectRules, depth_of, find_defects, sound_ring, table_row


def plate() -> tuple[np.ndarray, np.ndarray]:
    """A disc of radius 10 at (20, 25) and a box of 6 x 4 at its right."""
    y, x = np.mgrid[:50, :80]
    disc = np.hypot(y - 25, x - 20) <= 10
    box = (np.abs(y - 10.5) < 2) & (np.abs(x - 60.5) < 3)
    return disc, box


def test_sizes_are_those_of_the_shapes_and_the_largest_comes_first() -> None:
    disc, box = plate()
    first, second = find_defects(disc | box, DefectRules(pixel_mm=0.5))
    assert (first.number, first.region.area_px) == (1, disc.sum())
    assert first.diameter_mm == pytest.approx(10, rel=0.01)
    assert first.region.area_mm2 == pytest.approx(math.pi * 25, rel=0.02)
    assert second.region.box == Box(58, 9, 6, 4)
    assert second.diameter_px == pytest.approx(math.sqrt(4 * 24 / math.pi))
    x, y = zip(*second.region.contour, strict=True)
    assert (min(x), max(x), min(y), max(y)) == (57.5, 63.5, 8.5, 12.5)
    assert first.depth_mm is None
    assert first.verdict is None


def test_without_the_size_of_a_pixel_nothing_is_said_in_millimetres() -> None:
    disc, _ = plate()
    (one,) = find_defects(disc, DefectRules(reject_diameter_mm=1.0), depth_mm=np.full(disc.shape, 2, np.float32))
    assert one.diameter_mm is None
    assert one.region.area_mm2 is None
    assert one.verdict is None
    assert "size of a pixel" in one.depth_doubt


def test_limits_give_a_verdict() -> None:
    disc, box = plate()
    rules = DefectRules(pixel_mm=0.5, reject_diameter_mm=9.0)
    assert [one.verdict for one in find_defects(disc | box, rules)] == ["reject", "accept"]
    rules = DefectRules(pixel_mm=0.5, reject_diameter_mm=90.0, reject_area_mm2=6.0)
    assert [one.verdict for one in find_defects(disc | box, rules)] == ["reject", "reject"]
    with pytest.raises(ConfigError, match="pixel_mm must be at least"):
        DefectRules(pixel_mm=-1.0)


def test_contrast_is_against_the_ring_round_each_defect_alone() -> None:
    disc, box = plate()
    rng = np.random.default_rng(0)
    ground = np.where(np.arange(80) < 45, 0, 100)[None, :] + rng.standard_normal((50, 80))
    strong = (ground + 20 * disc + 5 * box).astype(np.float32)
    first, second = find_defects(disc | box, DefectRules(), maps={"strong": strong, "flat": np.ones_like(strong)})
    assert first.cnr["strong"] == pytest.approx(20, rel=0.15)
    assert second.cnr["strong"] == pytest.approx(5, rel=0.25)
    assert (first.cnr["flat"], first.best_map) == (0, "strong")


def test_a_ring_holds_no_pixel_near_any_defect() -> None:
    disc, box = plate()
    shifted = np.roll(box, -26, axis=1)
    ring = sound_ring(disc, disc | shifted, guard_px=2, ring_px=5)
    y, x = np.nonzero(ring)
    away = np.hypot(y - 25, x - 20)
    assert away.min() > 11.9
    assert away.max() <= 17.9
    assert not (ring & np.pad(shifted, 2)[:-4, 2:-2]).any()
    assert ring.any()


def test_depth_is_the_median_of_the_middle_with_an_uncertainty_that_joins_its_parts() -> None:
    disc, _ = plate()
    rng = np.random.default_rng(0)
    depth = (1.5 + 0.1 * rng.standard_normal(disc.shape)).astype(np.float32)
    rim = disc & ~(np.hypot(*(np.mgrid[:50, :80] - np.array([25, 20])[:, None, None])) <= 8)
    depth[rim] = 5
    rules = DefectRules(pixel_mm=1.0)
    (one,) = find_defects(disc, rules, depth_mm=depth)
    assert one.depth_mm == pytest.approx(1.5, abs=0.03)
    expected = math.hypot(0.1 / math.sqrt(197 / 9), 1.5 * 0.05, 1.5 * 0.06)
    assert one.depth_sigma_mm == pytest.approx(expected, rel=0.05)
    assert one.depth_doubt == ""
    exact = DefectRules(diffusivity_percent=0.0, method_percent=0.0)
    assert depth_of(np.full(disc.shape, 2, np.float32), disc, exact) == (2.0, 0.0)


def test_depth_is_not_told_where_most_pixels_have_none_and_doubted_where_a_defect_is_narrow() -> None:
    disc, box = plate()
    depth = np.full(disc.shape, np.nan, np.float32)
    depth[:, :15] = 1
    assert find_defects(disc, DefectRules(), depth_mm=depth)[0].depth_mm is None
    depth[:] = 2
    (narrow,) = find_defects(box, DefectRules(pixel_mm=1.0), depth_mm=depth)
    assert narrow.depth_mm == 2
    assert "diameter over depth is 2.8" in narrow.depth_doubt


def test_an_empty_mask_and_small_regions_give_no_rows() -> None:
    disc, box = plate()
    assert find_defects(np.zeros_like(disc), DefectRules()) == ()
    assert len(find_defects(disc | box, DefectRules(min_area_px=100))) == 1


def test_a_map_of_another_size_is_an_error() -> None:
    disc, _ = plate()
    with pytest.raises(DataError, match="the map phase is 50 x 80 pixels, the mask 80 x 50"):
        find_defects(disc, DefectRules(), maps={"phase": np.zeros((80, 50), np.float32)})


def test_a_row_has_every_column() -> None:
    disc, _ = plate()
    score = np.zeros(disc.shape, np.float32)
    score[30, 22] = 0.75
    (one,) = find_defects(disc, DefectRules(pixel_mm=0.5), score=score, maps={"m": score})
    row = table_row(one)
    assert tuple(row) == COLUMNS
    assert (row["score"], row["cnr_map"], row["depth_mm"]) == (0.75, "m", None)
    assert one.region.peak == (22, 30)
