"""Whether a picture is like anything that was learnt, whatever category it would be put in.

A softmax must spread its certainty over the categories it knows, and gives a picture of something else a category all
the same, often with much certainty. The distance to what was learnt, in the space that the classifier parts, can say
that it is neither.

``mahalanobis``: the distance to the nearest mean of a category, by the covariance that the categories share (K. Lee,
K. Lee, H. Lee, J. Shin, A simple unified framework for detecting out-of-distribution samples and adversarial attacks,
NeurIPS 2018, section 2.1). ``knn``: to the k-th nearest learnt picture in the same space (Y. Sun, Y. Ming, X. Zhu,
Y. Li, Out-of-distribution detection with deep nearest neighbors, ICML 2022, section 3; they bring embeddings to unit
length first, after which pictures of other things altogether could not be told, see `docs/classification.md`).

The space: standardised embeddings, in their main components, turned and scaled such that the shared covariance is the
identity; what lies outside these components counts by its own mean variance. A distance is divided by the threshold, so
that 1 is the limit. The threshold is a percentile of distances of pictures that were held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from isotherm.classification.calibration import LEAST_HELD_OUT
from isotherm.classification.method import Fold, Labels
from isotherm.core.errors import ModelError
from isotherm.runtime.stored_arrays import stored as checked

Kind = Literal["knn", "mahalanobis"]
Embeddings = Float32[np.ndarray, "N E"]
Distances = Float64[np.ndarray, " N"]
COMPONENTS = 128
"""Most main components that are kept."""
FITTED_ON = 2000
"""Most pictures that say which the main components are; drawn at random."""
BANK = 8192
"""Most pictures that are kept for `knn`; drawn at random."""
NEIGHBOUR = 5
SHRINKAGE = 0.1
"""Share of the mean variance in the shared covariance: directions of few pictures must not explode."""
AT_ONCE = 512
_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Space:
    """Where distances are measured.

    Parameters
    ----------
    mean, scale
        (E) what is taken off an embedding, and what each value is multiplied by then.
    basis
        (E K) orthonormal directions in which the shared covariance is diagonal.
    deviations
        (K) the shared standard deviations along them.
    outside
        Standard deviation along each direction outside of them.
    """

    mean: Float64[np.ndarray, " E"]
    scale: Float64[np.ndarray, " E"]
    basis: Float64[np.ndarray, "E K"]
    deviations: Float64[np.ndarray, " K"]
    outside: float

    def placed(self, embeddings: Embeddings) -> tuple[Float64[np.ndarray, "N K"], Float64[np.ndarray, " N"]]:
        """Return the places of embeddings, and their squared distances from all that the directions span."""
        standard = (embeddings.astype(np.float64) - self.mean) * self.scale
        along = standard @ self.basis
        beside = np.square(standard).sum(axis=1) - np.square(along).sum(axis=1)
        return along / self.deviations, np.asarray(np.maximum(beside, 0.0) / self.outside**2)


@dataclass(frozen=True, eq=False)
class OpenSet:
    """The test.

    Parameters
    ----------
    bank
        (M K): places of learnt pictures (``knn``), or of the means of categories (``mahalanobis``).
    threshold
        The distance that becomes 1.
    held_out
        How many held-out pictures it was chosen on.
    """

    kind: Kind
    space: Space
    bank: Float64[np.ndarray, "M K"]
    threshold: float = 1.0
    held_out: int = 0

    def distances(self, embeddings: Embeddings) -> Distances:
        """Return how far N pictures are from what was learnt, over the threshold: above 1 they are unlike it."""
        if embeddings.shape[1:] != self.space.mean.shape:
            length = len(self.space.mean)
            raise ModelError(f"the test of what is unknown takes {length} values, not {embeddings.shape[1:]}")
        found = np.empty(len(embeddings))
        for start in range(0, len(found), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            places, beside = self.space.placed(embeddings[part])
            found[part] = np.sqrt(self._nearest(places) + beside)
        return found / self.threshold

    def _nearest(self, places: Float64[np.ndarray, "n K"]) -> Float64[np.ndarray, " n"]:
        """Return squared distances in the space."""
        squares = np.square(places).sum(axis=1)[:, None] + np.square(self.bank).sum(axis=1)
        squares = np.maximum(squares - 2 * places @ self.bank.T, 0.0)
        place = 0 if self.kind == "mahalanobis" else min(NEIGHBOUR, len(self.bank)) - 1
        return np.asarray(np.partition(squares, place, axis=1)[:, place])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `open_set_of` needs beside `about`."""
        parts = {name: getattr(self.space, name) for name in _ARRAYS} | {"bank": self.bank}
        return {f"open_set.{name}": values.astype(np.float32) for name, values in parts.items()}

    def about(self) -> dict[str, object]:
        """Return the rest, ready for JSON."""
        numbers = {"threshold": self.threshold, "outside": self.space.outside}
        return {"kind": self.kind, **numbers, "held_out": self.held_out}


_ARRAYS = ("mean", "scale", "basis", "deviations")


