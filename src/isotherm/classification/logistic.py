"""Logistic regression on features; scikit-learn fits it, numpy answers.

C, the inverse of the L2 penalty, is the one of a few powers of ten whose cross-fitted logits are best after their
temperature has been corrected: how sure they are is mended afterwards anyway (`isotherm.classification.calibration`),
so that it must not decide on C.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.classification.calibration import Temperature
from isotherm.classification.folds import grouped_folds
from isotherm.classification.method import Answers, Examples, Fitted, Fold, Labels, Stored, Values, Wants
from isotherm.core.config import setting, validate
from isotherm.core.errors import MissingExtraError, ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.stored_arrays import stored as checked

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
"""The values of C that are tried: those of the published pipeline of VGG16 features (0.1 to 10000), and two below,
because standardised features need more penalty."""
C_UNTRIED = 1.0
"""Where too few examples are there to try."""
WORSE = 2
"""After so many values of C that are worse than the best, larger ones are not tried: they take the longest."""
TOLERANCE = 1e-4
Logits = Float64[np.ndarray, "N C"]


@dataclass(frozen=True)
class LogisticConfig:
    """How logistic regression learns."""

    c: float | None = setting(
        None,
        "inverse of the L2 penalty on standardised features; empty: the best of 0.001 .. 10000 by cross-validation",
        low=1e-6,
        high=1e8,
    )
    class_weight: Literal["balanced", "none"] = setting(
        "none",
        "balanced: every category counts the same, however few images it has, and probabilities are those of equally "
        "frequent categories; none: every image counts the same",
    )
    folds: int = setting(5, "parts of the cross-validation; whole groups go to a part", low=2, high=50)
    max_iter: int = setting(300, "most steps of a fit", low=10, high=100_000)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, eq=False)
class LogisticClassifier:
    """A linear function of the features.

    Parameters
    ----------
    weights, bias
        (C D) and (C), of features as they are.
    """

    weights: Float64[np.ndarray, "C D"]
    bias: Float64[np.ndarray, " C"]

    def answer(self, values: Values) -> Answers:
        """Return the logits; the features themselves are the embeddings."""
        if values.ndim != 2 or values.shape[1] != self.weights.shape[1]:
            raise ModelError(f"{self.weights.shape[1]} features a picture were learnt from, not {values.shape[1:]}")
        return Answers(values.astype(np.float64) @ self.weights.T + self.bias, values)

    def stored(self) -> Stored:
        """Return weights and bias."""
        return Stored({"weights": self.weights, "bias": self.bias})


@dataclass(frozen=True)
class Logistic:
    """The method."""

    name: str = "logistic"
    wants: Wants = "features"
    side_px: int | None = 224
    config_type: type = LogisticConfig

    def check_extra(self) -> None:
        """Raise MissingExtraError where scikit-learn is not installed."""
        _model(LogisticConfig())

    def fit(self, examples: Examples, config: LogisticConfig, *, seed: int, progress: Progress) -> Fitted:
        """Choose C, and learn from all examples with it."""
        folds = grouped_folds(examples.labels, examples.groups, folds=config.folds, seed=seed)
        tried = _Tried(examples, config, folds, progress)
        found = tried.best()
        progress(0, 1, "final fit")
        classifier, converged = _Path(examples.values, examples.labels, examples.classes, config).at(found.c)
        progress(1, 1, "final fit")
        about = {"c": found.c, "folds": len(folds), "converged": converged, "tried": tried.losses}
        return Fitted(classifier, found.logits, examples.values, folds, about)

    def load(self, stored: Stored, config: LogisticConfig, *, classes: int) -> LogisticClassifier:  # noqa: ARG002
        """Rebuild the classifier."""
        weights = checked(stored.arrays, "weights", np.float64, classes, None)
        return LogisticClassifier(weights, checked(stored.arrays, "bias", np.float64, classes))


METHOD = Logistic()


@dataclass(frozen=True, eq=False)
class _Found:
    c: float
    logits: Logits


class _Tried:
    """Values of C by cross-validation."""

    def __init__(self, examples: Examples, config: LogisticConfig, folds: Sequence[Fold], progress: Progress) -> None:
        self._examples, self._config, self._progress = examples, config, progress
        self._folds = folds
        self.losses: dict[str, float] = {}

    def best(self) -> _Found:
        """Return the best C and its cross-fitted logits."""
        grid: tuple[float, ...] = GRID if self._config.c is None else (self._config.c,)
        size = (len(self._examples), self._examples.classes)
        if not self._folds:
            return _Found(C_UNTRIED if self._config.c is None else self._config.c, np.full(size, np.nan))
        logits = {c: np.full(size, np.nan) for c in grid}
        for number, fold in enumerate(self._folds):
            grid = self._one_fold(fold, grid, logits, number)
        self._progress(1, 1, "cross-validation")
        losses = {c: self._loss(logits[c], np.isfinite(logits[c]).all(axis=1)) for c in grid}
        self.losses = {f"{c:g}": round(loss, 5) for c, loss in losses.items()}
        best = min(losses, key=losses.__getitem__)
        return _Found(best, logits[best])

    def _one_fold(
        self, fold: Fold, grid: tuple[float, ...], logits: dict[float, Logits], number: int
    ) -> tuple[float, ...]:
        """Fill in the logits of a fold, and return the values of C that its successors need to try."""
        examples = self._examples
        path = _Path(examples.values[fold.learnt], examples.labels[fold.learnt], examples.classes, self._config)
        judged, losses = examples.values[fold.judged], list[float]()
        for place, c in enumerate(grid):
            self._progress(number * len(grid) + place, len(self._folds) * len(grid), "cross-validation")
            logits[c][fold.judged] = path.at(c)[0].answer(judged).logits
            losses.append(self._loss(logits[c], fold.judged))
            if number == 0 and len(losses) - 1 - int(np.argmin(losses)) >= WORSE:
                break
        return grid[: len(losses)]

    def _loss(self, logits: Logits, judged: np.ndarray) -> float:
        labels = self._examples.labels[judged]
        return Temperature.fit(logits[judged], labels).loss(logits[judged], labels)


class _Path:
    """Fits for rising values of C, each from where the last one ended."""

    def __init__(
        self, values: Float32[np.ndarray, "N D"], labels: Labels, classes: int, config: LogisticConfig
    ) -> None:
        self._mean = values.mean(axis=0, dtype=np.float64)
        spread = values.std(axis=0, dtype=np.float64)
        # What never changes says nothing, and must not be divided by.
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        self._values = ((values - self._mean.astype(np.float32)) / self._spread.astype(np.float32)).astype(np.float32)
        self._labels, self._classes = labels, classes
        self._model = _model(config)

    def at(self, c: float) -> tuple[LogisticClassifier, bool]:
        """Return the classifier with this C, and whether the fit came to an end."""
        self._model.set_params(C=c)
        with warnings.catch_warnings():
            # Whether it has converged is in the result.
            warnings.simplefilter("ignore")
            self._model.fit(self._values, self._labels)
        weights, bias = self._both_classes(self._model.coef_, self._model.intercept_)
        weights = weights / self._spread
        converged = bool(np.max(self._model.n_iter_) < self._model.max_iter)
        return LogisticClassifier(weights, bias - weights @ self._mean), converged

    def _both_classes(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (C D) and bias (C); for two categories scikit-learn gives the difference only."""
        weights, bias = weights.astype(np.float64), bias.astype(np.float64)
        if self._classes > 2:
            return weights, bias
        return np.concatenate([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])


def _model(config: LogisticConfig) -> LogisticRegression:
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError as error:
        raise MissingExtraError("fitting a logistic regression", "classify") from error
    weight = "balanced" if config.class_weight == "balanced" else None
    return LogisticRegression(class_weight=weight, max_iter=config.max_iter, tol=TOLERANCE, warm_start=True)
