"""Altered copies of labelled recordings, made before any map is computed, so that the maps see what was altered.

What cameras, exports and habits do to recordings: other heating, more noise, fewer frames, a flash that is a frame off,
fixtures in view, 8 bits, grey levels without unit, times or cold frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Float32, Float64, Integer

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.datasets.plate_camera import blurred, gaussian_taps

Frames = Float32[np.ndarray, "T H W"]
Unit = Literal["K", "°C", "au", "counts"]
Labels = Integer[np.ndarray, "h w"]
_STEEP = 0.1
"""Rise of the mean from frame to frame that is heat, as a share of the mean's span."""
_GREYS = 255
_HELD_SHARE = 0.5
_QUIET_FRAMES = 10
"""Frames at the end by which the camera's noise is judged: the plate hardly changes there."""
Planes = TypeVar("Planes", bound=np.ndarray)


@dataclass(frozen=True)
class RecordingAugment:
    """How far recordings are altered; each amount is drawn evenly up to what stands here, 0 turns it off."""

    gain: float = setting(0.3, "largest change of all rises, as a logarithm", low=0.0, high=3.0)
    heating: float = setting(0.4, "largest change by uneven heating, as a logarithm", low=0.0, high=3.0)
    noise_k: float = setting(0.03, "standard deviation of added noise, at most [K]", low=0.0, high=100.0)
    blur_px: float = setting(0.8, "standard deviation of added blur, at most [px]", low=0.0, high=10.0)
    shift_frames: float = setting(1.0, "how far the flash is off, at most [frames]", low=0.0, high=1.0)
    cut_share: float = setting(0.5, "share of the cooling that is cut off at the end, at most", low=0.0, high=0.9)
    most_every: int = setting(3, "every N-th frame is taken, N at most", low=1, high=100)
    least_frames: int = setting(30, "frames behind the flash that stay at least", low=2, high=100_000)
    turn: bool = setting(True, "mirror, and turn by quarters")
    covered_share: float = setting(0.2, "share of the copies in which a fixture covers a rim", low=0.0, high=1.0)
    eight_bit_share: float = setting(0.1, "share of the copies with 8 bits", low=0.0, high=1.0)
    grey_share: float = setting(
        0.1, "share of the copies in grey levels without unit, times and cold frames", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        validate(self)


class AlteredRecording(NamedTuple):
    """An altered copy.

    Parameters
    ----------
    frames
        (t h w) float32; kelvin or grey levels.
    times_s
        (t) time of each frame [s], rising; whole numbers where the times were lost.
    labels
        (h w) labels of the altered picture.
    unit
        ``au`` for grey levels, else the one that was given.
    """

    frames: Frames
    times_s: Float64[np.ndarray, " T"]
    labels: Labels
    unit: Unit


def augmented_recording(
    frames: Float[np.ndarray, "T H W"],
    times_s: Float64[np.ndarray, " t"],
    *,
    labels: Labels,
    config: RecordingAugment,
    rng: np.random.Generator,
    unit: Unit = "K",
) -> AlteredRecording:
    """Return an altered copy of a recording and its labels.

    Parameters
    ----------
    frames, times_s
        As the camera gave them, cold frames and flash included where there are any.
    labels
        Numbers of defects, 0 where there is none, negative where nobody judged. Under a fixture they become 0.
    config
        What may happen.
    rng
        Decides what does.
    unit
        Of the frames.

    Raises
    ------
    DataError
        Labels or times are not of the frames' size.
    """
    if labels.shape != frames.shape[1:] or times_s.shape != frames.shape[:1]:
        raise DataError(
            f"labels of {labels.shape} pixels and {times_s.size} times for frames of {frames.shape}; the last two "
            "numbers must be those of the labels, the first that of the times"
        )
    first = first_heated(frames)
    index = _kept(len(frames), first, config, rng)
    copy, labels = np.array(frames[index], np.float32), labels.copy()
    first = int(np.searchsorted(index, first))
    times_s = _shifted(times_s[index], first, config.shift_frames * rng.uniform(-1, 1))
    if config.turn:
        way = int(rng.integers(8))
        copy, labels = _turned(copy, way), _turned(labels, way)
    gone = ~np.isfinite(copy)
    copy[gone] = np.nanmean(copy) if gone.any() else 0
    _reheat(copy, first, config, rng)
    _look(copy, config, rng)
    if rng.random() < config.covered_share:
        _cover(copy, labels, first, rng)
    copy[gone] = np.nan
    if rng.random() < config.grey_share:
        start = min(first + int(rng.integers(3)), len(copy) - 2)
        return _grey(copy[start:], labels, rng)
    if rng.random() < config.eight_bit_share:
        step = max(float(np.nanmax(copy) - np.nanmin(copy)) / _GREYS, 1e-9)
        np.multiply(np.rint(copy / step), step, out=copy)
    return AlteredRecording(copy, times_s, labels, unit)


def first_heated(frames: Float[np.ndarray, "T H W"]) -> int:
    """Return the first frame that heat shows in; 0 where the mean of the frames never rises steeply."""
    mean = np.nanmean(frames, axis=(1, 2), dtype=np.float64)
    rises = np.flatnonzero(np.diff(mean) > _STEEP * np.ptp(mean))
    return int(rises[0]) + 1 if rises.size else 0


def _kept(count: int, first: int, config: RecordingAugment, rng: np.random.Generator) -> np.ndarray:
    """Return which frames are kept: all cold ones, then every N-th, up to where the end is cut off."""
    behind = count - first
    every = int(rng.integers(1, config.most_every + 1))
    every = max(1, min(every, behind // config.least_frames))
    least = min(behind, config.least_frames * every)
    end = first + max(least, round(behind * (1 - config.cut_share * rng.random())))
    return np.concatenate([np.arange(first), np.arange(first, min(end, count), every)])


def _shifted(times_s: Float64[np.ndarray, " T"], first: int, frames: float) -> Float64[np.ndarray, " T"]:
    """Return times of which those from the first heated frame on are off; the order of the frames stays."""
    shifted = times_s.copy()
    if 0 < first < times_s.size:
        # Not quite a frame: two frames never have one time.
        shifted[first:] += 0.9 * frames * (times_s[first] - times_s[first - 1])
    return shifted


def _reheat(copy: Frames, first: int, config: RecordingAugment, rng: np.random.Generator) -> None:
    """Scale the rises by a gain and a smooth field, in place.

    Without cold frames the rise counts from the mean of the coldest frame.
    """
    size = copy.shape[1:]
    base = copy[:first].mean(axis=0) if first else np.full(size, copy.mean(axis=(1, 2)).min(), np.float32)
    field = np.exp(config.gain * rng.uniform(-1, 1) + config.heating * rng.random() * _smooth(size, rng))
    for frame in copy:
        frame[:] = base + field.astype(np.float32) * (frame - base)


def _look(copy: Frames, config: RecordingAugment, rng: np.random.Generator) -> None:
    """Add blur and noise, in place."""
    taps = gaussian_taps(config.blur_px * rng.random())
    noise = np.float32(config.noise_k * rng.random())
    for frame in copy:
        frame[:] = blurred(frame, taps) + noise * rng.standard_normal(frame.shape, dtype=np.float32)


def _cover(copy: Frames, labels: Labels, first: int, rng: np.random.Generator) -> None:
    """Lay a fixture over one rim, up to a fifth of the picture, in place: it stays as warm as the plate was before.

    It takes up to a tenth of the plate's mean rise, and has no defects.
    """
    wide = int(rng.integers(1, max(2, min(labels.shape) // 5)))
    rim = ([slice(None, wide), slice(-wide, None)])[int(rng.integers(2))]
    place = (rim, slice(None)) if rng.random() < 0.5 else (slice(None), rim)
    means = copy.mean(axis=(1, 2), keepdims=True)
    cold = means[:first].mean() if first else means.min()
    part = copy[:, *place]
    steps = np.diff(part[-_QUIET_FRAMES:], axis=0)
    steps -= np.median(steps, axis=(1, 2), keepdims=True)
    noise = 1.4826 / np.sqrt(2) * float(np.median(np.abs(steps)))
    part[:] = cold + rng.uniform(0, 0.1) * (means - cold) + noise * rng.standard_normal(part.shape, dtype=np.float32)
    labels[place] = 0


def _turned(planes: Planes, way: int) -> Planes:
    """Return planes (... H W) in one of the eight ways that a square can lie."""
    turned = np.rot90(planes, way % 4, axes=(-2, -1))
    return np.ascontiguousarray(turned[..., ::-1] if way >= 4 else turned)  # type: ignore[return-value]


def _grey(copy: Frames, labels: Labels, rng: np.random.Generator) -> AlteredRecording:
    """Return frames in whole grey levels, stretched over most of 0 to 255; half of them show each frame twice."""
    low, high = np.nanquantile(copy, [0.001, 0.999])
    dark, bright = rng.uniform(0, 30), rng.uniform(130, _GREYS)
    greys = np.rint((copy - low) * np.float32((bright - dark) / max(high - low, 1e-9)) + np.float32(dark))
    np.clip(greys, 0, _GREYS, out=greys)
    if rng.random() < _HELD_SHARE:
        places = np.arange(len(greys))
        greys = greys[places - places % 2]
    return AlteredRecording(greys.astype(np.float32), np.arange(len(greys), dtype=np.float64), labels, "au")


def _smooth(size: tuple[int, int], rng: np.random.Generator) -> Float64[np.ndarray, "H W"]:
    """Return a random polynomial of the second degree in both directions, at most 1 from 0."""
    down, right = (np.linspace(-1, 1, side)[:, None] ** np.arange(3) for side in size)
    field = down @ rng.standard_normal((3, 3)) @ right.T
    field -= field.mean()
    return np.asarray(field / max(float(np.abs(field).max()), 1e-12))
