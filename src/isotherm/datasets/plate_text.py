"""Defects in a few words, as they stand on a command line; and the usual reference plate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.datasets.plate_materials import gap_resistance_m2k_w, plate_material
from isotherm.datasets.plates import Defect, Delamination, Hole, Inclusion, Layer, Patch, Plate

DEFECT_FORMS = {
    "hole": "x,y,diameter,depth",
    "delamination": "x,y,diameter,depth,gap",
    "inclusion": "x,y,diameter,depth,thickness,material",
}
"""What `parse_defect` takes for each kind; all lengths in millimetres, a diameter may be WxH."""


def parse_defect(kind: str, text: str) -> Defect:
    """Return the defect of a text: ``hole`` with ``20,30,10,0.8``, ``delamination`` with ``20,30,12x6,0.8,0.05``.

    Parameters
    ----------
    kind
        One of `DEFECT_FORMS`, which says what the text holds. A gap is filled with air.

    Raises
    ------
    UnknownNameError
        There is no such kind of defect or no such material.
    ConfigError
        The text is not of that form; the message says which it should be.
    """
    if kind not in DEFECT_FORMS:
        raise UnknownNameError("kind of defect", kind, DEFECT_FORMS)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != DEFECT_FORMS[kind].count(",") + 1:
        raise _unlike(kind, text)
    try:
        x_mm, y_mm, depth_mm = (_finite(parts[place]) for place in (0, 1, 3))
        patch = Patch(x_mm, y_mm, *_sides(parts[2]))
        if kind == "hole":
            return Hole(patch, depth_mm)
        thin_mm = _finite(parts[4])
    except ValueError:
        raise _unlike(kind, text) from None
    if kind == "delamination":
        return Delamination(patch, depth_mm, gap_resistance_m2k_w(thin_mm))
    return Inclusion(patch, depth_mm, thin_mm, plate_material(parts[5]))


def _unlike(kind: str, text: str) -> ConfigError:
    return ConfigError(f"{kind} {text!r} must be {DEFECT_FORMS[kind]} [mm], as in {_EXAMPLES[kind]}")


_EXAMPLES = {"hole": "20,30,10,0.8", "delamination": "20,30,12x6,0.8,0.05", "inclusion": "20,30,10,0.8,0.2,ptfe"}


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _sides(text: str) -> tuple[float, float]:
    width, _, height = text.lower().partition("x")
    return _finite(width), _finite(height or width)


def reference_plate(
    material: str = "cfrp",
    thickness_mm: float = 3.0,
    *,
    depths_mm: Sequence[float] = (0.4, 0.8, 1.2, 1.6, 2.0),
    diameters_mm: Sequence[float] = (3.0, 5.0, 8.0, 12.0),
    pixel_mm: float = 0.5,
) -> Plate:
    """Return a plate of flat-bottom holes: one row for each diameter, from small to large; one column for each depth.

    Holes keep the largest diameter, at least 4 mm, from one another and half of it from the rim.

    Raises
    ------
    ConfigError
        There are no depths or diameters, or a hole is deeper than the plate.
    """
    if not depths_mm or not diameters_mm:
        raise ConfigError("reference plate: at least one depth and one diameter")
    pitch_mm = max(diameters_mm) + max(*diameters_mm, 4.0)
    holes = tuple(
        Hole(Patch.circle((column + 0.5) * pitch_mm, (row + 0.5) * pitch_mm, diameter_mm), depth_mm)
        for row, diameter_mm in enumerate(sorted(diameters_mm))
        for column, depth_mm in enumerate(depths_mm)
    )
    size = tuple(math.ceil(count * pitch_mm / pixel_mm) for count in (len(diameters_mm), len(depths_mm)))
    return Plate((Layer(plate_material(material), thickness_mm),), holes, (size[0], size[1]), pixel_mm)
