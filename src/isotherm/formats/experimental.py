"""What readers of layouts share that are known from other people's source only: the note, the scene, a check by itself.

Nobody of this project has seen a real file of these formats. So each of their thermograms says so, sizes are checked
twice (a size that the file declares, and the bytes that are there), and where a file records its own extreme
temperatures, the picture is compared with them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Num

from isotherm.core.errors import TooLargeError
from isotherm.core.scene import ZERO_CELSIUS_K, Param, Scene, Source, assumed_scene, shortest
from isotherm.core.thermogram import Counts, Temperatures
from isotherm.formats.cursor import Cursor
from isotherm.formats.reader import MAX_PIXELS

NOTE = "experimental: this layout was never checked against a real file"

PLAUSIBLE_C = (-200.0, 3500.0)
"""Temperatures that a thermal camera may store [°C]."""
LEAST_SPREAD_C = 0.01
"""Less than the noise of any thermal camera [°C]."""
_BOUNDS = {
    "emissivity": (0.01, 1.0),
    "reflected_k": (100.0, 3300.0),
    "atmosphere_k": (173.0, 473.0),
    "humidity": (0.0, 1.0),
    "distance_m": (0.0, 100_000.0),
    "window_transmission": (0.01, 1.0),
    "window_k": (100.0, 3300.0),
}


def scene_of(values: Mapping[str, float]) -> tuple[Scene, tuple[str, ...]]:
    """Return the assumed scene with a file's values in it, and a note for each of them that makes no sense.

    Parameters
    ----------
    values
        Scene parameter -> value in the scene's own unit (kelvin, fractions, metres).
    """
    params, notes = assumed_scene().params(), []
    for name, value in values.items():
        low, high = _BOUNDS[name]
        if math.isfinite(value) and low <= value <= high:
            params[name] = Param(shortest(value), params[name].unit, Source.FILE)
        else:
            notes.append(f"{name} in the file is {value:g}: {params[name].value:g} assumed")
    return Scene(**params), tuple(notes)


def to_k(celsius: float) -> float:
    """Return a temperature in °C as kelvin."""
    return celsius + ZERO_CELSIUS_K


def plane(cursor: Cursor, offset: int, size: tuple[int, int], dtype: str) -> Counts:
    """Return the (H W) numbers of type `dtype` (NumPy's code with byte order) at `offset`, in native order.

    Raises
    ------
    FormatError
        They are not all there.
    TooLargeError
        More than `MAX_PIXELS`.
    """
    height, width = size
    if height <= 0 or width <= 0:
        raise cursor.error(f"a picture of {width} x {height} pixels holds nothing", offset)
    if height * width > MAX_PIXELS:
        place = cursor.place(offset)
        raise TooLargeError(f"{cursor.what}: {width} x {height} pixels; at most {MAX_PIXELS} are decoded", place)
    kind = np.dtype(dtype)
    raw = cursor.take(offset, height * width * kind.itemsize)
    return np.frombuffer(raw, kind).reshape(height, width).astype(kind.newbyteorder("="))


def plausible(celsius: Num[np.ndarray, "H W"]) -> bool:
    """Say whether every number could be a temperature in °C, and they differ as those of a real scene do."""
    low, high = PLAUSIBLE_C
    least, most = celsius.min(), celsius.max()
    return bool(low <= least and most <= high and most - least > LEAST_SPREAD_C)


def extremes_note(celsius: Temperatures, recorded_c: tuple[float, float], *, step_c: float) -> tuple[str, ...]:
    """Return a note where the lowest and highest temperature that a file records are not those of its picture.

    Parameters
    ----------
    celsius
        (H W) [°C], as decoded.
    recorded_c
        The lowest and the highest temperature in the file's own words [°C].
    step_c
        By how much both may differ, one step of what is stored [°C].
    """
    low, high = recorded_c
    if not (math.isfinite(low) and math.isfinite(high) and np.isfinite(celsius).any()):
        return ()
    found = float(np.nanmin(celsius)), float(np.nanmax(celsius))
    if abs(found[0] - low) <= step_c and abs(found[1] - high) <= step_c:
        return ()
    return (
        f"the file records {low:.2f} to {high:.2f} °C, its picture was decoded as {found[0]:.2f} to {found[1]:.2f} °C: "
        "the layout may be another one",
    )
