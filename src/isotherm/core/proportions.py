"""Shares seen in few trials: exact limits, without scipy.

Everything here rests on the tail of the binomial distribution; with whole-numbered parameters the beta distribution is
the same thing: P(Beta(a, b) <= x) = P(Binomial(a + b - 1, x) >= a) (Abramowitz & Stegun 1964, 26.5.24).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log, log1p, sqrt

from isotherm.core.errors import DataError

HALVINGS = 40
"""Steps of a bisection on [0, 1]: to 1e-12."""


def binomial_tail(successes: int, trials: int, rate: float) -> float:
    """Return the probability of at least `successes` in `trials` when each succeeds with probability `rate`."""
    if successes <= 0:
        return 1.0
    if successes > trials or rate <= 0:
        return 0.0
    return 1.0 if rate >= 1 else _incomplete_beta(successes, trials - successes + 1, rate)


def _incomplete_beta(a: int, b: int, x: float) -> float:
    """Return I_x(a, b) by its continued fraction (Abramowitz & Stegun 1964, 26.5.8), for 0 < x < 1."""
    if x > (a + 1) / (a + b + 2):
        # Beyond the bulk the fraction converges slowly; there the other tail is short.
        return 1.0 - _incomplete_beta(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a + 1) - lgamma(b) + a * log(x) + b * log1p(-x))
    return min(1.0, front / _fraction(a, b, x))


def _fraction(a: int, b: int, x: float) -> float:
    """Return 1 + d1 / (1 + d2 / (1 + ...)), from its far end."""
    value = 1.0
    # The number of terms that matter grows with the root of the larger parameter.
    for m in range(int(3 * sqrt(max(a, b))) + 40, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1))
        value = 1.0 + odd / (1.0 + even / value)
    return value


def beta_quantile(a: int, b: int, share: float) -> float:
    """Return the x below which Beta(a, b) lies with probability `share`; a and b are whole and at least 1.

    With n held-out values and k of them above a limit that is itself one of them, the share of new values above that
    limit follows Beta(k + 1, n - k), whatever their distribution (Wilks 1941).
    """
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if binomial_tail(a, a + b - 1, middle) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


# Curves ask for the same few counts again and again.
@lru_cache(maxsize=4096)
def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate of which `successes` in `trials` were seen (Clopper & Pearson 1934).

    Raises
    ------
    DataError
        No trial, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise DataError(f"{successes} of {trials} is no share")
    tail = (1 - confidence) / 2
    low = beta_quantile(successes, trials - successes + 1, tail) if successes else 0.0
    high = beta_quantile(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return low, high
