"""PaDiM: its Gaussians and distances, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import OAS

from isotherm.anomaly import padim
from isotherm.anomaly.graphs import GraphDetector
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.padim import METHOD, PadimConfig, shrink, whiten
from isotherm.anomaly.patches import choose_taps, compile_patches
from isotherm.anomaly.smoothing import smoothing
from isotherm.core.errors import ModelError
from isotherm.core.progress import silent
from isotherm.testing import anomaly as made_up
from isotherm.testing.anomaly import BatchImages

SMALL = PadimConfig(dimensions=12, blur_px=5.0)


SQUARE = (64, 64)


def normal_pictures(count: int, *, seed: int) -> np.ndarray:
    return made_up.normal_pictures(count, seed=seed, size=SQUARE).pixels


def faulty_pictures(count: int, *, seed: int) -> np.ndarray:
    return made_up.faulty_pictures(count, seed=seed, size=SQUARE).pixels


def fitted(pictures: np.ndarray, config: PadimConfig = SMALL) -> GraphDetector:
    return METHOD.fit(BatchImages(Inputs(pictures)), config, 0, silent)


def cells_of(pictures: np.ndarray) -> np.ndarray:
    graph = compile_patches(choose_taps("efficientnet_lite0", padim.STRIDES), pictures.shape[2:], "f32")
    return np.stack([cells for (cells,) in graph.run(pictures)]).astype(np.float64)


def covariances(count: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    values = rng.normal(0, 1, (3, count, features)) @ rng.normal(0, 1, (features, features))
    return values, np.stack([np.cov(item.T, bias=True) for item in values])


@pytest.mark.parametrize(("count", "features"), [(300, 80), (20, 100)])
def test_shrinkage_is_near_scikit_learns(count: int, features: int) -> None:
    # scikit-learn leaves out the terms with 2/d, which are small for many features.
    values, covariance = covariances(count, features)
    expected = np.stack([OAS().fit(item).covariance_ for item in values]) + 0.5 * np.eye(features)
    found = shrink(covariance.copy(), np.full(len(covariance), count), 0.5)
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


@pytest.mark.parametrize(("count", "features"), [(40, 5), (6, 12), (2, 4), (1, 3)])
def test_shrinkage_keeps_the_trace_and_makes_definite(count: int, features: int) -> None:
    covariance = covariances(count, features)[1]
    found = shrink(covariance.copy(), np.full(len(covariance), count), 0.0)
    trace = np.einsum("pii->p", covariance)
    assert np.einsum("pii->p", found) == pytest.approx(trace)
    weights = 1 - found[:, 0, 1] / np.where(covariance[:, 0, 1] == 0, 1, covariance[:, 0, 1])
    n, d = count, features
    square = np.einsum("pij,pij->p", covariance, covariance)
    with np.errstate(invalid="ignore"):
        formula = ((1 - 2 / d) * square + trace**2) / ((n + 1 - 2 / d) * (square - trace**2 / d))
    assert weights == pytest.approx(np.nan_to_num(np.minimum(formula, 1), nan=1.0))
    assert np.linalg.eigvalsh(shrink(covariance, np.full(len(covariance), count), 0.1)).min() > 0.05


def test_whitening_inverts_the_covariance() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(0, 1, (4, 6, 6))
    covariance = half @ half.transpose(0, 2, 1) + np.eye(6)
    found = whiten(covariance).astype(np.float64)
    assert found.transpose(0, 2, 1) @ found == pytest.approx(np.linalg.inv(covariance), abs=1e-5)
    assert np.array_equal(found, np.tril(found))


def test_distances_maps_and_scores() -> None:
    pictures = normal_pictures(20, seed=1)
    detector = fitted(pictures)
    cells = cells_of(pictures)[:, :, detector.arrays()["kept"]]
    asked = np.concatenate([normal_pictures(1, seed=4), faulty_pictures(1, seed=5)])
    found = detector.predict(Inputs(asked))
    variance = cells.var(axis=0).mean()
    blur = smoothing(8, 8, 5.0)
    for image, values, score in zip(
        cells_of(asked)[:, :, detector.arrays()["kept"]], found.maps, found.scores, strict=True
    ):
        expected = np.empty(64)
        for place in range(64):
            sample = np.cov(cells[:, place].T, bias=True)
            covariance = shrink(sample[None], np.array([len(cells)]), padim.FLOOR * variance)[0]
            expected[place] = mahalanobis(image[place], cells[:, place].mean(axis=0), np.linalg.inv(covariance))
        assert values == pytest.approx(blur @ expected.reshape(8, 8) @ blur.T, rel=2e-3)
        assert score == values.max()


def test_groups_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = normal_pictures(19, seed=1)
    expected = fitted(pictures).arrays()
    monkeypatch.setattr(padim, "BLOCK", 10)
    monkeypatch.setattr(padim, "READ", 5)
    found = fitted(pictures).arrays()
    for name, array in expected.items():
        assert found[name] == pytest.approx(array, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_images_than_dimensions(count: int) -> None:
    detector = fitted(normal_pictures(count, seed=1), PadimConfig())
    good, bad = (detector.predict(Inputs(item(4, seed=7))).scores for item in (normal_pictures, faulty_pictures))
    assert np.isfinite(good).all()
    assert good.max() < bad.min()


def test_copies_of_one_image_and_flat_images() -> None:
    for pictures in (np.repeat(normal_pictures(1, seed=1), 5, axis=0), np.full((3, 3, 64, 64), 0.5, np.float32)):
        scores = fitted(pictures).predict(Inputs(faulty_pictures(2, seed=3))).scores
        assert np.isfinite(scores).all()
        assert fitted(pictures).predict(Inputs(pictures[:1])).scores[0] < scores.min()


def test_the_reference_is_the_mean_normal_picture() -> None:
    pictures = normal_pictures(9, seed=1)
    shown = fitted(pictures).predict(Inputs(pictures[:2])).references
    assert shown is not None
    assert shown[1] == pytest.approx(pictures.mean(axis=0), abs=1e-3)
    coloured = pictures * np.array([1, 0.5, 0.25], np.float32)[None, :, None, None]
    shown = fitted(coloured).predict(Inputs(coloured[:1])).references
    assert shown is not None
    assert shown[0] == pytest.approx(coloured.mean(axis=0), abs=1e-3)


def test_another_seed_keeps_other_features() -> None:
    pictures = BatchImages(Inputs(normal_pictures(4, seed=1)))
    kept = [METHOD.fit(pictures, SMALL, seed, silent).arrays()["kept"].tolist() for seed in (0, 0, 1)]
    assert kept[0] == kept[1] != kept[2]
    assert len(set(kept[0])) == 12


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("kept", np.full(12, 176, np.int32)),
        ("kept", np.arange(11, dtype=np.int32)),
        ("mean", np.zeros((64, 11), np.float32)),
        ("whitening", np.zeros((64, 12, 12), np.float32)),
        ("whitening", np.full((64, 78), np.inf, np.float32)),
        ("normal", np.zeros((1, 2, 8, 8), np.float16)),
        ("size", np.array([96, 64], np.int32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: np.ndarray) -> None:
    arrays = dict(fitted(normal_pictures(3, seed=1)).arrays())
    METHOD.load(arrays, SMALL)
    with pytest.raises(ModelError):
        METHOD.load(arrays | {name: array}, SMALL)


def test_what_is_ignored_is_not_learnt() -> None:
    pixels = normal_pictures(10, seed=1)
    ignore = np.zeros((10, *SQUARE), np.bool_)
    ignore[5:, :32, :32] = True
    found = METHOD.fit(BatchImages(Inputs(pixels, ignore)), SMALL, 0, silent).arrays()["mean"]
    expected = cells_of(pixels)[:, :, METHOD.fit(BatchImages(Inputs(pixels)), SMALL, 0, silent).arrays()["kept"]]
    assert found[0] == pytest.approx(expected[:5, 0].mean(axis=0), abs=1e-4)
    assert found[63] == pytest.approx(expected[:, 63].mean(axis=0), abs=1e-4)
