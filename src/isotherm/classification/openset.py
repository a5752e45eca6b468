"""Whether a picture is like anything that was learnt, whatever category it would be put in.

A softmax must spread its certainty over the categories it knows, and gives a picture of something else a category all
the same, often with much certainty. The distance to what was learnt, in the space that the classifier parts, can say
that it is neither.

``knn``: the distance to the k-th nearest learnt picture, all of unit length (Y. Sun, Y. Ming, X. Zhu, Y. Li,
Out-of-distribution detection with deep nearest neighbors, ICML 2022, section 3).
``mahalanobis``: to the nearest mean of a category, by the covariance that the categories share (K. Lee, K. Lee, H. Lee,
J. Shin, A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018, section 2.1).

Both in the main components of the standardised embeddings; a distance is divided by the threshold, so that 1 is the
limit. The threshold is a percentile of distances of pictures that were held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

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
"""Most pictures that are kept for `knn`; drawn at random, the same share of each category."""
NEIGHBOUR = 5
SHRINKAGE = 0.1
"""Share of the mean variance in the shared covariance: directions of few pictures must not explode."""
LEAST_HELD_OUT = 20
"""Below so many held-out pictures a percentile of their distances means nothing."""
_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class OpenSet:
    """The test.

    Parameters
    ----------
    mean, basis
        (E) what is taken off an embedding, and (E K) what it is multiplied by then.
    bank
        (M K): learnt pictures (``knn``) or means of categories (``mahalanobis``).
    threshold
        The distance that becomes 1.
    held_out
        How many held-out pictures it was chosen on.
    """

    kind: Kind
    mean: Float64[np.ndarray, " E"]
    basis: Float64[np.ndarray, "E K"]
    bank: Float64[np.ndarray, "M K"]
    threshold: float = 1.0
    held_out: int = 0

    def distances(self, embeddings: Embeddings) -> Distances:
        """Return how far N pictures are from what was learnt, over the threshold: above 1 they are unlike it."""
        if embeddings.shape[1:] != self.mean.shape:
            raise ModelError(f"the test of what is unknown takes {len(self.mean)} values, not {embeddings.shape[1:]}")
        places = (embeddings.astype(np.float64) - self.mean) @ self.basis
        if self.kind == "knn":
            places = _unit(places)
        found = np.empty(len(places))
        for start in range(0, len(places), 512):
            found[start : start + 512] = self._nearest(places[start : start + 512])
        return found / self.threshold

    def _nearest(self, places: Float64[np.ndarray, "n K"]) -> Float64[np.ndarray, " n"]:
        squares = np.square(places).sum(axis=1)[:, None] + np.square(self.bank).sum(axis=1)
        squares = np.maximum(squares - 2 * places @ self.bank.T, 0.0)
        place = 0 if self.kind == "mahalanobis" else min(NEIGHBOUR, len(self.bank)) - 1
        return np.asarray(np.sqrt(np.partition(squares, place, axis=1)[:, place]))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `open_set_of` needs beside `about`."""
        single = np.float32
        return {
            "open_set.mean": self.mean.astype(single),
            "open_set.basis": self.basis.astype(single),
            "open_set.bank": self.bank.astype(single),
        }

    def about(self) -> dict[str, object]:
        """Return the rest, ready for JSON."""
        return {"kind": self.kind, "threshold": self.threshold, "held_out": self.held_out}


def open_set_of(arrays: Mapping[str, np.ndarray], about: Mapping[str, object]) -> OpenSet:
    """Rebuild a test from what it gave; raises ModelError where the parts do not fit together."""
    kind, threshold, held_out = (about.get(name) for name in ("kind", "threshold", "held_out"))
    if kind not in ("knn", "mahalanobis") or not isinstance(threshold, float) or not isinstance(held_out, int):
        raise ModelError(f"the description of the test of what is unknown is damaged: {dict(about)}")
    if not 0 < threshold < np.inf:
        raise ModelError(f"the threshold of the test of what is unknown is {threshold!r}")
    mean = checked(arrays, "open_set.mean", np.float32, None).astype(np.float64)
    basis = checked(arrays, "open_set.basis", np.float32, len(mean), None).astype(np.float64)
    bank = checked(arrays, "open_set.bank", np.float32, None, basis.shape[1]).astype(np.float64)
    return OpenSet(kind, mean, basis, bank, threshold, held_out)


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
    return OpenSet(kind, known.mean, known.basis, known.bank, threshold, len(held_out))


def _conformal(held_out: Distances, share: float) -> float:
    """Return the value that at least `share` of new distances do not exceed, or the largest of too few.

    The k-th of n held-out values is not exceeded by k / (n + 1) of new ones, whatever their distribution.
    """
    rank = int(np.ceil(share * (len(held_out) + 1)))
    return float(np.sort(held_out)[min(rank, len(held_out)) - 1])


def _remember(kind: Kind, embeddings: Embeddings, labels: Labels, seed: int) -> OpenSet:
    rng = np.random.default_rng(seed)
    mean, basis = _main_components(embeddings[np.sort(rng.permutation(len(labels))[:FITTED_ON])])
    if kind == "mahalanobis":
        places = (embeddings.astype(np.float64) - mean) @ basis
        white, means = _shared_covariance(places, labels)
        return OpenSet(kind, mean, basis @ white, means @ white)
    rows = np.sort(rng.permutation(len(labels))[:BANK])
    return OpenSet(kind, mean, basis, _unit((embeddings[rows].astype(np.float64) - mean) @ basis))


def _main_components(rows: Embeddings) -> tuple[Float64[np.ndarray, " E"], Float64[np.ndarray, "E K"]]:
    """Return the mean, and the directions of the most variance of the standardised rows."""
    exact = rows.astype(np.float64)
    mean, spread = exact.mean(axis=0), exact.std(axis=0)
    scale = np.where(spread > _LEAST, 1 / np.maximum(spread, _LEAST), 0.0)
    placed = (exact - mean) * scale
    if len(placed) >= placed.shape[1]:
        variances, directions = np.linalg.eigh(placed.T @ placed)
    else:
        # Of wide rows the smaller matrix has the same variances.
        variances, weights = np.linalg.eigh(placed @ placed.T)
        directions = placed.T @ (weights / np.sqrt(np.maximum(variances, _LEAST)))
    kept = np.flatnonzero(variances > 1e-6 * max(float(variances[-1]), _LEAST))[-COMPONENTS:]
    if not kept.size:
        # All embeddings are the same: anything else is unlike them.
        return mean, np.eye(len(mean))[:, :1]
    return mean, directions[:, kept] * scale[:, None]


def _shared_covariance(
    places: Float64[np.ndarray, "N K"], labels: Labels
) -> tuple[Float64[np.ndarray, "K K"], Float64[np.ndarray, "C K"]]:
    """Return what makes the shared covariance of the categories the identity, and their means."""
    present, member = np.unique(labels, return_inverse=True)
    means = np.stack([places[member == number].mean(axis=0) for number in range(len(present))])
    apart = places - means[member]
    covariance = apart.T @ apart / max(1, len(places) - len(present))
    typical = max(float(np.trace(covariance)) / len(covariance), _LEAST)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * typical * np.eye(len(covariance))
    variances, directions = np.linalg.eigh(covariance)
    return directions / np.sqrt(variances), means


def _unit(places: Float64[np.ndarray, "N K"]) -> Float64[np.ndarray, "N K"]:
    return np.asarray(places / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), _LEAST))
