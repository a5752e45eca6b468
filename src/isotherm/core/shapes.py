"""Shapes that are measured: spots, boxes, ellipses, lines, polygons, and who drew them.

Coordinates are pixels of the thermal picture: x to the right, y down, pixel centres at whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isotherm.core.scene import SceneEdit

Origin = Literal["camera", "user", "model"]


@dataclass(frozen=True)
class Spot:
    """A square of ``size_px`` pixels a side (odd) round the pixel (x, y)."""

    x: int
    y: int
    size_px: int = 3


@dataclass(frozen=True)
class Box:
    """Upper left corner, width and height [px]."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Ellipse:
    """Centre and the two half axes [px], upright."""

    x: float
    y: float
    radius_x: float
    radius_y: float


@dataclass(frozen=True)
class Line:
    """A straight line from one pixel centre to another."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Polygon:
    """Corners (x, y), at least three, closed by itself; even-odd where it crosses itself."""

    corners: tuple[tuple[float, float], ...]


Shape = Spot | Box | Ellipse | Line | Polygon


@dataclass(frozen=True)
class Marked:
    """A shape with its name, who drew it, and the scene parameters that differ inside it."""

    label: str
    shape: Shape
    origin: Origin = "user"
    edit: SceneEdit | None = None
