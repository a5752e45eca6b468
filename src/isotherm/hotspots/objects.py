"""What in a picture is an object, and what is only the cold background behind it.

A clear sky is 20 to 60 K colder than everything before it. A rule that compares with all pixels then takes whole towers
for hotspots; the methods here that say so compare only with the pixels that this module calls objects.
"""

from __future__ import annotations

import numpy as np

from isotherm.core.regions import Mask, Values
from isotherm.hotspots.otsu import split

MIN_GAP_C = 3.0
"""The background is left out only where it is colder than the objects by this on average [°C or grey levels]."""
CLIP_PERCENT = 95.0
"""What is hotter than this percentile counts as being at it, so that one very hot spot is no class of its own."""
BINS = 512
SAMPLE = 20_000
"""About so many pixels, evenly over the picture, decide where the background ends."""
PASSES = 2
"""Hot pixels found in one pass are left out of the reference of the next."""


def object_pixels(values: Values) -> Mask:
    """Return the finite pixels that are no cold background.

    Otsu's threshold parts the values, clipped from above, in two classes. The colder one is background where the means
    of the two differ by at least `MIN_GAP_C`; otherwise every finite pixel belongs to an object.

    Parameters
    ----------
    values
        (H W) °C or grey levels.

    Returns
    -------
    Mask
        (H W) bool.
    """
    finite: Mask = np.isfinite(values)
    known = values[finite]
    if not known.size:
        return finite
    known = known[:: max(1, known.size // SAMPLE)]
    clipped = np.minimum(known, np.percentile(known, CLIP_PERCENT)).astype(np.float64)
    limit, gap = split(clipped, BINS)
    if gap >= MIN_GAP_C:
        finite &= values >= limit
    return finite


def usual_high(values: Values, objects: Mask, *, percentile: float, rise_c: float) -> float | None:
    """Return the percentile of the objects without what is hot: more than `rise_c` above that percentile.

    None where there is no object.
    """
    usual = objects
    high = None
    for _ in range(PASSES):
        known = values[usual]
        if not known.size:
            break
        high = float(np.percentile(known, percentile))
        usual = objects & (values <= high + rise_c)
    return high
