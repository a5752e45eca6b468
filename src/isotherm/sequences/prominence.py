"""How far each pixel stands out of its surroundings: what lies on the slope of something higher does not."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

Score = Float32[np.ndarray, "H W"]

HEIGHT = 0.5
"""Of a peak, what lies above this part of its height stands out: heat that spreads makes a skirt below that."""
SKIRT = 0.05
"""Part of the departure itself that counts in a score, so that the skirts of faint defects keep an order."""


def standing_out(departure: Score) -> Score:
    """Return how far pixels stand above the skirt of a peak: 0 below half its height, half its height at the top.

    Heat spreads sideways, so a strong defect has a skirt whose departure is above that of a weak defect. No threshold
    on the departure tells them apart. A defect is about as large as its signal at half height, whatever that is: taken
    off is the departure rebuilt from half of itself, by geodesic dilation (grey-scale reconstruction [1]_), which comes
    back on the slopes of what is more than twice as high.

    Parameters
    ----------
    departure
        (H W) of each pixel from the usual, 0 for usual; NaN pixels stay NaN, and nothing climbs across them.

    References
    ----------
    .. [1] L. Vincent, Morphological grayscale reconstruction in image analysis: applications and efficient algorithms,
       IEEE Trans. Image Processing 2(2), 1993.
    """
    known = np.isfinite(departure)
    heights = np.where(known, np.maximum(departure, 0), 0).astype(np.float32)
    return np.where(known, heights - rebuilt(np.float32(HEIGHT) * heights, heights), np.float32(np.nan))


def score_of(departure: Score) -> Score:
    """Return how likely pixels are a defect: how far they stand out, and a little of the departure itself."""
    return np.asarray(standing_out(departure) + np.float32(SKIRT) * np.maximum(departure, 0))


def rebuilt(marker: Score, mask: Score) -> Score:
    """Return the marker dilated (8 neighbours) again and again, never above the mask, until nothing changes."""
    found = np.minimum(marker, mask)
    padded = np.empty((mask.shape[0] + 2, mask.shape[1] + 2), np.float32)
    while True:
        padded[:] = -np.inf
        padded[1:-1, 1:-1] = found
        rows = np.maximum(np.maximum(padded[:, :-2], padded[:, 2:]), padded[:, 1:-1])
        grown = np.minimum(np.maximum(np.maximum(rows[:-2], rows[2:]), rows[1:-1]), mask)
        if np.array_equal(grown, found):
            return np.asarray(found)
        found = grown
