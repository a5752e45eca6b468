"""The scene: everything that decides how counts become the temperature of the object, and where each value is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError

ZERO_CELSIUS_K = 273.15


class Source(StrEnum):
    """Where a value comes from."""

    FILE = "file"
    CAMERA_DEFAULT = "camera-default"
    RANGEFINDER = "rangefinder"
    USER = "user"
    SITE_PROFILE = "site-profile"
    ASSUMED = "assumed"


@dataclass(frozen=True)
class Param:
    """A number with its unit, its source and its standard uncertainty (same unit; None: not known)."""

    value: float
    unit: str
    source: Source
    sigma: float | None = None


@dataclass(frozen=True)
class Scene:
    """The parameters of the measurement formula.

    Temperatures are in kelvin, humidity and transmissions are fractions 0..1, the distance is in metres.
    """

    emissivity: Param
    reflected_k: Param
    atmosphere_k: Param
    humidity: Param
    distance_m: Param
    window_transmission: Param
    window_k: Param

    def params(self) -> dict[str, Param]:
        """Return the parameters by name, in the order of the fields."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def edited(self, edit: SceneEdit, source: Source = Source.USER) -> Scene:
        """Return a scene with the values of `edit` in place of these, each marked with `source`."""
        changes = {
            name: replace(self.params()[name], value=value, source=source, sigma=None)
            for name, value in edit.values().items()
        }
        return replace(self, **changes)

    def with_sigmas(self, sigmas: Mapping[str, float]) -> Scene:
        """Return a scene with these standard uncertainties (in the parameters' own units) in place of what was known.

        See `sigmas_from_edge` for the names and units that people type.
        """
        return replace(self, **{name: replace(self.params()[name], sigma=sigma) for name, sigma in sigmas.items()})


def assumed_scene() -> Scene:
    """Return the scene that is assumed where a file says nothing (blackbody-like, 20 °C, 1 m)."""
    return Scene(
        emissivity=Param(0.95, "1", Source.ASSUMED),
        reflected_k=Param(20 + ZERO_CELSIUS_K, "K", Source.ASSUMED),
        atmosphere_k=Param(20 + ZERO_CELSIUS_K, "K", Source.ASSUMED),
        humidity=Param(0.5, "1", Source.ASSUMED),
        distance_m=Param(1.0, "m", Source.ASSUMED),
        window_transmission=Param(1.0, "1", Source.ASSUMED),
        window_k=Param(20 + ZERO_CELSIUS_K, "K", Source.ASSUMED),
    )


def shortest(value: float) -> float:
    """Return the decimal that a file's 32-bit float stands for: 0.95, not 0.949999988079071."""
    return float(f"{value:.7g}")


@dataclass(frozen=True)
class SceneEdit:
    """What the user wants changed, in the units that people type; None leaves the file's value.

    This is the single source of the command's flags ``--emissivity``, ``--reflected-c`` and so on.
    """

    emissivity: float | None = setting(None, "emissivity of the object, 0.01 to 1", low=0.01, high=1.0)
    reflected_c: float | None = setting(None, "reflected apparent temperature [°C]", low=-273.15, high=3000)
    atmosphere_c: float | None = setting(None, "temperature of the air [°C]", low=-100, high=200)
    humidity_percent: float | None = setting(None, "relative humidity [%]", low=0, high=100)
    distance_m: float | None = setting(None, "distance to the object [m]", low=0, high=100_000)
    window_transmission: float | None = setting(None, "transmission of a window, 0.01 to 1", low=0.01, high=1.0)
    window_c: float | None = setting(None, "temperature of the window [°C]", low=-100, high=1000)

    def __post_init__(self) -> None:
        validate(self)

    def values(self) -> dict[str, float]:
        """Return the edited values under the scene's own names and units (kelvin, fractions)."""
        given = {name: getattr(self, name) for name in EDGE_NAMES}
        return {
            EDGE_NAMES[name].scene: value / EDGE_NAMES[name].per_unit + EDGE_NAMES[name].offset
            for name, value in given.items()
            if value is not None
        }


@dataclass(frozen=True)
class EdgeName:
    """A scene parameter as people type it: ``value of the scene = typed / per_unit + offset``."""

    scene: str
    unit: str = "1"
    per_unit: float = 1.0
    offset: float = 0.0


EDGE_NAMES: dict[str, EdgeName] = {
    "emissivity": EdgeName("emissivity"),
    "reflected_c": EdgeName("reflected_k", "°C", offset=ZERO_CELSIUS_K),
    "atmosphere_c": EdgeName("atmosphere_k", "°C", offset=ZERO_CELSIUS_K),
    "humidity_percent": EdgeName("humidity", "%", per_unit=100.0),
    "distance_m": EdgeName("distance_m", "m"),
    "window_transmission": EdgeName("window_transmission"),
    "window_c": EdgeName("window_k", "°C", offset=ZERO_CELSIUS_K),
}
"""The names of flags, sidecars and results, and what they are called in a `Scene`."""


def sigmas_from_edge(sigmas: Mapping[str, float]) -> dict[str, float]:
    """Return standard uncertainties given by flag names and units (percent for humidity) as a scene's own.

    Raises
    ------
    ConfigError
        An unknown name, or a number that is negative or not finite.
    """
    for name, sigma in sigmas.items():
        if name not in EDGE_NAMES:
            raise ConfigError(f"sigma: unknown parameter {name!r}; known: {', '.join(EDGE_NAMES)}")
        if not 0 <= sigma < float("inf"):
            raise ConfigError(f"sigma: {name} must be a finite number from 0 up, not {sigma!r}")
    return {EDGE_NAMES[name].scene: sigma / EDGE_NAMES[name].per_unit for name, sigma in sigmas.items()}
