"""Arrays of a detector that come from a file are looked at before they are believed."""

from __future__ import annotations

import numpy as np

from isotherm.anomaly.method import Arrays
from isotherm.core.errors import ModelError
from isotherm.runtime.stored_arrays import stored

__all__ = ["stored", "stored_size"]


def stored_size(arrays: Arrays) -> tuple[int, int]:
    """Return height and width of the network input, stored as ``size``; raises ModelError where they make no sense."""
    height, width = (int(side) for side in stored(arrays, "size", np.int32, 2))
    if any(side % 32 or not 32 <= side <= 4096 for side in (height, width)):
        raise ModelError(f"a network input of {height} x {width} px makes no sense (multiples of 32, at most 4096)")
    return height, width