def open_set_of(arrays: Mapping[str, np.ndarray], about: Mapping[str, object]) -> OpenSet:
    """Rebuild a test from what it gave; raises ModelError where the parts do not fit together."""
    kind, held_out = about.get("kind"), about.get("held_out")
    if kind not in ("knn", "mahalanobis") or not isinstance(held_out, int):
        raise ModelError(f"the description of the test of what is unknown is damaged: {dict(about)}")
    threshold, outside = (_positive(about, name) for name in ("threshold", "outside"))
    length, components = checked(arrays, "open_set.basis", np.float32, None, None).shape
    shapes = {"mean": (length,), "scale": (length,), "basis": (length, components), "deviations": (components,)}
    parts = {
        name: checked(arrays, f"open_set.{name}", np.float32, *shape).astype(np.float64)
        for name, shape in shapes.items()
    }
    if not (parts["deviations"] > 0).all():
        raise ModelError("the test of what is unknown has a deviation that is not above 0")
    bank = checked(arrays, "open_set.bank", np.float32, None, components).astype(np.float64)
    return OpenSet(kind, Space(**parts, outside=outside), bank, threshold, held_out)


def _positive(about: Mapping[str, object], name: str) -> float:
    value = about.get(name)
    if not isinstance(value, float) or not 0 < value < np.inf:
        raise ModelError(f"the {name} of the test of what is unknown is {value!r}")
    return value


def fit_open_set(
    kind: Kind, embeddings: Embeddings, labels: Labels, folds: Sequence[Fold], *, percentile: float, seed: int
) -> OpenSet | None:
    """Learn what the learnt is like.

    Parameters
    ----------
    folds
        Which embeddings were held out from which. With one fold (a network and its validation part) only the learnt
        part is remembered; with several each was held out from some, and the test remembers all.
    percentile
        Of the held-out distances that becomes the threshold: with 99, one known picture in a hundred is not recognised.

    Returns
    -------
    OpenSet
        None where too few pictures were held out to choose a threshold.
    """
    if sum(len(fold.judged) for fold in folds) < LEAST_HELD_OUT:
        return None
    held_out = np.concatenate(
        [
            _remember(kind, embeddings[fold.learnt], labels[fold.learnt], seed).distances(embeddings[fold.judged])
            for fold in folds
        ]
    )
    rows = folds[0].learnt if len(folds) == 1 else np.arange(len(labels))
    known = _remember(kind, embeddings[rows], labels[rows], seed)
    threshold = max(_conformal(held_out, percentile / 100), _LEAST)
    return OpenSet(kind, known.space, known.bank, threshold, len(held_out))


def _conformal(held_out: Distances, share: float) -> float:
    """Return the value that at least `share` of new distances do not exceed, or the largest of too few.

    The k-th of n held-out values is not exceeded by k / (n + 1) of new ones, whatever their distribution.
    """
    rank = int(np.ceil(share * (len(held_out) + 1)))
    return float(np.sort(held_out)[min(rank, len(held_out)) - 1])


def _remember(kind: Kind, embeddings: Embeddings, labels: Labels, seed: int) -> OpenSet:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(labels))[:FITTED_ON])
    space = _space(embeddings[rows], labels[rows])
    if kind == "mahalanobis":
        return OpenSet(kind, space, _means(space.placed(embeddings)[0], labels)[0])
    return OpenSet(kind, space, space.placed(embeddings[np.sort(rng.permutation(len(labels))[:BANK])])[0])


def _space(embeddings: Embeddings, labels: Labels) -> Space:
    exact = embeddings.astype(np.float64)
    mean, spread = exact.mean(axis=0), exact.std(axis=0)
    # What never changes says nothing of the learnt; where it changes in a new picture, it counts as it is.
    scale = 1 / np.where(spread > _LEAST, spread, 1.0)
    standard = (exact - mean) * scale
    directions = _main_components(standard)
    along = standard @ directions
    means, member = _means(along, labels)
    apart = along - means[member]
    covariance = apart.T @ apart / max(1, len(along) - len(means))
    typical = max(float(np.trace(covariance)) / len(covariance), _LEAST)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * typical * np.eye(len(covariance))
    variances, turn = np.linalg.eigh(covariance)
    others = max(1, standard.shape[1] - directions.shape[1])
    beside = (np.square(standard).sum() - np.square(along).sum()) / len(along) / others
    # Of few pictures everything lies in the span of their components; new ones do not.
    outside = float(np.sqrt(max(beside, SHRINKAGE * typical)))
    return Space(mean, scale, directions @ turn, np.sqrt(variances), outside)


def _main_components(standard: Float64[np.ndarray, "N E"]) -> Float64[np.ndarray, "E K"]:
    """Return the directions of the most variance, orthonormal."""
    if len(standard) >= standard.shape[1]:
        variances, directions = np.linalg.eigh(standard.T @ standard)
    else:
        # Of wide rows the smaller matrix has the same variances.
        variances, weights = np.linalg.eigh(standard @ standard.T)
        directions = standard.T @ (weights / np.sqrt(np.maximum(variances, _LEAST)))
    kept = np.flatnonzero(variances > 1e-6 * max(float(variances[-1]), _LEAST))[-COMPONENTS:]
    # Where all embeddings are the same there is none; one direction must be.
    return directions[:, kept] if kept.size else np.eye(standard.shape[1])[:, :1]


def _means(
    places: Float64[np.ndarray, "N K"], labels: Labels
) -> tuple[Float64[np.ndarray, "C K"], Int64[np.ndarray, " N"]]:
    """Return the means of the categories that are there, and which of them each place belongs to."""
    present, member = np.unique(labels, return_inverse=True)
    return np.stack([places[member == number].mean(axis=0) for number in range(len(present))]), member
