"""The span of the colours: each picture's own, or one for a whole set, so that equal colours are equal temperatures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from isotherm.core.errors import ConfigError
from isotherm.core.thermogram import Thermogram
from isotherm.reports.drawing import Span
from isotherm.reports.view_data import own_span

SPAN_HELP = (
    "span of the colours: low,high in °C; set: one span for all pictures of this run; auto: each picture's own "
    "(default auto)"
)


@dataclass(frozen=True)
class SpanChoice:
    """What was asked for: "auto", "set", or "fixed" with the ends [°C]."""

    kind: Literal["auto", "set", "fixed"] = "auto"
    fixed: Span | None = None

    def __str__(self) -> str:
        return f"{self.fixed.low:g},{self.fixed.high:g}" if self.fixed else self.kind


def parse_span(text: str) -> SpanChoice:
    """Read ``low,high``, ``set`` or ``auto``; raises ConfigError that says what would be right."""
    if text == "auto":
        return SpanChoice()
    if text == "set":
        return SpanChoice("set")
    low, _, high = text.partition(",")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = math.nan, math.nan
    if not (math.isfinite(ends[0]) and math.isfinite(ends[1]) and ends[0] < ends[1]):
        raise ConfigError(f"--span is low,high [°C] such as 20,60, or set, or auto; not {text!r}")
    return SpanChoice("fixed", Span(*ends))


def fixed_span(choice: SpanChoice, thermograms: Iterable[Thermogram]) -> Span | None:
    """Return the span for all pictures of a set; None where each has its own.

    Parameters
    ----------
    choice
        What was asked for.
    thermograms
        The pictures; looked at for ``set`` only, in one pass, those without temperatures left out.
    """
    if choice.kind != "set":
        return choice.fixed
    low, high = math.inf, -math.inf
    for thermogram in thermograms:
        values = thermogram.values()
        if thermogram.radiometric and np.isfinite(values).any():
            span = own_span(values, radiometric=True)
            low, high = min(low, span.low), max(high, span.high)
    return Span(low, high) if low < high else None
