"""The test of what is unknown: distances by their definition, a limit that keeps its promise, and damaged models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from isotherm.classification.folds import grouped_folds, held_out_fold
from isotherm.classification.openset import NEIGHBOUR, Kind, OpenSet, fit_open_set, open_set_of
from isotherm.core.errors import ModelError

KINDS: tuple[Kind, ...] = ("knn", "mahalanobis")


def clouds(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return three categories of embeddings (N 12) around different middles."""
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(9).normal(0, 4, (3, 12))
    labels = rng.integers(0, 3, count)
    return (middles[labels] + rng.normal(0, 1, (count, 12))).astype(np.float32), labels.astype(np.int64)


def fitted(kind: Kind, count: int = 600, percentile: float = 95.0) -> OpenSet:
    embeddings, labels = clouds(count)
    folds = grouped_folds(labels, np.arange(count), folds=5, seed=0)
    found = fit_open_set(kind, embeddings, labels, folds, percentile=percentile, seed=0)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_keeps_its_promise_on_new_pictures(kind: Kind) -> None:
    rejected = fitted(kind).distances(clouds(4000, seed=5)[0]) > 1
    assert 0.03 < rejected.mean() < 0.07


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_unlike_all_is_far(kind: Kind) -> None:
    strange = np.random.default_rng(3).normal(0, 4, (200, 12)).astype(np.float32)
    assert (fitted(kind).distances(strange) > 1).mean() > 0.8


def test_knn_is_the_distance_to_the_fifth_nearest() -> None:
    test = fitted("knn")
    embeddings = clouds(20, seed=7)[0]
    places, beside = test.space.placed(embeddings)
    nearest = NearestNeighbors(n_neighbors=NEIGHBOUR).fit(test.bank).kneighbors(places)[0][:, -1]
    assert test.distances(embeddings) == pytest.approx(np.sqrt(nearest**2 + beside) / test.threshold)


def test_mahalanobis_is_the_distance_by_the_shared_covariance() -> None:
    """With many pictures and all components, as the paper writes it."""
    embeddings, labels = clouds(1900)
    folds = grouped_folds(labels, np.arange(1900), folds=5, seed=0)
    test = fit_open_set("mahalanobis", embeddings, labels, folds, percentile=99, seed=0)
    assert test is not None
    means = np.stack([embeddings[labels == label].mean(axis=0) for label in range(3)]).astype(np.float64)
    apart = embeddings - means[labels]
    scale = embeddings.std(axis=0)
    covariance = np.cov((apart / scale).T)
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / 12 * np.eye(12)
    inverse = np.linalg.inv(covariance)
    new = clouds(30, seed=3)[0]
    away = (new[:, None] - means) / scale
    expected = np.sqrt(np.einsum("nci,ij,ncj->nc", away, inverse, away).min(axis=1))
    assert test.distances(new) * test.threshold == pytest.approx(expected, rel=0.01)


def test_mahalanobis_does_not_depend_on_the_scale_of_a_feature() -> None:
    embeddings, labels = clouds(300)
    folds = held_out_fold(labels, np.arange(300), share=0.3, seed=0)
    scale = np.geomspace(0.01, 100, 12).astype(np.float32)
    new = clouds(50, seed=2)[0]
    one, other = (
        fit_open_set("mahalanobis", embeddings * factor, labels, folds, percentile=99, seed=0)
        for factor in (np.float32(1), scale)
    )
    assert one is not None
    assert other is not None
    assert one.distances(new) == pytest.approx(other.distances(new * scale), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(kind: Kind) -> None:
    test, new = fitted(kind), clouds(30, seed=4)[0]
    again = open_set_of(test.arrays(), test.about())
    assert again.distances(new) == pytest.approx(test.distances(new), rel=1e-4)
    assert again.held_out == test.held_out == 600


def test_too_few_pictures_give_no_test() -> None:
    embeddings, labels = clouds(19)
    folds = grouped_folds(labels, np.arange(19), folds=5, seed=0)
    assert fit_open_set("knn", embeddings, labels, folds, percentile=99, seed=0) is None


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_that_are_all_the_same(kind: Kind) -> None:
    embeddings, labels = np.ones((40, 5), np.float32), np.repeat([0, 1], 20).astype(np.int64)
    test = fit_open_set(kind, embeddings, labels, grouped_folds(labels, np.arange(40), folds=4, seed=0),
                        percentile=99, seed=0)  # fmt: skip
    assert test is not None
    assert test.distances(embeddings).max() <= 1
    assert np.isfinite(test.distances(embeddings + np.float32(3))).all()


def test_more_features_than_pictures() -> None:
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(60, 500)).astype(np.float32), np.repeat([0, 1], 30).astype(np.int64)
    test = fit_open_set("knn", embeddings, labels, grouped_folds(labels, np.arange(60), folds=5, seed=0),
                        percentile=99, seed=0)  # fmt: skip
    assert test is not None
    assert test.space.basis.shape[1] <= 60
    strange = rng.normal(size=(20, 500)).astype(np.float32) * 3
    assert (test.distances(strange) > 1).all()


@pytest.mark.parametrize(
    "change",
    [
        {"about": {"kind": "knn", "threshold": 0.0, "outside": 1.0, "held_out": 3}},
        {"about": {"kind": "best", "threshold": 1.0, "outside": 1.0, "held_out": 3}},
        {"about": {"kind": "knn", "threshold": 1.0, "outside": "1", "held_out": 3}},
        {"open_set.bank": np.zeros((3, 99), np.float32)},
        {"open_set.deviations": np.zeros(12, np.float32)},
        {"open_set.mean": np.full(12, np.nan, np.float32)},
    ],
)
def test_damaged_descriptions_are_refused(change: dict[str, object]) -> None:
    test = fitted("knn", 60)
    about = change.pop("about", test.about())
    with pytest.raises(ModelError):
        open_set_of(test.arrays() | change, about)  # type: ignore[arg-type]


def test_embeddings_of_another_length_are_refused() -> None:
    with pytest.raises(ModelError, match="12 values"):
        fitted("knn", 60).distances(np.zeros((2, 5), np.float32))
