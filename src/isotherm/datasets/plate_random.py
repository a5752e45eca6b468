"""Random plates and recordings of them, to train and to judge on: each number is drawn anew for each plate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError
from isotherm.datasets.plate_camera import PlateCamera
from isotherm.datasets.plate_heating import Pulse
from isotherm.datasets.plate_materials import plate_material
from isotherm.datasets.plate_sequence import Experiment, Recording
from isotherm.datasets.plates import Defect, Delamination, Hole, Inclusion, Layer, Material, Patch, Plate

_CLEAR_MM = 2.0
"""Least distance of defects from one another [mm]."""
_TRIES = 200
_DEEPEST_SHARE = 0.85


@dataclass(frozen=True)
class RandomPlates:
    """What random plates are drawn from; pairs ``low_``, ``high_`` are the ends of even (or log-even) draws."""

    material: str = setting("cfrp", "material of the plates; its conductivities vary by `spread`")
    height_px: int = setting(128, "height of the picture [px]", low=8, high=4096)
    width_px: int = setting(160, "width of the picture [px]", low=8, high=4096)
    pixel_mm: float = setting(0.5, "side of a pixel on the plate [mm]", low=0.01, high=100.0)
    low_thickness_mm: float = setting(2.5, "thinnest plate [mm]", low=0.05, high=1000.0)
    high_thickness_mm: float = setting(5.0, "thickest plate [mm]", low=0.05, high=1000.0)
    low_defects: int = setting(4, "fewest defects of a plate", low=0, high=60)
    high_defects: int = setting(9, "most defects of a plate", low=0, high=60)
    low_depth_mm: float = setting(0.3, "shallowest defect [mm]", low=0.01, high=1000.0)
    high_depth_mm: float = setting(2.2, "deepest defect, at most 85 % of the thickness [mm]", low=0.01, high=1000.0)
    low_diameter_mm: float = setting(3.0, "smallest defect [mm]", low=0.1, high=10_000.0)
    high_diameter_mm: float = setting(16.0, "largest defect [mm]", low=0.1, high=10_000.0)
    hole_share: float = setting(0.3, "share of flat-bottom holes", low=0.0, high=1.0)
    inclusion_share: float = setting(0.1, "share of inclusions (PTFE); the rest are delaminations", low=0.0, high=1.0)
    empty_share: float = setting(0.0, "share of plates without any defect", low=0.0, high=1.0)
    spread: float = setting(0.2, "spread of the conductivities, either way", low=0.0, high=0.9)
    frames: int = setting(100, "frames after the start of the heating", low=1, high=100_000)
    frame_rate_hz: float = setting(20.0, "frames a second [Hz]", low=0.001, high=100_000.0)
    cold_frames: int = setting(10, "frames before the heating", low=0, high=10_000)

    def __post_init__(self) -> None:
        validate(self)
        plate_material(self.material)
        for name in ("thickness_mm", "defects", "depth_mm", "diameter_mm"):
            low, high = getattr(self, f"low_{name}"), getattr(self, f"high_{name}")
            if low > high:
                raise ConfigError(f"RandomPlates: low_{name} {low:g} is above high_{name} {high:g}")
        if self.hole_share + self.inclusion_share > 1:
            raise ConfigError("RandomPlates: hole_share and inclusion_share together are above 1")
        if self.low_depth_mm > _DEEPEST_SHARE * self.low_thickness_mm:
            raise ConfigError(
                f"RandomPlates: low_depth_mm {self.low_depth_mm:g} is more than 85 % of the thinnest plate, "
                f"{self.low_thickness_mm:g} mm"
            )

    def draw(self, rng: np.random.Generator) -> tuple[Plate, Experiment]:
        """Draw a plate and how it is recorded; see `draw_plate`."""
        return draw_plate(self, rng)


def draw_plate(spec: RandomPlates, rng: np.random.Generator) -> tuple[Plate, Experiment]:
    """Draw a plate and how it is recorded.

    Defects keep 2 mm from one another; where no place is left for one after 200 tries, the plate has fewer.
    """
    plate = Plate(
        (
            Layer(
                _varied(plate_material(spec.material), spec.spread, rng),
                _even(rng, spec, "thickness_mm"),
                bool(rng.integers(2)),
            ),
        ),
        (),
        (spec.height_px, spec.width_px),
        spec.pixel_mm,
        float(rng.uniform(5, 15)),
        float(rng.uniform(5, 15)),
    )
    count = 0 if rng.random() < spec.empty_share else int(rng.integers(spec.low_defects, spec.high_defects + 1))
    defects: list[Defect] = []
    for _ in range(count):
        patch = _free_place(spec, rng, [defect.patch for defect in defects])
        if patch is not None:
            defects.append(_defect(spec, rng, plate.thickness_mm, patch))
    return replace(plate, defects=tuple(defects)), _experiment(spec, rng)


def _even(rng: np.random.Generator, spec: RandomPlates, name: str) -> float:
    return float(rng.uniform(getattr(spec, f"low_{name}"), getattr(spec, f"high_{name}")))


def _varied(material: Material, spread: float, rng: np.random.Generator) -> Material:
    depth, x, y = 1 + spread * rng.uniform(-1, 1, 3)
    return replace(
        material,
        depth_w_mk=material.depth_w_mk * depth,
        x_w_mk=material.x_w_mk * x,
        y_w_mk=material.y_w_mk * y,
        source=f"drawn around {material.name}: {material.source}",
    )


def _free_place(spec: RandomPlates, rng: np.random.Generator, taken: list[Patch]) -> Patch | None:
    width_mm, height_mm = spec.width_px * spec.pixel_mm, spec.height_px * spec.pixel_mm
    largest_mm = min(spec.high_diameter_mm, 0.8 * min(width_mm, height_mm))
    for _ in range(_TRIES):
        # Evenly in the logarithm: as many small ones as large ones in each octave.
        diameter_mm = float(np.exp(rng.uniform(np.log(min(spec.low_diameter_mm, largest_mm)), np.log(largest_mm))))
        stretch = float(np.exp(rng.uniform(-0.3, 0.3)))
        sides = diameter_mm * stretch, diameter_mm / stretch
        reach = (sides[0] / 2 + 1, sides[1] / 2 + 1)
        if 2 * reach[0] >= width_mm or 2 * reach[1] >= height_mm:
            continue
        x, y = rng.uniform(reach[0], width_mm - reach[0]), rng.uniform(reach[1], height_mm - reach[1])
        patch = Patch(float(x), float(y), *sides, "box" if rng.random() < 0.2 else "ellipse")
        if (
            all(_apart(patch, other) for other in taken)
            and patch.mask((spec.height_px, spec.width_px), spec.pixel_mm).any()
        ):
            return patch
    return None


def _apart(one: Patch, other: Patch) -> bool:
    gap_x = abs(one.x_mm - other.x_mm) - (one.width_mm + other.width_mm) / 2
    gap_y = abs(one.y_mm - other.y_mm) - (one.height_mm + other.height_mm) / 2
    return max(gap_x, gap_y) > _CLEAR_MM


def _defect(spec: RandomPlates, rng: np.random.Generator, thickness_mm: float, patch: Patch) -> Defect:
    deepest_mm = min(spec.high_depth_mm, _DEEPEST_SHARE * thickness_mm)
    depth_mm, kind = float(rng.uniform(spec.low_depth_mm, deepest_mm)), rng.random()
    if kind < spec.hole_share:
        return Hole(patch, depth_mm)
    if kind < spec.hole_share + spec.inclusion_share:
        thin_mm = float(rng.uniform(0.1, 0.9)) * (thickness_mm - depth_mm)
        return Inclusion(patch, depth_mm, min(thin_mm, 0.5), plate_material("ptfe"))
    return Delamination(patch, depth_mm, float(np.exp(rng.uniform(np.log(2.5e-4), np.log(4e-3)))))


def _experiment(spec: RandomPlates, rng: np.random.Generator) -> Experiment:
    camera = PlateCamera(
        netd_mk=float(rng.uniform(20, 40)),
        blur_px=float(rng.uniform(0.4, 0.9)),
        fixed_pattern_mk=float(rng.uniform(10, 60)),
        reflection_mk=float(rng.uniform(0, 400)),
        emissivity_spread=float(rng.uniform(0, 0.02)),
        vignetting=float(rng.uniform(0, 0.03)),
        response_ms=float(rng.choice([0.0, 10.0])),
        range_k=150.0,
    )
    recording = Recording(
        frames=spec.frames,
        frame_rate_hz=spec.frame_rate_hz,
        cold_frames=spec.cold_frames,
        lag=float(rng.uniform(0.1, 1.0)),
        ambient_c=float(rng.uniform(15, 30)),
    )
    pulse = Pulse(float(rng.uniform(6000, 20_000)), float(rng.uniform(0.002, 0.02)))
    centre = float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))
    return Experiment(pulse, recording, camera, edge=float(rng.uniform(0.4, 0.9)), centre=centre)
