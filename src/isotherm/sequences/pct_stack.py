"""Components as maps."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.errors import DataError
from isotherm.sequences.maps import MapStack
from isotherm.sequences.signs import skew_signs


def check_components(name: str, components: int, frames: int, pixels: int, *, of: str = "frames") -> None:
    """Raise DataError where frames or pixels are too few: one more of each is needed than components, for the mean.

    Parameters
    ----------
    name
        Of the sequence.
    pixels
        How many have a number in every frame.
    of
        What the frames are.
    """
    most = min(frames, pixels) - 1
    if components > most:
        few = f"{frames} {of}" if frames <= pixels else f"{pixels} pixels with a number in every frame"
        instead = f"ask for {most} components at most" if most > 0 else "it has no components"
        raise DataError(f"{name}: pct with {components} components needs more than {few}; {instead}")


def component_maps(maps: Float32[np.ndarray, "K H W"], curves: Float64[np.ndarray, "K T"], total: float) -> MapStack:
    """Return components as maps of mean square 1, with their signs fixed.

    Parameters
    ----------
    maps
        The part of each pixel along each curve; changed in place.
    curves
        One for each component, of length 1.
    total
        Sum of the squares of all centred frames.
    """
    finite = maps[:, np.isfinite(maps[0])]
    spreads = np.sqrt(np.square(finite, dtype=np.float64).sum(axis=1))
    signs = skew_signs(maps, curves)
    scale = signs * np.sqrt(max(1, finite.shape[1])) / np.maximum(spreads, np.finfo(np.float32).tiny)
    maps *= scale.astype(np.float32)[:, None, None]
    numbers = range(1, len(maps) + 1)
    share = spreads**2 / total
    details = {"curves": curves * signs[:, None], "singular_value": spreads, "variance_share": share}
    return MapStack(maps, tuple(f"pct_{number}" for number in numbers), ("1",) * len(maps), "pct", details)
