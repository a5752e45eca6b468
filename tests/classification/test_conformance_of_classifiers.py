"""Every classifier keeps the promises of the seam, and the check notices one that does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from isotherm.classification import CLASSIFIERS
from isotherm.classification.method import Examples, Fitted
from isotherm.testing.classification import check_classifier_method

QUICK: dict[str, dict[str, Any]] = {
    "logistic": {"folds": 3},
    "small_cnn": {"epochs": 12, "dropout": 0.1, "filters": 8},
    "finetuned": {"epochs": 2, "trained_blocks": 0},
}


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_every_classifier(name: str) -> None:
    method = CLASSIFIERS.get(name)
    check_classifier_method(method, method.config_type(**QUICK[name]))


@dataclass
class Altered:
    """Logistic regression with something wrong."""

    wrong: str
    name: str = "altered"
    wants: str = "features"
    side_px: int | None = None

    def __post_init__(self) -> None:
        self._right = CLASSIFIERS.get("logistic")
        self.config_type = self._right.config_type

    def fit(self, examples: Examples, config: Any, *, seed: int, progress: Any) -> Fitted:
        if self.wrong == "inputs":
            examples.values[:] += 1
        if self.wrong == "labels":
            examples = replace(examples, labels=np.roll(examples.labels, 16))
        fitted = self._right.fit(examples, config, seed=seed, progress=progress)
        if self.wrong == "folds":
            return replace(fitted, folds=fitted.folds + fitted.folds[:1])
        if self.wrong == "held out":
            return replace(fitted, folds=())
        return fitted

    def load(self, stored: Any, config: Any, *, classes: int) -> Any:
        return self._right.load(stored, config, classes=3 if self.wrong == "classes" else classes)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("inputs", "leave the examples alone"),
        ("labels", "easy categories"),
        ("folds", "one fold only"),
        ("held out", "held out"),
        ("classes", "other categories"),
    ],
)
def test_a_broken_promise_is_noticed(wrong: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_classifier_method(Altered(wrong), CLASSIFIERS.get("logistic").config_type(folds=3))
