"""The middle of many numbers, in half the time that a partition takes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_FEW = 20_000
"""For fewer numbers a partition is quicker."""


def median(known: Float[np.ndarray, " P"]) -> float:
    """Return what `numpy.median` does, for numbers none of which is NaN and of which there is at least one.

    The bits of 32-bit floats, those of negative ones turned round, are in the order of the numbers: counting their
    upper halves tells in which of 65,536 classes the middle lies, and only the numbers of that class are sorted.
    """
    if known.dtype != np.float32 or known.size < _FEW:
        return float(np.median(known))
    bits = np.ascontiguousarray(known).view(np.int32)
    upper = (bits ^ ((bits >> 31) & 0x7FFFFFFF)) >> 16
    upper -= upper.min()
    below = np.cumsum(np.bincount(upper))
    places = (known.size - 1) // 2, known.size // 2
    classes = [int(np.searchsorted(below, place, side="right")) for place in places]
    inside = np.sort(known[upper == classes[0]])
    low = inside[places[0] - int(below[classes[0]])]
    same = classes[0] == classes[1]
    high = inside[places[1] - int(below[classes[1]])] if same else known[upper == classes[1]].min()
    return float(np.mean(np.array([low, high], np.float32)))
