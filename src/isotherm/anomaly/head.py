"""A labelled head: logistic regression from a detector's score and a picture's statistics to "faulty or not".

Where a few faulty pictures are known, they say which of the unusual is faulty. The head keeps the detector's map and
puts its own score in place of the detector's: the log-odds of a fault.

Reference: T. Hastie, R. Tibshirani, J. Friedman, The elements of statistical learning (2009), section 4.4.1 (Newton's
method for logistic regression) and 3.4.1 (the penalty).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from isotherm.anomaly.method import AnomalyMaps, Arrays, Detector, Inputs
from isotherm.anomaly.picture_statistics import NAMES, compressed, describe
from isotherm.anomaly.stored import stored

OPENING = "head."
"""How the names of the head's arrays begin in a model."""
STEPS = 50
CONVERGED = 1e-8
LEAST_SPREAD = 1e-6
Features = Float64[np.ndarray, "N D"]


@dataclass(frozen=True, eq=False)
class Head:
    """Log-odds = weights . (features - mean) / spread + bias; the last feature is the detector's score.

    Parameters
    ----------
    mean, spread
        (D) of the labelled pictures' features, and of none of the pictures that are scored later.
    weights, bias
        (D) and (1).
    """

    mean: Float32[np.ndarray, " D"]
    spread: Float32[np.ndarray, " D"]
    weights: Float32[np.ndarray, " D"]
    bias: Float32[np.ndarray, " 1"]

    def log_odds(self, features: Features) -> Float32[np.ndarray, " N"]:
        """Return the log-odds of a fault."""
        standard = (features - self.mean) / self.spread
        # One picture at a time, so that rounding does not depend on the batch.
        odds = [float(row @ self.weights.astype(np.float64)) + float(self.bias[0]) for row in standard]
        return np.asarray(odds, np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return its arrays under their names in a model."""
        values = {"mean": self.mean, "spread": self.spread, "weights": self.weights, "bias": self.bias}
        return {f"{OPENING}{name}": array for name, array in values.items()}


@dataclass(frozen=True, eq=False)
class HeadedDetector:
    """A detector whose score is a head's; it is not one graph and cannot be exported."""

    detector: Detector
    head: Head

    def predict(self, inputs: Inputs) -> AnomalyMaps:
        """Score N images."""
        found = self.detector.predict(inputs)
        return AnomalyMaps(found.maps, self.head.log_odds(features_of(inputs, found.scores)), found.references)

    def arrays(self) -> Arrays:
        """Return the detector's arrays and the head's."""
        return {**self.detector.arrays(), **self.head.arrays()}


def features_of(inputs: Inputs, scores: Float32[np.ndarray, " N"]) -> Features:
    """Return what a head looks at: the statistics of each picture, and the detector's score of it."""
    statistics = np.stack([each.statistics for each in describe(inputs)])
    return np.concatenate([statistics, compressed(scores[:, None].astype(np.float64))], axis=1)


def fit_head(features: Features, faulty: Bool[np.ndarray, " N"], penalty: float) -> Head:
    """Fit a logistic regression by Newton's method.

    Parameters
    ----------
    features
        (N D) of labelled pictures.
    faulty
        (N); both classes are there.
    penalty
        Half the square of the weights of the standardised features is added to the negative log-likelihood with this
        factor; the bias is free.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > LEAST_SPREAD, spread, 1.0)
    design = np.concatenate([(features - mean) / spread, np.ones((len(features), 1))], axis=1)
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 0.0
    weights = _newton(design, faulty.astype(np.float64), ridge)
    return Head(
        mean.astype(np.float32),
        spread.astype(np.float32),
        weights[:-1].astype(np.float32),
        weights[-1:].astype(np.float32),
    )


def _newton(
    design: Features, target: Float64[np.ndarray, " N"], ridge: Float64[np.ndarray, " D"]
) -> Float64[np.ndarray, " D"]:
    """Return the weights of the least penalised loss; a step that does not lower it is halved."""
    weights = np.zeros(design.shape[1])
    loss = _loss(design, target, ridge, weights)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        gradient = design.T @ (chance - target) + ridge * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(ridge + LEAST_SPREAD)
        step = np.linalg.solve(curvature, gradient)
        lower = _loss(design, target, ridge, weights - step)
        while lower > loss and np.abs(step).max() > CONVERGED:
            step /= 2
            lower = _loss(design, target, ridge, weights - step)
        weights, loss = weights - step, min(lower, loss)
        if np.abs(step).max() <= CONVERGED:
            break
    return weights


def _loss(
    design: Features,
    target: Float64[np.ndarray, " N"],
    ridge: Float64[np.ndarray, " D"],
    weights: Float64[np.ndarray, " D"],
) -> float:
    odds = design @ weights
    return float(np.logaddexp(0, odds).sum() - target @ odds + 0.5 * (ridge * weights**2).sum())


def without_head(arrays: Arrays) -> dict[str, np.ndarray]:
    """Return the arrays of the detector alone."""
    return {name: values for name, values in arrays.items() if not name.startswith(OPENING)}


def with_stored_head(detector: Detector, arrays: Mapping[str, np.ndarray]) -> Detector:
    """Return the detector under the head that a model holds, or as it is where the model holds none.

    Raises
    ------
    ModelError
        A part of the head is missing or does not fit.
    """
    if not any(name.startswith(OPENING) for name in arrays):
        return detector
    count = len(NAMES) + 1
    mean, spread, weights = (
        stored(arrays, f"{OPENING}{name}", np.float32, count) for name in ("mean", "spread", "weights")
    )
    return HeadedDetector(detector, Head(mean, spread, weights, stored(arrays, f"{OPENING}bias", np.float32, 1)))
