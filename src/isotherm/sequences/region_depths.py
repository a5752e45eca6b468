"""Depths of whole regions: the mean curve of a region's middle over that of the sound material round it.

A region's mean curve has a tenth of a pixel's noise, and over its surroundings all that both share drops out: the
flash's energy and length, the camera's lag, losses, the back wall. What is left is fitted by the theory of a gap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from isotherm.core.regions import erode
from isotherm.sequences.gap import gap_excess
from isotherm.sequences.kernels import held
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr import required_rise

Mask = Bool[np.ndarray, "H W"]
Curve = Float64[np.ndarray, " T"]
Depths = Float64[np.ndarray, " D"]

BINS = 60
"""Mean frames, even in log time, that curves are made of."""
MIDDLE_PART, MIDDLE_PX = 0.2, 9
"""A region is worn down from its rim to this part of it, but not to fewer pixels."""
LEAST_SOUND_PX = 20
LEAST_FRAMES = 8
NEAREST, DEEPEST = 0.6, 2.3
"""Depths that are tried, over sqrt(alpha t) at the first and at the last time."""
DEPTHS, RESISTANCES, SPREADS = (64, 48), (14, 28), (16, 20)
"""How many depths, resistances and spreads are tried, first over all depths, then about the best."""
ABOUT = 1.25
"""How far about the best depth is looked again, as a factor either way."""
WEAKEST, STRONGEST = 0.05, 8.0
"""Contact resistances that are tried, as R k / d, beside that of a hole."""
SHORTEST, LONGEST = 0.06, 60.0
"""Times in which the plane carries the heat away that are tried, in lengths of the recording, beside never."""
INDEPENDENT = 6.0
"""Points of a curve that count as independent: what the theory leaves out makes neighbours err alike."""
MOST_UNEXPLAINED = 0.3
"""A depth is told where the theory leaves at most this part of the contrast (root mean square) unexplained."""
THEORY_PERCENT = 4.0
"""Standard error of depths of wide simulated defects without noise to speak of, by what the theory leaves out."""
WORST_PERCENT = 20.0
"""A depth whose fit is less certain than this is not told."""


@dataclass(frozen=True)
class GapFit:
    """What the curve of a region tells.

    Parameters
    ----------
    depth_m, sigma_m
        Depth and its standard uncertainty by noise and theory, for an exact diffusivity.
    resistance
        Contact resistance of the gap as R k / d; infinite for a hole.
    unexplained
        Root mean square of what is left over that of the contrast itself.
    """

    depth_m: float
    sigma_m: float
    resistance: float
    unexplained: float


class RegionDepths:
    """Depths of regions of one recording.

    The ratio of both curves is fitted by c (1 + e(t; d, R) m(t; s)): e is the excess over a gap of contact resistance R
    at the depth d (`isotherm.sequences.gap`), m = 1 - exp(-s / t) is what heat in the plane leaves over the middle of a
    disc by that time (the disc of radius a spreads with the diffusivity b along the plane: s = a^2 / 4b [1]_), and c
    holds what differs from the start. All of d, R, s are looked for on a grid, as neither the width of the defect nor
    the conductivity of the plane needs to be known; in composites that of the fibres decides, and it is seldom known.

    After the least-squares depths of Sun [2]_, who fits a reflection and a loss beside the depth.

    Parameters
    ----------
    sequence
        Less its cold frame, with times that count from the flash: ``sequence.cold().cooling()``.
    diffusivity_m2_s
        Through the thickness.

    Raises
    ------
    DataError
        The times of the frames are not known or do not count from the flash, or no cold frame was subtracted.

    References
    ----------
    .. [1] H. Carslaw, J. Jaeger, Conduction of Heat in Solids, 2nd ed., 1959, 10.3.
    .. [2] J. G. Sun, Analysis of pulsed thermography methods for defect depth prediction, Journal of Heat Transfer
       128(4), 2006.
    """

    def __init__(self, sequence: ThermalSequence, diffusivity_m2_s: float) -> None:
        required_rise(sequence, "the depth of a region")
        binned = held(sequence.log_bins(BINS)) if sequence.shape[0] > BINS else held(sequence)
        self._times_s = binned.times_s
        self._frames = binned.frames()
        self._diffusivity = diffusivity_m2_s

    def fit(self, inside: Mask, sound: Mask) -> GapFit | None:
        """Return what the middle of a region tells against sound pixels; None where that is no depth.

        Parameters
        ----------
        inside
            (H W) the region.
        sound
            (H W) pixels that it is compared with.
        """
        if np.count_nonzero(sound) < LEAST_SOUND_PX:
            return None
        curve, ground = self._mean(middle(inside)), self._mean(sound)
        usable = (curve > 0) & (ground > 0)
        if np.count_nonzero(usable) < LEAST_FRAMES:
            return None
        return fitted_gap(np.log(curve[usable] / ground[usable]), self._times_s[usable], self._diffusivity)

    def _mean(self, mask: Mask) -> Curve:
        pixels: Float32[np.ndarray, "T P"] = self._frames[:, mask]
        pixels = pixels[:, np.isfinite(pixels).all(axis=0)]
        return pixels.mean(axis=1, dtype=np.float64) if pixels.shape[1] else np.zeros(len(pixels))


def middle(inside: Mask) -> Mask:
    """Return the middle of a region: its rim is worn down as far as enough of it is left."""
    least = max(MIDDLE_PX, MIDDLE_PART * np.count_nonzero(inside))
    padded = np.pad(inside, 1)
    kept = padded
    for radius in range(1, max(inside.shape)):
        worn = erode(padded, radius)
        if np.count_nonzero(worn) < least:
            break
        kept = worn
    return kept[1:-1, 1:-1]


def fitted_gap(log_ratio: Curve, times_s: Curve, diffusivity_m2_s: float) -> GapFit | None:
    """Fit the theory of a gap to ln(T / T_sound); None where the data do not hold a depth within the times."""
    whole = float(np.var(log_ratio))
    if not whole > 0:
        return None
    fit = _Fit(log_ratio, times_s, diffusivity_m2_s)
    first, last = np.sqrt(diffusivity_m2_s * times_s[[0, -1]]) * (NEAREST, DEEPEST)
    coarse = np.geomspace(first, last, DEPTHS[0])
    best = int(fit.left(coarse, 0)[0].argmin())
    if not 0 < best < coarse.size - 1:
        return None
    depths = np.geomspace(coarse[best] / ABOUT, coarse[best] * ABOUT, DEPTHS[1])
    left, resistance = fit.left(depths, 1)
    best = int(left.argmin())
    unexplained = math.sqrt(float(left[best]) / whole)
    sigma = math.hypot(_sigma(depths, left), THEORY_PERCENT / 100)
    if unexplained > MOST_UNEXPLAINED or sigma > WORST_PERCENT / 100:
        return None
    depth = float(depths[best])
    return GapFit(depth, depth * sigma, float(resistance[best]), unexplained)


@dataclass(frozen=True)
class _Fit:
    log_ratio: Curve
    times_s: Curve
    diffusivity_m2_s: float

    def left(self, depths: Depths, stage: int) -> tuple[Depths, Depths]:
        """Return the least mean square that is left at each depth, and the resistance that leaves it."""
        resistances = np.append(np.geomspace(WEAKEST, STRONGEST, RESISTANCES[stage]), np.inf)
        spreads = np.append(np.geomspace(SHORTEST, LONGEST, SPREADS[stage]), np.inf)
        fourier = self.diffusivity_m2_s * self.times_s[None, None, :] / depths[:, None, None] ** 2
        excess = gap_excess(fourier, resistances[None, :, None])
        remain = -np.expm1(-spreads[:, None] * self.times_s[-1] / self.times_s)
        each = [(self.log_ratio - np.log1p(excess * part)).var(axis=2) for part in remain]
        least = np.min(each, axis=0)
        return least.min(axis=1), resistances[least.argmin(axis=1)]


def _sigma(depths: Depths, left: Depths) -> float:
    """Return the relative standard uncertainty: half the span of depths that leave little more than the best."""
    fair = depths[left <= left.min() * (1 + 1 / INDEPENDENT)]
    return 0.5 * math.log(fair[-1] / fair[0])
