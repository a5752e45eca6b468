"""Temperatures that were estimated when they were written: they stay estimates when they are read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isotherm.core.scene import Scene
from isotherm.core.thermogram import Counts, Temperatures
from isotherm.radiometry.linear import stored_temperatures


@dataclass(frozen=True)
class StoredEstimates:
    """Numbers that are °C, each with the same standard uncertainty.

    Parameters
    ----------
    typical_sigma_k
        Standard uncertainty [K]; NaN where the file does not say.
    """

    typical_sigma_k: float

    @property
    def kind(self) -> str:
        """Always "estimated": never to be mixed with measured temperatures."""
        return "estimated"

    @property
    def supports(self) -> frozenset[str]:
        """No parameter of the scene."""
        return frozenset()

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:
        """Return float32 kelvin (H W); NaN where there is no temperature."""
        return stored_temperatures("c").kelvin(counts, scene)

    def sigma_k(self, counts: Counts) -> Temperatures:
        """Return the standard uncertainty [K] of each pixel (H W), float32."""
        return np.full(counts.shape, self.typical_sigma_k, np.float32)

    def describe(self) -> dict[str, Any]:
        """Return the kind and the standard uncertainty [K], ready for JSON."""
        known = np.isfinite(self.typical_sigma_k)
        return {"kind": self.kind, "sigma_k": self.typical_sigma_k if known else None}
