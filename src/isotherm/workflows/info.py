"""What a thermal file holds, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from isotherm.core.scene import ZERO_CELSIUS_K, Param
from isotherm.core.thermogram import Temperatures, Thermogram
from isotherm.workflows.reading import Outcome, printable


def describe(outcome: Outcome) -> dict[str, Any]:
    """Return what one file holds, ready for JSON; a file that could not be read has ``status`` "failed" and ``error``.

    ``temperatures`` is None for a picture that holds none. Positions are (x, y) from the upper left corner, from 0.
    """
    thermogram = outcome.thermogram
    if thermogram is None:
        return {"path": printable(outcome.path), "status": "failed", "error": outcome.error}
    height, width = thermogram.size
    span = thermogram.display_span_c()
    return {
        "path": printable(outcome.path),
        "status": "ok",
        "error": "",
        "format": thermogram.format,
        "radiometric": thermogram.radiometric,
        "width": width,
        "height": height,
        "camera": asdict(thermogram.camera),
        "position": asdict(thermogram.position) if thermogram.position else None,
        "temperatures": temperatures(thermogram.celsius()) if thermogram.radiometric else None,
        "camera_scale_c": [_finite(end) for end in span] if span else None,
        "parameters": _parameters(thermogram),
        "calibration": thermogram.calibration.describe() if thermogram.calibration else None,
        "notes": list(thermogram.notes),
        "sha256": thermogram.digest,
    }


def temperatures(celsius: Temperatures) -> dict[str, Any] | None:
    """Return minimum and maximum (with their first place), mean and standard deviation; None where all are NaN."""
    valid = np.isfinite(celsius)
    if not valid.any():
        return None
    known = celsius[valid].astype(np.float64)
    return {
        "min_c": float(known.min()),
        "min_at": _place(np.where(valid, celsius, np.inf).argmin(), celsius.shape[1]),
        "max_c": float(known.max()),
        "max_at": _place(np.where(valid, celsius, -np.inf).argmax(), celsius.shape[1]),
        "mean_c": float(known.mean()),
        "std_c": float(known.std()),
        "missing_px": int(celsius.size - known.size),
    }


def _place(index: np.intp, width: int) -> list[int]:
    y, x = divmod(int(index), width)
    return [x, y]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _parameters(thermogram: Thermogram) -> dict[str, Any]:
    """Return the parameters that decide these temperatures, in the units that people use."""
    supports = thermogram.calibration.supports if thermogram.calibration else frozenset()
    known = ((name, param) for name, param in thermogram.scene.params().items() if name in supports)
    return dict(_at_the_edge(name, param) for name, param in known)


def _at_the_edge(name: str, param: Param) -> tuple[str, dict[str, Any]]:
    """Return a parameter under the name and in the unit of its flag: °C for kelvin, percent for humidity."""
    value, unit, scale = param.value, param.unit, 1.0
    if name.endswith("_k"):
        name, value, unit = name.removesuffix("_k") + "_c", value - ZERO_CELSIUS_K, "°C"
    elif name == "humidity":
        name, value, unit, scale = "humidity_percent", value * 100, "%", 100.0
    sigma = None if param.sigma is None else param.sigma * scale
    return name, {"value": round(value, 6), "unit": unit, "source": str(param.source), "sigma": sigma}
