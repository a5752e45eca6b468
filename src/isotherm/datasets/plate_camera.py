"""What a thermal camera records of a plate: blur, uneven emissivity, fixed pattern, drift, noise, counts of its range.

Rises of a few tens of kelvin are taken as proportional to the radiation: the camera is thought to be calibrated for the
plate's mean emissivity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt16

from isotherm.core.config import setting, validate

Frame = Float32[np.ndarray, "H W"]
Field = Float64[np.ndarray, "H W"]
_HEADROOM = 0.1
"""Share of the range below the temperature of the surroundings."""
_DRIFT_WAVES = 3
_FAINTEST_MARK = 0.75
"""Emissivity of a mark, at the least, as a share of the plate's."""


@dataclass(frozen=True)
class PlateCamera:
    """A camera, by what it does to the temperatures; 0 turns an effect off."""

    netd_mk: float = setting(
        25.0, "temporal noise [mK]; cooled cameras 20 to 25, bolometers 30 to 50", low=0.0, high=1e4
    )
    blur_px: float = setting(0.6, "standard deviation of the optics' point spread [px]", low=0.0, high=10.0)
    bits: int = setting(14, "bits of a count", low=8, high=16)
    range_k: float = setting(80.0, "span of the counts [K]; what is hotter is saturated", low=1.0, high=5000.0)
    fixed_pattern_mk: float = setting(30.0, "pixel-to-pixel offset that stays [mK]", low=0.0, high=1e4)
    reflection_mk: float = setting(200.0, "smooth reflection of the room that stays [mK]", low=0.0, high=1e5)
    emissivity_spread: float = setting(0.01, "relative spread of the emissivity over the plate", low=0.0, high=0.5)
    vignetting: float = setting(0.01, "share of the signal lost in the corners", low=0.0, high=0.9)
    response_ms: float = setting(0.0, "time constant of the detector [ms]; bolometers about 10", low=0.0, high=1000.0)
    glare_k: float = setting(0.0, "lamp light that the plate reflects while it is on [K]", low=0.0, high=1e5)
    texture_px: float = setting(1.0, "size of the spots of uneven emissivity [px]", low=0.0, high=1000.0)
    marks: int = setting(0, "tapes, letters, stains of other emissivity on the plate", low=0, high=1000)
    drift_mk: float = setting(0.0, "slow change of all temperatures over the recording [mK]", low=0.0, high=1e5)
    dead_share: float = setting(0.0, "share of pixels that are stuck at a count", low=0.0, high=0.5)

    def __post_init__(self) -> None:
        validate(self)

    def lookup_k(self, ambient_k: float) -> Float64[np.ndarray, " L"]:
        """Return the temperature of each count [K]."""
        step_k = self.range_k / 2**self.bits
        return np.asarray(ambient_k + (np.arange(2**self.bits) - self.zero) * step_k)

    @property
    def zero(self) -> int:
        """The count of the surroundings."""
        return round(_HEADROOM * 2.0**self.bits)


def record(
    rise: Float32[np.ndarray, "T H W"],
    lit: Bool[np.ndarray, " T"],
    camera: PlateCamera,
    *,
    frame_s: float,
    rng: np.random.Generator,
) -> UInt16[np.ndarray, "T H W"]:
    """Return the counts of each frame; `PlateCamera.lookup_k` gives their temperatures.

    Parameters
    ----------
    rise
        Rise of the front over the surroundings [K].
    lit
        During which frames the lamp shines on the plate.
    """
    size = rise.shape[1:]
    patterns_rng, noise_rng, marks_rng, drift_rng, dead_rng = rng.spawn(5)
    gain, offset = _patterns(camera, size, patterns_rng)
    gain *= _marks(camera.marks, size, marks_rng)
    drift = (camera.drift_mk * 1e-3 * _slow(len(rise), drift_rng)).astype(np.float32)
    kept = np.float32(0.0 if camera.response_ms == 0 else np.exp(-frame_s / (camera.response_ms * 1e-3)))
    taps, top, per_k = gaussian_taps(camera.blur_px), 2**camera.bits - 1, np.float32(2**camera.bits / camera.range_k)
    felt: Frame = np.zeros(size, np.float32)
    counts = np.empty(rise.shape, np.uint16)
    for number, frame in enumerate(rise):
        seen = blurred(gain * (frame + np.float32(camera.glare_k * lit[number])), taps)
        felt = seen if kept == 0 else kept * felt + (1 - kept) * seen
        noise = np.float32(camera.netd_mk * 1e-3) * noise_rng.standard_normal(size, dtype=np.float32)
        values = (felt + offset + drift[number] + noise) * per_k + np.float32(camera.zero)
        counts[number] = np.clip(np.rint(values), 0, top).astype(np.uint16)
    dead = dead_rng.random(size) < camera.dead_share
    counts[:, dead] = dead_rng.integers(0, top + 1, int(dead.sum()))
    return counts


