"""What is hotter than the objects round it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values
from isotherm.hotspots.objects import PASSES, object_pixels

CELLS = 16
"""Cells along the longer side; the reference is computed once for each and interpolated between them."""
BINS = 1024
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
        100.0, "side of the square neighbourhood, in percent of the picture's longer side", low=5, high=200
    )

    def __post_init__(self) -> None:
        validate(self)


class LocalContrast:
    """Pixels that stand above a high percentile of the objects in their neighbourhood.

    Only objects count, not the cold background (see `isotherm.hotspots.objects`), so that a warm tower before a cold
    sky is compared with itself. Pixels found hot are left out and the percentile is taken again, so that a large
    hotspot does not hide itself. The percentiles are those of histograms of square cells, added up over each
    neighbourhood, with straight lines between the cells' centres.
    """

    name = "local_contrast"
    config_type = LocalContrastConfig

    def find(self, values: Values, config: LocalContrastConfig) -> Mask:
        """Return the pixels that stand out; see `HotspotMethod.find`."""
        objects = object_pixels(values)
        hot = np.zeros(values.shape, dtype=np.bool_)
        if not objects.any():
            return hot
        for _ in range(PASSES):
            counted = objects & ~hot
            if not counted.any():
                break
            with np.errstate(invalid="ignore"):
                hot = objects & (values - _reference(values, counted, config) > config.min_contrast_c)
        return hot


def _reference(values: Values, counted: Mask, config: LocalContrastConfig) -> Values:
    """Return the percentile of the counted pixels round each pixel (H W)."""
    cell = max(values.shape) / CELLS
    rows, columns = (max(1, round(side / cell)) for side in values.shape)
    low, high = float(values[counted].min()), float(values[counted].max())
    histograms = _histograms(values, counted, (rows, columns), (low, high))
    reach = round(config.neighbourhood_percent / 100 * CELLS / 2)
    round_each = _summed(_summed(histograms, reach, axis=0), reach, axis=1)
    whole = histograms.sum(axis=(0, 1))
    few = round_each.sum(axis=-1) < FEW * values.size
    round_each[few] = whole
    level = _percentile(round_each, config.neighbour_percentile)
    return _interpolated(low + (high - low) * level / BINS, values.shape)


def _histograms(
    values: Values, counted: Mask, grid: tuple[int, int], span: tuple[float, float]
) -> Int[np.ndarray, "R C B"]:
    """Return how many counted pixels of each cell lie in each step of the span."""
    (rows, columns), (low, high) = grid, span
    height, width = values.shape
    y, x = np.arange(height) * rows // height, np.arange(width) * columns // width
    cell = (y[:, None] * columns + x)[counted]
    step = np.minimum((values[counted] - low) * (BINS / max(high - low, 1e-6)), BINS - 1).astype(np.intp)
    count = np.bincount(cell * BINS + step, minlength=rows * columns * BINS)
    return count.reshape(rows, columns, BINS)


def _summed(cells: Int[np.ndarray, "R C B"], reach: int, *, axis: int) -> Int[np.ndarray, "R C B"]:
    """Return the sum over `reach` cells to both sides along an axis; cells outside the picture are empty."""
    size = cells.shape[axis]
    running = np.concatenate([np.zeros_like(cells.take([0], axis)), np.cumsum(cells, axis=axis)], axis=axis)
    place = np.arange(size)
    after, before = np.minimum(place + reach + 1, size), np.maximum(place - reach, 0)
    summed: np.ndarray = running.take(after, axis) - running.take(before, axis)
    return summed


def _percentile(histograms: Int[np.ndarray, "R C B"], percent: float) -> Float[np.ndarray, "R C"]:
    """Return the percentile of each histogram in steps, with a straight line through the step that holds it."""
    running = np.cumsum(histograms, axis=-1)
    wanted = running[..., -1:] * (percent / 100)
    step = np.minimum((running < wanted).sum(axis=-1, keepdims=True), BINS - 1)
    inside = np.take_along_axis(histograms, step, axis=-1)
    before = np.take_along_axis(running, step, axis=-1) - inside
    place: np.ndarray = step + (wanted - before) / np.maximum(inside, 1)
    return place[..., 0]


def _interpolated(cells: Float[np.ndarray, "R C"], shape: tuple[int, ...]) -> Values:
    """Return cells' values at each pixel: straight lines between the centres of cells, level outside them."""
    for axis, size in enumerate(shape):
        count = cells.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        lower = np.minimum(place.astype(np.intp), max(count - 2, 0))
        upper = np.minimum(lower + 1, count - 1)
        share = np.expand_dims(place - lower, 1 - axis)
        cells = cells.take(lower, axis) * (1 - share) + cells.take(upper, axis) * share
    return cells.astype(np.float32)


METHOD = LocalContrast()
