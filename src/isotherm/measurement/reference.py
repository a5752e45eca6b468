"""What a temperature difference is taken over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.order import median
from isotherm.core.regions import Values
from isotherm.core.scene import ZERO_CELSIUS_K, Param, Scene, Source
from isotherm.core.shapes import Box

Comparison = Literal["similar", "ambient"]


@dataclass(frozen=True)
class Reference:
    """A temperature to compare with.

    Parameters
    ----------
    text
        What it is, in words.
    value_c
        Its temperature [°C]; None where the picture has none.
    comparison
        The comparison of severity tables that it makes: with a similar component, with ambient air, or with neither.
    caveat
        What a reader of a verdict should know about it; empty where there is nothing.
    obstacle
        Why no table can judge what is over it; empty where one can.
    """

    text: str
    value_c: float | None
    comparison: Comparison | None
    caveat: str = ""
    obstacle: str = ""


def parse_box(text: str) -> Box:
    """Read a box written as ``x,y,width,height`` [px]; raises ConfigError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise ConfigError(f"a box is four whole numbers x,y,width,height [px], such as 10,20,30,40; not {text!r}")
    box = Box(*(int(part) for part in parts))
    if box.width == 0 or box.height == 0:
        raise ConfigError(f"a box must be at least 1 px wide and high; not {text!r}")
    return box


def finite_median(values: Float[np.ndarray, " *any"]) -> float | None:
    """Return the median of the finite values, None where there are none."""
    known = values[np.isfinite(values)]
    return median(known) if known.size else None


def box_maximum(values: Values, box: Box) -> float | None:
    """Return the largest finite value in the part of `box` that lies in the picture, None where there is none.

    Raises
    ------
    DataError
        The box lies outside the picture.
    """
    part = values[box.y : box.y + box.height, box.x : box.x + box.width]
    if not part.size:
        height, width = values.shape
        place = f"{box.x},{box.y},{box.width},{box.height}"
        raise DataError(f"the region {place} lies outside the picture, which is {width}x{height} px")
    known = part[np.isfinite(part)]
    return float(known.max()) if known.size else None


def median_reference(values: Values, marked: np.ndarray) -> Reference:
    """Return the median of the picture outside the marked (H W) pixels.

    It stands in for the similar component that a table asks for, and says so: only a person (or a region drawn by one)
    knows which component is similar.
    """
    return Reference(
        "median of the picture outside the marked regions",
        finite_median(values[~marked]),
        "similar",
        "the median of the picture stands for the similar component",
    )


def box_reference(values: Values, box: Box) -> Reference:
    """Return the hottest pixel of a region, as of the same component in another phase (hottest against hottest)."""
    place = f"{box.x},{box.y},{box.width},{box.height}"
    return Reference(f"maximum of the region {place}", box_maximum(values, box), "similar")


def ambient_reference(scene: Scene) -> Reference:
    """Return the temperature of the air in the scene; over a guessed one nothing can be judged."""
    air = scene.atmosphere_k
    return Reference(f"ambient air ({air.source})", air.value - ZERO_CELSIUS_K, "ambient", obstacle=air_not_known(air))


def air_not_known(air: Param) -> str:
    """Return why no table can judge a rise over this temperature of the air; empty where nobody guessed it."""
    if air.source not in (Source.ASSUMED, Source.CAMERA_DEFAULT):
        return ""
    guess = "assumed" if air.source == Source.ASSUMED else "a camera default"
    return f"air temperature not known ({air.value - ZERO_CELSIUS_K:.0f} °C is {guess}; give --atmosphere-c)"
