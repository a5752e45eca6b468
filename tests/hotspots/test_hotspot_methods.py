"""The four rules that say what is hot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isotherm.core.config import settings_of
from isotherm.core.errors import ConfigError, DataError, UnknownNameError
from isotherm.core.scene import SceneEdit, assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.absolute import AbsoluteConfig
from isotherm.hotspots.delta_t import DeltaTConfig
from isotherm.hotspots.otsu import OtsuConfig
from isotherm.hotspots.percentile import PercentileConfig
from isotherm.radiometry.linear import stored_temperatures
from isotherm.testing.hotspots import check_hotspot_method

OTSU, PERCENTILE, ABSOLUTE, DELTA_T = (HOTSPOT_METHODS.get(name) for name in HOTSPOT_METHODS.names()[:4])


def picture(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


@pytest.mark.parametrize("name", HOTSPOT_METHODS.names())
def test_every_method_keeps_the_promises_of_the_seam(name: str) -> None:
    method = HOTSPOT_METHODS.get(name)
    assert method.name == name
    check_hotspot_method(method)


def test_the_methods_of_the_house_and_no_two_settings_of_one_name() -> None:
    assert HOTSPOT_METHODS.names()[:4] == ["otsu", "percentile", "absolute", "delta_t"]
    with pytest.raises(UnknownNameError, match="did you mean 'otsu'"):
        HOTSPOT_METHODS.get("otsoo")
    names = [item.name for method in HOTSPOT_METHODS for item in settings_of(method.config_type)]
    assert len(names) == len(set(names))


def between_class_variance(values: np.ndarray, hot: np.ndarray) -> float:
    return hot.mean() * (~hot).mean() * (values[hot].mean() - values[~hot].mean()) ** 2


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.int8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-9, 40)))
def test_otsu_finds_the_largest_between_class_variance(counts: np.ndarray) -> None:
    values = counts.astype(np.float32)
    hot = OTSU.find(values, OtsuConfig(min_separation_c=0))
    levels = np.unique(counts)
    if len(levels) == 1:
        assert not hot.any()
        return
    wide = values.astype(np.float64)
    best = max(between_class_variance(wide, counts > level) for level in levels[:-1])
    assert values[hot].min() > values[~hot].max()
    assert between_class_variance(wide, hot) == pytest.approx(best, rel=1e-9)


def test_otsu_parts_grey_levels_as_it_parts_any_other_numbers() -> None:
    levels = np.random.default_rng(3).normal([[90], [160]], 25, (2, 3000)).clip(0, 255).round().astype(np.float32)
    method, config = HOTSPOT_METHODS.get("otsu"), OtsuConfig()
    # A quarter more is no grey level, so that the general way is taken.
    np.testing.assert_array_equal(method.find(levels, config), method.find(levels + np.float32(0.25), config))


def test_otsu_on_two_populations_parts_them() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(20, 1, (60, 80)).astype(np.float32)
    values[10:20, 30:50] = rng.normal(60, 1, (10, 20))
    hot = OTSU.find(values, OtsuConfig())
    assert hot[10:20, 30:50].all()
    assert hot.sum() == 200


def test_otsu_finds_nothing_in_noise_unless_told_to() -> None:
    noise = np.random.default_rng(0).normal(20, 0.1, (60, 80)).astype(np.float32)
    assert not OTSU.find(noise, OtsuConfig()).any()
    assert OTSU.find(noise, OtsuConfig(min_separation_c=0)).any()


def test_otsu_stands_extreme_values() -> None:
    values = picture([[-3e38, 0, 3e38]])
    assert OTSU.find(values, OtsuConfig()).sum() in (1, 2)


@given(st.integers(0, 100))
@settings(deadline=None, max_examples=30)
def test_percentile_marks_the_share_that_is_above_it(percent: int) -> None:
    values = np.random.default_rng(0).permutation(1000).astype(np.float32).reshape(25, 40)
    hot = PERCENTILE.find(values, PercentileConfig(percentile=float(percent)))
    # The rank that numpy's "lower" takes is floor(999 p); the largest value itself stands where nothing is above.
    assert hot.sum() == max(999 - int(np.floor(999 * percent / 100)), 1)
    assert values[hot].min() >= 1000 - hot.sum()


def test_percentile_of_a_saturated_picture_is_the_saturated_part() -> None:
    values = np.full((10, 10), 20, dtype=np.float32)
    values[:2] = 255
    assert PERCENTILE.find(values, PercentileConfig()).sum() == 20
    assert not PERCENTILE.find(np.full((10, 10), 255, dtype=np.float32), PercentileConfig()).any()


def test_absolute_holds_its_threshold_itself() -> None:
    values = picture([[69.99, 70, 71, np.nan, np.inf]])
    assert ABSOLUTE.find(values, AbsoluteConfig()).tolist() == [[False, True, True, False, False]]
    assert ABSOLUTE.find(values, AbsoluteConfig(threshold_c=71.0)).sum() == 1


def test_delta_t_over_the_median() -> None:
    values = picture([[20, 20, 20], [20, 29.9, 30], [20, np.nan, 40]])
    hot = DELTA_T.find(values, DeltaTConfig())
    assert np.argwhere(hot).tolist() == [[1, 2], [2, 2]]


def test_delta_t_over_a_region_takes_its_hottest_pixel() -> None:
    values = picture([[20, 35, 20], [44, 45, 46]])
    config = DeltaTConfig(over="region", over_box="0,0,3,1")
    assert DELTA_T.find(values, config).tolist() == [[False] * 3, [False, True, True]]


def test_a_region_that_reaches_over_the_border_is_cut_and_one_outside_is_an_error() -> None:
    values = picture([[20, 20], [20, 40]])
    assert DELTA_T.find(values, DeltaTConfig(over="region", over_box="0,0,1,99")).sum() == 1
    with pytest.raises(DataError, match="2,0,1,1 lies outside the picture, which is 2x2 px"):
        DELTA_T.find(values, DeltaTConfig(over="region", over_box="2,0,1,1"))


def test_delta_t_over_ambient_needs_a_temperature_of_the_air() -> None:
    values = picture([[20, 31]])
    assert DELTA_T.find(values, DeltaTConfig(over="ambient", ambient_c=21.0)).sum() == 1
    with pytest.raises(ConfigError, match="needs ambient_c"):
        DELTA_T.find(values, DeltaTConfig(over="ambient"))


def test_delta_t_takes_the_air_from_the_scene_unless_it_is_given() -> None:
    scene = assumed_scene().edited(SceneEdit(atmosphere_c=5.0))
    thermal = Thermogram(picture([[20, 31]]), stored_temperatures("c"), scene, "test")
    plain = Thermogram(np.zeros((1, 2), dtype=np.uint8), None, scene, "test")
    assert DeltaTConfig(over="ambient").for_picture(thermal).ambient_c == pytest.approx(5)
    assert DeltaTConfig(over="ambient", ambient_c=7.0).for_picture(thermal).ambient_c == 7
    assert DeltaTConfig().for_picture(plain).ambient_c is None
    with pytest.raises(DataError, match="only colours or grey levels"):
        DeltaTConfig(over="ambient", ambient_c=7.0).for_picture(plain)


@pytest.mark.parametrize(
    ("over", "box"), [("region", None), ("median", "0,0,1,1"), ("region", "1,2,3"), ("region", "0,0,0,5")]
)
def test_delta_t_region_and_box_go_together(over: str, box: str | None) -> None:
    with pytest.raises(ConfigError):
        DeltaTConfig(over=over, over_box=box)  # type: ignore[arg-type]


class Promises:
    """A method that breaks one promise at a time."""

    name = "promises"
    config_type = AbsoluteConfig

    def __init__(self, broken: str) -> None:
        self.broken = broken
        self.calls = 0

    def find(self, values: np.ndarray, config: AbsoluteConfig) -> np.ndarray:
        self.calls += 1
        hot = ABSOLUTE.find(values, config)
        if self.broken == "NaN":
            return hot | np.isnan(values)
        if self.broken == "change":
            values[0, 0] += 1
        if self.broken == "shape":
            return hot[:-1]
        if self.broken == "bool":
            return hot.astype(np.uint8)
        if self.broken == "twice" and self.calls % 2:
            return ~hot & np.isfinite(values)
        if self.broken == "flat" and values.shape == (12, 16):
            hot[0, 0] = True
        return hot


def test_the_check_lets_a_good_method_pass() -> None:
    check_hotspot_method(Promises("none"))


@pytest.mark.parametrize("broken", ["NaN", "change", "shape", "bool", "twice", "flat"])
def test_the_check_catches_a_broken_promise(broken: str) -> None:
    words = {"NaN": "finite"}.get(broken, broken)
    with pytest.raises(AssertionError, match=words):
        check_hotspot_method(Promises(broken))
