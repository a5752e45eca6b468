"""Regions that grow from the hottest pixels as long as the temperature stays similar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.core.regions import label
from isotherm.hotspots.method import Mask, Values
from isotherm.hotspots.objects import object_pixels, usual_high

MAX_REGIONS = 64
"""Regions that are grown in one picture; a picture with more hot places is all but hot, and the rest stays as found."""


@dataclass(frozen=True)
class RegionGrowingConfig:
    """Settings of `RegionGrowing`."""

    seed_rise_c: float = setting(
        6.0, "seeds are this far above the usual high temperature of the objects [°C or grey levels]", low=0
    )
    seed_percentile: float = setting(
        95.0, "percentile of the objects that is their usual high temperature [%]", low=0, high=100
    )
    grow_percent: float = setting(
        40.0, "a region grows down to this part of its seed's rise over the median of the objects [%]", low=0, high=100
    )
    max_region_percent: float = setting(
        10.0, "a region that would grow larger than this part of the picture does not grow [%]", low=0, high=100
    )

    def __post_init__(self) -> None:
        validate(self)


class RegionGrowing:
    """Seeded region growing on similarity of temperature, after [1]_, with seeds that the rule finds itself.

    Seeds are pixels well above what is usual for the objects in the picture (cold background left out). The hottest
    seed comes first: all pixels that are connected to it and similar to it form its region. Similar means at least a
    given part of the seed's rise over the median of the objects, so that a region is as large as the warm part that
    people see, not only its core. A region that would run over a large part of the picture (a warm tower) keeps to its
    seeds.

    References
    ----------
    .. [1] R. Adams, L. Bischof, Seeded Region Growing, IEEE Trans. PAMI 16(6), 1994.
    """

    name = "region_growing"
    config_type = RegionGrowingConfig

    def find(self, values: Values, config: RegionGrowingConfig) -> Mask:
        """Return the grown regions; see `HotspotMethod.find`."""
        objects = object_pixels(values)
        usual = usual_high(values, objects, percentile=config.seed_percentile, rise_c=config.seed_rise_c)
        if usual is None:
            return np.zeros(values.shape, dtype=np.bool_)
        seeds = objects & (values > usual + config.seed_rise_c)
        middle = float(np.median(values[objects & ~seeds]))
        return _grown(values, seeds, middle, config)


def _grown(values: Values, seeds: Mask, middle: float, config: RegionGrowingConfig) -> Mask:
    hot = seeds.copy()
    left = np.where(seeds, values, -np.inf)
    largest = config.max_region_percent / 100 * values.size
    for _ in range(MAX_REGIONS):
        place = np.unravel_index(int(left.argmax()), left.shape)
        peak = float(left[place])
        if peak == -np.inf:
            break
        region = _similar(values, place, peak - (1 - config.grow_percent / 100) * (peak - middle))
        if np.count_nonzero(region) <= largest:
            hot |= region
        # What a grown region holds needs no growing of its own, also where the region was too large.
        left[region] = -np.inf
    return hot


def _similar(values: Values, place: tuple[np.intp, ...], least: float) -> Mask:
    """Return the pixels of at least this temperature that are connected with a pixel."""
    with np.errstate(invalid="ignore"):
        labels, _ = label((values >= least) & np.isfinite(values))
    region: Mask = labels == labels[place]
    return region


METHOD = RegionGrowing()
