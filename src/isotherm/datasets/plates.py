"""Plates with defects of known place, size and depth: what the simulator heats, and the truth about it.

Lengths are in millimetres, as people give them. ``x`` goes right and ``y`` down from the upper left corner of the
plate; depths count from the front, which is heated and seen by the camera. The picture shows the whole plate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Int32

from isotherm.core.errors import ConfigError

Mask = Bool[np.ndarray, "H W"]
MAX_DEFECTS = 60
"""Defects of one plate; each has its bit in a 64-bit code of the columns below a pixel."""


@dataclass(frozen=True)
class Material:
    """A solid's constants at room temperature.

    Parameters
    ----------
    depth_w_mk, x_w_mk, y_w_mk
        Thermal conductivity through the plate and along its two sides [W/(m K)]; fibres lie along x.
    density_kg_m3
        Density [kg/m³].
    heat_j_kgk
        Specific heat capacity [J/(kg K)].
    source
        Where the numbers are from.
    """

    name: str
    depth_w_mk: float
    x_w_mk: float
    y_w_mk: float
    density_kg_m3: float
    heat_j_kgk: float
    source: str

    def __post_init__(self) -> None:
        for name in ("depth_w_mk", "x_w_mk", "y_w_mk", "density_kg_m3", "heat_j_kgk"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"material {self.name}: {name} must be above 0, not {value:g}")

    @property
    def capacity_j_m3k(self) -> float:
        """Heat capacity of a volume [J/(m³ K)]."""
        return self.density_kg_m3 * self.heat_j_kgk

    @property
    def diffusivity_m2_s(self) -> float:
        """Thermal diffusivity through the plate [m²/s]."""
        return self.depth_w_mk / self.capacity_j_m3k


@dataclass(frozen=True)
class Layer:
    """One layer of a plate.

    Parameters
    ----------
    turned
        Its fibres lie along y: the two conductivities of the plane are swapped.
    """

    material: Material
    thickness_mm: float
    turned: bool = False

    @property
    def x_w_mk(self) -> float:
        """Conductivity along x [W/(m K)]."""
        return self.material.y_w_mk if self.turned else self.material.x_w_mk

    @property
    def y_w_mk(self) -> float:
        """Conductivity along y [W/(m K)]."""
        return self.material.x_w_mk if self.turned else self.material.y_w_mk


@dataclass(frozen=True)
class Patch:
    """Where a defect lies in the plane, by its centre and its two sides (or diameters) [mm]."""

    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float
    shape: Literal["ellipse", "box"] = "ellipse"

    @classmethod
    def circle(cls, x_mm: float, y_mm: float, diameter_mm: float) -> Patch:
        """Return a circle."""
        return cls(x_mm, y_mm, diameter_mm, diameter_mm)

    @property
    def diameter_mm(self) -> float:
        """The diameter of the circle of the same area [mm]."""
        area = self.width_mm * self.height_mm
        return math.sqrt(area if self.shape == "ellipse" else 4 * area / math.pi)

    def mask(self, size_px: tuple[int, int], pixel_mm: float) -> Mask:
        """Return the pixels whose centres lie in it (H W)."""
        rows, columns = size_px
        right = ((np.arange(columns) + 0.5) * pixel_mm - self.x_mm) / (self.width_mm / 2)
        down = ((np.arange(rows) + 0.5) * pixel_mm - self.y_mm) / (self.height_mm / 2)
        if self.shape == "box":
            return np.asarray((np.abs(down) <= 1)[:, None] & (np.abs(right) <= 1)[None, :])
        return np.asarray(down[:, None] ** 2 + right[None, :] ** 2 <= 1)


@dataclass(frozen=True)
class Hole:
    """A flat-bottom hole drilled from the back; `depth_mm` of material remain before it. Its wall gives off no heat."""

    patch: Patch
    depth_mm: float
    kind = "hole"


@dataclass(frozen=True)
class Delamination:
    """A thin gap between two layers: a contact resistance [m² K/W]. Air of 0.08 mm has 0.003 (0.08e-3 / 0.026)."""

    patch: Patch
    depth_mm: float
    resistance_m2k_w: float
    kind = "delamination"


@dataclass(frozen=True)
class Inclusion:
    """Foreign material from `depth_mm` on, `thickness_mm` thick."""

    patch: Patch
    depth_mm: float
    thickness_mm: float
    material: Material
    kind = "inclusion"


Defect: TypeAlias = Hole | Delamination | Inclusion


@dataclass(frozen=True)
class Plate:
    """A plate of one or more layers, front first, with its defects.

    Parameters
    ----------
    size_px
        Height and width of the picture of it [px].
    pixel_mm
        Side of a pixel on the plate [mm].
    front_loss_w_m2k, back_loss_w_m2k
        What each side gives to the air and to the room for each kelvin above them [W/(m² K)]: about 5 by radiation and
        5 by free convection. The bottoms of holes count as back; the rim gives off nothing.

    Raises
    ------
    ConfigError
        A defect does not fit in the plate, or a number is impossible; the message says which.
    """

    layers: tuple[Layer, ...]
    defects: tuple[Defect, ...] = ()
    size_px: tuple[int, int] = (128, 160)
    pixel_mm: float = 0.5
    front_loss_w_m2k: float = 10.0
    back_loss_w_m2k: float = 10.0

    def __post_init__(self) -> None:
        _check_plate(self)
        for number, defect in enumerate(self.defects, start=1):
            _check_defect(self, defect, f"defect {number} ({defect.kind})")

    @classmethod
    def of(
        cls, material: Material, thickness_mm: float, *defects: Defect, size_px: tuple[int, int] = (128, 160)
    ) -> Plate:
        """Return a plate of one material with pixels of 0.5 mm."""
        return cls((Layer(material, thickness_mm),), defects, size_px)

    @property
    def thickness_mm(self) -> float:
        """Thickness of all layers [mm]."""
        return math.fsum(layer.thickness_mm for layer in self.layers)

    def truth(self) -> PlateTruth:
        """Return the masks of the defects, pixel for pixel as they are simulated."""
        labels = np.zeros(self.size_px, np.int32)
        depth_mm = np.full(self.size_px, np.nan, np.float32)
        # The deepest first: where two overlap, the one nearer to the front is seen.
        for number in sorted(range(len(self.defects)), key=lambda i: -self.defects[i].depth_mm):
            inside = self.defects[number].patch.mask(self.size_px, self.pixel_mm)
            labels[inside], depth_mm[inside] = number + 1, self.defects[number].depth_mm
        return PlateTruth(labels, depth_mm)


@dataclass(frozen=True, eq=False)
class PlateTruth:
    """What is true of each pixel of a plate.

    Parameters
    ----------
    labels
        (H W) 0 where the plate is sound, n where defect n (from 1, in the plate's order) lies nearest to the front.
    depth_mm
        (H W) depth of that defect [mm]; NaN where the plate is sound.
    """

    labels: Int32[np.ndarray, "H W"]
    depth_mm: Float32[np.ndarray, "H W"]

    @property
    def mask(self) -> Mask:
        """Where there is a defect (H W)."""
        return np.asarray(self.labels > 0)


def _check_plate(plate: Plate) -> None:
    if not plate.layers:
        raise ConfigError("a plate needs at least one layer")
    lengths = {f"thickness of layer {i}": layer.thickness_mm for i, layer in enumerate(plate.layers, start=1)}
    lengths["pixel"] = plate.pixel_mm
    for name, value in lengths.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"plate: the {name} must be above 0 mm, not {value:g}")
    for value in (plate.front_loss_w_m2k, plate.back_loss_w_m2k):
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"plate: a heat loss must be 0 W/(m² K) or more, not {value:g}")
    if min(plate.size_px) < 1:
        raise ConfigError(f"plate: height and width must be at least 1 pixel, not {plate.size_px}")
    if len(plate.defects) > MAX_DEFECTS:
        raise ConfigError(f"plate: at most {MAX_DEFECTS} defects, not {len(plate.defects)}")


def _check_defect(plate: Plate, defect: Defect, name: str) -> None:
    patch, end_mm = defect.patch, defect.depth_mm
    if isinstance(defect, Inclusion):
        end_mm += _positive(defect.thickness_mm, f"{name}: the thickness", "mm")
    if isinstance(defect, Delamination):
        _positive(defect.resistance_m2k_w, f"{name}: the contact resistance", "m² K/W")
    _positive(defect.depth_mm, f"{name}: the depth", "mm")
    _positive(min(patch.width_mm, patch.height_mm), f"{name}: width and height", "mm")
    # An inclusion may end at the back; a hole or a gap there would be none.
    if end_mm > plate.thickness_mm * (1 + 1e-9) or defect.depth_mm >= plate.thickness_mm * (1 - 1e-9):
        raise ConfigError(f"{name}: ends at {end_mm:g} mm, but the plate is {plate.thickness_mm:g} mm thick")
    if not patch.mask(plate.size_px, plate.pixel_mm).any():
        raise ConfigError(f"{name}: holds the centre of no pixel of the plate; it is too small or lies outside")


def _positive(value: float, name: str, unit: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name} must be above 0 {unit}, not {value:g}")
    return value
