"""Counts whose temperatures stand in a table that the file brings along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from isotherm.core.scene import Scene
from isotherm.core.thermogram import Counts, Temperatures


@dataclass(frozen=True, eq=False)
class TableCalibration:
    """``kelvin = kelvin_of[count]``; the scene changes nothing, it was used when the table was made.

    Parameters
    ----------
    kelvin_of
        Temperature of each count from 0 [K].
    """

    kelvin_of: Float64[np.ndarray, " N"]

    @property
    def kind(self) -> str:
        """The name shown to users."""
        return "table"

    @property
    def supports(self) -> frozenset[str]:
        """No parameter of the scene."""
        return frozenset()

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:  # noqa: ARG002 (the protocol's signature)
        """Return float32 kelvin (H W); NaN where the table has no finite number above 0 K for a count."""
        last = len(self.kelvin_of) - 1
        with np.errstate(over="ignore", invalid="ignore"):
            kelvin: Temperatures = self.kelvin_of.astype(np.float32)[np.clip(counts, 0, last).astype(np.intp)]
            invalid = ~(np.isfinite(kelvin) & (kelvin > 0)) | (counts > last) | (counts < 0)
        kelvin[invalid] = np.nan
        return kelvin

    def describe(self) -> dict[str, Any]:
        """Return the size and the ends of the table, ready for JSON."""
        ends = (float(end) if np.isfinite(end) else None for end in (self.kelvin_of[0], self.kelvin_of[-1]))
        return {"kind": self.kind, "entries": len(self.kelvin_of), "ends_k": list(ends)}
