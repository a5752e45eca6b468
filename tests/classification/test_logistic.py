"""Logistic regression: what scikit-learn says, without scikit-learn."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isotherm.classification.calibration import softmax
from isotherm.classification.logistic import GRID, METHOD, LogisticConfig
from isotherm.classification.method import Examples, Stored
from isotherm.core.errors import MissingExtraError, ModelError
from isotherm.core.progress import silent


def examples(classes: int, count: int = 240, noise: float = 2.0, seed: int = 0) -> Examples:
    """Return features (N 10) of categories that overlap a little, in very different units."""
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(8).normal(0, 2, (classes, 10))
    labels = np.arange(count, dtype=np.int64) % classes
    values = (middles[labels] + noise * rng.normal(size=(count, 10))) * np.geomspace(0.1, 1000, 10)
    return Examples(values.astype(np.float32), labels, np.arange(count), classes)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("weight", ["balanced", "none"])
def test_equals_scikit_learn(classes: int, weight: str) -> None:
    given = examples(classes)
    uneven = np.flatnonzero((given.labels > 0) | (np.arange(len(given)) % 3 == 0))
    given = Examples(given.values[uneven], given.labels[uneven], np.arange(len(uneven)), classes)
    config = LogisticConfig(c=1.0, class_weight=weight, max_iter=5000)  # type: ignore[arg-type]
    fitted = METHOD.fit(given, config, seed=0, progress=silent)
    theirs = make_pipeline(
        StandardScaler(), LogisticRegression(C=1.0, class_weight=None if weight == "none" else weight, max_iter=5000)
    ).fit(given.values, given.labels)
    new = examples(classes, 60, seed=3).values
    found = softmax(fitted.classifier.answer(new).logits)
    assert found == pytest.approx(theirs.predict_proba(new), abs=2e-3)


def test_c_is_chosen_by_what_was_held_out() -> None:
    fitted = METHOD.fit(examples(3, noise=6.0), LogisticConfig(), seed=0, progress=silent)
    tried = fitted.about["tried"]
    assert fitted.about["c"] in GRID
    assert tried[f"{fitted.about['c']:g}"] == min(tried.values())
    assert fitted.about["c"] < 100
    assert len(fitted.folds) == 5
    assert np.isfinite(fitted.logits).all()


def test_held_out_logits_are_no_better_than_honest_ones() -> None:
    """Labels drawn at random cannot be foretold; the logits of the learnt pictures themselves would look good."""
    given = examples(2, 100)
    labels = np.random.default_rng(1).permutation(given.labels)
    fitted = METHOD.fit(
        Examples(given.values, labels, given.groups, 2), LogisticConfig(c=100.0), seed=0, progress=silent
    )
    held_out = (fitted.logits.argmax(axis=1) == labels).mean()
    learnt = (fitted.classifier.answer(given.values).logits.argmax(axis=1) == labels).mean()
    assert held_out < 0.62 < learnt + 0.1


def test_a_feature_that_never_changes_is_harmless() -> None:
    given = examples(2, 60)
    values = np.concatenate([given.values, np.full((60, 1), 7, np.float32)], axis=1)
    fitted = METHOD.fit(Examples(values, given.labels, given.groups, 2), LogisticConfig(), seed=0, progress=silent)
    assert np.isfinite(fitted.classifier.answer(values + np.float32(1e3)).logits).all()


def test_one_picture_of_each_category_is_enough() -> None:
    given = examples(3, 3)
    fitted = METHOD.fit(given, LogisticConfig(), seed=0, progress=silent)
    assert fitted.folds == ()
    assert np.isnan(fitted.logits).all()
    assert fitted.classifier.answer(given.values).logits.argmax(axis=1).tolist() == [0, 1, 2]


def test_using_a_classifier_needs_no_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    given = examples(3)
    fitted = METHOD.fit(given, LogisticConfig(c=1.0), seed=0, progress=silent)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    again = METHOD.load(fitted.classifier.stored(), LogisticConfig(), classes=3)
    assert np.array_equal(again.answer(given.values).logits, fitted.classifier.answer(given.values).logits)
    with pytest.raises(MissingExtraError, match="isotherm\\[classify\\]"):
        METHOD.check_extra()


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"weights": np.zeros((2, 5)), "bias": np.zeros(3)},
        {"weights": np.zeros((3, 5), np.float32), "bias": np.zeros(3)},
        {"weights": np.full((3, 5), np.inf), "bias": np.zeros(3)},
    ],
)
def test_damaged_arrays_are_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(ModelError):
        METHOD.load(Stored(arrays), LogisticConfig(), classes=3)


def test_other_features_are_refused() -> None:
    fitted = METHOD.fit(examples(2, 40), LogisticConfig(c=1.0), seed=0, progress=silent)
    with pytest.raises(ModelError, match="10 features"):
        fitted.classifier.answer(np.zeros((2, 9), np.float32))
