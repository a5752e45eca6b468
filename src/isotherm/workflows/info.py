"""What a thermal file holds, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from isotherm.core.scene import Source
from isotherm.core.shapes import Marked
from isotherm.core.thermogram import Temperatures, Thermogram
from isotherm.measurement.shapes import kind_of
from isotherm.radiometry.parameters import described
from isotherm.workflows.reading import Outcome, printable


def describe(outcome: Outcome) -> dict[str, Any]:
    """Return what one file holds, ready for JSON; a file that could not be read has ``status`` "failed" and ``error``.

    ``temperatures`` is None for a picture that holds none. ``camera_scale_c`` are the ends of the camera's colour
    scale, seen through the scene: where somebody changed it, ``camera_scale_edited``, the camera showed others.
    Positions are (x, y) from the upper left corner, from 0.
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
        "camera_scale_edited": span is not None and _edited(thermogram),
        "parameters": _parameters(thermogram),
        "calibration": thermogram.calibration.describe() if thermogram.calibration else None,
        **_extras(thermogram),
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
    return described({name: param for name, param in thermogram.scene.params().items() if name in supports})


def _edited(thermogram: Thermogram) -> bool:
    """Say whether a parameter that decides these temperatures is not the file's any more."""
    supports = thermogram.calibration.supports if thermogram.calibration else frozenset()
    params = thermogram.scene.params()
    return any(params[name].source in (Source.USER, Source.SITE_PROFILE) for name in supports)


def _extras(thermogram: Thermogram) -> dict[str, Any]:
    """Return what the file holds beside the temperatures."""
    pose, photo = thermogram.pose, thermogram.visual
    return {
        "estimated": thermogram.estimated,
        "sensor_size": list(thermogram.sensor_size) if thermogram.sensor_size else None,
        "pose": asdict(pose) if pose else None,
        "photo": {"bytes": len(photo.data), "origin": photo.origin} if photo else None,
        "regions": [_region(marked) for marked in thermogram.regions],
        "annotations": [asdict(annotation) for annotation in thermogram.annotations],
    }


def _region(marked: Marked) -> dict[str, Any]:
    return {"label": marked.label, "origin": marked.origin, "shape": kind_of(marked.shape), **asdict(marked.shape)}
