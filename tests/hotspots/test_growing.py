"""Region growing in parts of the picture finds what growing in the whole picture does."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.regions import boxes, drop_small, label
from isotherm.hotspots.objects import object_pixels, usual_high
from isotherm.hotspots.region_growing import MAX_REGIONS, METHOD, RegionGrowingConfig


def grown_as_defined(values: np.ndarray, config: RegionGrowingConfig) -> np.ndarray:
    """Seeds from the hottest to the coldest; what is connected with one and similar to it is its region."""
    objects = object_pixels(values)
    usual = usual_high(values, objects, percentile=config.seed_percentile, rise_c=config.seed_rise_c)
    if usual is None:
        return np.zeros(values.shape, dtype=bool)
    hot = objects & (values > usual + config.seed_rise_c)
    middle = float(np.median(values[objects & ~hot]))
    left = np.where(hot, values, -np.inf)
    for _ in range(MAX_REGIONS):
        place = np.unravel_index(left.argmax(), left.shape)
        peak = float(left[place])
        if peak == -np.inf:
            break
        labels, _ = label((values >= peak - (1 - config.grow_percent / 100) * (peak - middle)) & np.isfinite(values))
        region = labels == labels[place]
        if region.sum() <= config.max_region_percent / 100 * values.size:
            hot = hot | region
        left[region] = -np.inf
    return hot


def picture(seed: int, height: int, width: int, spots: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    values = rng.normal(20, rng.choice([0.1, 2, 8]), (height, width))
    for _ in range(spots):
        place, size = rng.uniform(0, (height, width)), rng.uniform(0.5, 6)
        values += rng.uniform(5, 60) * np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * size**2))
    if seed % 3 == 0:
        values = values.round()
    values[rng.random((height, width)) < rng.choice([0, 0, 0.1])] = rng.choice([np.nan, np.inf, -np.inf])
    return values.astype(np.float32)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40), st.integers(0, 100))
@settings(max_examples=150, deadline=None)
def test_regions_are_those_of_the_definition(seed: int, height: int, width: int, spots: int) -> None:
    values = picture(seed, height, width, spots)
    rng = np.random.default_rng(seed)
    config = RegionGrowingConfig(
        seed_rise_c=float(rng.choice([0, 2, 6])),
        grow_percent=float(rng.choice([0, 40, 100])),
        max_region_percent=float(rng.choice([1, 10, 100])),
    )
    assert np.array_equal(METHOD.find(values, config), grown_as_defined(values, config))


@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 20), st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_boxes_and_small_regions(seed: int, height: int, width: int, least: int) -> None:
    labels, count = label(np.random.default_rng(seed).random((height, width)) < 0.3)
    for number, (rows, columns) in enumerate(boxes(labels, count), start=1):
        y, x = np.nonzero(labels == number)
        assert (rows.start, rows.stop - 1, columns.start, columns.stop - 1) == (y.min(), y.max(), x.min(), x.max())
    kept, left = drop_small(labels, count, least)
    big = [number for number in range(1, count + 1) if (labels == number).sum() >= least]
    assert left == len(big)
    assert all(np.array_equal(kept == new, labels == old) for new, old in enumerate(big, start=1))
