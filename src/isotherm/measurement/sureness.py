"""How sure the temperature of a finding and its difference to a reference are: one number each, cheaply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from isotherm.core.regions import Values
from isotherm.core.thermogram import Thermogram
from isotherm.measurement.reference import Reference
from isotherm.radiometry.uncertainty import (
    PointBudget,
    UncertaintySettings,
    finite,
    point_budget,
    point_budgets,
    states_points,
)

_COARSE = 4
_NEAR_K = 0.5


@dataclass(frozen=True, eq=False)
class Sureness:
    """The uncertainties of the findings of one picture; the reference is looked at once.

    Parameters
    ----------
    thermogram, values
        The picture and its temperatures [°C] (H W).
    reference
        What differences are over, or None.
    peaks
        The pixels (x, y) that will be asked for, because all of them together cost little more than one.
    settings
        What is assumed about the camera.
    """

    thermogram: Thermogram
    values: Values
    reference: Reference | None
    peaks: Sequence[tuple[int, int]]
    settings: UncertaintySettings = field(default_factory=UncertaintySettings)

    def of(self, peak: tuple[int, int]) -> tuple[float | None, float | None]:
        """Return the standard uncertainties [K] of the temperature at one of the peaks and of its delta-T.

        None where none can be stated.
        """
        found = self._budgets[peak]
        if found is None:
            return None, None
        return finite(found.standard_k(self.settings)), finite(self._difference_k(found))

    @cached_property
    def _budgets(self) -> dict[tuple[int, int], PointBudget | None]:
        return dict(zip(self.peaks, point_budgets(self.thermogram, self.peaks), strict=True))

    def _difference_k(self, found: PointBudget) -> float:
        if self.reference is not None and self.reference.comparison == "ambient":
            return found.over_air_k(self.thermogram.scene.atmosphere_k, self.settings)
        return math.nan if self._other is None else found.difference_k(self._other, self.settings)

    @cached_property
    def _other(self) -> PointBudget | None:
        """The budget of a pixel that reads as the reference does."""
        reference = self.reference
        if reference is None or reference.value_c is None or not states_points(self.thermogram):
            return None
        # Half a kelvin changes no uncertainty that one would notice, so a sixteenth of the pixels mostly is enough.
        return next(
            (
                point_budget(self.thermogram, place)
                for step, allowed in ((_COARSE, _NEAR_K), (1, math.inf))
                if (place := _place_of(self.values[::step, ::step], reference.value_c, allowed, step)) is not None
            ),
            None,
        )


def _place_of(values: Values, wanted_c: float, allowed_k: float, step: int) -> tuple[int, int] | None:
    """Return where (x, y) in the whole picture a value is nearest to the wanted one, if it is near enough."""
    off = np.abs(values - np.float32(wanted_c))
    off[np.isnan(off)] = np.inf
    y, x = divmod(int(off.argmin()), off.shape[1])
    return (x * step, y * step) if off[y, x] < allowed_k else None
