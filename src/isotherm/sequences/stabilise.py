"""Small shifts of the camera or the part between frames: found by phase correlation, and undone.

Phase correlation: Kuglin and Hines, Proc. Int. Conf. Cybernetics and Society, 1975. Two things pull its peak towards no
movement: the camera's own pattern, which does not move (it lives in the high frequencies, which are left out), and that
frames must be faded out towards their border. So each frame is moved back and compared again until nothing is left, and
the parabola through the peak is exact then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Float32, Float64

from isotherm.core.errors import DataError, UsageError
from isotherm.sequences.sources import FrameSource, Part, Picture

STILL_PX = 0.05
"""Movements smaller than this are not undone: to move frames by parts of a pixel blurs them a little."""
_LARGE_PX = 200
_BAND = 0.1  # cycles a pixel: where the weight of a frequency has fallen to 1/e
_WHITENING = 0.25
_LEAST_AGREEMENT = 0.7
_ROUNDS, _SETTLED_PX = 8, 0.005


@dataclass(frozen=True, eq=False)
class Movement:
    """How far each frame lies from the reference [px]: down and right are above 0; ``sure`` where it was seen."""

    down: Float64[np.ndarray, " T"]
    right: Float64[np.ndarray, " T"]
    sure: Float64[np.ndarray, " T"]

    @property
    def largest_px(self) -> float:
        """The longest way of any frame from the reference."""
        return float(np.hypot(self.down, self.right).max())


def movement(source: FrameSource, reference: int, most_px: float) -> Movement:
    """Return how far each frame lies from a reference frame.

    Parameters
    ----------
    source
        The frames; their mean value and slow gradients do not matter, so that they may cool.
    reference
        The frame that the others are compared with.
    most_px
        The longest way [px] that is believed. A frame without a clear peak within it is taken where its neighbours are.

    Raises
    ------
    UsageError
        The longest way is not above 0.
    DataError
        The frames are too small for it, or the reference shows nothing to hold on to.
    """
    count, height, width = source.shape
    if not (np.isfinite(most_px) and most_px > 0):
        raise UsageError(f"a longest way of {most_px:g} px; it must be above 0")
    if min(height, width) < 4 * most_px + 8:
        raise DataError(f"frames of {width} x {height} pixels are too small to look for movements of {most_px:g} px")
    everything = slice(0, height), slice(0, width)
    step = 2 if min(height, width) >= _LARGE_PX else 1
    taper = np.outer(np.hanning(height // step), np.hanning(width // step)).astype(np.float32)
    held = _spectrum(_binned(source.read(slice(reference, reference + 1), *everything)[0], step), taper)
    if not np.abs(held).any():
        raise DataError(f"frame {reference} shows no structure by which movement could be seen")
    found = Movement(*(np.zeros(count, np.float64) for _ in range(3)))
    for index in range(count):
        frame = source.read(slice(index, index + 1), *everything)[0]
        down, right, sure = _place(held, _binned(frame, step), taper, most_px / step)
        found.down[index], found.right[index], found.sure[index] = step * down, step * right, sure
    return _filled(found)


def _binned(frame: Picture, step: int) -> Float32[np.ndarray, "h w"]:
    """Return the frame with gaps filled, and means of `step` x `step` pixels: high frequencies are not asked anyway."""
    gaps = ~np.isfinite(frame)
    filled = np.where(gaps, frame[~gaps].mean() if not gaps.all() else 0.0, frame) if gaps.any() else frame
    if step == 1:
        return filled
    height, width = frame.shape[0] // step, frame.shape[1] // step
    cut = filled[: height * step, : width * step].reshape(height, step, width, step)
    binned: Float32[np.ndarray, "h w"] = cut.mean(axis=3).mean(axis=1)
    return binned


def _place(
    held: Complex[np.ndarray, "H F"], frame: Picture, taper: Float32[np.ndarray, "H W"], most_px: float
) -> tuple[float, float, float]:
    """Return how far down and right a frame lies, and 1.0 where that was seen; zeros where it was not."""
    down, right, back = 0.0, 0.0, frame
    for _ in range(_ROUNDS):
        more = _shift(held, _spectrum(back, taper), frame.shape, most_px)
        if more is None or np.hypot(down + more[0], right + more[1]) > most_px:
            return 0.0, 0.0, 0.0
        down, right = down + more[0], right + more[1]
        if np.hypot(*more) < _SETTLED_PX:
            break
        back = moved_back(frame, down, right)
    return down, right, 1.0


def _spectrum(frame: Picture, taper: Float32[np.ndarray, "H W"]) -> Complex[np.ndarray, "H F"]:
    """Return the Fourier transform of a frame without its plane, faded out towards its border."""
    rows, columns = frame.mean(axis=1), frame.mean(axis=0)
    level = rows.mean()
    down, across = np.linspace(-1, 1, rows.size), np.linspace(-1, 1, columns.size)
    slopes = (rows - level) @ down / (down @ down), (columns - level) @ across / (across @ across)
    flat = frame - level - slopes[0] * down[:, None] - slopes[1] * across[None]
    found: Complex[np.ndarray, "H F"] = np.fft.rfft2((flat * taper).astype(np.float32))
    return found


def _shift(
    held: Complex[np.ndarray, "H F"], moved: Complex[np.ndarray, "H F"], size: tuple[int, ...], most_px: float
) -> tuple[float, float] | None:
    """Return down and right where the correlation has a clear peak; None where it has none."""
    height, width = size
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    cross = moved * held.conj()
    strength = np.abs(cross)
    if not strength.any():
        return None
    # Between plain correlation (best under white noise) and phases alone (sharpest without noise).
    weight = np.exp(-(down**2 + across**2) / _BAND**2) / np.maximum(strength, 1e-9 * strength.max()) ** _WHITENING
    band = cross * weight
    surface = np.fft.irfft2(band, s=size)
    reach = int(np.ceil(most_px)) + 1
    near = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    top = np.unravel_index(int(near.argmax()), near.shape)
    # All frequencies in step would give this height.
    if near[top] < _LEAST_AGREEMENT * float(np.fft.irfft2(np.abs(band), s=size)[0, 0]):
        return None
    fine = _parabola(near[:, top[1]], int(top[0])), _parabola(near[top[0]], int(top[1]))
    return int(top[0]) - reach + fine[0], int(top[1]) - reach + fine[1]


def _parabola(values: Float[np.ndarray, " n"], top: int) -> float:
    """Return by how much the peak of a parabola through three values lies beside the middle one."""
    if not 0 < top < values.size - 1:
        return 0.0
    before, here, after = (float(value) for value in values[top - 1 : top + 2])
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else 0.5 * (before - after) / bend


def _filled(found: Movement) -> Movement:
    """Return the movement with frames that were not seen between their neighbours."""
    seen = np.flatnonzero(found.sure)
    if seen.size == 0:
        return found
    index = np.arange(found.sure.size)
    return Movement(np.interp(index, seen, found.down[seen]), np.interp(index, seen, found.right[seen]), found.sure)


def moved_back(frame: Picture, down: float, right: float) -> Picture:
    """Return a frame moved up by `down` and left by `right` pixels; the border is repeated.

    Between pixels by Catmull-Rom's cubic (four pixels a side), which keeps straight lines and hardly blurs.
    """
    return _moved_rows(_moved_rows(frame, down).T, right).T


def _moved_rows(frame: Float32[np.ndarray, "A B"], by: float) -> Float32[np.ndarray, "A B"]:
    whole = int(np.floor(by))
    part = by - whole
    places = np.arange(frame.shape[0]) + whole
    last = frame.shape[0] - 1
    if part < 1e-6:
        return frame[np.clip(places, 0, last)]
    weights = (
        0.5 * (-(part**3) + 2 * part**2 - part),
        0.5 * (3 * part**3 - 5 * part**2 + 2),
        0.5 * (-3 * part**3 + 4 * part**2 + part),
        0.5 * (part**3 - part**2),
    )
    found = np.zeros_like(frame)
    for step, weight in zip((-1, 0, 1, 2), weights, strict=True):
        found += np.float32(weight) * frame[np.clip(places + step, 0, last)]
    return found


@dataclass(frozen=True, eq=False)
class Stilled:
    """Frames of another source, each moved back to where the reference is; kept by a `FrameCache` in front."""

    inside: FrameSource
    moves: Movement

    def frame(self, index: int) -> Picture:
        """Return one frame, moved back where it moved at all."""
        _, height, width = self.inside.shape
        part: Part = self.inside.read(slice(index, index + 1), slice(0, height), slice(0, width))
        down, right = float(self.moves.down[index]), float(self.moves.right[index])
        return part[0] if np.hypot(down, right) < STILL_PX else moved_back(part[0], down, right)
