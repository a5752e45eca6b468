"""The numbers at the ends of a colour scale, whoever read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isotherm.formats.reader import ReadHints
from isotherm.radiometry.estimated import Law
from isotherm.radiometry.linear import Unit


@dataclass(frozen=True)
class Ends:
    """The numbers at the ends of a scale.

    Parameters
    ----------
    low, high
        In `unit`.
    sigma
        Standard uncertainty of each, such as that of its rounding.
    law
        How temperature goes along the scale.
    source
        "typed" or "read by OCR".
    notes
        What the user should know about them.
    """

    low: float
    high: float
    sigma: float
    unit: Unit = "c"
    law: Law = "unknown"
    source: str = "typed"
    notes: tuple[str, ...] = ()


def rounding_sigma(decimals: int) -> float:
    """Return the standard uncertainty of a number that was rounded to so many decimals."""
    return float(10.0**-decimals / math.sqrt(12))


def typed_ends(hints: ReadHints) -> Ends | None:
    """Return the ends that the user typed, None for none; their last decimal says how they were rounded."""
    ends = hints.scale_ends()
    if ends is None or hints.scale is None:
        return None
    decimals = max(len(text.partition(".")[2].strip()) for text in hints.scale.split(","))
    notes = () if hints.unit else ("unit of --scale taken as °C",)
    return Ends(*ends, rounding_sigma(decimals), hints.unit or "c", notes=notes)
