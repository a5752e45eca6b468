"""Arrays that come from a file are looked at before they are believed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from isotherm.core.errors import ModelError


def stored(arrays: Mapping[str, np.ndarray], name: str, dtype: npt.DTypeLike, *shape: int | None) -> np.ndarray:
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
