"""Numbers of all regions of a picture in one pass over their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from isotherm.core.findings import TemperatureStats
from isotherm.core.regions import Labels, Values
from isotherm.core.shapes import Box


@dataclass(frozen=True, eq=False)
class RegionStats:
    """One number for each of R regions, in the order of their labels.

    Minimum, maximum, mean and (population) standard deviation leave out pixels without a value and are NaN where a
    region has no other; the peak is the first largest value in raster order, the first pixel where there is no value.
    """

    area_px: Int[np.ndarray, " R"]
    left: Int[np.ndarray, " R"]
    top: Int[np.ndarray, " R"]
    right: Int[np.ndarray, " R"]
    bottom: Int[np.ndarray, " R"]
    peak_x: Int[np.ndarray, " R"]
    peak_y: Int[np.ndarray, " R"]
    low: Float64[np.ndarray, " R"]
    high: Float64[np.ndarray, " R"]
    mean: Float64[np.ndarray, " R"]
    std: Float64[np.ndarray, " R"]

    def box(self, region: int) -> Box:
        """Return the smallest box round a region."""
        left, top = int(self.left[region]), int(self.top[region])
        return Box(left, top, int(self.right[region]) - left + 1, int(self.bottom[region]) - top + 1)

    def peak(self, region: int) -> tuple[int, int]:
        """Return (x, y) of a region's highest value."""
        return int(self.peak_x[region]), int(self.peak_y[region])

    def temperatures(self, region: int) -> TemperatureStats | None:
        """Return a region's statistics as temperatures, None where it has no value."""
        if np.isnan(self.high[region]):
            return None
        low, high, mean, std = (float(part[region]) for part in (self.low, self.high, self.mean, self.std))
        return TemperatureStats(low, high, mean, std)


def region_stats(values: Values, labels: Labels, count: int) -> RegionStats:
    """Measure each labelled region.

    Parameters
    ----------
    values
        (H W) °C or grey levels; what is not finite counts as no value.
    labels, count
        (H W) with the numbers 1 .. count, each on at least one pixel; 0 is outside.
    """
    pixels = np.flatnonzero(labels != 0)  # of booleans it is many times faster than of numbers
    # Stable, so that the pixels of a region stay in raster order; two-byte keys are sorted by radix, in linear time.
    number = labels.ravel()[pixels].astype(np.uint16 if count < 2**16 else np.int32)
    pixels = pixels[np.argsort(number, kind="stable")]
    area = np.bincount(number, minlength=count + 1)[1:]
    first = np.cumsum(area) - area
    y, x = np.divmod(pixels, labels.shape[1])
    peak, low, high, mean, std = _of_values(values.ravel()[pixels].astype(np.float64), first, area)
    return RegionStats(
        area_px=area,
        left=np.minimum.reduceat(x, first),
        top=np.minimum.reduceat(y, first),
        right=np.maximum.reduceat(x, first),
        bottom=np.maximum.reduceat(y, first),
        peak_x=x[peak],
        peak_y=y[peak],
        low=low,
        high=high,
        mean=mean,
        std=std,
    )


def _of_values(
    values: Float64[np.ndarray, " P"], first: Int[np.ndarray, " R"], area: Int[np.ndarray, " R"]
) -> tuple[np.ndarray, ...]:
    """Return the place of each region's peak, and minimum, maximum, mean and standard deviation."""
    known = np.isfinite(values)
    count = np.add.reduceat(known, first, dtype=np.float64)
    none = count == 0
    low = np.minimum.reduceat(np.where(known, values, np.inf), first)
    filled = np.where(known, values, -np.inf)
    high = np.maximum.reduceat(filled, first)
    at_peak = np.flatnonzero(filled == np.repeat(high, area))
    peak = at_peak[np.searchsorted(at_peak, first)]
    divisor = np.where(none, np.nan, count)
    mean = np.add.reduceat(np.where(known, values, 0), first) / divisor
    deviation = np.where(known, values - np.repeat(mean, area), 0)
    std = np.sqrt(np.add.reduceat(deviation**2, first) / divisor)
    return peak, np.where(none, np.nan, low), np.where(none, np.nan, high), mean, std


def stats_of(values: Float[np.ndarray, " *any"]) -> TemperatureStats | None:
    """Return the statistics of the finite values (standard deviation: population), None where there are none."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not known.size:
        return None
    return TemperatureStats(float(known.min()), float(known.max()), float(known.mean()), float(known.std()))
