"""A gap below the surface: how much longer the front of a plate stays warm after a flash, in theory."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

_TERMS = 16
"""Terms of Stehfest's sum: an excess of 0.003 and more is exact to 1e-3 of itself; more terms lose to rounding."""


def gap_excess(
    fourier: Float64[np.ndarray, "#D #R #T"], resistance: Float64[np.ndarray, "#D #R #T"]
) -> Float64[np.ndarray, "D R T"]:
    """Return the relative excess of the front's temperature above a thick layer with a gap, T / T_sound - 1.

    A flash heats the front of a thick body that loses no heat. At the depth d lies a gap of the contact resistance R.
    By the transforms of heat conduction in layers [1]_ the excess is, with q = sqrt(s), time in d^2 / alpha and
    r = R k / d, the inverse Laplace transform of r (1 - tanh q) / (1 + (1 + r q) tanh q), over that of 1 / q. The
    inversion is Stehfest's sum [2]_. It does not need the conductivity k, which r holds.

    Parameters
    ----------
    fourier
        Time as alpha t / d^2, above 0.
    resistance
        R k / d, 0 and more; infinite for a hole, through which no heat goes.

    References
    ----------
    .. [1] D. Maillet, S. André, J. C. Batsale, A. Degiovanni, C. Moyne, Thermal Quadrupoles, Wiley, 2000.
    .. [2] H. Stehfest, Numerical inversion of Laplace transforms, Communications of the ACM 13(1), 1970.
    """
    total: Float64[np.ndarray, "D R T"] = np.zeros(np.broadcast_shapes(fourier.shape, resistance.shape))
    # 1 / r instead of r, so that a hole is 0 and not infinite.
    leak = 1 / np.maximum(resistance, 1e-12)
    for number, weight in enumerate(_weights(), start=1):
        root = np.sqrt(number * math.log(2) / fourier)
        through = np.tanh(root)
        total += weight * (1 - through) / (leak * (1 + through) + root * through)
    return np.asarray(total * math.log(2) * np.sqrt(np.pi / fourier))


def _weights() -> list[float]:
    """Return the weights of Stehfest's sum."""
    half, found = _TERMS // 2, []
    for number in range(1, _TERMS + 1):
        parts = (
            each**half
            * math.factorial(2 * each)
            / (
                math.factorial(half - each)
                * math.factorial(each)
                * math.factorial(each - 1)
                * math.factorial(number - each)
                * math.factorial(2 * each - number)
            )
            for each in range((number + 1) // 2, min(number, half) + 1)
        )
        found.append((-1) ** (half + number) * sum(parts))
    return found
