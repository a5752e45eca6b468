"""Under what circumstances equipment was measured, and what that does to a temperature rise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isotherm.core.config import setting, validate

STANDARD_IRRADIANCE_W_M2 = 1000.0
FULL_LOAD_PERCENT = 100.0


@dataclass(frozen=True)
class Operation:
    """What is known of the equipment's operation; the single source of the command's flags.

    The exponent of the load is 1.6 to 2.0 in practice; 2 is the value of Joule's law and the strict end of that range
    [1]_.

    References
    ----------
    .. [1] Infraspection Institute, Using Tmax Corrected Formula to Prioritize Electrical Exceptions, 16 October 2023,
       irinfo.org/tip-of-week-alphabeta/using-tmax-corrected-formula-to-prioritize-electrical-exceptions
    """

    load_percent: float | None = setting(
        None, "load of the equipment [% of its rated current], for severity tables that ask for it", low=0, high=1000
    )
    load_correction: Literal["none", "rated"] = setting(
        "none", "judge the temperature rise as measured (none), or as it would be at the rated load (rated)"
    )
    load_exponent: float = setting(2.0, "temperature rise goes with the current to this power", low=1.6, high=2.0)
    rated_rise_c: float | None = setting(
        None, "temperature rise over ambient that the equipment is rated for [°C], for the table tmax-corrected", low=0
    )
    irradiance_w_m2: float | None = setting(
        None, "irradiance in the plane of the solar modules [W/m²], for tables of solar modules", low=0, high=2000
    )

    def __post_init__(self) -> None:
        validate(self)

    @property
    def load_factor(self) -> float | None:
        """Return the share of the rated temperature rise that belongs to this load; None where the load is unknown."""
        if self.load_percent is None:
            return None
        return float((self.load_percent / FULL_LOAD_PERCENT) ** self.load_exponent)

    def at_rated_load(self, rise_c: float) -> float | None:
        """Return a temperature rise as it would be at the rated load; None where the load is unknown or nil."""
        factor = self.load_factor
        return rise_c / factor if factor else None

    def allowed_rise_c(self) -> float | None:
        """Return the rise over ambient that the equipment may have at this load; None where that is not known."""
        factor = self.load_factor
        return None if factor is None or self.rated_rise_c is None else factor * self.rated_rise_c

    def at_standard_irradiance(self, difference_c: float) -> float | None:
        """Return a difference between solar modules as it would be at 1000 W/m²; None where that is not known."""
        if not self.irradiance_w_m2:
            return None
        return difference_c * STANDARD_IRRADIANCE_W_M2 / self.irradiance_w_m2
