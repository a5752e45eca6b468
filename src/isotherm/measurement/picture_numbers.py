"""A few numbers that describe a whole picture, to see whether a camera's pictures still look as they did."""

from __future__ import annotations

import numpy as np

from isotherm.core.regions import Values

_MOST_PX = 20_000


def picture_numbers(values: Values) -> dict[str, float]:
    """Return numbers of a picture, of a part of its pixels in large ones.

    Parameters
    ----------
    values
        (H W) in °C or grey levels; what is not finite counts as no value.

    Returns
    -------
    dict
        ``mean``; ``contrast``, the distance of the 5th and 95th percentile; ``sharpness``, the mean step from a pixel
        to the next over the contrast. Empty where there is no value, or only huge ones.
    """
    # Whole rows, because steps between pixels that are not neighbours say nothing about focus.
    step = max(1, values.size // _MOST_PX)
    rows = values[::step]
    known = rows[np.isfinite(rows)]
    if not known.size:
        return {}
    low, high = (float(end) for end in np.percentile(known, (5, 95)))
    steps = np.abs(np.diff(rows, axis=1))
    steps = steps[np.isfinite(steps)]
    contrast = high - low
    sharpness = float(steps.mean()) / contrast if contrast and steps.size else 0.0
    found = {"mean": float(known.mean()), "contrast": contrast, "sharpness": sharpness}
    return found if np.isfinite(list(found.values())).all() else {}