def _patterns(camera: PlateCamera, size: tuple[int, int], rng: np.random.Generator) -> tuple[Frame, Frame]:
    """Return what multiplies the rise and what is added to it [K], both the same in all frames."""
    texture = 1 + camera.emissivity_spread * _smooth(size, rng, camera.texture_px)
    down, right = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in size)
    off_axis = (down[:, None] ** 2 + right[None, :] ** 2) / 2
    reflected = camera.reflection_mk * 1e-3 * _smooth(size, rng, min(size) / 4)
    fixed = camera.fixed_pattern_mk * 1e-3 * rng.standard_normal(size)
    return (texture * (1 - camera.vignetting * off_axis)).astype(np.float32), (reflected + fixed).astype(np.float32)


def _marks(count: int, size: tuple[int, int], rng: np.random.Generator) -> Frame:
    """Return what multiplies the rise of each pixel: less than 1 on boxes and ellipses at random places."""
    gain = np.ones(size, np.float32)
    down, right = (np.arange(side) + 0.5 for side in size)
    for _ in range(count):
        middle, reach = rng.uniform(0, size, 2), np.exp(rng.uniform(np.log(1), np.log(max(1.5, min(size) / 5)), 2))
        apart = np.abs((down - middle[0]) / reach[0])[:, None], np.abs((right - middle[1]) / reach[1])[None, :]
        inside = np.maximum(*apart) <= 1 if rng.random() < 0.5 else np.hypot(*apart) <= 1
        gain[inside] = rng.uniform(_FAINTEST_MARK, 1)
    return gain


def _slow(frames: int, rng: np.random.Generator) -> Float64[np.ndarray, " T"]:
    """Return a random course over the frames, about 0, of unit spread where there is more than one frame."""
    way = (np.arange(frames) + 0.5) / frames
    waves = np.arange(1, _DRIFT_WAVES + 1)
    course = np.cos(np.pi * np.outer(way, waves)) @ (rng.standard_normal(_DRIFT_WAVES) / waves)
    return np.asarray(course / max(float(course.std()), 1e-12))


def _smooth(size: tuple[int, int], rng: np.random.Generator, length_px: float) -> Field:
    """Return a random field of unit spread that varies over about `length_px` pixels, the same across the rims."""
    down, right = (np.fft.fftfreq(side) for side in size)
    filtered = np.exp(-2 * (np.pi * length_px) ** 2 * (down[:, None] ** 2 + right[None, :] ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal(size)) * filtered).real
    spread = float(field.std())
    return np.asarray(field / spread if spread > 0 else np.zeros(size))


def gaussian_taps(blur_px: float) -> Float32[np.ndarray, " K"]:
    """Return the weights of a Gaussian point spread along one direction; their sum is 1."""
    reach = int(np.ceil(4 * blur_px))
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * max(blur_px, 1e-9) ** 2))
    return np.asarray(taps / taps.sum(), np.float32)


def blurred(frame: Frame, taps: Float32[np.ndarray, " K"]) -> Frame:
    """Return a frame under the point spread, its rim repeated outwards."""
    reach = taps.size // 2
    if reach == 0:
        return frame
    for _ in range(2):
        wide = np.pad(frame, ((reach, reach), (0, 0)), mode="edge")
        mixed = taps[0] * wide[: frame.shape[0]]
        for start, tap in enumerate(taps[1:], start=1):
            mixed += tap * wide[start : start + frame.shape[0]]
        frame = np.ascontiguousarray(mixed.T)
    return frame
