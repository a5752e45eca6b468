"""Networks that classify: they learn, are stored without torch, and refuse what is no network."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.classification.method import Examples, Stored
from isotherm.classification.small_cnn import METHOD, SmallCnnConfig
from isotherm.core.errors import DataError, ModelError

pytest.importorskip("torch")
SIZE = (12, 9)


def pictures(count: int, *, size: tuple[int, int] = SIZE, classes: int = 3, seed: int = 0) -> Examples:
    """A warm spot at a place of its own for each category, in noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    values = 0.3 + 0.05 * rng.standard_normal((count, 1, *size)).astype(np.float32)
    for value, label in zip(values, labels, strict=True):
        left = int(label) * size[1] // classes
        value[0, size[0] // 3 : 2 * size[0] // 3, left : left + max(1, size[1] // classes)] += 0.4
    return Examples(np.repeat(values, 3, axis=1), labels.astype(np.int64), np.arange(count), classes)


def quiet(*_: object) -> None:
    """Show no progress."""


def test_it_learns_what_it_is_shown_and_tells_it_of_new_pictures() -> None:
    fitted = METHOD.fit(pictures(120), SmallCnnConfig(epochs=40, dropout=0.2), seed=1, progress=quiet)
    fresh = pictures(60, seed=7)
    assert (fitted.classifier.answer(fresh.values).logits.argmax(axis=1) == fresh.labels).mean() > 0.9


def test_the_validation_part_is_judged_and_no_other() -> None:
    examples = pictures(60)
    fitted = METHOD.fit(examples, SmallCnnConfig(epochs=2), seed=1, progress=quiet)
    (fold,) = fitted.folds
    assert 0.1 < fold.judged.size / len(examples) < 0.3
    assert np.isfinite(fitted.logits[fold.judged]).all()
    assert np.isnan(fitted.logits[fold.learnt]).all()
    assert fitted.embeddings.shape == (60, 64)


@pytest.mark.parametrize(
    ("pictures", "passes", "without_gain"),
    [(2, 1000, 150), (20, 1000, 150), (96, 333, 50), (320, 100, 15), (10**6, 100, 15)],
)
def test_few_pictures_get_more_passes(pictures: int, passes: int, without_gain: int) -> None:
    config = SmallCnnConfig()
    assert (config.passes(pictures), config.passes_without_gain(pictures)) == (passes, without_gain)
    config = SmallCnnConfig(epochs=3, patience=2)
    assert (config.passes(pictures), config.passes_without_gain(pictures)) == (3, 2)


def test_the_fit_makes_as_many_passes_as_its_number_of_pictures_needs() -> None:
    told = list[int]()

    def stop(_done: int, total: int, _message: str) -> None:
        told.append(total)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        METHOD.fit(pictures(64), SmallCnnConfig(filters=1, dense=2), seed=1, progress=stop)
    assert told == [500]


def test_groups_are_not_on_both_sides() -> None:
    examples = pictures(60)
    grouped = Examples(examples.values, examples.labels, np.arange(60) // 6, examples.classes)
    (fold,) = METHOD.fit(grouped, SmallCnnConfig(epochs=1), seed=1, progress=quiet).folds
    assert not set(grouped.groups[fold.learnt]) & set(grouped.groups[fold.judged])


def test_balanced_finds_more_of_the_rare_category() -> None:
    rng = np.random.default_rng(4)
    labels = np.array([0] * 90 + [1] * 10)
    values = 0.5 + 0.2 * rng.standard_normal((100, 1, *SIZE)).astype(np.float32)
    values[labels == 1] += 0.04
    examples = Examples(np.repeat(values, 3, axis=1), labels.astype(np.int64), np.arange(100), 2)
    rare = {
        weight: float(
            METHOD.fit(
                examples,
                SmallCnnConfig(epochs=15, dropout=0.0, learning_rate=0.005, class_weight=weight),
                seed=0,
                progress=quiet,
            )
            .classifier.answer(examples.values)
            .logits.argmax(axis=1)
            .mean()
        )
        for weight in ("none", "balanced")
    }
    assert rare["balanced"] > rare["none"]


def test_it_stops_when_validation_gets_no_better() -> None:
    noise = pictures(40)
    shuffled = np.random.default_rng(0).permutation(noise.labels)
    config = SmallCnnConfig(epochs=60, patience=2, learning_rate=0.01)
    about = METHOD.fit(Examples(noise.values, shuffled, noise.groups, 3), config, seed=1, progress=quiet).about
    assert about["epochs"] == about["best_epoch"] + 2 < 60


def test_the_same_seed_gives_the_same_network() -> None:
    first, second = (METHOD.fit(pictures(30), SmallCnnConfig(epochs=1), seed=3, progress=quiet) for _ in range(2))
    np.testing.assert_array_equal(first.embeddings, second.embeddings)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (130, 70)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    examples = pictures(12, size=size, classes=2)
    fitted = METHOD.fit(examples, SmallCnnConfig(epochs=1, filters=2), seed=0, progress=quiet)
    stored = METHOD.load(fitted.classifier.stored(), SmallCnnConfig(), classes=2)
    np.testing.assert_array_equal(stored.answer(examples.values).embeddings, fitted.embeddings)


def test_an_answer_does_not_depend_on_neighbours() -> None:
    examples = pictures(20)
    classifier = METHOD.fit(examples, SmallCnnConfig(epochs=1), seed=0, progress=quiet).classifier
    alone = np.concatenate([classifier.answer(examples.values[place : place + 1]).logits for place in range(20)])
    np.testing.assert_array_equal(alone, classifier.answer(examples.values).logits)


def test_too_few_pictures_to_hold_any_out_are_all_learnt_from() -> None:
    fitted = METHOD.fit(pictures(2, classes=2), SmallCnnConfig(epochs=2), seed=0, progress=quiet)
    assert fitted.folds == ()
    assert np.isnan(fitted.logits).all()


def test_pictures_that_are_too_small() -> None:
    with pytest.raises(DataError, match="3x3 px are too small"):
        METHOD.fit(pictures(6, size=(3, 3)), SmallCnnConfig(), seed=0, progress=quiet)


def test_what_is_no_network_is_refused() -> None:
    whole = METHOD.fit(pictures(6), SmallCnnConfig(epochs=1), seed=0, progress=quiet).classifier.stored().network
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], whole + b"\x0a\x08location"):
        with pytest.raises(ModelError):
            METHOD.load(Stored(network=damaged), SmallCnnConfig(), classes=3).answer(pictures(1).values)
    with pytest.raises(ModelError, match="4 categories"):
        METHOD.load(Stored(network=whole), SmallCnnConfig(), classes=4)
    with pytest.raises(ModelError, match="do not fit"):
        METHOD.load(Stored(network=whole), SmallCnnConfig(), classes=3).answer(pictures(1, size=(8, 8)).values)
