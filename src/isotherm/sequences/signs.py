"""Which sign a component gets: its mathematics leaves that open, pictures and networks must not."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Float64

_EVEN = 0.02


def skew_signs(maps: Float32[np.ndarray, "K H W"], curves: Float[np.ndarray, "K T"]) -> Float64[np.ndarray, " K"]:
    """Return 1 or -1 for each component, so that small bright parts of its map are positive.

    Parameters
    ----------
    maps
        One for each component; NaN pixels do not count.
    curves
        What belongs to them in time; the largest value is made positive where the map is even (skewness below 0.02).
    """
    skewed = np.array([skewness(each) for each in maps])
    largest = np.take_along_axis(curves, np.abs(curves).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(np.where(np.abs(skewed) > _EVEN, skewed, largest) < 0, -1.0, 1.0)


def skewness(values: Float[np.ndarray, "*any"]) -> float:
    """Return the third standardised moment of what is finite; 0 where all is alike."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return 0.0
    finite -= finite.mean()
    spread = np.sqrt(np.square(finite).mean())
    return float((finite * finite * finite).mean() / spread**3) if spread > 0 else 0.0
