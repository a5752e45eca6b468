"""The seam of classifiers: examples in, a fitted classifier out; pictures in, one logit a category out.

A classifier knows categories as numbers 0 .. C-1 only. Their names, how pictures become its inputs, what its logits
mean as probabilities and when it should not answer are kept around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64

from isotherm.core.progress import Progress

Wants = Literal["features", "pixels"]
"""``features``: (N D), what a frozen backbone says about each picture; ``pixels``: (N 3 H W)."""
Values = Float32[np.ndarray, "N *S"]
"""Inputs of N pictures, of the form that the method wants. Pixels are placed in the span that was fixed at training
time (0 low end, 1 high end; not clamped)."""
Labels = Int64[np.ndarray, " N"]
Places = Int64[np.ndarray, " _"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled inputs to learn from.

    Parameters
    ----------
    values
        (N D) or (N 3 H W) float32; perhaps mapped from a file and larger than memory: take some rows at a time.
    labels
        (N), 0 .. C-1, each at least once.
    groups
        (N); pictures with the same number depend on each other (one item, one asset) and are never on both sides of a
        split.
    classes
        C, at least two.
    """

    values: Values
    labels: Labels
    groups: Labels
    classes: int

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier says about N pictures.

    Parameters
    ----------
    logits
        (N C) float64; probabilities are their softmax, after calibration.
    embeddings
        (N E) float32: where each picture lies in the space that the classifier parts, for the test whether it is like
        anything that was learnt.
    """

    logits: Float64[np.ndarray, "N C"]
    embeddings: Float32[np.ndarray, "N E"]


@dataclass(frozen=True, eq=False)
class Stored:
    """What a classifier keeps beside its configuration: named arrays, an ONNX model, or both."""

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    network: bytes = b""


@runtime_checkable
class Classifier(Protocol):
    """A fitted classifier; an unfitted one does not exist. It needs neither torch nor scikit-learn."""

    def answer(self, values: Values) -> Answers:
        """Return logits and embeddings of N pictures; a picture's answer does not depend on its neighbours.

        Raises
        ------
        ModelError
            The values are not of the shape that it has learnt from.
        """
        ...

    def stored(self) -> Stored:
        """Return everything that `ClassifierMethod.load` needs beside the configuration."""
        ...


@dataclass(frozen=True, eq=False)
class Fold:
    """The rows of the examples that were learnt from, and those that were judged without having been learnt from."""

    learnt: Places
    judged: Places


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier, and what it (or one like it) says about examples that it has not learnt from.

    Parameters
    ----------
    logits
        (N C) float64 of the examples in the folds' ``judged`` parts; NaN elsewhere. Probabilities are calibrated on
        these.
    embeddings
        (N E) float32 of all examples.
    folds
        Each judged example is in one fold only. A network has one fold (its validation part), a classifier that is
        quick to fit has several (cross-fitting); none where there are too few examples to hold any out.
    about
        What the fit has chosen, as JSON values ("c": 10.0, "epochs": 31).
    """

    classifier: Classifier
    logits: Float64[np.ndarray, "N C"]
    embeddings: Float32[np.ndarray, "N E"]
    folds: tuple[Fold, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class ClassifierMethod(Protocol):
    """A pair of functions, the configuration they share, and what the inputs must be."""

    name: str
    wants: Wants
    side_px: int | None
    """Side of the square with as many pixels as a picture gets, unless the user says otherwise; None: as many as the
    pictures have."""
    config_type: type
    """A frozen dataclass of `isotherm.core.config.setting` fields; the single source of the command's flags."""

    def fit(self, examples: Examples, config: Any, *, seed: int, progress: Progress) -> Fitted:
        """Learn; the same seed on the same machine gives the same classifier.

        Raises
        ------
        DataError
            The examples cannot be learnt from.
        MissingExtraError
            torch or scikit-learn is needed and not installed.
        """
        ...

    def load(self, stored: Stored, config: Any, *, classes: int) -> Classifier:
        """Rebuild the classifier that was stored; raises ModelError where the parts do not fit together."""
        ...


@runtime_checkable
class NeedsExtra(Protocol):
    """A method that can be asked, before any picture is read, whether what it learns with is installed."""

    def check_extra(self) -> None:
        """Raise MissingExtraError where it is not."""
        ...


def class_weights(labels: Labels, classes: int) -> Float64[np.ndarray, " C"]:
    """Return weights that make each category count the same: N / (C n of the category); 0 for one without examples."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(np.where(counts > 0, labels.size / (classes * np.maximum(counts, 1)), 0.0))
