"""From pictures to findings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.findings import Finding
from isotherm.core.regions import label
from isotherm.core.scene import ZERO_CELSIUS_K, Param, Scene, SceneEdit, Source, assumed_scene
from isotherm.core.shapes import Box
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats import read
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import HotspotSettings, find_hotspots, hot_regions, measure_mask, stats_of
from isotherm.measurement.region_stats import region_stats
from isotherm.measurement.severity import SEVERITY_TABLES, table_from_json
from isotherm.radiometry.linear import stored_temperatures

SIMILAR, AMBIENT = SEVERITY_TABLES["neta-similar"], SEVERITY_TABLES["neta-ambient"]
BARE = HotspotSettings(close_px=0, min_area_px=1)


def thermal(celsius: np.ndarray, **changes: Any) -> Thermogram:
    return replace(Thermogram(celsius.astype(np.float32), stored_temperatures("c"), assumed_scene(), "test"), **changes)


def plain(grey: np.ndarray) -> Thermogram:
    return Thermogram(grey.astype(np.uint8), None, assumed_scene(), "test")


def two_spots() -> np.ndarray:
    celsius = np.full((40, 60), 20.0)
    celsius[5:10, 5:12] = 60
    celsius[7, 9] = 65
    celsius[20:30, 40:44] = 80
    celsius[25, 42] = np.nan
    return celsius


def hot(
    picture: Thermogram, settings: HotspotSettings = BARE, name: str = "otsu", **config: Any
) -> tuple[Finding, ...]:
    method = HOTSPOT_METHODS.get(name)
    return find_hotspots(picture, method, config=method.config_type(**config), settings=settings)


def test_two_spots_are_measured_hottest_first() -> None:
    second, first = hot(thermal(two_spots()))[::-1]
    assert (first.kind, first.origin) == ("hotspot", "otsu")
    assert first.region.area_px == 39
    assert first.region.box == Box(40, 20, 4, 10)
    assert first.region.peak == (40, 20)  # the first of equals in raster order
    assert first.temperatures is not None
    assert first.temperatures.max_c == pytest.approx(80, abs=1e-4)
    assert first.temperatures.std_c == pytest.approx(0, abs=1e-4)
    assert second.region.peak == (9, 7)
    assert second.region.box == Box(5, 5, 7, 5)
    assert second.temperatures is not None
    assert second.temperatures.mean_c == pytest.approx((34 * 60 + 65) / 35, abs=1e-4)
    assert second.temperatures.std_c == pytest.approx(math.sqrt(34) / 35 * 5, abs=1e-4)
    assert second.delta_t_c == pytest.approx(45, abs=1e-4)
    assert second.reference == "median of the picture outside the marked regions"
    assert second.reference_c == pytest.approx(20, abs=1e-4)
    assert second.severity is None


pictures = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.one_of(st.integers(-5, 90).map(float), st.just(math.nan)),
)


@settings(deadline=None, max_examples=60)
@given(pictures, st.sampled_from(HOTSPOT_METHODS.names()), st.integers(0, 2), st.integers(0, 2), st.integers(1, 6))
def test_findings_and_mask_agree(celsius: np.ndarray, name: str, opening: int, closing: int, least: int) -> None:
    picture, method = thermal(celsius), HOTSPOT_METHODS.get(name)
    settings = HotspotSettings(open_px=opening, close_px=closing, min_area_px=least)
    config = method.config_type()
    findings = find_hotspots(picture, method, config=config, settings=settings, table=SIMILAR)
    found, mask = hot_regions(picture, method, config=config, settings=settings)
    assert found == find_hotspots(picture, method, config=config, settings=settings)
    values = picture.values()
    assert sum(finding.region.area_px for finding in findings) == mask.sum()
    assert not mask[np.isnan(values)].any()
    highest = [finding.temperatures.max_c for finding in findings if finding.temperatures]
    assert len(highest) == len(findings)
    assert highest == sorted(highest, reverse=True)
    for finding, high in zip(findings, highest, strict=True):
        x, y = finding.region.peak
        box = finding.region.box
        assert finding.region.area_px >= least
        assert mask[y, x]
        assert values[y, x] == np.float32(high)
        assert box.x <= x < box.x + box.width
        assert box.y <= y < box.y + box.height
        assert finding.severity is not None
    if mask.any():
        assert max(highest) == pytest.approx(float(values[mask].max()))


@settings(deadline=None, max_examples=60)
@given(pictures, st.data())
def test_region_statistics_equal_scipy(celsius: np.ndarray, data: st.DataObject) -> None:
    mask = data.draw(hnp.arrays(np.bool_, celsius.shape))
    labels, count = label(mask)
    if not count:
        return
    stats = region_stats(celsius, labels, count)
    for number in range(1, count + 1):
        inside = labels == number
        known = celsius[inside & ~np.isnan(celsius)].astype(np.float64)
        assert stats.area_px[number - 1] == inside.sum()
        rows, columns = ndimage.find_objects(labels)[number - 1]
        expected = Box(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        assert stats.box(number - 1) == expected
        x, y = stats.peak(number - 1)
        assert inside[y, x]
        if not known.size:
            assert stats.temperatures(number - 1) is None
            assert (y, x) == tuple(np.argwhere(inside)[0])
            continue
        found = stats.temperatures(number - 1)
        assert found is not None
        assert (found.min_c, found.max_c) == (known.min(), known.max())
        assert found.mean_c == pytest.approx(known.mean(), abs=1e-9)
        assert found.std_c == pytest.approx(known.std(), abs=1e-9)
        assert (y, x) == tuple(np.argwhere(inside & (celsius == np.float32(known.max())))[0])


def test_more_regions_than_two_bytes_count() -> None:
    mask = np.zeros((520, 520), dtype=np.bool_)
    mask[::2, ::2] = True
    labels, count = label(mask)
    values = np.arange(mask.size, dtype=np.float32).reshape(mask.shape)
    stats = region_stats(values, labels, count)
    assert count == 260 * 260 > 2**16
    np.testing.assert_array_equal(stats.high, values[mask])


def test_stats_of_leaves_out_what_is_not_finite() -> None:
    found = stats_of(np.array([[1, 3], [np.nan, np.inf]], dtype=np.float32))
    assert found is not None
    assert (found.min_c, found.max_c, found.mean_c, found.std_c) == (1, 3, 2, 1)
    assert stats_of(np.full((2, 2), np.nan, dtype=np.float32)) is None


def test_a_plain_picture_has_hotspots_without_temperatures() -> None:
    grey = np.full((40, 60), 30)
    grey[5:10, 5:12] = 200
    grey[20:30, 40:44] = 250
    first, second = find_hotspots(
        plain(grey),
        HOTSPOT_METHODS.get("otsu"),
        config=HOTSPOT_METHODS.get("otsu").config_type(),
        settings=BARE,
        table=SIMILAR,
    )
    assert first.region.box == Box(40, 20, 4, 10)
    assert second.region.area_px == 35
    for finding in (first, second):
        assert finding.temperatures is None
        assert finding.delta_t_c is None
        assert finding.reference_c is None
        assert finding.severity is not None
        assert finding.severity.reason == "criterion not applicable: the picture holds no temperatures"


def test_nothing_hot_gives_no_findings() -> None:
    assert hot(thermal(np.full((10, 10), 20.0))) == ()
    assert hot(thermal(np.full((10, 10), np.nan))) == ()
    assert hot(thermal(np.full((1, 1), 20.0))) == ()


def test_small_regions_go_and_automatic_means_a_ten_thousandth() -> None:
    assert HotspotSettings().least_area_px((480, 640)) == 31
    assert HotspotSettings().least_area_px((24, 32)) == 4
    assert HotspotSettings(min_area_px=1).least_area_px((480, 640)) == 1
    celsius = np.full((40, 60), 20.0)
    celsius[3, 3:6] = 90
    celsius[20:24, 20:24] = 90
    assert [finding.region.area_px for finding in hot(thermal(celsius), HotspotSettings())] == [16]


def test_closing_never_brings_in_pixels_without_a_temperature() -> None:
    celsius = np.full((20, 20), 20.0)
    celsius[5:12, 5:12] = 90
    celsius[8, 8] = np.nan
    (finding,) = hot(thermal(celsius), HotspotSettings(close_px=3))
    assert finding.region.area_px == 48


def test_a_cold_sky_can_be_ignored() -> None:
    celsius = np.full((40, 60), -40.0)
    celsius[10:, 20:40] = 5
    celsius[20:24, 25:30] = 35
    (tower,) = hot(thermal(celsius))
    assert tower.region.area_px == 600
    (spot,) = hot(thermal(celsius), replace(BARE, ignore_below_c=-20.0))
    assert spot.region.area_px == 20
    assert spot.delta_t_c == pytest.approx(30, abs=1e-3)


def test_the_median_that_delta_t_is_over_leaves_a_cold_sky_out() -> None:
    celsius = np.full((40, 60), -40.0)
    celsius[:, 20:40] = 5  # a third of the picture
    celsius[20:24, 25:30] = 35
    (joint,) = hot(thermal(celsius), name="absolute", threshold_c=30.0)
    assert joint.delta_t_c == pytest.approx(30, abs=1e-3)
    assert joint.reference == "median of the picture outside the marked regions, without the sky"
    (over_sky,) = hot(thermal(celsius), replace(BARE, skip_sky=False), name="absolute", threshold_c=30.0)
    assert over_sky.delta_t_c == pytest.approx(75, abs=1e-3)
    # A room has no sky: the same picture 60 K warmer.
    (indoors,) = hot(thermal(celsius + 60), name="absolute", threshold_c=90.0)
    assert indoors.delta_t_c == pytest.approx(75, abs=1e-3)
    assert "sky" not in indoors.reference


def verdict_of(settings: HotspotSettings, table: Any, scene: Scene | None = None) -> Any:
    picture = thermal(two_spots(), scene=scene or assumed_scene())
    method = HOTSPOT_METHODS.get("absolute")
    config = method.config_type()
    (finding,) = find_hotspots(picture, method, config=config, settings=settings, table=table)
    return finding


def test_the_table_chooses_the_reference() -> None:
    air = assumed_scene().edited(SceneEdit(atmosphere_c=25.0))
    over_median, over_air = verdict_of(BARE, SIMILAR, air), verdict_of(BARE, AMBIENT, air)
    assert over_median.delta_t_c == pytest.approx(60, abs=1e-3)
    assert "the median of the picture stands for the similar component" in over_median.severity.reason
    assert over_air.delta_t_c == pytest.approx(55, abs=1e-3)
    assert over_air.reference == "ambient air (user)"
    assert over_air.severity.grade == "1"
    assert "air" not in over_air.severity.reason


@pytest.mark.parametrize("source", list(Source))
def test_nothing_is_judged_over_an_air_temperature_that_nobody_gave(source: Source) -> None:
    scene = assumed_scene()
    finding = verdict_of(BARE, AMBIENT, replace(scene, atmosphere_k=Param(293.15, "K", source)))
    assert finding.delta_t_c == pytest.approx(60, abs=1e-3)
    if source in (Source.ASSUMED, Source.CAMERA_DEFAULT):
        assert finding.severity.grade is None
        assert finding.severity.reason.startswith("criterion not applicable: air temperature not known (20 °C is a")
    else:
        assert finding.severity.grade == "1"


@pytest.mark.parametrize(("air_c", "doubted"), [(77.5, True), (25.0, False)])
def test_a_difference_smaller_than_its_uncertainty_is_said(air_c: float, doubted: bool) -> None:
    finding = verdict_of(BARE, AMBIENT, assumed_scene().edited(SceneEdit(atmosphere_c=air_c)))
    # The camera 2 K rectangular, its noise, and 1 K for air that the user gave.
    sigma = math.hypot(2 / math.sqrt(3), 0.05, 1)
    assert finding.delta_t_uncertainty_k == pytest.approx(sigma)
    said = f"delta-T is smaller than its uncertainty of {2 * sigma:.1f} K (k = 2)" in finding.severity.reason
    assert said == (2 * sigma > 80 - air_c) == doubted


def test_a_table_is_not_applied_to_another_comparison() -> None:
    finding = verdict_of(replace(BARE, reference="median"), AMBIENT)
    assert finding.delta_t_c == pytest.approx(60, abs=1e-3)
    assert finding.severity.grade is None
    assert finding.severity.reason == (
        "criterion not applicable: the table is for delta-T over ambient air, "
        "not over the median of the picture outside the marked regions"
    )
    assert "not applicable" in verdict_of(replace(BARE, reference="ambient"), SIMILAR).severity.reason


def test_a_region_can_be_the_similar_component() -> None:
    settings = replace(BARE, reference_box="5,5,7,5", load_percent=80.0)
    finding = verdict_of(settings, SIMILAR)
    assert finding.delta_t_c == pytest.approx(15, abs=1e-3)
    assert finding.reference == "maximum of the region 5,5,7,5"
    assert finding.severity.reason == ""
    assert verdict_of(replace(settings, reference="region"), SIMILAR) == finding
    with pytest.raises(DataError, match="lies outside"):
        verdict_of(replace(BARE, reference_box="60,0,1,1"), SIMILAR)


def test_without_a_reference_there_is_no_delta_t() -> None:
    finding = verdict_of(replace(BARE, reference="none"), SIMILAR)
    assert finding.delta_t_c is None
    assert finding.reference == ""
    assert finding.severity.reason == "criterion not applicable: nothing to compare with"


def test_everything_hot_has_no_median_to_compare_with() -> None:
    (finding,) = hot(thermal(np.full((10, 10), 90.0)), name="absolute")
    assert finding.delta_t_c is None
    assert finding.temperatures is not None


def test_the_load_reaches_the_table() -> None:
    assert "below the 40 %" in verdict_of(replace(BARE, load_percent=10.0), SIMILAR).severity.reason
    strict = table_from_json(
        '{"id": "x", "edition": "1", "source": "s", "domain": "d", "comparison": "similar", "load_required": true,'
        ' "intervals": [{"interval": "[1, inf)", "grade": "1", "action": "a"}]}',
        "x",
    )
    assert verdict_of(BARE, strict).severity.reason.startswith("criterion not applicable: load unknown")


@pytest.mark.parametrize(
    "wrong",
    [
        {"reference": "region"},
        {"reference": "median", "reference_box": "0,0,1,1"},
        {"reference_box": "0,0,1"},
        {"reference_box": "0,0,-1,5"},
        {"reference_box": "0,0,1,1²"},
        {"min_area_px": 0},
        {"open_px": 65},
        {"load_percent": -1.0},
    ],
)
def test_settings_that_contradict_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        HotspotSettings(**wrong)


def with_optics(view: float | None, distance: Param, *, upright: bool = False) -> Thermogram:
    celsius = two_spots().T if upright else two_spots()
    scene = replace(assumed_scene(), distance_m=distance)
    return thermal(celsius, camera=Camera(field_of_view_deg=view), scene=scene)


@pytest.mark.parametrize("upright", [False, True])
def test_area_where_lens_and_distance_are_known(upright: bool) -> None:
    first, second = hot(with_optics(90.0, Param(3.0, "m", Source.FILE), upright=upright))
    # 90° at 3 m shows 6 m on 60 pixels: 100 mm each
    assert first.region.area_mm2 == pytest.approx(39 * 100**2)
    assert second.region.area_mm2 == pytest.approx(35 * 100**2)


@pytest.mark.parametrize(
    ("view", "distance"),
    [
        (None, Param(3.0, "m", Source.USER)),
        (25.0, Param(3.0, "m", Source.ASSUMED)),
        (25.0, Param(5.0, "m", Source.CAMERA_DEFAULT)),
        (25.0, Param(0.0, "m", Source.FILE)),
        (25.0, Param(math.nan, "m", Source.FILE)),
        (0.0, Param(3.0, "m", Source.FILE)),
        (180.0, Param(3.0, "m", Source.FILE)),
    ],
)
def test_no_area_where_the_optics_are_not_known(view: float | None, distance: Param) -> None:
    assert hot(with_optics(view, distance))[0].region.area_mm2 is None


def test_an_anomaly_mask_is_measured_as_it_is() -> None:
    celsius = two_spots()
    celsius[0, :4] = np.nan
    mask = np.zeros(celsius.shape, dtype=np.bool_)
    mask[0, :4] = True  # nothing but NaN
    mask[15, 15] = True
    mask[24:27, 41:44] = True  # with a NaN inside
    warm, cool, unknown = measure_mask(thermal(celsius), mask, kind="anomaly", origin="patchcore", table=SIMILAR)
    assert (warm.kind, warm.origin, warm.region.area_px) == ("anomaly", "patchcore", 9)
    assert warm.delta_t_c == pytest.approx(60, abs=1e-3)
    assert cool.region.peak == (15, 15)
    assert cool.severity is not None
    assert cool.severity.action == "no action"
    assert unknown.temperatures is None
    assert unknown.region.area_px == 4
    assert unknown.severity is not None
    assert unknown.severity.reason == "criterion not applicable: the region has no temperature"


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match="the mask is 3x2 px, the picture 60x40 px"):
        measure_mask(thermal(two_spots()), np.ones((2, 3), dtype=np.bool_), kind="anomaly", origin="x")


class GreyBody:
    """A calibration that honours the emissivity."""

    kind = "test"
    supports = frozenset({"emissivity"})

    def kelvin(self, counts: np.ndarray, scene: Scene) -> np.ndarray:
        return (ZERO_CELSIUS_K + counts * 0.95 / scene.emissivity.value).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        return {}


@settings(deadline=None, max_examples=20)
@given(st.floats(0.3, 1))
def test_edits_of_the_scene_change_temperatures_and_never_counts(emissivity: float) -> None:
    counts = np.nan_to_num(two_spots(), nan=20.0).astype(np.uint16)
    picture = Thermogram(counts, GreyBody(), assumed_scene(), "test")
    before = counts.copy()
    edited = picture.edited(SceneEdit(emissivity=emissivity))
    first, again = hot(picture)[0], hot(edited)[0]
    np.testing.assert_array_equal(picture.counts, before)
    assert edited.counts is picture.counts
    assert first.temperatures is not None
    assert again.temperatures is not None
    assert again.temperatures.max_c == pytest.approx(first.temperatures.max_c * 0.95 / emissivity, abs=1e-3)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("number", "count", "scale_end_c"),
    [
        # resistive_circuit: circuit state by the number of hot resistors, upper end of the printed scale [°C]
        ("0326", 0, None),
        ("0327", 0, None),
        ("0328", 0, None),
        ("0331", 1, 40.8),
        ("0336", 1, 84.4),
        ("0341", 1, 127),
        ("0346", 1, 40.1),
        ("0351", 1, 82.3),
        ("0356", 1, 129),
        ("0361", 2, 39.8),
        ("0366", 2, 80.1),
        ("0371", 2, 129),
    ],
)
def test_hot_resistors_are_counted_and_reach_the_printed_scale(
    data: Path, number: str, count: int, scale_end_c: float | None
) -> None:
    findings = hot(read(data / "resistive_circuit" / f"IR_{number}.jpg"), HotspotSettings())
    assert len(findings) == count
    highest = [finding.temperatures.max_c for finding in findings if finding.temperatures]
    if scale_end_c is not None:
        # The camera sets its scale to the picture's span: within rounding and a few noisy pixels of our maximum.
        assert highest[0] == pytest.approx(scale_end_c, abs=0.3 if scale_end_c < 100 else 0.8)
    if count == 2:
        # Two equal resistors in series carry the same current.
        assert highest[0] - highest[1] < 2


def test_what_is_drawn_into_a_picture_is_never_hot_and_counts_for_no_reference() -> None:
    picture = two_spots()
    drawn = np.zeros(picture.shape, np.bool_)
    hottest = np.unravel_index(picture.argmax(), picture.shape)
    drawn[max(0, hottest[0] - 8) : hottest[0] + 9, max(0, hottest[1] - 8) : hottest[1] + 9] = True
    method = HOTSPOT_METHODS.get("otsu")
    options: dict[str, Any] = {"config": method.config_type(), "settings": HotspotSettings()}
    all_found, _ = hot_regions(thermal(picture), method, **options)
    found, mask = hot_regions(thermal(picture), method, **options, drawn=drawn)
    assert len(found) == len(all_found) - 1
    assert not (mask & drawn).any()
    assert found[0].region.peak == all_found[1].region.peak


def test_overlays_are_looked_for_where_they_are_asked_for() -> None:
    warm, grey = thermal(two_spots()), plain(np.zeros((8, 8), np.uint8))
    asked = {choice: HotspotSettings(ignore_overlays=choice) for choice in ("auto", "on", "off")}  # type: ignore[arg-type]
    assert [each.without_overlays(warm) for each in asked.values()] == [False, True, False]
    assert [each.without_overlays(grey) for each in asked.values()] == [True, True, False]
