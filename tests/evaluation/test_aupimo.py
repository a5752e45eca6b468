"""AUPIMO against its definition read on a dense grid, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError
from isotherm.evaluation.aupimo import HIGH, LOW, aupimo, shared_rate
from isotherm.evaluation.ranking import Undefined

SHAPE = (320, 320)
"""102,400 pixels: one is just less than a rate of 1e-5."""


def faulty_picture(values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask of so many pixels in a row, and a map with these values there and 0 elsewhere."""
    mask, scores = np.zeros((8, 8), dtype=bool), np.zeros((8, 8))
    mask[0, : len(values)] = True
    scores[0, : len(values)] = values
    return mask, scores


def normal_picture(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(values.shape, dtype=bool), values


def by_definition(normal: list[np.ndarray], mask: np.ndarray, scores: np.ndarray) -> float:
    """At 4,000 rates between the limits take the lowest threshold that keeps to the rate, and average the recall."""
    thresholds = np.unique(np.concatenate([values.ravel() for values in normal]))
    rates = np.mean(
        [1 - np.searchsorted(np.sort(values.ravel()), thresholds, "right") / values.size for values in normal], axis=0
    )
    recalls = []
    for wanted in np.exp(np.linspace(np.log(LOW), np.log(HIGH), 4000, endpoint=False)):
        lowest = thresholds[np.argmax(rates <= wanted)]
        recalls.append(np.mean(scores[mask] > lowest))
    return float(np.mean(recalls))


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000))
def test_it_agrees_with_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Pictures of different size, with ties among the highest scores.
    normal = [np.round(rng.exponential(size=shape), 1) for shape in (SHAPE, (200, 300), (400, 410))]
    mask, scores = faulty_picture([*np.round(rng.uniform(7, 14, 6), 1)])
    found = aupimo([*map(normal_picture, normal), (mask, scores)], np.array([False] * 3 + [True]))
    assert isinstance(found, np.ndarray)
    assert found[0] == pytest.approx(by_definition(normal, mask, scores), abs=2e-3)


def test_by_hand() -> None:
    # 1 000 000 normal pixels; the highest 1, 20 and 50 of them reach 9, 8 and 7.
    values = np.zeros((1000, 1000))
    values.ravel()[:100] = 6.0
    values.ravel()[:50], values.ravel()[:20], values.ravel()[0] = 7.0, 8.0, 9.0
    pictures = [normal_picture(values), faulty_picture([9.5, 9.0, 8.0, 7.0, 6.0])]
    # Rates 0, 1e-6, 2e-5, 5e-5 and 1e-4: found over the whole range, the whole, log10(5) of it, log10(2) of it, not.
    expected = (1 + 1 + np.log10(5) + np.log10(2) + 0) / 5
    assert expected == pytest.approx(0.6)
    found = aupimo(pictures, np.array([False, True]))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == pytest.approx([0.6])


def test_a_perfect_and_a_useless_map() -> None:
    normal = normal_picture(np.random.default_rng(0).random(SHAPE))
    pictures = [normal, faulty_picture([2.0, 3.0]), faulty_picture([0.5, 0.5])]
    found = aupimo(pictures, np.array([False, True, True]))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [1.0, 0.0]


def test_the_rate_is_a_mean_over_pictures_and_their_order_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    normal = [rng.random(SHAPE), 2 * rng.random((50, 40))]
    one, other = shared_rate(normal), shared_rate(normal[::-1])
    np.testing.assert_allclose(one.scores, other.scores)
    np.testing.assert_allclose(one.rates, other.rates, atol=1e-15)
    # The small picture's highest pixel alone is 1 of 2,000 there, and half of that in the mean.
    assert one.rates[-1] == pytest.approx(0.5 / 2000)
    assert one.finest == pytest.approx(0.5 / 102_400)


def test_too_few_normal_pixels_are_said_to_be_too_few() -> None:
    pictures = [normal_picture(np.zeros((30, 30))), faulty_picture([1.0])]
    found = aupimo(pictures, np.array([False, True]))
    assert found == Undefined("a false positive rate of 1e-05 needs at least 100000 normal pixels; there are 900")
    assert isinstance(aupimo(pictures[1:], np.array([True])), Undefined)
    assert aupimo(pictures[:1], np.array([False])) == Undefined("no anomalous samples")


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match="not a number"):
        shared_rate([np.full((2, 2), np.nan)])
