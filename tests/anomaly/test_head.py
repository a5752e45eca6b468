"""The labelled head: against scikit-learn, and on detectors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from isotherm.anomaly.head import HeadedDetector, features_of, fit_head, with_stored_head, without_head
from isotherm.anomaly.picture_statistics import NAMES
from isotherm.anomaly.statistics import METHOD, StatisticsConfig
from isotherm.core.errors import ModelError
from isotherm.core.progress import silent
from isotherm.testing.anomaly import BatchImages, faulty_pictures, joined, normal_pictures


def labelled(count: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(3, 2, (count, features)) * rng.uniform(0.1, 10, features)
    odds = (rows - rows.mean(axis=0)) @ rng.normal(0, 1, features) / np.linalg.norm(rows.std(axis=0))
    return rows, odds + rng.logistic(0, 0.5, count) > 0.3


@pytest.mark.parametrize(("count", "features", "penalty"), [(200, 5, 1.0), (30, 60, 3.0), (80, 20, 0.05)])
def test_the_head_is_scikit_learns_logistic_regression(count: int, features: int, penalty: float) -> None:
    rows, faulty = labelled(count, features, seed=features)
    head = fit_head(rows, faulty, penalty)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    expected = LogisticRegression(C=1 / penalty, max_iter=10_000, tol=1e-10).fit(standard, faulty)
    np.testing.assert_allclose(head.weights, expected.coef_[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(head.log_odds(rows), expected.decision_function(standard), rtol=1e-3, atol=1e-3)


def test_classes_that_are_apart_and_constant_features_do_no_harm() -> None:
    rows = np.zeros((10, 3))
    rows[5:, 0] = 100.0
    head = fit_head(rows, rows[:, 0] > 0, 0.01)
    odds = head.log_odds(rows)
    assert np.isfinite(odds).all()
    assert odds[:5].max() < 0 < odds[5:].min()


@pytest.fixture(scope="module")
def headed() -> HeadedDetector:
    detector = METHOD.fit(BatchImages(normal_pictures(8, seed=1)), StatisticsConfig(), 0, silent)
    pictures = joined(normal_pictures(6, seed=2), faulty_pictures(6, seed=3))
    features = features_of(pictures, detector.predict(pictures).scores)
    return HeadedDetector(detector, fit_head(features, np.arange(12) >= 6, 1.0))


def test_a_head_changes_the_score_and_nothing_else(headed: HeadedDetector) -> None:
    unseen = joined(normal_pictures(3, seed=4), faulty_pictures(3, seed=5))
    found, plain = headed.predict(unseen), headed.detector.predict(unseen)
    assert found.scores[:3].max() < 0 < found.scores[3:].min()
    np.testing.assert_array_equal(found.maps, plain.maps)
    alone = [float(headed.predict(unseen[place : place + 1]).scores[0]) for place in range(6)]
    np.testing.assert_allclose(alone, found.scores, rtol=1e-5)


def test_a_head_is_stored_with_its_detector(headed: HeadedDetector) -> None:
    arrays, unseen = headed.arrays(), faulty_pictures(2, seed=6)
    again = with_stored_head(METHOD.load(without_head(arrays), StatisticsConfig()), arrays)
    np.testing.assert_array_equal(again.predict(unseen).scores, headed.predict(unseen).scores)
    assert set(without_head(arrays)) == set(headed.detector.arrays())
    plain = METHOD.load(without_head(arrays), StatisticsConfig())
    assert with_stored_head(plain, without_head(arrays)) is plain


@pytest.mark.parametrize("missing", ["mean", "spread", "weights", "bias"])
def test_half_a_head_is_refused(headed: HeadedDetector, missing: str) -> None:
    arrays = {name: values for name, values in headed.arrays().items() if name != f"head.{missing}"}
    with pytest.raises(ModelError, match=f"'head.{missing}' is missing"):
        with_stored_head(headed.detector, arrays)


def test_a_head_of_other_features_is_refused(headed: HeadedDetector) -> None:
    arrays = {**headed.arrays(), "head.weights": np.zeros(len(NAMES), np.float32)}
    with pytest.raises(ModelError, match="shape"):
        with_stored_head(headed.detector, arrays)
