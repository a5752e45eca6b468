"""What in a picture is an object, what is only the cold background behind it, and what is usual for the objects.

A clear sky is 20 to 60 K colder than everything before it. A rule that compares with all pixels then takes whole towers
for hotspots; the methods here that say so compare only with the pixels that this module calls objects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotherm.core.regions import Mask, Values
from isotherm.core.two_classes import split

MIN_GAP_C = 3.0
"""The background is left out only where it is colder than the objects by this on average [°C or grey levels]."""
SKY_BELOW_C = 15.0
"""A background of this mean temperature or less can be a sky, however small the objects before it are [°C]."""
LEAST_SHARE = 0.2
"""Before a warmer background, what fills less than this share of the picture may be the hotspot, not the objects."""
CLIP_PERCENT = 95.0
"""What is hotter than this percentile counts as being at it, so that one very hot spot is no class of its own."""
HOT_SHARE, HOT_SEPARABILITY = 0.15, 0.85
"""A hot class of at most this share of the objects, and so clearly apart, does not belong to what is usual."""
BINS = 512
SAMPLE = 20_000
"""About so many pixels, evenly over the picture, decide where the background ends."""
PASSES = 2


def object_pixels(values: Values) -> Mask:
    """Return the finite pixels that are no cold background.

    Otsu's threshold parts the values, clipped from above, in two classes. The colder one is background where the means
    of the two differ by at least `MIN_GAP_C`, and where it is as cold as a sky or the warmer class fills a good part of
    the picture; otherwise every finite pixel belongs to an object.

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
    background = _background(values, finite)
    if background is not None and (background.share >= LEAST_SHARE or background.mean_c <= SKY_BELOW_C):
        finite &= values >= background.limit_c
    return finite


def without_sky(values: Values) -> Values:
    """Return °C with NaN in place of a background that is as cold as a sky; the same array where there is none."""
    background = _background(values, np.isfinite(values))
    if background is None or background.mean_c > SKY_BELOW_C:
        return values
    return np.where(values < background.limit_c, np.float32(np.nan), values)


class _Background(NamedTuple):
    """The background is below a limit [°C] and has this mean [°C]; the share of the picture is that of all the rest."""

    limit_c: float
    mean_c: float
    share: float


def _background(values: Values, finite: Mask) -> _Background | None:
    """Return the colder of two classes that are at least `MIN_GAP_C` apart; None where there are no two."""
    known = _sample(values, finite)
    if not known.size:
        return None
    clipped = np.minimum(known, np.percentile(known, CLIP_PERCENT))
    limit, gap = split(clipped, BINS)
    if gap < MIN_GAP_C:
        return None
    warm = clipped >= limit
    return _Background(limit, float(clipped[~warm].mean()), float(warm.mean()))


def usual_pixels(values: Values, objects: Mask, *, rise_c: float) -> Mask:
    """Return the objects without a hot class that is clearly apart from the others by at least `rise_c` on average.

    A hot part that fills more of the picture than a high percentile leaves out would otherwise be usual itself. The
    classes are Otsu's; how clearly they are apart is his separability, the variance between the classes over the whole
    variance.
    """
    usual = objects
    for _ in range(PASSES):
        known = _sample(values, usual)
        if not known.size or known.min() == known.max():
            break
        limit, gap = split(known, BINS)
        share = float((known >= limit).mean())
        separability = share * (1 - share) * gap**2 / known.var()
        if gap < rise_c or share > HOT_SHARE or separability < HOT_SEPARABILITY:
            break
        usual = usual & (values < limit)
    return usual


def usual_high(values: Values, objects: Mask, *, percentile: float, rise_c: float) -> float | None:
    """Return the percentile of what is usual for the objects, without what is more than `rise_c` above it.

    None where there is no object.
    """
    usual = usual_pixels(values, objects, rise_c=rise_c)
    high = None
    for _ in range(PASSES):
        known = values[usual]
        if not known.size:
            break
        high = float(np.percentile(known, percentile))
        lower = usual & (values <= high + rise_c)
        if np.array_equal(lower, usual):
            break
        usual = lower
    return high


def _sample(values: Values, chosen: Mask) -> Float64[np.ndarray, " P"]:
    known = values.ravel() if chosen.all() else values[chosen]
    thinned: Float64[np.ndarray, " P"] = known[:: max(1, known.size // SAMPLE)].astype(np.float64)
    return thinned
