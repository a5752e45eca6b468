"""Metrics of masks against scikit-learn and against a plain per-threshold definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn import metrics as reference

from isotherm.evaluation.pixels import aupro, count_pixels, pixel_auroc, pixel_f1_max, rank_pixels
from isotherm.evaluation.ranking import Undefined

Picture = tuple[np.ndarray, np.ndarray]


def label(mask: np.ndarray) -> tuple[np.ndarray, int]:
    numbers, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return numbers.astype(np.int32), int(count)


def pictures_of(seed: int, levels: int = 12) -> list[Picture]:
    """Two pictures of different size with blobs, and maps of few levels (ties) that partly follow them."""
    rng = np.random.default_rng(seed)
    made = []
    for shape in ((17, 23), (30, 11)):
        mask = ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0.25
        mask[0, 0], mask[-1, -1] = True, False
        scores = np.round((rng.random(shape) + 0.5 * mask) * levels).astype(np.float32)
        made.append((mask, scores))
    return made


def aupro_by_definition(pictures: list[Picture], limit: float) -> float:
    """Sweep every distinct score; average the covered share of each region; integrate the polyline."""
    thresholds = np.unique(np.concatenate([scores.ravel() for _, scores in pictures]))[::-1]
    false, overlap = [0.0], [0.0]
    normal = sum(int((~mask).sum()) for mask, _ in pictures)
    for threshold in thresholds:
        shares = []
        for mask, scores in pictures:
            regions, count = label(mask)
            shares += [np.mean(scores[regions == number] >= threshold) for number in range(1, count + 1)]
        overlap.append(float(np.mean(shares)))
        false.append(sum(int((scores[~mask] >= threshold).sum()) for mask, scores in pictures) / normal)
    xs = np.array(false)
    ys = np.array(overlap)
    at = float(np.interp(limit, xs, ys))
    keep = xs <= limit
    return float(np.trapezoid(np.append(ys[keep], at), np.append(xs[keep], limit)) / limit)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.3, 1.0]))
def test_aupro_agrees_with_its_definition(seed: int, limit: float) -> None:
    pictures = pictures_of(seed)
    assert aupro(rank_pixels(pictures, label), limit) == pytest.approx(aupro_by_definition(pictures, limit), abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_pixel_auroc_and_counts_agree_with_scikit_learn(seed: int) -> None:
    pictures = pictures_of(seed)
    truth = np.concatenate([mask.ravel() for mask, _ in pictures])
    scores = np.concatenate([values.ravel() for _, values in pictures])
    rankings = rank_pixels(pictures, label)
    assert pixel_auroc(rankings) == pytest.approx(reference.roc_auc_score(truth, scores))
    counts = count_pixels(pictures, np.full(2, 9.0))
    assert counts.f1() == pytest.approx(reference.f1_score(truth, scores > 9))
    assert counts.iou() == pytest.approx(reference.jaccard_score(truth, scores > 9))
    best = max(reference.f1_score(truth, scores >= each) for each in np.unique(scores))
    assert pixel_f1_max(rankings) == pytest.approx(best)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[:4, :4] = True
    mask[9, 9] = True
    scores = np.zeros((10, 10), dtype=np.float32)
    scores[9, 9] = 1.0
    # One of two regions is found before any false alarm; the other ties with all the rest.
    value = aupro(rank_pixels([(mask, scores)], label), 0.3)
    assert value == pytest.approx(0.5 + 0.5 * 0.3 / 2)


def test_a_perfect_map_scores_one_everywhere() -> None:
    pictures = [(mask, mask.astype(np.float32)) for mask, _ in pictures_of(0)]
    rankings = rank_pixels(pictures, label)
    assert (pixel_auroc(rankings), aupro(rankings), pixel_f1_max(rankings)) == (1.0, 1.0, 1.0)
    assert count_pixels(pictures, np.full(len(pictures), 0.5)).iou() == 1.0


def test_without_defect_pixels_nothing_is_defined() -> None:
    pictures = [(np.zeros((4, 4), dtype=bool), np.ones((4, 4), dtype=np.float32))]
    rankings = rank_pixels(pictures, label)
    undefined = Undefined("no anomalous samples")
    assert pixel_auroc(rankings) == aupro(rankings) == pixel_f1_max(rankings) == undefined
    assert (
        count_pixels(pictures, np.full(len(pictures), 0.5)).f1()
        == count_pixels(pictures, np.full(len(pictures), 0.5)).iou()
        == undefined
    )
    assert rank_pixels([], label).by_pixel.missing() == undefined


def test_each_picture_is_called_at_its_own_limit() -> None:
    mask = np.array([[True, False]])
    pictures = [(mask, np.array([[2.0, 1.0]])), (mask, np.array([[20.0, 10.0]]))]
    assert count_pixels(pictures, np.array([1.5, 15.0])).iou() == 1.0
    assert count_pixels(pictures, np.array([1.5, 1.5])).iou() == pytest.approx(2 / 3)
