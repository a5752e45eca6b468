"""The page of one picture: the element ``<thermal-view>`` with its data, in one file that needs nothing else.

The scripts are modules in ``assets``; a page carries them joined into one, because a browser loads no modules beside a
page that it opened from a disk.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

import isotherm
from isotherm.core.scene import EDGE_NAMES, Param
from isotherm.core.thermogram import Thermogram
from isotherm.radiometry.uncertainty import spread_of
from isotherm.reports.content import parameter_text
from isotherm.reports.pages import joined, script_policy, style, template
from isotherm.reports.view_data import Looks, kind_of, view_data

SCRIPTS = (
    "plane", "shapes", "deltas", "radiometry", "session", "photo", "plots", "marks", "parts", "scene-card",
    "severity", "style", "thermal-view", "page",
)  # fmt: skip
"""The modules of ``assets``, each after those that it imports."""
_BADGES = {
    "measured": "temperatures",
    "estimated": "estimated temperatures",
    "levels": "no temperatures",
}


def render_page(name: str, thermogram: Thermogram, looks: Looks) -> bytes:
    """Return the page of one picture as UTF-8.

    Raises
    ------
    FormatError
        The photo is damaged or too large.
    UnknownNameError
        There is no palette of this name.
    """
    script = element_script()
    kind = kind_of(thermogram)
    page = template("view.html").render(
        name=name,
        version=isotherm.__version__,
        badge=_BADGES[kind],
        kind=kind,
        facts=_facts(thermogram),
        parameters=_parameters(thermogram),
        notes=thermogram.notes,
        data=_in_page(view_data(name, thermogram, looks)),
        script=Markup(script),  # noqa: S704 (our own files, no user's text)
        policy=script_policy(script),
        style=style(),
    )
    return page.encode("utf-8", "backslashreplace")


@cache
def element_script() -> str:
    """Return the element's modules as one script."""
    folder = files("isotherm.reports") / "assets"
    return joined(folder / f"{name}.js" for name in SCRIPTS)


def _in_page(data: dict[str, Any]) -> Markup:
    """Return data as JSON that cannot end its script element, whatever names it holds."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))  # noqa: S704


def _facts(thermogram: Thermogram) -> list[tuple[str, str]]:
    camera, (height, width) = thermogram.camera, thermogram.size
    model = " ".join(filter(None, (camera.maker, camera.model)))
    lens = ", ".join(filter(None, (camera.lens, f"{camera.field_of_view_deg:g}°" if camera.field_of_view_deg else "")))
    rows = [
        ("Camera", model + (f", serial {camera.serial}" if camera.serial else "")),
        ("Lens", lens),
        ("Taken", camera.taken_at),
        ("Size", f"{width} × {height} px" + _sensor(thermogram)),
        ("Position", _position(thermogram)),
        ("Format", thermogram.format + (f", {thermogram.calibration.kind}" if thermogram.calibration else "")),
        ("SHA-256", thermogram.digest),
    ]
    return [(title, text) for title, text in rows if text]


def _sensor(thermogram: Thermogram) -> str:
    if thermogram.sensor_size is None:
        return ""
    height, width = thermogram.sensor_size
    return f" (sensor {width} × {height} px)"


def _position(thermogram: Thermogram) -> str:
    place, pose = thermogram.position, thermogram.pose
    parts = []
    if place is not None:
        parts.append(f"{place.latitude_deg:.6f}, {place.longitude_deg:.6f}")
        parts += [f"{place.altitude_m:g} m"] if place.altitude_m is not None else []
    if pose is not None and pose.yaw_deg is not None and pose.pitch_deg is not None:
        parts.append(f"looking {pose.yaw_deg % 360:.0f}° from north, {pose.pitch_deg:.0f}° up")
    return ", ".join(parts)


@dataclass(frozen=True)
class _Parameter:
    """One row of the table of parameters; ``honoured`` says whether this file's temperatures depend on it."""

    name: str
    unit: str
    title: str
    value: str
    source: str
    sigma: str
    honoured: bool


def _parameters(thermogram: Thermogram) -> list[_Parameter]:
    supports = thermogram.calibration.supports if thermogram.calibration else frozenset()
    params = thermogram.scene.params()
    return [
        _parameter(name, params[edge.scene], edge.scene in supports) for name, edge in EDGE_NAMES.items() if supports
    ]


def _parameter(name: str, param: Param, honoured: bool) -> _Parameter:
    edge = EDGE_NAMES[name]
    unit = "" if edge.unit == "1" else edge.unit
    sigma = f"{spread_of(edge.scene, param).sigma * edge.per_unit:.3g}"
    title, value = parameter_text(edge.scene, param)
    return _Parameter(name, unit, title, value, str(param.source), f"± {sigma} {unit}".strip(), honoured)
