"""The scene's parameters under the names and in the units of flags: °C for kelvin, percent for humidity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isotherm.core.scene import EDGE_NAMES, EdgeName, Param
from isotherm.radiometry.uncertainty import spread_of

_EDGES: dict[str, tuple[str, EdgeName]] = {name.scene: (edge, name) for edge, name in EDGE_NAMES.items()}


def described(params: Mapping[str, Param]) -> dict[str, dict[str, Any]]:
    """Return parameters as flags name them, with value, unit, source, and how sure each is and why; ready for JSON."""
    return {edge: _described(edge, params[name.scene]) for edge, name in EDGE_NAMES.items() if name.scene in params}


def _described(edge: str, param: Param) -> dict[str, Any]:
    name = EDGE_NAMES[edge]
    spread = spread_of(name.scene, param)
    return {
        "value": value_at_edge(name.scene, param.value),
        "unit": name.unit,
        "source": str(param.source),
        "sigma": round(spread.sigma * name.per_unit, 6),
        "sigma_reason": spread.reason,
    }


def params_from_described(values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what `described` gave as plain parameters of a scene, by its own names and in its own units.

    Raises
    ------
    KeyError
        A parameter or one of its members is unknown or missing.
    """
    return {EDGE_NAMES[edge].scene: _plain_param(EDGE_NAMES[edge], param) for edge, param in values.items()}


def _plain_param(name: EdgeName, param: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "value": param["value"] / name.per_unit + name.offset,
        "unit": "K" if name.offset else "m" if name.unit == "m" else "1",
        "source": param["source"],
        "sigma": param["sigma"] / name.per_unit,
    }


def edge_name(name: str) -> str:
    """Return what flags call a scene's parameter; any other name as it is."""
    return _EDGES[name][0] if name in _EDGES else name


def value_at_edge(name: str, value: float) -> float:
    """Return a scene's value in the unit of its flag."""
    edge = _EDGES[name][1]
    return round((value - edge.offset) * edge.per_unit, 6)


def sigma_at_edge(name: str, sigma: float) -> tuple[float, str]:
    """Return a standard uncertainty and its unit as flags give them; kelvin stays kelvin, for it is a difference."""
    edge = _EDGES[name][1]
    return sigma * edge.per_unit, "K" if edge.unit == "°C" else edge.unit
