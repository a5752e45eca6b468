"""What the camera makes of the temperatures: where it stands, its optics, its detector, its measurement formula."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from isotherm.core.scene import ZERO_CELSIUS_K
from isotherm.datasets.cabinet.geometry import MARGIN, VIEW
from isotherm.datasets.cabinet.heat import Grid

EMISSIVITY_SETTING = 0.95
"""The emissivity that the camera is set to, for everything in view."""
NETD_K = 0.05
"""Temporal noise, as the temperature difference that equals it at 30 °C [K]."""
PLANCK_B_K = 1428.0
"""B of the measurement formula W(T) = 1/(exp(B/T) - 1): a usual value of uncooled cameras for 7.5 to 13 µm [K]."""
BLUR_PX = 0.7
"""Standard deviation of the point spread [px]."""

_COLUMN_K, _ROW_K, _DRIFT_K, _TILT_K, _NARCISSUS_K, _VIGNETTING = 0.03, 0.015, 0.2, 0.1, 0.12, 0.01
_REFERENCE_C = 30.0
_PIXELS_OF_ITS_OWN = 1428
"""Seed of the fixed pattern: every picture is from the same camera."""


@dataclass(frozen=True)
class Pose:
    """How far the camera stands from where it should: shift [px], turn [degrees], scale (1: as it should)."""

    right_px: float = 0.0
    down_px: float = 0.0
    turn_deg: float = 0.0
    scale: float = 1.0


def draw_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose as of a camera put up again on marks on the floor."""
    right, down = rng.uniform(-3, 3, 2)
    return Pose(float(right), float(down), float(rng.uniform(-1, 1)), float(rng.uniform(0.99, 1.01)))


def view(values: Grid, pose: Pose) -> Float32[np.ndarray, "h w"]:
    """Return what of a grid stands before each pixel of the camera, interpolated linearly."""
    rows, columns = (np.arange(side, dtype=np.float32) - (side - 1) / 2 for side in VIEW)
    turn, scale = np.deg2rad(pose.turn_deg), pose.scale
    down, right = rows[:, None] / scale, columns[None, :] / scale
    y = np.cos(turn) * down + np.sin(turn) * right + (VIEW[0] - 1) / 2 + MARGIN[0] + pose.down_px
    x = np.cos(turn) * right - np.sin(turn) * down + (VIEW[1] - 1) / 2 + MARGIN[1] + pose.right_px
    return _interpolate(values, y.astype(np.float32), x.astype(np.float32))


def _interpolate(
    values: Grid, y: Float32[np.ndarray, "h w"], x: Float32[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    rows, columns = values.shape
    top = np.clip(y.astype(np.int32), 0, rows - 2)
    left = np.clip(x.astype(np.int32), 0, columns - 2)
    # In float32: the difference to an int32 would be float64.
    below, beside = (np.clip(at - whole.astype(np.float32), 0, 1) for at, whole in ((y, top), (x, left)))
    flat, corner = values.ravel(), top * columns + left
    upper = flat[corner] + beside * (flat[corner + 1] - flat[corner])
    lower = flat[corner + columns] + beside * (flat[corner + columns + 1] - flat[corner + columns])
    result: Float32[np.ndarray, "h w"] = upper + below * (lower - upper)
    return result


def blackbody(kelvin: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
    """Return W(T), the signal of a blackbody, in the detector's own unit."""
    result: Float[np.ndarray, "*points"] = 1 / np.expm1(PLANCK_B_K / kelvin)
    return result


def _blackbody_at(celsius: float) -> np.float32:
    return np.float32(1 / math.expm1(PLANCK_B_K / (celsius + ZERO_CELSIUS_K)))


def signal(celsius: Grid, emissivity: Grid, reflected_c: float) -> Grid:
    """Return the signal of surfaces at `celsius` [°C]: eps W(T) + (1 - eps) W(T_reflected)."""
    own = blackbody(celsius + np.float32(ZERO_CELSIUS_K))
    result: Grid = emissivity * own + (1 - emissivity) * _blackbody_at(reflected_c)
    return result


def reading(signals: Grid, reflected_c: float) -> Grid:
    """Return what the camera shows for signals [°C]: the measurement formula solved with its one emissivity setting."""
    reflected = _blackbody_at(reflected_c)
    own = (signals - np.float32(1 - EMISSIVITY_SETTING) * reflected) / np.float32(EMISSIVITY_SETTING)
    return np.float32(PLANCK_B_K) / np.log1p(1 / own) - np.float32(ZERO_CELSIUS_K)


def record(signals: Grid, ambient_c: float, rng: np.random.Generator) -> Grid:
    """Return the signals as optics and detector pass them on: blurred, vignetted, offset, noisy."""
    down, right = (np.linspace(-1, 1, side, dtype=np.float32) for side in VIEW)
    off_axis = (down[:, None] ** 2 + right[None, :] ** 2) / 2
    housing = _blackbody_at(ambient_c)
    # Towards the corners part of what the detector sees is the lens barrel, at the temperature of the room.
    passed = _blur(signals)
    passed -= np.float32(_VIGNETTING) * off_axis * (passed - housing)
    drift, tilt_down, tilt_right = rng.normal(0, (_DRIFT_K, _TILT_K, _TILT_K))
    offset_k = _fixed_pattern_k() - _NARCISSUS_K * np.exp(-8 * off_axis)
    offset_k += drift + tilt_down * down[:, None] + tilt_right * right[None, :]
    noise_k = np.float32(NETD_K) * rng.standard_normal(VIEW, dtype=np.float32)
    return passed + np.float32(_slope()) * (offset_k.astype(np.float32) + noise_k)


def _slope() -> float:
    """Return dW/dT at 30 °C [1/K]."""
    return float(_blackbody_at(_REFERENCE_C + 0.5) - _blackbody_at(_REFERENCE_C - 0.5))


def _fixed_pattern_k() -> Float[np.ndarray, "h w"]:
    rng = np.random.default_rng(_PIXELS_OF_ITS_OWN)
    return rng.normal(0, _ROW_K, VIEW[0])[:, None] + rng.normal(0, _COLUMN_K, VIEW[1])[None, :]


def _blur(values: Grid) -> Grid:
    """Return the values under a Gaussian point spread, the rim repeated outwards."""
    reach = 3
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * BLUR_PX**2)).astype(np.float32)
    taps /= taps.sum()
    for axis in (0, 1):
        wide = np.pad(values, [(reach, reach) if side == axis else (0, 0) for side in (0, 1)], mode="edge")
        length = values.shape[axis]
        values = sum(
            (tap * wide.take(range(start, start + length), axis) for start, tap in enumerate(taps)),
            start=np.zeros_like(values),
        )
    return values
