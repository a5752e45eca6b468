"""Thermal constants of materials that are tested by active thermography, each with where it is from.

A table's value is a start: composites differ with their fibres and resin by a factor of two. Depths that follow from
the diffusivity want it measured, on a sound part of known thickness.
"""

from __future__ import annotations

from types import MappingProxyType

from isotherm.core.errors import UnknownNameError
from isotherm.datasets.plates import Material

_INCROPERA = "F. P. Incropera, D. P. DeWitt, Fundamentals of Heat and Mass Transfer, table A.1, at 300 K"
_CRAWFORD = "R. J. Crawford, Plastics Engineering, table 1.8"
_NIST = (
    "conductivities and heat capacity at 300 K by the fits of NIST, Cryogenic Material Properties, G-10 CR (normal and "
    "warp); density 1850 kg/m³ assumed"
)
_PYTHERMONDT = "the constants of the finite-element example data of pythermondt (Apache-2.0), not measured"


def _even(name: str, conductivity: float, density: float, heat: float, source: str) -> Material:
    return Material(name, conductivity, conductivity, conductivity, density, heat, source)


_ROWS = (
    Material("cfrp", 0.53, 8.66, 1.34, 1575.0, 753.0, _PYTHERMONDT),
    Material(
        "cfrp-quasi-isotropic", 0.53, 5.0, 5.0, 1575.0, 753.0, f"{_PYTHERMONDT}; in the plane the mean of x and y"
    ),
    Material("gfrp", 0.608, 0.864, 0.864, 1850.0, 999.0, _NIST),
    _even("pvc", 0.16, 1400.0, 900.0, _CRAWFORD),
    _even("acrylic", 0.2, 1180.0, 1500.0, _CRAWFORD),
    _even("ptfe", 0.25, 2100.0, 1000.0, _CRAWFORD),
    _even("aluminium", 237.0, 2702.0, 903.0, f"{_INCROPERA}, pure"),
    _even("aluminium-2024", 177.0, 2770.0, 875.0, f"{_INCROPERA}, alloy 2024-T6"),
    _even("steel", 60.5, 7854.0, 434.0, f"{_INCROPERA}, plain carbon steel"),
    _even("stainless-steel", 14.9, 7900.0, 477.0, f"{_INCROPERA}, AISI 304"),
)
PLATE_MATERIALS = MappingProxyType({row.name: row for row in _ROWS})
AIR_W_MK = 0.0263
"""Conductivity of air at 300 K [W/(m K)] (Incropera, table A.4)."""


def plate_material(name: str) -> Material:
    """Return the material of a name.

    Raises
    ------
    UnknownNameError
        There is none.
    """
    if name not in PLATE_MATERIALS:
        raise UnknownNameError("material", name, PLATE_MATERIALS)
    return PLATE_MATERIALS[name]


def gap_resistance_m2k_w(thickness_mm: float) -> float:
    """Return the contact resistance of a gap of still air [m² K/W]: its thickness over the conductivity of air."""
    return thickness_mm * 1e-3 / AIR_W_MK
