"""What a person looks at first, as numbers: how far the hottest parts stand out from the rest of their object.

A sky of -40 °C, a field in the sun or the camera's distance change every percentile of a picture and mean nothing. So
most of these statistics compare like with like: the upper tail with itself, hot pixels with the *body* (what is warmer
than Otsu's threshold: not the sky), a place with its surroundings within the body, what is narrow with what is broad.

References
----------
N. Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979). White top-hat: J. Serra,
Image analysis and mathematical morphology (1982). Means over a part of the picture: H. Knutsson, C.-F. Westin,
Normalized and differential convolution, CVPR 1993.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Float64

from isotherm.anomaly.method import Inputs
from isotherm.anomaly.smoothing import smoothing
from isotherm.core.regions import label

TAILS = ((100, 99.9), (100, 99), (100, 95), (99.9, 95), (99.9, 99), (99, 95), (99, 90), (95, 50), (100, 50))
"""Pairs of percentiles whose difference is a statistic."""
PERCENTILES = tuple(sorted({percent for pair in TAILS for percent in pair}))
EXCESSES = (0.02, 0.05, 0.1, 0.2)
"""How far above the body's median a pixel must be to count as hot [share of the span]."""
WIDTHS_PX = (3, 5, 9, 17, 33)
"""Sides of the squares that do not fit into what is narrow [px of the picture at half size]."""
SCALES_PX = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Sizes (sigma) of the surroundings that a place is compared with."""
FINE_PX = 1.0
FEW = 20
"""The so-manieth strongest contrast is a statistic too: one noisy pixel does not move it."""
NOISE = 0.005
"""Added to spreads [share of the span], so that noise in a flat picture does not stand out."""
BINS, TIE = 256, 1e-9
GAIN = 100.0
"""Lengths and shares are multiplied by it before the logarithm, so that a hundredth is where it bends."""
NAMES = (
    *(f"p{high:g}-p{low:g}" for high, low in TAILS),
    "body_share",
    "max_over_body_spread",
    "p99_over_body_spread",
    "max_over_body_tail",
    *(f"{what}_above_{excess:g}" for excess in EXCESSES for what in ("area", "regions", "body_share", "largest")),
    *(f"tophat_{width}" for width in WIDTHS_PX),
    *(f"contrast_{scale:g}{what}" for scale in SCALES_PX for what in ("", "_over_spread", "_few_over_spread")),
)
"""Names of the statistics, in their order."""
Values = Float32[np.ndarray, "H W"]
Mask = Bool[np.ndarray, "H W"]


@dataclass(frozen=True, eq=False)
class Described:
    """The statistics (D) of one picture, compressed by a signed logarithm, and its local contrast (H W)."""

    statistics: Float64[np.ndarray, " D"]
    contrast: Values


def describe(inputs: Inputs) -> list[Described]:
    """Describe each of N network inputs; colours count by their mean."""
    grey = inputs.pixels.mean(axis=1)
    return [_described(values, ~out) for values, out in zip(grey, inputs.ignored(), strict=True)]


def _described(values: Values, kept: Mask) -> Described:
    if not kept.any():
        kept = np.ones_like(kept)
    percentiles = dict(zip(PERCENTILES, np.percentile(values[kept], PERCENTILES).tolist(), strict=True))
    threshold = otsu(np.minimum(values[kept], percentiles[99]))
    # In a flat picture nothing is above the threshold: all of it is body.
    body = kept & (values > threshold) if (kept & (values > threshold)).any() else kept
    weight = body.astype(np.float32)
    fine = _mean_within(values, weight, FINE_PX)
    # How far each place of the body is above the body around it.
    contrasts = [np.where(body, fine - _mean_within(values, weight, scale), np.float32(0)) for scale in SCALES_PX]
    statistics = [
        *(GAIN * (percentiles[high] - percentiles[low]) for high, low in TAILS),
        *_body(values, body, kept, percentiles[100]),
        *_hot(values, body, kept),
        *_tophats(values, body, kept),
        *(number for contrast in contrasts for number in _strongest(contrast, body)),
    ]
    contrast: Values = np.stack(contrasts).mean(axis=0)
    return Described(compressed(np.array(statistics)), contrast)


def compressed(statistics: Float64[np.ndarray, "*N D"]) -> Float64[np.ndarray, "*N D"]:
    """Return sign(x) log(1 + |x|): a difference of 1 to 2 K counts as much as one of 10 to 20."""
    squeezed: np.ndarray = np.sign(statistics) * np.log1p(np.abs(statistics))
    return squeezed


def otsu(values: Float32[np.ndarray, " P"]) -> float:
    """Return the threshold that parts values into two groups of the least spread within."""
    counts, edges = np.histogram(values, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * centres)
    above = below[-1] - below
    gap = np.where((below > 0) & (above > 0), sums[-1] * below / below[-1] - sums, 0.0)
    between = gap**2 / np.maximum(below * above, 1)
    # Where nothing lies between the groups, every threshold there is as good: the middle one.
    best = np.flatnonzero(between >= between.max() * (1 - TIE))
    return float(centres[best].mean())


def _body(values: Values, body: Mask, kept: Mask, highest: float) -> list[float]:
    quarter, median, upper, tail, top = np.percentile(values[body], (25, 50, 75, 90, 99)).tolist()
    spread = upper - quarter + NOISE
    return [
        GAIN * float(body.sum() / kept.sum()),
        (highest - median) / spread,
        (top - median) / spread,
        (highest - tail) / (tail - median + NOISE),
    ]


def _hot(values: Values, body: Mask, kept: Mask) -> list[float]:
    median = np.median(values[body])
    numbers: list[float] = []
    for excess in EXCESSES:
        hot = kept & (values > median + excess)
        labels, count = label(hot)
        largest = int(np.bincount(labels.ravel())[1:].max()) if count else 0
        area = int(hot.sum())
        shares = (area / kept.sum(), count / GAIN, area / body.sum(), largest / kept.sum())
        numbers += [GAIN * float(share) for share in shares]
    return numbers


def _tophats(values: Values, body: Mask, kept: Mask) -> list[float]:
    half = np.where(kept, values, np.median(values[kept]))[::2, ::2]
    inside = body[::2, ::2]
    return [GAIN * float(((half - opening(half, width)) * inside).max()) for width in WIDTHS_PX]


def opening(values: Values, width: int) -> Values:
    """Return the grey opening by a square: what is narrower than `width` is taken off."""
    eroded = _sliding(_sliding(values, width, 0, np.minimum), width, 1, np.minimum)
    return _sliding(_sliding(eroded, width, 0, np.maximum), width, 1, np.maximum)


def _sliding(values: Values, width: int, axis: int, pick: Callable[[Values, Values], Values]) -> Values:
    """Return the least (or largest) of `width` neighbours along an axis, by windows that double in width."""
    length = values.shape[axis]
    padding = [(width // 2, width - 1 - width // 2) if at == axis else (0, 0) for at in (0, 1)]
    found = np.moveaxis(np.pad(values, padding, mode="edge"), axis, 0)
    step = 1
    while 2 * step <= width:
        found = pick(found[:-step], found[step:])
        step *= 2
    found = pick(found[:length], found[width - step : width - step + length])
    return np.moveaxis(found, 0, axis)


def _mean_within(values: Values, weight: Values, sigma_px: float) -> Values:
    down, across = _blurs(values.shape, sigma_px)
    sums: np.ndarray = down @ (values * weight) @ across.T
    weights: np.ndarray = down @ weight @ across.T
    mean: Values = sums / np.maximum(weights, np.float32(1e-3))
    return mean


@lru_cache(maxsize=64)
def _blurs(size: tuple[int, ...], sigma_px: float) -> tuple[Float32[np.ndarray, "H H"], Float32[np.ndarray, "W W"]]:
    return smoothing(size[0], 1.0, sigma_px), smoothing(size[1], 1.0, sigma_px)


def _strongest(contrast: Values, body: Mask) -> list[float]:
    inside = contrast[body]
    spread = float(inside.std()) + 0.4 * NOISE
    few = float(np.partition(inside, -min(FEW, inside.size))[-min(FEW, inside.size)])
    return [GAIN * few, float(inside.max()) / spread, few / spread]
