"""How far each pixel is from what is usual in a stack of maps: one picture out of many, whatever the sign."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float32, Float64

from isotherm.core.errors import DataError
from isotherm.sequences.levelling import levelled

Maps = Float32[np.ndarray, "K H W"]
KEPT = 0.75
"""Share of the pixels that the usual is learnt from; so many plates' pixels at least are sound."""
ROUNDS = 8
SHRUNK = 0.5
"""How far the covariances of maps are drawn to 0; see `departure`."""


SMOOTH_PX = 1.5


def departure(maps: Maps, *, smooth_px: float = SMOOTH_PX) -> Float32[np.ndarray, "H W"]:
    """Return the robust distance of each pixel from the usual, on the scale of standard deviations.

    The maps are levelled first (`isotherm.sequences.levelling`): else uneven heating is most of what pixels differ by.
    Mahalanobis' distance with the mean and covariance of the three quarters of the pixels that lie nearest, found by
    turns (the concentration steps of Rousseeuw & Van Driessen, Technometrics 41(3), 1999, from robust z as start).
    Covariances between maps are halved: what the sound pixels of one plate have in common is known badly, and small
    differences along a direction in which they hardly vary would count for too much. The
    squared distance over its number of maps is turned into a standard normal deviate (Wilson & Hilferty, PNAS 17,
    1931), with the median of all pixels at 0: so 0 is usual and 5 is far, however many maps there are. The sign of the
    contrast, which turns with depth, does not matter.

    Parameters
    ----------
    maps
        Any maps; each is brought to robust z first. A pixel without a number in one of them stays NaN.
    smooth_px
        Maps are smoothed by a Gaussian of this standard deviation [px]; 0: not at all.

    Raises
    ------
    DataError
        Fewer pixels with numbers than four for each map, or no map differs between pixels.
    """
    known = np.isfinite(maps).all(axis=0)
    count = int(np.count_nonzero(known))
    if count < 4 * (len(maps) + 1):
        raise DataError(f"{count} pixels with numbers are too few for {len(maps)} maps")
    level = levelled(maps, known, smooth_px=smooth_px)
    scaled = _scaled(level[:, known].astype(np.float64))
    if not len(scaled):
        raise DataError("the maps are constant: nothing departs from anything")
    squared = _concentrated(scaled)
    found = np.full(maps.shape[1:], np.nan, np.float32)
    found[known] = _deviates(squared, len(scaled))
    return found


def _scaled(values: Float64[np.ndarray, "K P"]) -> Float64[np.ndarray, "k P"]:
    """Return robust z of the maps that are not constant."""
    away = values - np.median(values, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(away), axis=1)
    spread = np.where(spread > 0, spread, away.std(axis=1))
    varied = spread > 0
    return np.asarray(away[varied] / spread[varied, None])


def _concentrated(scaled: Float64[np.ndarray, "k P"]) -> Float64[np.ndarray, " P"]:
    """Return squared distances from the centre of the nearest pixels."""
    squared: Float64[np.ndarray, " P"] = np.asarray(np.mean(np.abs(scaled), axis=0))
    before: Bool[np.ndarray, " P"] | None = None
    for _ in range(ROUNDS):
        near = squared <= np.quantile(squared, KEPT)
        if before is not None and np.array_equal(near, before):
            break
        squared, before = _distances(scaled, scaled[:, near]), near
    return squared


def _distances(scaled: Float64[np.ndarray, "k P"], usual: Float64[np.ndarray, "k N"]) -> Float64[np.ndarray, " P"]:
    covariance = np.atleast_2d(np.cov(usual))
    covariance = (1 - SHRUNK) * covariance + SHRUNK * np.diag(np.diag(covariance)) + 1e-9 * np.eye(len(covariance))
    away = np.linalg.solve(np.linalg.cholesky(covariance), scaled - usual.mean(axis=1, keepdims=True))
    return np.asarray((away**2).sum(axis=0))


def _deviates(squared: Float64[np.ndarray, " P"], count: int) -> Float64[np.ndarray, " P"]:
    """Turn squared distances over `count` maps into standard normal deviates, their median at 0."""
    step = 2 / (9 * count)
    usual = np.median(squared)
    # The median of chi-square is count (1 - step)^3 in this approximation: the distances are scaled to have it.
    ratio = squared / usual * (1 - step) ** 3 if usual > 0 else squared / count
    return np.asarray((np.cbrt(ratio) - (1 - step)) / math.sqrt(step))
