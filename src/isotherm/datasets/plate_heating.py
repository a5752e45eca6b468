"""How a plate is heated: by a flash or a longer pulse, or by a lamp whose power swings (lock-in).

Power is that absorbed at the surface where the profile is 1. What a mode of the plate that decays with rate r [1/s] has
felt at the end of a step is the integral of exp(-r (end - t)) p(t) over the step, here in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import ConfigError

Rates = Float64[np.ndarray, " M"]


@runtime_checkable
class Heating(Protocol):
    """A lamp."""

    @property
    def ends_s(self) -> float:
        """When it goes out, in seconds after the start."""
        ...

    def power_at(self, time_s: float) -> float:
        """Return the absorbed power at a time after its start; 0 for a pulse without duration."""
        ...

    def felt(self, rates: Rates, start_s: float, step_s: float) -> Rates:
        """Return the integral of exp(-rate (start + step - t)) power(t) from `start_s` on [J/m²]."""
        ...


@dataclass(frozen=True)
class Pulse:
    """One even pulse from time 0 on; a duration of 0 is an instant one.

    Parameters
    ----------
    energy_j_m2
        Energy absorbed where the profile is 1 [J/m²].
    """

    energy_j_m2: float = 10_000.0
    duration_s: float = 0.005

    def __post_init__(self) -> None:
        if not (math.isfinite(self.energy_j_m2) and self.energy_j_m2 > 0):
            raise ConfigError(f"pulse: the energy must be above 0 J/m², not {self.energy_j_m2:g}")
        if not (math.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ConfigError(f"pulse: the duration must be 0 s or more, not {self.duration_s:g}")

    @property
    def ends_s(self) -> float:
        """Its duration [s]."""
        return self.duration_s

    def power_at(self, time_s: float) -> float:
        """Return the power at a time after its start [W/m²]."""
        return self.energy_j_m2 / self.duration_s if 0 <= time_s < self.duration_s else 0.0

    def felt(self, rates: Rates, start_s: float, step_s: float) -> Rates:
        """See `Heating.felt`."""
        end_s = start_s + step_s
        if self.duration_s == 0:
            inside = start_s <= 0 < end_s
            return np.asarray(self.energy_j_m2 * np.exp(-rates * end_s) if inside else np.zeros_like(rates))
        first, last = max(start_s, 0.0), min(end_s, self.duration_s)
        if first >= last:
            return np.zeros_like(rates)
        return np.asarray(self.energy_j_m2 / self.duration_s * _even(rates, end_s - first, end_s - last))


@dataclass(frozen=True)
class LockIn:
    """Power that swings as power/2 (1 - cos 2 pi f t), from time 0 on, without end.

    Parameters
    ----------
    peak_w_m2
        The largest power absorbed where the profile is 1 [W/m²].
    """

    peak_w_m2: float = 1000.0
    frequency_hz: float = 0.1

    def __post_init__(self) -> None:
        for name, value in (("power", self.peak_w_m2), ("frequency", self.frequency_hz)):
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"lock-in: the {name} must be above 0, not {value:g}")

    @property
    def ends_s(self) -> float:
        """Never."""
        return math.inf

    def power_at(self, time_s: float) -> float:
        """Return the power at a time after its start [W/m²]."""
        if time_s < 0:
            return 0.0
        return self.peak_w_m2 / 2 * (1 - math.cos(2 * math.pi * self.frequency_hz * time_s))

    def felt(self, rates: Rates, start_s: float, step_s: float) -> Rates:
        """See `Heating.felt`."""
        end_s, first = start_s + step_s, max(start_s, 0.0)
        if first >= end_s:
            return np.zeros_like(rates)
        circular = 2 * math.pi * self.frequency_hz
        last_turn, first_turn = np.exp(1j * circular * end_s), np.exp(1j * circular * first)
        swing = (last_turn - np.exp(-rates * (end_s - first)) * first_turn) / (rates + 1j * circular)
        return np.asarray(self.peak_w_m2 / 2 * (_even(rates, end_s - first, 0.0) - swing.real))


def _even(rates: Rates, longest_s: float, shortest_s: float) -> Rates:
    """Return the integral of exp(-rate s) from `shortest_s` to `longest_s`; their difference where the rate is 0."""
    span_s = longest_s - shortest_s
    product = np.maximum(rates * span_s, 1e-300)
    return np.asarray(np.exp(-rates * shortest_s) * span_s * -np.expm1(-product) / product)
