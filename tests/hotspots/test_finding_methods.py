"""Methods that know objects from background, on simulated truth: cabinets, towers before a cold sky, made-up shapes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sky_scenes import TOWER_C, hot_joint, tower

from isotherm.core.regions import label
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.datasets.cabinet import CabinetShot, simulate_cabinet
from isotherm.formats import ReadHints, read
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.adaptive import AdaptiveConfig
from isotherm.hotspots.kmeans import KMeansConfig
from isotherm.hotspots.local_contrast import LocalContrastConfig
from isotherm.hotspots.measure import HotspotSettings, hot_regions
from isotherm.hotspots.neighbourhoods import Cells
from isotherm.hotspots.objects import object_pixels, usual_high
from isotherm.hotspots.region_growing import RegionGrowingConfig
from isotherm.radiometry.linear import stored_temperatures

CONTRAST, ADAPTIVE, GROWING, KMEANS = (
    HOTSPOT_METHODS.get(name) for name in ("local_contrast", "adaptive", "region_growing", "kmeans")
)
PLACED = KMeansConfig(position_c=5.0)
SELECTIVE = {
    "local_contrast": (CONTRAST, LocalContrastConfig()),
    "region_growing": (GROWING, RegionGrowingConfig()),
    "kmeans": (KMEANS, KMeansConfig()),
    "kmeans with position": (KMEANS, PLACED),
}
"""The methods that find nothing where nothing is hot."""


@cache
def shot(kind: str | None, seed: int) -> CabinetShot:
    return simulate_cabinet(seed, kind, severity=0.7 if kind else None, load=0.8)


def regions(celsius: np.ndarray, name: str) -> tuple[int, np.ndarray]:
    method, config = SELECTIVE[name]
    picture = Thermogram(celsius.astype(np.float32), stored_temperatures("c"), assumed_scene(), "test")
    found, hot = hot_regions(picture, method, config=config, settings=HotspotSettings())
    return len(found), hot


@pytest.mark.parametrize("name", SELECTIVE)
@pytest.mark.parametrize("kind", ["loose_joint", "overload", "imbalance"])
def test_the_fault_of_a_simulated_cabinet_is_found_with_hardly_anything_else(name: str, kind: str) -> None:
    for seed in (0, 2):
        truth = shot(kind, seed)
        count, hot = regions(truth.celsius, name)
        assert truth.peak is not None
        assert hot[truth.peak[1], truth.peak[0]]
        assert count <= 3


@pytest.mark.parametrize("name", SELECTIVE)
def test_a_healthy_cabinet_has_no_hotspot(name: str) -> None:
    for seed in range(3):
        assert regions(shot(None, seed).celsius, name)[0] == 0


@pytest.mark.parametrize("name", SELECTIVE)
@pytest.mark.parametrize("seed", range(3))
def test_a_joint_before_a_cold_sky_is_found_and_the_tower_is_not(name: str, seed: int) -> None:
    celsius, joint = hot_joint(25, seed)
    count, hot = regions(celsius, name)
    assert count == 1
    assert (hot & joint).sum() >= 0.9 * joint.sum()
    # Otsu's rule takes the tower for hot.
    assert HOTSPOT_METHODS.get("otsu").find(celsius, HOTSPOT_METHODS.get("otsu").config_type()).sum() > 20 * joint.sum()


@pytest.mark.parametrize("name", SELECTIVE)
def test_a_tower_without_a_fault_has_no_hotspot(name: str) -> None:
    for seed in range(3):
        assert regions(tower(seed), name)[0] == 0


@pytest.mark.parametrize("name", [*SELECTIVE, "adaptive"])
@settings(deadline=None, max_examples=15)
@given(shift=st.integers(-200, 45))
def test_a_picture_that_is_warmer_all_over_has_the_same_hotspots(name: str, shift: int) -> None:
    celsius, _ = hot_joint(25)  # up to 45 K warmer its sky is still as cold as a sky can be
    celsius = np.round(celsius * 4) / 4  # so that the sum is exact in single precision
    method, config = SELECTIVE.get(name, (ADAPTIVE, AdaptiveConfig()))
    first, again = method.find(celsius, config), method.find(celsius + np.float32(shift), config)
    assert (first != again).sum() <= 2  # a pixel may lie on the threshold to the last bit


@pytest.mark.parametrize("name", [*SELECTIVE, "adaptive"])
def test_a_picture_turned_or_mirrored_has_the_same_hotspots(name: str) -> None:
    celsius, joint = hot_joint(25)
    method, config = SELECTIVE.get(name, (ADAPTIVE, AdaptiveConfig()))
    for turned in (lambda a: a[:, ::-1], lambda a: a[::-1], lambda a: a.T):
        hot = method.find(np.ascontiguousarray(turned(celsius)), config)
        assert (hot & turned(joint)).sum() >= 0.9 * joint.sum()


def test_the_sky_is_no_object_and_the_tower_is_one() -> None:
    celsius, joint = hot_joint(25)
    objects = object_pixels(celsius)
    np.testing.assert_array_equal(objects, celsius > -20)
    assert objects[joint].all()


def test_a_flat_picture_and_slight_differences_are_all_object() -> None:
    assert object_pixels(np.full((20, 30), 5, np.float32)).all()
    celsius = np.random.default_rng(0).normal(20, 1, (60, 80)).astype(np.float32)
    assert object_pixels(celsius).all()
    celsius[3, 4] = np.nan
    assert not object_pixels(celsius)[3, 4]
    assert not object_pixels(np.full((3, 3), np.nan, np.float32)).any()


def test_the_background_of_a_room_is_left_out_only_where_the_rest_is_not_a_hotspot_itself() -> None:
    celsius = np.random.default_rng(4).normal(27, 0.2, (100, 100)).astype(np.float32)
    celsius[:, :12] = 60  # a hot part close up, an eighth of the picture
    assert object_pixels(celsius).all()
    celsius[:, :40] = 60  # components before a panel
    assert not object_pixels(celsius)[:, 40:].any()
    celsius[:, 12:] -= 40  # a thin structure before a sky
    assert not object_pixels(celsius)[:, 50:].any()


@pytest.mark.parametrize("name", ["local_contrast", "region_growing"])
def test_a_hot_part_close_up_does_not_count_as_usual(name: str) -> None:
    celsius = np.random.default_rng(4).normal(27, 0.2, (100, 140)).astype(np.float32)
    celsius[20:80, 50:70] = 60  # 8.6 % of the picture: more than the 95th percentile leaves out
    count, hot = regions(celsius, name)
    assert count == 1
    np.testing.assert_array_equal(hot, celsius > 50)


def test_what_is_usual_leaves_the_hot_part_out() -> None:
    celsius = np.full((100, 100), 20.0, np.float32)
    celsius[:8] = 90  # more than a twentieth
    everything = np.ones(celsius.shape, dtype=np.bool_)
    assert usual_high(celsius, everything, percentile=90, rise_c=5) == 20
    assert usual_high(celsius, ~everything, percentile=90, rise_c=5) is None


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(-9, 9)))
def test_sums_of_cells_are_the_sums_of_their_pixels(values: np.ndarray) -> None:
    height, width = values.shape
    cells = Cells((height, width), 7)
    sums, numbers = cells.sums(values), cells.numbers()
    expected = ndimage.sum_labels(values, numbers, np.arange(sums.size)).reshape(sums.shape)
    np.testing.assert_allclose(sums, expected, atol=1e-6)
    np.testing.assert_allclose(cells.around(sums, 200.0 + 200 / 7), values.sum(), atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20))
def test_a_plane_is_interpolated_exactly_inside(height: int, width: int, along: int) -> None:
    cells = Cells((height, width), along)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    plane = 3 * x - 2 * y
    area = cells.sums(np.ones((height, width)))
    back = cells.interpolated(cells.sums(plane) / area)
    assert back.shape == plane.shape
    half_y, half_x = (-(-side // count) for side, count in zip((height, width), cells.size, strict=True))
    inside = np.s_[half_y : height - half_y, half_x : width - half_x]
    np.testing.assert_allclose(back[inside], plane[inside], atol=1e-3)


def test_the_reference_of_local_contrast_is_local() -> None:
    # A warm half and a cool half: the same rise stands out in the cool half only, unless the whole picture counts.
    celsius = np.random.default_rng(1).normal(20, 0.1, (120, 240)).astype(np.float32)
    celsius[:, 120:] += 2.5  # less than a background would be
    celsius[50:56, 20:26] += 2
    near = LocalContrastConfig(min_contrast_c=1.0, neighbourhood_percent=25.0)
    hot = CONTRAST.find(celsius, near)
    assert hot[50:56, 20:26].all()
    assert not hot[:, 120:].any()
    whole = LocalContrastConfig(min_contrast_c=1.0, neighbourhood_percent=200.0)
    assert not CONTRAST.find(celsius, whole).any()


@pytest.mark.parametrize("percentile", [50.0, 95.0])
def test_over_the_whole_picture_local_contrast_is_the_percentile(percentile: float) -> None:
    values = np.random.default_rng(2).uniform(0, 50, (60, 90)).astype(np.float32)
    config = LocalContrastConfig(min_contrast_c=1.0, neighbour_percentile=percentile, neighbourhood_percent=200.0)
    # Two passes: the second without what the first found.
    objects = object_pixels(values)
    limit = np.inf
    for _ in range(2):
        limit = np.percentile(values[objects & (values <= limit)], percentile) + 1
    step = 50 / 512
    hot = CONTRAST.find(values, config)
    assert values[hot].min() >= limit - 2 * step
    assert not (objects & ~hot & (values > limit + 2 * step)).any()


def test_adaptive_is_mean_plus_deviations_of_the_window() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(20, 1, (96, 96)).astype(np.float32)
    # At 96 px a cell is one pixel, so that the window is exact: 29 px wide.
    config = AdaptiveConfig(deviations=2.0, min_rise_c=0.0, window_percent=30.0, skip_background=False)
    window = np.ones((29, 29))
    number = ndimage.convolve(np.ones(values.shape), window, mode="constant")
    mean = ndimage.convolve(values.astype(np.float64), window, mode="constant") / number
    square = ndimage.convolve(values.astype(np.float64) ** 2, window, mode="constant") / number
    margin = values - mean - 2 * np.sqrt(square - mean**2)
    hot = ADAPTIVE.find(values, config)
    sure = np.abs(margin) > 1e-3
    np.testing.assert_array_equal(hot[sure], (margin > 0)[sure])


def test_adaptive_without_the_sky_does_not_mark_every_edge() -> None:
    celsius, joint = hot_joint(25)
    with_sky = ADAPTIVE.find(celsius, AdaptiveConfig(skip_background=False))
    without = ADAPTIVE.find(celsius, AdaptiveConfig())
    assert without[joint].all()
    assert label(without)[1] == 1
    assert with_sky.sum() > 5 * without.sum()


def test_a_region_grows_to_the_warm_part_and_not_over_the_tower() -> None:
    celsius = tower()
    y, x = np.mgrid[: celsius.shape[0], : celsius.shape[1]]
    distance = np.hypot(x - 30, y - 110)
    warm = distance < 9
    celsius[warm] = (TOWER_C + 40 - 3 * distance)[warm]  # a core of 35 °C that falls to 8 °C
    core = GROWING.find(celsius, RegionGrowingConfig(grow_percent=100.0, seed_rise_c=28.0, seed_percentile=90.0))
    grown = GROWING.find(celsius, RegionGrowingConfig(grow_percent=30.0, seed_rise_c=28.0, seed_percentile=90.0))
    assert 0 < core.sum() < 0.3 * warm.sum()
    np.testing.assert_array_equal(grown, warm)


def test_a_region_that_would_run_over_the_picture_keeps_to_its_seeds() -> None:
    # Everything is connected: a warm plate with a hot corner.
    y, x = np.mgrid[:100, :100]
    celsius = (20 + np.maximum(0, 60 - np.hypot(x, y))).astype(np.float32)
    wide = GROWING.find(celsius, RegionGrowingConfig(grow_percent=0.0, max_region_percent=100.0))
    kept = GROWING.find(celsius, RegionGrowingConfig(grow_percent=0.0, max_region_percent=5.0))
    assert wide.sum() > 5 * kept.sum() > 0


@settings(deadline=None, max_examples=30)
@given(hnp.arrays(np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(-9, 40)))
def test_grown_regions_hold_their_seeds_and_are_connected_with_them(counts: np.ndarray) -> None:
    celsius = counts.astype(np.float32)
    seeds = GROWING.find(celsius, RegionGrowingConfig(grow_percent=100.0, seed_rise_c=3.0))
    grown = GROWING.find(celsius, RegionGrowingConfig(grow_percent=40.0, seed_rise_c=3.0))
    assert not (seeds & ~grown).any()
    labels, count = label(grown)
    assert set(np.unique(labels[seeds])) >= set(range(1, count + 1))


def test_k_means_of_three_heaps_finds_their_means() -> None:
    rng = np.random.default_rng(5)
    celsius = rng.normal(20, 0.3, (60, 80)).astype(np.float32)
    celsius[10:20, 10:30] = rng.normal(35, 0.3, (10, 20))
    celsius[40:44, 50:55] = rng.normal(80, 0.3, (4, 5))
    # The two cooler heaps are 99.6 % of the pixels.
    for position_c in (0.0, 2.0):
        config = KMeansConfig(clusters=3, cluster_percentile=98.0, position_c=position_c)
        hot = KMEANS.find(celsius, config)
        assert hot[40:44, 50:55].all()
        assert hot.sum() == 20


def test_k_means_with_position_parts_equal_temperatures_of_different_places() -> None:
    # One warm bar right through; only with position can its left end be a cluster of its own.
    celsius = np.random.default_rng(6).normal(20, 0.2, (64, 96)).astype(np.float32)
    celsius[30:34] += 10
    alone = KMEANS.find(celsius, KMeansConfig(clusters=2, cluster_rise_c=5.0, cluster_percentile=50.0))
    assert alone[30:34].all()
    many = KMeansConfig(clusters=12, cluster_rise_c=5.0, cluster_percentile=50.0, position_c=60.0)
    placed = KMEANS.find(celsius, many)
    assert placed.sum() != alone.sum()


@pytest.mark.parametrize("clusters", [2, 8, 64])
def test_k_means_stands_fewer_pixels_than_clusters(clusters: int) -> None:
    celsius = np.array([[20, 21, 60]], dtype=np.float32)
    for position_c in (0.0, 5.0):
        hot = KMEANS.find(celsius, KMeansConfig(clusters=clusters, position_c=position_c, cluster_percentile=60.0))
        assert hot.tolist() == [[False, False, True]]


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["local_contrast", "region_growing"])
@pytest.mark.parametrize(
    ("number", "hot_resistors"),
    [
        ("0326", 0),
        ("0327", 0),
        ("0328", 0),
        ("0331", 1),
        ("0341", 1),
        ("0346", 1),
        ("0356", 1),
        ("0361", 2),
        ("0371", 2),
    ],
)
def test_hot_resistors_close_up_are_found(data: Path, name: str, number: str, hot_resistors: int) -> None:
    celsius = read(data / "resistive_circuit" / f"IR_{number}.jpg").values()
    count, hot = regions(celsius, name)
    # Two resistors that heat each other's wire are one region.
    assert (count > 0) == (hot_resistors > 0)
    assert count <= 2
    if hot_resistors:
        assert hot[np.unravel_index(celsius.argmax(), celsius.shape)]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "least_found"),
    [("Sub_station_71", 2), ("Sub_station_160", 1), ("Sub_station_400", 1), ("Sub_station_169", 1)],
)
def test_hot_joints_of_real_substations_are_found_and_the_structure_is_not(
    data: Path, name: str, least_found: int
) -> None:
    folder = data / "substations"
    rows = {row["name"]: row for row in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))}
    picture = read(folder / "celsius_x10_png16" / f"{name}.png", ReadHints(step=0.1, offset=-100.0, unit="c"))
    _, hot = regions(picture.values(), "region_growing")
    inside = [hot[y : y + h, x : x + w].any() for x, y, w, h in rows[name]["boxes_xywh"]]
    assert sum(inside) >= least_found
    assert hot.mean() < 0.05
