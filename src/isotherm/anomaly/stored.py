"""Arrays that come from a file are looked at before they are believed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isotherm.anomaly.method import Arrays
from isotherm.core.errors import ModelError


def stored(arrays: Arrays, name: str, dtype: npt.DTypeLike, *shape: int | None) -> np.ndarray:
    """Return one array of a model.

    Parameters
    ----------
    arrays
        All arrays of the model.
    name, dtype
        Which, and of what type.
    shape
        Its lengths; None where any length will do.

    Raises
    ------
    ModelError
        It is missing, of another type or shape, or holds a number that is not finite.
    """
    if name not in arrays:
        raise ModelError(f"array {name!r} is missing")
    array = arrays[name]
    if array.dtype != dtype:
        raise ModelError(f"array {name!r} is {array.dtype}, not {np.dtype(dtype)}")
    fits = len(shape) == array.ndim and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))
    if not fits or not array.size:
        wanted = " ".join("any" if length is None else str(length) for length in shape)
        raise ModelError(f"array {name!r} has the shape {array.shape}, not ({wanted})")
    if not np.isfinite(array).all():
        raise ModelError(f"array {name!r} holds numbers that are not finite")
    return array


def stored_size(arrays: Arrays) -> tuple[int, int]:
    """Return height and width of the network input, stored as ``size``; raises ModelError where they make no sense."""
    height, width = (int(side) for side in stored(arrays, "size", np.int32, 2))
    if any(side % 32 or not 32 <= side <= 4096 for side in (height, width)):
        raise ModelError(f"a network input of {height} x {width} px makes no sense (multiples of 32, at most 4096)")
    return height, width
