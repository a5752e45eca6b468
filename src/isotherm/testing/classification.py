"""The conformance check of classifiers."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import get_args

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from isotherm.classification.method import Answers, Classifier, ClassifierMethod, Examples, Fitted, Stored, Wants
from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import ModelError
from isotherm.core.progress import silent
from isotherm.testing.promises import require

SIZE = (32, 64)
"""Height and width of the made-up pictures [px]; not square, as most pictures are not."""
CLASSES, PER_CLASS, FEATURES = 3, 16, 12


def check_classifier_method(method: ClassifierMethod, config: object | None = None) -> None:
    """Check that a classifier keeps the seam's promises.

    Run it in the tests of your package, with a `config` that learns quickly. The method learns three made-up categories
    that are easy to tell apart and is asked about others: shapes and types, what is held out, the same answer alone and
    among neighbours, from what is stored again, from the same seed again, inputs left alone, and more right answers
    than chance gives.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    require(isinstance(method, ClassifierMethod), "it must have name, wants, side_px, config_type, fit and load")
    require(method.name == method.name.lower().strip() != "", "its name must be lower-case and not empty")
    require(method.wants in get_args(Wants), f"it must want one of {', '.join(get_args(Wants))}")
    config = method.config_type() if config is None else config
    require(is_dataclass(config), "its configuration must be a dataclass")
    require(from_mapping(type(config), to_mapping(config)) == config, "its configuration must survive JSON")
    examples, others = made_up(method.wants, seed=1), made_up(method.wants, seed=2)
    fitted = _fit(method, examples, config)
    _check_held_out(fitted, examples)
    _check_answers(fitted.classifier, others)
    _check_stored(method, fitted.classifier, config, others)
    again = _fit(method, examples, config).classifier.answer(others.values)
    require(_same(again, fitted.classifier.answer(others.values)), "the same seed must give the same answers")


def made_up(wants: Wants, *, seed: int) -> Examples:
    """Return examples of three categories: each is strong at its own place, in noise; two of a kind are a group."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    if wants == "features":
        values = 0.3 * rng.standard_normal((labels.size, FEATURES))
        values[np.arange(labels.size), labels] += 2
    else:
        values = 0.4 + 0.05 * rng.standard_normal((labels.size, 3, *SIZE))
        for value, label in zip(values, labels, strict=True):
            left = int(label) * SIZE[1] // CLASSES
            value[:, :, left : left + SIZE[1] // CLASSES] += 0.4
    return Examples(values.astype(np.float32), labels, np.arange(labels.size) // 2, CLASSES)


def _fit(method: ClassifierMethod, examples: Examples, config: object) -> Fitted:
    before = examples.values.copy()
    fitted = method.fit(examples, config, seed=0, progress=silent)
    require(isinstance(fitted.classifier, Classifier), "fit must give a classifier with answer and stored")
    require(np.array_equal(before, examples.values), "fit must leave the examples alone")
    return fitted


def _check_held_out(fitted: Fitted, examples: Examples) -> None:
    count = len(examples)
    require(fitted.logits.shape == (count, CLASSES), "the logits of the examples must have the shape (N C)")
    require(len(fitted.embeddings) == count, "there must be an embedding for each example")
    require(bool(fitted.folds), "with enough examples some must be held out")
    judged = np.concatenate([fold.judged for fold in fitted.folds])
    require(np.unique(judged).size == judged.size, "an example must be judged in one fold only")
    known = np.isfinite(fitted.logits).all(axis=1)
    require(np.array_equal(np.flatnonzero(known), np.sort(judged)), "logits must be those of judged examples, NaN else")
    for fold in fitted.folds:
        shared = np.intersect1d(examples.groups[fold.learnt], examples.groups[fold.judged])
        require(shared.size == 0, "a group must not be learnt from and judged in the same fold")


def _check_answers(classifier: Classifier, others: Examples) -> None:
    before = others.values.copy()
    together = classifier.answer(others.values)
    require(np.array_equal(before, others.values), "answer must leave the pictures alone")
    require(together.logits.shape == (len(others), CLASSES), "logits must have the shape (N C)")
    require(together.logits.dtype == np.float64, "logits must be float64")
    require(bool(np.isfinite(together.logits).all()), "logits must be finite")
    right = float((together.logits.argmax(axis=1) == others.labels).mean())
    require(right > 2 / CLASSES, f"it must tell easy categories apart; it told {right:.0%}")
    for place in range(0, len(others), 7):
        alone = classifier.answer(others.values[place : place + 1])
        neighbour = Answers(together.logits[place : place + 1], together.embeddings[place : place + 1])
        require(_same(alone, neighbour), "a picture's answer must not depend on its neighbours")


def _check_stored(method: ClassifierMethod, classifier: Classifier, config: object, others: Examples) -> None:
    stored = classifier.stored()
    arrays = load_tensors(save_tensors({name: np.ascontiguousarray(each) for name, each in stored.arrays.items()}))
    loaded = method.load(Stored(arrays, stored.network), config, classes=CLASSES)
    same = _same(loaded.answer(others.values), classifier.answer(others.values))
    require(same, "a loaded classifier must give the same answers")
    for name in arrays:
        _refused(method, Stored({key: arrays[key] for key in arrays if key != name}, stored.network), config)
    if stored.network:
        _refused(method, Stored(arrays, stored.network[: len(stored.network) // 2]), config)
    _refused(method, stored, config, classes=CLASSES + 1)


def _refused(method: ClassifierMethod, stored: Stored, config: object, classes: int = CLASSES) -> None:
    try:
        method.load(stored, config, classes=classes)
    except ModelError:
        return
    raise AssertionError("load must raise ModelError where something is missing, cut, or for other categories")


def _same(one: Answers, other: Answers) -> bool:
    pairs = ((one.logits, other.logits), (one.embeddings, other.embeddings))
    return all(np.allclose(first, second, rtol=1e-5, atol=1e-6) for first, second in pairs)
