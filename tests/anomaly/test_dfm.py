"""DFM: its components, errors and likelihoods, against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from isotherm.anomaly import dfm
from isotherm.anomaly.dfm import METHOD, Components, DfmConfig, decomposed
from isotherm.anomaly.graphs import GraphDetector
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.patches import choose_taps
from isotherm.core.errors import DataError, ModelError
from isotherm.core.progress import silent
from isotherm.testing.anomaly import BatchImages, faulty_pictures, joined, normal_pictures
from random_weights import add_random

SMALL = DfmConfig(variance=0.8, max_components=6, blur_px=0.0)
SQUARE = (64, 64)


def fitted(pictures: Inputs, config: DfmConfig = SMALL) -> GraphDetector:
    return METHOD.fit(BatchImages(pictures), config, 0, silent)


def vectors(pictures: Inputs, detector: GraphDetector) -> np.ndarray:
    """Return the standardised features (N F) as the detector sees them."""
    passes = dfm._Passes(BatchImages(pictures), choose_taps("efficientnet_lite0", dfm.STRIDES), "f32", silent)
    values = np.concatenate([values for values, _ in passes.features()]).astype(np.float64)
    arrays = detector.arrays()
    return ((values - arrays["mean"]) / arrays["deviation"][:, None, None]).reshape(len(values), -1)


def rows(count: int, length: int = 40, rank: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.normal(0, 1, (count, rank)) * np.array([9, 5, 3, 2, 1]) @ rng.normal(0, 1, (rank, length))
    return (low + 0.1 * rng.normal(0, 1, (count, length))).astype(np.float32)


def test_the_decomposition_is_that_of_numpy() -> None:
    values = rows(12)
    lengths, directions = decomposed(values)
    _, expected, right = np.linalg.svd(values.astype(np.float64), full_matrices=False)
    assert lengths == pytest.approx(expected, rel=1e-5)
    assert np.abs((directions[:5] * right[:5]).sum(axis=1)) == pytest.approx(1, abs=1e-4)
    assert directions @ directions.T == pytest.approx(np.eye(12), abs=1e-3)


def test_directions_without_length_are_zero() -> None:
    lengths, directions = decomposed(np.repeat(rows(1), 4, axis=0))
    assert (lengths[1:] == 0).all()
    assert not directions[1:].any()
    assert np.isfinite(directions).all()
    assert not decomposed(np.zeros((3, 40), np.float32))[1].any()


@pytest.mark.parametrize("limit", [8, 300])
def test_blocks_give_the_components_of_the_whole(limit: int) -> None:
    values = rows(200)
    values -= values.mean(axis=0)
    components = Components(limit)
    for start in range(0, 200, 23):
        components.add(values[start : start + 23])
    squares, directions = components.strongest(0.99, 10)
    whole = PCA(len(squares), svd_solver="full").fit(values)
    assert components.total == pytest.approx(float(np.square(values.astype(np.float64)).sum()), rel=1e-5)
    assert squares / 199 == pytest.approx(whole.explained_variance_, rel=1e-2)
    assert np.abs((directions * whole.components_).sum(axis=1)) == pytest.approx(1, abs=1e-2)


def test_the_share_of_variance_decides_how_many() -> None:
    values = rows(100)
    components = Components(50)
    components.add(values)
    held = np.cumsum(np.linalg.svd(values, compute_uv=False) ** 2) / np.square(values).sum()
    for share in (0.5, 0.9, 0.999):
        count = len(components.strongest(share, 50)[0])
        assert held[count - 1] >= share - 1e-5
        assert count == 1 or held[count - 2] < share
    assert len(components.strongest(0.999, 3)[0]) == 3


@pytest.mark.parametrize("kind", ["peak", "fre", "nll"])
def test_maps_and_scores_follow_their_definition(kind: str) -> None:
    config = DfmConfig(variance=0.8, max_components=6, score=kind, blur_px=0.0)
    detector = fitted(normal_pictures(20, seed=1, size=SQUARE), config)
    asked = joined(normal_pictures(1, seed=4, size=SQUARE), faulty_pictures(1, seed=5, size=SQUARE))
    values, arrays = vectors(asked, detector), detector.arrays()
    table = arrays["directions"].reshape(len(arrays["directions"]), -1).astype(np.float64)
    rest = values - values @ table.T @ table
    maps = np.sqrt(np.square(rest).reshape(2, 152, 4, 4).mean(axis=1))
    found = detector.predict(asked)
    assert found.maps == pytest.approx(maps, rel=1e-3)
    variances = arrays["variances"].astype(np.float64)
    inside = np.square(values @ table.T) / variances[:-1]
    lengths = inside.sum(axis=1) + np.square(rest).sum(axis=1) / variances[-1]
    volume = np.log(variances[:-1]).sum() + (values.shape[1] - len(table)) * np.log(variances[-1])
    nats = 0.5 * (lengths + volume) / values.shape[1] + 0.5 * np.log(2 * np.pi)
    expected = {"peak": maps.max(axis=(1, 2)), "fre": np.sqrt(np.square(rest).mean(axis=1)), "nll": nats}[kind]
    assert found.scores == pytest.approx(expected, rel=1e-3)


def test_the_likelihood_is_that_of_a_gaussian() -> None:
    # The same formula in a space small enough for the full covariance.
    rng = np.random.default_rng(0)
    table = np.linalg.qr(rng.normal(0, 1, (6, 2)))[0].T
    inside, outside, value = np.array([5.0, 2.0]), 0.3, rng.normal(0, 2, 6)
    covariance = table.T @ np.diag(inside - outside) @ table + outside * np.eye(6)
    along = table @ value
    left = np.square(value - along @ table).sum() / outside
    volume = np.log(inside).sum() + 4 * np.log(outside) + 6 * np.log(2 * np.pi)
    expected = -multivariate_normal(np.zeros(6), covariance).logpdf(value)
    assert 0.5 * (np.square(along / np.sqrt(inside)).sum() + left + volume) == pytest.approx(expected)


def test_variances_are_those_of_the_training_pictures() -> None:
    pictures = normal_pictures(30, seed=1, size=SQUARE)
    detector = fitted(pictures)
    values, arrays = vectors(pictures, detector), detector.arrays()
    table = arrays["directions"].reshape(len(arrays["directions"]), -1)
    along = values @ table.T
    assert np.square(along).mean(axis=0) == pytest.approx(arrays["variances"][:-1], rel=1e-3)
    left = np.square(values - along @ table).sum() / len(values) / (values.shape[1] - len(table))
    assert arrays["variances"][-1] == pytest.approx(left, rel=1e-3)
    assert np.abs(values.mean(axis=0)).max() < 1e-3


@pytest.mark.parametrize("score", ["peak", "fre", "nll"])
def test_what_is_ignored_is_not_learnt_and_raises_no_score(score: str) -> None:
    rng = np.random.default_rng(0)
    pictures, ignore = normal_pictures(12, seed=1, size=SQUARE).pixels, np.zeros((12, *SQUARE), np.bool_)
    ignore[:, :16] = True
    pictures[:, :, :16] = rng.uniform(0, 4, (12, 3, 16, 64))
    config = DfmConfig(variance=0.8, max_components=6, score=score, blur_px=0.0)  # type: ignore[arg-type]
    detector = fitted(Inputs(pictures, ignore), config)
    assert not detector.arrays()["mean"][:, 0].any()
    assert not detector.arrays()["directions"][:, :, 0].any()
    shown = detector.predict(Inputs(pictures, ignore))
    assert (shown.maps[:, 0] <= shown.maps[:, 1:].min(axis=(1, 2))[:, None]).all()
    assert (detector.predict(Inputs(pictures)).scores > shown.scores).all()


def test_few_copied_and_flat_pictures() -> None:
    single = normal_pictures(1, seed=1, size=SQUARE).pixels
    flat = np.full((3, 3, *SQUARE), 0.5, np.float32)
    few = normal_pictures(2, seed=1, size=SQUARE).pixels
    for pixels, score in ((np.repeat(single, 4, axis=0), "nll"), (flat, "nll"), (flat, "peak"), (few, "nll")):
        detector = fitted(Inputs(pixels), DfmConfig(score=score))  # type: ignore[arg-type]
        found = detector.predict(joined(Inputs(pixels[:1]), faulty_pictures(1, seed=3, size=SQUARE)))
        assert np.isfinite(found.maps).all()
        assert found.scores[0] < found.scores[1] < np.inf


def test_outliers_far_beyond_the_span_stay_finite() -> None:
    pictures = normal_pictures(3, seed=3, size=SQUARE)
    for picture, value in zip(pictures.pixels, (1.5, 1e3, -1e8), strict=True):
        picture[:, 24:40, 24:40] = value
    detector = fitted(normal_pictures(10, seed=1, size=SQUARE))
    scores = detector.predict(pictures).scores
    assert np.isfinite(scores).all()
    assert scores.min() > detector.predict(normal_pictures(4, seed=7, size=SQUARE)).scores.max()


def test_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOTHERM_CACHE", str(tmp_path / "cache"))
    add_random("resnet18", tmp_path)
    config = DfmConfig(backbone="resnet18", strides="4,32", max_components=3)
    detector = fitted(normal_pictures(4, seed=1), config)
    assert detector.arrays()["directions"].shape == (3, 64 + 512, 4, 6)
    again = METHOD.load(detector.arrays(), config).predict(faulty_pictures(1, seed=2))
    assert np.array_equal(again.scores, detector.predict(faulty_pictures(1, seed=2)).scores)


def test_one_picture_is_too_few() -> None:
    with pytest.raises(DataError, match="at least 2 normal images to learn from, not 1"):
        fitted(normal_pictures(1, seed=1))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("mean", np.zeros((152, 4, 5), np.float32)),
        ("deviation", np.zeros(152, np.float32)),
        ("variances", np.zeros(1, np.float32)),
        ("directions", np.full((2, 152, 4, 4), np.nan, np.float32)),
        ("size", np.array([96, 96], np.int32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: np.ndarray) -> None:
    arrays = dict(fitted(normal_pictures(3, seed=1, size=SQUARE)).arrays())
    METHOD.load(arrays, SMALL)
    with pytest.raises(ModelError):
        METHOD.load(arrays | {name: array}, SMALL)
