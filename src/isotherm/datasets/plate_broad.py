"""Random plates of many materials, sizes, speeds and cameras: to train what shall work on recordings of any kind.

A recording is as long as heat needs, so that what a defect does to its maps is alike whatever the material: its length
counts in thickness² / (pi diffusivity), the time after which the back of the plate bends the front's cooling most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError
from isotherm.datasets.plate_camera import PlateCamera
from isotherm.datasets.plate_heating import Pulse
from isotherm.datasets.plate_materials import plate_material
from isotherm.datasets.plate_random import RandomPlates, draw_plate
from isotherm.datasets.plate_sequence import Experiment
from isotherm.datasets.plates import Layer, Material, Plate

_MATERIALS = "cfrp,cfrp-quasi-isotropic,gfrp,pvc,acrylic,steel,stainless-steel"
_SPREAD = 0.3
_STEPS = 500
"""Steps of the simulation for which pixels and the nearest defect are large enough: about 2 s of processor time."""
_NEAREST_SHARE, _FARTHEST_SHARE = 0.08, 0.75
"""Depths of defects, as shares of the thickness."""
_LEAST_PX = 4.0
_COARSEST_SHARE = 1 / 3
"""Side of a pixel, as a share of the thickness, at most: wide defects are many thicknesses wide."""


@dataclass(frozen=True)
class BroadPlates:
    """What broad random plates are drawn from; pairs ``low_``, ``high_`` end draws even in the logarithm."""

    materials: str = setting(_MATERIALS, "materials, with commas between; their conductivities vary by 30 %")
    height_px: int = setting(128, "height of the picture [px]", low=16, high=4096)
    width_px: int = setting(160, "width of the picture [px]", low=16, high=4096)
    low_pixel_mm: float = setting(0.2, "smallest pixel on the plate [mm]", low=0.01, high=100.0)
    high_pixel_mm: float = setting(1.0, "largest pixel on the plate [mm]", low=0.01, high=100.0)
    low_thickness_mm: float = setting(1.0, "thinnest plate [mm]", low=0.05, high=1000.0)
    high_thickness_mm: float = setting(6.0, "thickest plate [mm]", low=0.05, high=1000.0)
    low_span: float = setting(
        0.25, "shortest recording after the flash, in thickness²/(pi diffusivity)", low=0.01, high=100.0
    )
    high_span: float = setting(
        4.0, "longest recording after the flash, in thickness²/(pi diffusivity)", low=0.01, high=100.0
    )
    low_frames: int = setting(60, "fewest frames after the start of the heating", low=8, high=100_000)
    high_frames: int = setting(250, "most frames after the start of the heating", low=8, high=100_000)
    high_rate_hz: float = setting(
        400.0, "most frames a second [Hz]; metals get thicker plates, or fewer frames", low=0.1, high=100_000.0
    )
    low_defects: int = setting(4, "fewest defects of a plate that has any", low=1, high=60)
    high_defects: int = setting(10, "most defects of a plate", low=1, high=60)
    empty_share: float = setting(0.1, "share of plates without any defect", low=0.0, high=1.0)
    cross_ply_share: float = setting(0.3, "share of fibre plates whose layers are turned in turn", low=0.0, high=1.0)
    eight_bit_share: float = setting(0.1, "share of cameras with 8 bits", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        validate(self)
        for name in self.names:
            plate_material(name)
        for name in ("pixel_mm", "thickness_mm", "span", "frames", "defects"):
            low, high = getattr(self, f"low_{name}"), getattr(self, f"high_{name}")
            if low > high:
                raise ConfigError(f"BroadPlates: low_{name} {low:g} is above high_{name} {high:g}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the materials."""
        return tuple(name.strip() for name in self.materials.split(","))

    def draw(self, rng: np.random.Generator) -> tuple[Plate, Experiment]:
        """Draw a plate and how it is recorded; see `isotherm.datasets.plate_random.draw_plate`."""
        spec, span_s = self._spec(rng)
        plate, experiment = draw_plate(spec, rng)
        material = plate_material(spec.material)
        if material.x_w_mk != material.y_w_mk and rng.random() < self.cross_ply_share:
            plate = _cross_plied(plate, int(rng.integers(2, 5)))
        return plate, self._recorded(material, experiment, span_s, rng)

    def _spec(self, rng: np.random.Generator) -> tuple[RandomPlates, float]:
        """Draw what one plate is drawn from, and how long it is recorded [s]."""
        material = plate_material(self.names[int(rng.integers(len(self.names)))])
        span, frames = _log_even(rng, self.low_span, self.high_span), self._frames(rng)
        thickness_mm = _log_even(rng, *self._thicknesses(material, span, frames))
        back_s = (thickness_mm * 1e-3) ** 2 / (math.pi * material.diffusivity_m2_s)
        span_s = span * back_s
        frames = max(8, min(frames, int(span_s * self.high_rate_hz)))
        pixel_mm = _log_even(rng, *self._pixels(material, thickness_mm, span_s))
        # What heat has not come back from when the recording ends cannot be seen.
        nearest = max(_NEAREST_SHARE, math.sqrt(4 * span / (math.pi * _STEPS)))
        deepest = max(min(_FARTHEST_SHARE, 0.9 * math.sqrt(span)), nearest)
        smallest_mm = max(_LEAST_PX * pixel_mm, nearest * thickness_mm)
        # Recordings are often cropped to one large flaw.
        largest_mm = min(0.75 * min(self.height_px, self.width_px) * pixel_mm, 16 * deepest * thickness_mm)
        fibres = material.x_w_mk != material.depth_w_mk
        spec = RandomPlates(
            material=material.name,
            height_px=self.height_px,
            width_px=self.width_px,
            pixel_mm=pixel_mm,
            low_thickness_mm=thickness_mm,
            high_thickness_mm=thickness_mm,
            low_defects=self.low_defects,
            high_defects=self.high_defects,
            low_depth_mm=nearest * thickness_mm,
            high_depth_mm=deepest * thickness_mm,
            low_diameter_mm=smallest_mm,
            high_diameter_mm=max(largest_mm, smallest_mm),
            # Gaps and foreign films are flaws of laminates; in plastics they hardly hold heat up.
            hole_share=0.4 if fibres else 0.8,
            inclusion_share=0.1 if fibres else 0.0,
            empty_share=self.empty_share,
            spread=_SPREAD,
            frames=frames,
            frame_rate_hz=frames / span_s,
            cold_frames=int(rng.integers(1, 21)),
        )
        return spec, span_s

    def _frames(self, rng: np.random.Generator) -> int:
        return round(_log_even(rng, self.low_frames, self.high_frames))

    def _thicknesses(self, material: Material, span: float, frames: int) -> tuple[float, float]:
        """Return between which a plate's thickness is drawn [mm]: the frame rate shall not be above the highest."""
        thinnest_m = math.sqrt(math.pi * material.diffusivity_m2_s * frames / self.high_rate_hz / span)
        return min(max(self.low_thickness_mm, thinnest_m * 1e3), self.high_thickness_mm), self.high_thickness_mm

    def _pixels(self, material: Material, thickness_mm: float, span_s: float) -> tuple[float, float]:
        """Return between which a pixel's side is drawn [mm]: the smaller the more steps."""
        spreading_m2_s = max(material.x_w_mk, material.y_w_mk) / material.capacity_j_m3k
        smallest_mm = math.sqrt(spreading_m2_s * span_s / _STEPS) * 1e3
        low_mm = min(max(self.low_pixel_mm, smallest_mm), self.high_pixel_mm)
        return low_mm, min(max(low_mm, _COARSEST_SHARE * thickness_mm), self.high_pixel_mm)

    def _recorded(
        self, material: Material, experiment: Experiment, span_s: float, rng: np.random.Generator
    ) -> Experiment:
        """Draw heating and camera anew, more widely."""
        pulse = Pulse(_log_even(rng, 4000, 25_000), _log_even(rng, 0.002, max(0.02, 0.03 * span_s)))
        effusivity = math.sqrt(material.depth_w_mk * material.capacity_j_m3k)
        seen_s = max(experiment.recording.frame_s * experiment.recording.lag, pulse.duration_s)
        hottest_k = pulse.energy_j_m2 / (effusivity * math.sqrt(math.pi * seen_s))
        centre = float(rng.uniform(0, 1)), float(rng.uniform(0, 1))
        camera = self._camera(experiment.camera, hottest_k, rng)
        return replace(experiment, heating=pulse, camera=camera, edge=float(rng.uniform(0.3, 0.95)), centre=centre)

    def _camera(self, camera: PlateCamera, hottest_k: float, rng: np.random.Generator) -> PlateCamera:
        """Draw a camera whose range ends at 0.7 to 3 times the hottest rise, for 8 bits at 1 to 1.3 times."""
        coarse = rng.random() < self.eight_bit_share
        room = _log_even(rng, 1.0, 1.3) if coarse else _log_even(rng, 0.7, 3.0)
        return replace(
            camera,
            netd_mk=_log_even(rng, 15, 60),
            bits=8 if coarse else int(rng.choice([12, 14, 14, 16])),
            range_k=float(np.clip(room * hottest_k / 0.9, 5, 5000)),
            emissivity_spread=float(rng.uniform(0, 0.05)),
            vignetting=float(rng.uniform(0, 0.1)),
            glare_k=float(rng.uniform(0, 20)),
            texture_px=_log_even(rng, 0.7, 10),
            marks=int(rng.integers(0, 4)),
            drift_mk=float(rng.uniform(0, 80)),
            dead_share=float(rng.choice([0.0, rng.uniform(0, 0.002)])),
        )


def _log_even(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _cross_plied(plate: Plate, plies: int) -> Plate:
    """Return the plate with its one layer cut into plies, each turned against the one before."""
    (whole,) = plate.layers
    layers = tuple(
        Layer(whole.material, whole.thickness_mm / plies, whole.turned ^ (ply % 2 == 1)) for ply in range(plies)
    )
    return replace(plate, layers=layers)
