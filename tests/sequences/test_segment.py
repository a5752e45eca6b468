"""Segmentation without learning: maps made here with defects of both signs, and simple truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, DataError, UnknownNameError
from isotherm.core.regions import label
from isotherm.sequences.departure import departure
from isotherm.sequences.segment import SEGMENT_METHODS, MahalanobisConfig, OtsuConfig, Segmentation
from isotherm.sequences.segment_grow import GrowConfig, maxima, region_round, seeds_of
from isotherm.sequences.segment_kmeans import KMeansConfig, clusters_of

DEFECTS = ((20, 20, 6.0, 60.0), (20, 60, 5.0, -25.0), (50, 40, 7.0, 20.0))
"""Row, column, radius [px] and height [deviations of the noise]; a Gaussian skirt of 2 px round each."""


def plate(seed: int = 0, maps: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Noise with uneven ground, and defects whose sign and height differ from map to map."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:70, :80]
    truth = np.zeros((70, 80), np.bool_)
    values = rng.standard_normal((maps, 70, 80)) + 0.01 * x
    for row, column, radius, height in DEFECTS:
        away = np.hypot(y - row, x - column)
        truth |= away <= radius
        shape = np.exp(-(np.maximum(away - radius + 1, 0) ** 2) / 8)
        values += height * rng.choice([-1, 1, 0.3], maps)[:, None, None] * shape
    return values.astype(np.float32), truth


def segmented(name: str, maps: np.ndarray, **settings: object) -> Segmentation:
    method = SEGMENT_METHODS.get(name)
    return method.segment(maps, method.config_type(**settings))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize(("name", "least"), [("mahalanobis", 0.35), ("otsu", 0.35), ("kmeans", 0.35), ("grow", 0.55)])
def test_every_method_finds_defects_of_either_sign(name: str, least: float) -> None:
    # All but `grow` take the skirts too, which hold more pixels than the defects.
    maps, truth = plate()
    found = segmented(name, maps)
    assert iou(found.mask, truth) > least
    labels, count = label(found.mask)
    assert count == 3
    assert all(labels[row, column] for row, column, *_ in DEFECTS)


@pytest.mark.parametrize("name", SEGMENT_METHODS.names())
def test_noise_alone_holds_no_defect(name: str) -> None:
    rng = np.random.default_rng(1)
    for count in (1, 3, 14):
        assert not segmented(name, rng.standard_normal((count, 64, 80)).astype(np.float32)).mask.any()


@pytest.mark.parametrize("name", SEGMENT_METHODS.names())
def test_pixels_without_a_number_are_no_defect_and_change_nothing_else(name: str) -> None:
    maps, _ = plate()
    holed = maps.copy()
    holed[0, 66:, :] = np.nan
    found = segmented(name, holed)
    assert not found.mask[66:].any()
    assert np.isnan(found.score[66:]).all()
    assert np.isfinite(found.score[:66]).all()
    assert iou(found.mask[:60], segmented(name, maps).mask[:60]) > 0.9


@pytest.mark.parametrize("name", SEGMENT_METHODS.names())
def test_what_cannot_be_segmented_is_said(name: str) -> None:
    with pytest.raises(DataError, match="constant"):
        segmented(name, np.ones((2, 30, 30), np.float32))
    with pytest.raises(DataError, match="too few"):
        segmented(name, np.full((2, 30, 30), np.nan, np.float32))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(-1e3, 1e3), st.floats(0.01, 100), st.booleans())
def test_units_and_signs_of_a_map_do_not_matter(seed: int, offset: float, scale: float, turned: bool) -> None:
    maps, _ = plate(seed, 3)
    other = maps.copy()
    other[1] = other[1] * scale * (-1 if turned else 1) + offset
    assert np.allclose(departure(other), departure(maps), rtol=2e-2, atol=0.05)


def test_departure_of_noise_is_a_standard_normal_deviate_whatever_the_number_of_maps() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 6, 14):
        score = departure(rng.standard_normal((count, 150, 150)).astype(np.float32))
        assert abs(np.median(score)) < 0.05
        assert np.quantile(score, 0.975) == pytest.approx(1.96, abs=0.25)


def test_departure_uses_that_maps_go_together() -> None:
    # A pixel that breaks what two maps have in common is stranger than one that is as large in both.
    rng = np.random.default_rng(0)
    common = rng.standard_normal((80, 80))
    maps = np.stack([common + 0.3 * rng.standard_normal((80, 80)) for _ in range(2)]).astype(np.float32)
    maps[:, 5, 5], maps[:, 9, 9] = (3, 3), (3, -3)
    score = departure(maps)
    assert score[9, 9] > score[5, 5] + 1


def test_a_halo_is_left_out_where_regions_grow_to_half_height() -> None:
    y, x = np.mgrid[:120, :120]
    away = np.hypot(y - 60, x - 60)
    maps = np.random.default_rng(0).standard_normal((3, 120, 120)) + 200 * np.exp(-(away**2) / (2 * 6**2))
    far = departure(maps.astype(np.float32)) > MahalanobisConfig().limit
    for name in SEGMENT_METHODS.names():
        assert 0 < segmented(name, maps.astype(np.float32)).mask.sum() < 0.5 * far.sum()


def test_seeds_by_hand_choose_the_regions() -> None:
    maps, truth = plate()
    one = segmented("grow", maps, seeds="60,20")
    labels, count = label(one.mask)
    assert count == 1
    assert labels[20, 60] == 1
    assert one.notes == ("1 regions from 1 seeds",)
    with pytest.raises(DataError, match="the seed 80,20 is outside"):
        segmented("grow", maps, seeds="80,20")
    assert seeds_of(" 1,2  3 , 4;5,6 ") == [(1, 2), (3, 4), (5, 6)]
    for text in ("1", "1,2,3", "a,b", "1,2 x"):
        with pytest.raises(ConfigError, match="seeds are whole numbers"):
            GrowConfig(seeds=text)
    assert truth[20, 60]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.2, 0.9))
def test_a_region_round_a_seed_is_the_connected_one_of_the_whole_picture(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    score = rng.random((40, 70)).astype(np.float32)
    x, y = int(rng.integers(70)), int(rng.integers(40))
    (rows, columns), region = region_round(score, (x, y), level)
    whole = np.zeros(score.shape, np.bool_)
    whole[rows, columns] = region
    numbers, _ = label(score >= level)
    assert np.array_equal(whole, (numbers == numbers[y, x]) & (score >= level) & bool(numbers[y, x]))


def test_maxima_are_the_highest_of_their_neighbourhood() -> None:
    score = np.zeros((20, 20), np.float32)
    score[4, 5], score[5, 6], score[12, 3] = 9, 8, 7
    assert maxima(score, 5) == [(5, 4), (3, 12)]
    assert maxima(score, 8) == [(5, 4)]


def test_clusters_are_those_that_lie_apart_and_the_same_each_time() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10]])
    truth = rng.integers(0, 3, 600)
    points = (centres[truth] + rng.standard_normal((600, 2))).astype(np.float32)
    members = clusters_of(points, 3)
    assert len({(int(a), int(b)) for a, b in zip(truth, members, strict=True)}) == 3
    assert np.array_equal(members, clusters_of(points, 3))
    assert set(clusters_of(points[:3], 8).tolist()) == {0, 1, 2}
    with pytest.raises(DataError, match="all pixels are alike"):
        clusters_of(np.zeros((9, 2), np.float32), 3)


def test_position_parts_what_is_alike_but_far_away() -> None:
    maps, _ = plate()
    assert segmented("kmeans", maps, position=20.0).mask.any()
    with pytest.raises(ConfigError, match="clusters must be at least 2"):
        KMeansConfig(clusters=1)


def test_small_regions_are_dropped_and_the_limit_counts() -> None:
    maps, _ = plate()
    assert not segmented("mahalanobis", maps, min_area_px=5000).mask.any()
    low, high = (segmented("mahalanobis", maps, limit=limit).mask for limit in (5.0, 1e4))
    assert low.any()
    assert not high.any()
    assert not segmented("otsu", maps, min_separation=1e6).mask.any()
    assert MahalanobisConfig().limit > OtsuConfig().min_separation
    with pytest.raises(UnknownNameError, match="known: grow, kmeans, mahalanobis, otsu"):
        SEGMENT_METHODS.get("watershed")


def test_a_weaker_defect_beside_a_strong_one_has_a_region_of_its_own() -> None:
    y, x = np.mgrid[:60, :80]
    strong = 200 * np.exp(-(np.hypot(y - 30, x - 25) ** 2) / (2 * 5**2))
    weak = 70 * np.exp(-(np.hypot(y - 30, x - 41) ** 2) / (2 * 4**2))
    maps = np.random.default_rng(0).standard_normal((3, 60, 80)) + strong + weak
    labels, count = label(segmented("grow", maps.astype(np.float32)).mask)
    assert count == 2
    assert labels[30, 25] != labels[30, 41]
    assert labels[30, 41] > 0


@pytest.mark.parametrize("name", SEGMENT_METHODS.names())
def test_the_rim_is_no_defect_unless_it_is_asked_for(name: str) -> None:
    maps, _ = plate()
    maps[:, :2, 20:40] += 60
    assert not segmented(name, maps).mask[:2].any()
    assert segmented(name, maps, border_px=0).mask[:2].any()
