"""Regions that grow from the hottest pixels as long as the temperature stays similar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from isotherm.core.config import setting, validate
from isotherm.core.order import median
from isotherm.core.regions import Labels, Part, boxes, label
from isotherm.hotspots.method import Mask, Values
from isotherm.hotspots.objects import object_pixels, usual_high

MAX_REGIONS = 64
"""Regions that are grown in one picture; a picture with more hot places is all but hot, and the rest stays as found."""
_ROUNDING = 1e-5
"""More than the relative rounding of a 32-bit float."""


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
        middle = median(values[objects & ~seeds])
        return _grown(values, seeds, middle, config)


def _grown(values: Values, seeds: Mask, middle: float, config: RegionGrowingConfig) -> Mask:
    hot = seeds.copy()
    if not seeds.any():
        return hot
    share = 1 - config.grow_percent / 100
    largest = config.max_region_percent / 100 * values.size
    # Hottest first, in raster order of equals.
    flat = np.flatnonzero(seeds)
    flat = flat[np.argsort(-values.ravel()[flat], kind="stable")]
    peaks, tried = values.ravel()[flat], np.zeros(values.size, dtype=np.bool_)
    lowest = float(peaks[-1])
    around = _Around.of(values, lowest - share * (lowest - middle))
    at = 0
    for _ in range(MAX_REGIONS):
        # What a grown region holds needs no growing of its own, also where the region was too large.
        at += int(tried[flat[at:]].argmin())
        if tried[flat[at]]:
            break
        peak = float(peaks[at])
        part, region = around.similar(values, int(flat[at]), peak - share * (peak - middle))
        if np.count_nonzero(region) <= largest:
            hot[part] |= region
        tried.reshape(values.shape)[part] |= region
    return hot


@dataclass(frozen=True, eq=False)
class _Around:
    """The parts of a picture in which regions can lie: each in the box of one that goes down to a lower temperature."""

    labels: Labels
    boxes: list[Part]

    @classmethod
    def of(cls, values: Values, least: float) -> _Around:
        """Return the parts for regions of at least this temperature, and for those of hotter ones."""
        # A little lower: rounding must not part what belongs together.
        labels, count = label(_at_least(values, least - _ROUNDING * (1 + abs(least))))
        return cls(labels, boxes(labels, count))

    def similar(self, values: Values, place: int, least: float) -> tuple[Part, Bool[np.ndarray, "h w"]]:
        """Return a part of the picture, and its pixels of at least this temperature that are connected with a pixel.

        `place` is the pixel's number in the flat picture.
        """
        y, x = divmod(place, values.shape[1])
        part = self.boxes[int(self.labels[y, x]) - 1]
        labels, _ = label(_at_least(values[part], least))
        region: Bool[np.ndarray, "h w"] = labels == labels[y - part[0].start, x - part[1].start]
        return part, region


def _at_least(values: Values, least: float) -> Mask:
    with np.errstate(invalid="ignore"):
        found: Mask = (values >= least) & np.isfinite(values)
    return found


METHOD = RegionGrowing()
