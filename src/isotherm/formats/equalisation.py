"""How wrong places along a scale may be because the camera equalised its colours.

Cameras spread their colours over what they see, so that a dense background gets more of them. That of the FLIR B300
keeps a straight share of the way along the scale and gives the rest by a histogram whose peaks are cut off at a
plateau: place = (1 - share) * signal + share * cut-off distribution of the signal. From the places of a picture and
the two constants the signal follows by iteration, without its temperatures.

Whether a camera did so cannot be seen: the places of a linear display of one scene are those of an equalised display
of another (docs/estimated.md has the measurement). Values therefore stay as a linear scale gives them, and what
equalisation would have moved them by enters their uncertainty.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

BINS = 256
"""Places at which the distribution is taken."""
BLUR_BINS = 7
"""Width of the smoothing of the distribution, where JPEG blurs single colours away."""
SHARE, PLATEAU = 0.4, 16.0
"""Share of the scale that a histogram gives away, and the plateau over its mean: nearest the truth for the five states
of the circuit that the constants were chosen on (benchmarks/equalised_colours.py)."""
STEEPEST = 20.0
"""Most that a camera spreads signals apart."""
ROUNDS, STEP = 100, 0.3
"""Rounds of the iteration and how far each goes; it settles to 0.002 of the scale."""
AT_ENDS = 0.004
"""Places so near to an end may be beyond it and say nothing about the distribution."""
FLOOR = 0.5
"""The shift is known to about this share of its largest value: cameras use the histogram of an earlier frame."""
SIGMAS = 0.65
"""Standard uncertainty over the shift that equalisation would make. A rectangular distribution from none to the whole
shift would have 0.58; this one covers 95 % of the pixels of the five states."""

Along = Float[np.ndarray, " K"]


def shift_sigma(places: Float32[np.ndarray, " N"]) -> Along:
    """Return the standard uncertainty of places 0 .. 1 at equal steps, as a share of the scale.

    Parameters
    ----------
    places
        (N) the known places of a picture.
    """
    inside = places[(places > AT_ENDS) & (places < 1 - AT_ENDS)]
    along = np.linspace(0, 1, BINS + 1)
    if not inside.size:
        return np.zeros_like(along)
    shift = np.abs(along - signals(density_of(inside)))
    # The ends are those of the signal, whatever lies between them.
    room = np.minimum(along, 1 - along)
    sigma: Along = SIGMAS * np.maximum(shift, np.minimum(FLOOR * shift.max(), room))
    return sigma


def signals(density: Along, *, share: float = SHARE, plateau: float = PLATEAU) -> Float[np.ndarray, " K+1"]:
    """Return the signal (0 .. 1) at the edges of `BINS` places, had the camera equalised their colours.

    Parameters
    ----------
    density
        (K) share of the pixels at each place.
    share, plateau
        See `SHARE` and `PLATEAU`.
    """
    widths = np.full(BINS, 1 / BINS)
    for _ in range(ROUNDS):
        peaks = np.minimum(density / widths, plateau) * widths
        left = (1 / BINS - share * peaks / peaks.sum()) / (1 - share)
        wanted = np.maximum(left, 1 / (BINS * STEEPEST))
        widths = (1 - STEP) * widths + STEP * wanted / wanted.sum()
    return np.concatenate([[0.0], np.cumsum(widths)])


def density_of(places: Float32[np.ndarray, " N"]) -> Along:
    """Return the share of the pixels at each of `BINS` places (0 .. 1), smoothed."""
    counts = np.histogram(places, bins=BINS, range=(0, 1))[0]
    bell = np.hanning(BLUR_BINS + 2)
    smooth = np.convolve(counts, bell, "same")
    density: Along = smooth / smooth.sum()
    return density
