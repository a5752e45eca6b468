"""What ``isotherm convert`` wrote into an NPZ beside the temperatures: camera, place, scene, and how they were made."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

from isotherm.core.errors import ConfigError
from isotherm.core.scene import EDGE_NAMES, Scene, SceneEdit, Source
from isotherm.core.thermogram import Camera, Position, Thermogram

_MOST_LETTERS = 100
_TEXTS = ("maker", "model", "serial", "lens", "taken_at")


def completed(thermogram: Thermogram, about: dict[str, Any]) -> Thermogram:
    """Return stored temperatures with what the file tells of their origin; what makes no sense is left out.

    The scene's values are those with which the temperatures were computed: they change nothing any more.
    """
    scene, said = _scene(thermogram.scene, _part(about, "parameters"))
    note = (
        f"temperatures as they were converted{_origin(about)}{f' (with {said})' if said else ''}: nothing changes them"
    )
    known = about.get("format") or said
    return replace(
        thermogram,
        camera=_camera(_part(about, "camera")),
        position=_position(_part(about, "position")),
        scene=scene,
        sensor_size=_size(about.get("sensor_size"), thermogram.size),
        notes=(*thermogram.notes, *([note] if known else [])),
    )


def _part(about: dict[str, Any], name: str) -> dict[str, Any]:
    found = about.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    """Return one printable line of a text; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(letter for letter in value if letter.isprintable()).split())[:_MOST_LETTERS]


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _origin(about: dict[str, Any]) -> str:
    kind, name = _text(_part(about, "calibration").get("kind")), _text(about.get("format"))
    return f" from {name}{f' ({kind})' if kind else ''}" if name else ""


def _camera(told: dict[str, Any]) -> Camera:
    texts = {name: _text(told.get(name)) for name in _TEXTS}
    return Camera(**texts, field_of_view_deg=_number(told.get("field_of_view_deg")))


def _position(told: dict[str, Any]) -> Position | None:
    latitude, longitude, altitude = (_number(told.get(field.name)) for field in fields(Position))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return Position(latitude, longitude, altitude)


def _size(told: object, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the sensor's height and width where they are smaller than the picture's."""
    if not (isinstance(told, list) and len(told) == 2 and all(type(side) is int and side > 0 for side in told)):
        return None
    height, width = told
    return (height, width) if height <= size[0] and width <= size[1] and (height, width) != size else None


def _scene(scene: Scene, told: dict[str, Any]) -> tuple[Scene, str]:
    """Return the scene with the values that are told, and these in words."""
    said = []
    for name, edge in EDGE_NAMES.items():
        row = told.get(name)
        value = _number(row.get("value")) if isinstance(row, dict) else None
        if value is None or not isinstance(row, dict):
            continue
        try:
            edit = SceneEdit(**{name: value})
        except ConfigError:
            continue
        scene = scene.edited(edit, _source(row.get("source")))
        said.append(f"{name} {value:g}{'' if edge.unit == '1' else f' {edge.unit}'}")
    return scene, ", ".join(said)


def _source(told: object) -> Source:
    """Return where a value was from: what nobody knew then is assumed still; anything else is the file's."""
    return next((source for source in (Source.ASSUMED, Source.CAMERA_DEFAULT) if source == told), Source.FILE)
