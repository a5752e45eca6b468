"""Values parted into the two classes that differ most.

N. Otsu, A Threshold Selection Method from Gray-Level Histograms, IEEE Trans. SMC 9(1), 1979, eq. 18.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Integer, Num


def split(known: Float64[np.ndarray, " P"], bins: int) -> tuple[float, float]:
    """Return the threshold that parts values best, and how far the means of the two classes differ.

    Values at or above the threshold are the hotter class; a flat picture has no second one, and the difference 0.
    """
    low, high = float(known.min()), float(known.max())
    if low == high:
        return low, 0.0
    step = np.minimum((known - low) * (bins / (high - low)), bins - 1).astype(np.intp)
    count = np.bincount(step, minlength=bins)
    parted = best_step(count, np.bincount(step, weights=known - low, minlength=bins))
    if parted is None:
        return low, 0.0
    last_cold, difference = parted
    return low + (last_cold + 1) * (high - low) / bins, difference


def best_step(count: Integer[np.ndarray, " B"], total: Num[np.ndarray, " B"]) -> tuple[int, float] | None:
    """Return the last step of the colder class and the difference of the means; None where there is but one class."""
    below, above = np.cumsum(count)[:-1].astype(np.float64), np.cumsum(count[::-1])[::-1][1:].astype(np.float64)
    parted = (below > 0) & (above > 0)
    if not parted.any():
        return None
    mean_below = np.cumsum(total)[:-1] / np.maximum(below, 1)
    mean_above = np.cumsum(total[::-1])[::-1][1:] / np.maximum(above, 1)
    last_cold = int(np.argmax(below * above * (mean_above - mean_below) ** 2))
    return last_cold, float(mean_above[last_cold] - mean_below[last_cold])
