"""What is hotter than the objects round it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values
from isotherm.hotspots.neighbourhoods import Cells
from isotherm.hotspots.objects import PASSES, object_pixels, usual_pixels

CELLS = 12
"""Cells along the longer side."""
BINS = 512
"""Steps of temperature between the coldest and the hottest object."""
FEW = 0.005
"""Where a neighbourhood has fewer object pixels than this share of the picture, the whole picture's objects count."""


@dataclass(frozen=True)
class LocalContrastConfig:
    """Settings of `LocalContrast`."""

    min_contrast_c: float = setting(
        6.0, "pixels this far above the objects round them are hot [°C or grey levels]", low=0
    )
    neighbour_percentile: float = setting(
        95.0, "percentile of the objects in the neighbourhood that stands for them [%]", low=0, high=100
    )
    neighbourhood_percent: float = setting(
        60.0, "side of the square neighbourhood, in percent of the picture's longer side", low=5, high=200
    )

    def __post_init__(self) -> None:
        validate(self)


class LocalContrast:
    """Pixels that stand above a high percentile of the objects in their neighbourhood.

    Only objects count, not the cold background (see `isotherm.hotspots.objects`), so that a warm tower before a cold
    sky is compared with itself. Pixels found hot, and a hot class clearly apart from the others, are left out and the
    percentile is taken again, so that a large hotspot does not hide itself. The percentiles are those of histograms of
    cells, added up over each neighbourhood.
    """

    name = "local_contrast"
    config_type = LocalContrastConfig

    def find(self, values: Values, config: LocalContrastConfig) -> Mask:
        """Return the pixels that stand out; see `HotspotMethod.find`."""
        objects = object_pixels(values)
        hot = np.zeros(values.shape, dtype=np.bool_)
        if not objects.any():
            return hot
        counts = _Counts.of(values, objects)
        left_out = objects & ~usual_pixels(values, objects, rise_c=config.min_contrast_c)
        for _ in range(PASSES):
            usual = counts.without(hot | left_out)
            if not usual.any():
                break
            reference = counts.percentile(usual, config, values.size)
            with np.errstate(invalid="ignore"):
                found = objects & (values - reference > config.min_contrast_c)
            if np.array_equal(found, hot):
                break
            hot = found
        return hot


class _Counts(NamedTuple):
    """How many object pixels of each cell lie in each step of temperature.

    ``bins`` holds the flat number of each pixel's bin (cell * BINS + step).
    """

    cells: Cells
    low: float
    step_c: float
    bins: Int[np.ndarray, "H W"]
    total: Float32[np.ndarray, "R C B"]

    @classmethod
    def of(cls, values: Values, objects: Mask) -> _Counts:
        height, width = values.shape
        cells = Cells((height, width), CELLS)
        known = values[objects]
        low, high = float(known.min()), float(known.max())
        step_c = max((high - low) / BINS, 1e-6)
        with np.errstate(invalid="ignore"):
            steps = np.clip((values - np.float32(low)) * np.float32(1 / step_c), 0, BINS - 1)
        bins = cells.numbers() * BINS + np.where(objects, steps, 0).astype(np.intp)
        total = np.bincount(bins[objects], minlength=cells.size[0] * cells.size[1] * BINS)
        return cls(cells, low, step_c, bins, total.reshape(*cells.size, BINS).astype(np.float32))

    def without(self, hot: Mask) -> Float32[np.ndarray, "R C B"]:
        """Return the counts without some pixels."""
        left_out = np.bincount(self.bins[hot], minlength=self.total.size).astype(np.float32)
        return self.total - left_out.reshape(self.total.shape)

    def percentile(self, counts: Float[np.ndarray, "R C B"], config: LocalContrastConfig, pixels: int) -> Values:
        """Return the percentile of the neighbourhood of each pixel (H W)."""
        around = self.cells.around(counts.astype(np.float32), config.neighbourhood_percent)
        around[around.sum(axis=-1) < FEW * pixels] = counts.sum(axis=(0, 1))
        steps = _percentile(around, config.neighbour_percentile)
        return self.cells.interpolated(self.low + self.step_c * steps)


def _percentile(counts: Float[np.ndarray, "R C B"], percent: float) -> Float[np.ndarray, "R C"]:
    """Return the percentile of each histogram in steps, with a straight line through the step that holds it."""
    running = np.cumsum(counts, axis=-1)
    wanted = running[..., -1:] * (percent / 100)
    step = np.minimum((running < wanted).sum(axis=-1, keepdims=True), BINS - 1)
    inside = np.take_along_axis(counts, step, axis=-1)
    before = np.take_along_axis(running, step, axis=-1) - inside
    place: np.ndarray = step + (wanted - before) / np.maximum(inside, 1)
    return place[..., 0]


METHOD = LocalContrast()
