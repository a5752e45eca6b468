"""Logits to probabilities that come true: one temperature, fitted on examples that were not learnt from.

Reference: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, On calibration of modern neural networks (ICML 2017), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotherm.classification.method import Labels

Logits = Float64[np.ndarray, "N C"]
Probabilities = Float64[np.ndarray, "N C"]
LOWEST, HIGHEST = 1e-3, 1e3
LEAST_HELD_OUT = 20
"""From fewer examples no temperature can be told: those of four pictures that are all right may be anything."""
HALVINGS = 60


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by before the softmax."""

    value: float = 1.0

    def probabilities(self, logits: Logits) -> Probabilities:
        """Return the probabilities of the categories; each row's sum is 1."""
        return softmax(logits / self.value)

    def loss(self, logits: Logits, labels: Labels) -> float:
        """Return the mean negative log-likelihood of the labels [nat]."""
        scaled = logits / self.value
        return float(np.mean(_log_total(scaled) - scaled[np.arange(len(labels)), labels]))

    @classmethod
    def fit(cls, logits: Logits, labels: Labels) -> Temperature:
        """Return the temperature with the least loss.

        As in Platt's method the targets keep away from 0 and 1 by 1 / (N + 2), so that the fit exists also where the
        categories are perfectly apart, and few examples never give full certainty. 1 with fewer than
        `LEAST_HELD_OUT` examples.
        """
        if len(labels) < LEAST_HELD_OUT:
            return cls()
        targets = np.full(logits.shape, 1 / (len(labels) + 2) / max(1, logits.shape[1] - 1))
        targets[np.arange(len(labels)), labels] = 1 - 1 / (len(labels) + 2)
        wanted = float(np.sum(targets * logits))

        def too_sure(sharpness: float) -> bool:
            # The loss is convex in 1 / temperature; this is the sign of its slope.
            return float(np.sum(softmax(sharpness * logits) * logits)) > wanted

        low, high = LOWEST, HIGHEST
        for _ in range(HALVINGS):
            middle = float(np.sqrt(low * high))
            low, high = (low, middle) if too_sure(middle) else (middle, high)
        return cls(1 / float(np.sqrt(low * high)))


def softmax(logits: Logits) -> Probabilities:
    """Return exp(logits), each row divided by its sum."""
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def _log_total(logits: Logits) -> Float64[np.ndarray, " N"]:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))
