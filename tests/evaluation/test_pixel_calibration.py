"""Calibration of pixels: right probabilities have no error, wrong ones the one that was put in; scikit-learn agrees."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.calibration import Reliability
from isotherm.evaluation.defects import PlateJudgement, PlateTruth, judge_plate
from isotherm.evaluation.pixel_calibration import pixel_reliability
from isotherm.evaluation.ranking import Undefined


def plates(count: int, shift: float = 0.0) -> tuple[list[PlateJudgement], np.ndarray, np.ndarray]:
    """Plates whose pixels are defects as often as said; what is said is then moved by `shift`."""
    rng = np.random.default_rng(1)
    made, truths, stated = [], [], []
    for _ in range(count):
        probability = rng.uniform(0.05, 0.85, (40, 50))
        labels = (rng.uniform(size=probability.shape) < probability).astype(np.int32)
        said = (probability + shift).astype(np.float32)
        made.append(judge_plate(PlateTruth(labels, np.ones(1), np.ones(1)), said > 0.5, said))
        truths.append(labels.ravel())
        stated.append(said.ravel())
    return made, np.concatenate(truths), np.concatenate(stated)


def test_bins_error_and_brier_are_those_of_scikit_learn() -> None:
    made, true, stated = plates(6, shift=0.1)
    found = pixel_reliability(made, resamples=100)
    assert isinstance(found, Reliability)
    observed, mean = calibration_curve(true, stated, n_bins=10)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.stated, mean, rtol=1e-5)
    assert found.brier == pytest.approx(brier_score_loss(true, stated), rel=1e-5)
    assert found.error == pytest.approx(0.1, abs=0.02)
    assert isinstance(found.interval, Interval)
    assert found.interval.low <= found.error <= found.interval.high
    assert (found.low <= found.observed).all()
    assert (found.observed <= found.high).all()
    assert found.counts.sum() == true.size


def test_pixels_without_a_number_do_not_count_and_scores_that_are_no_probabilities_are_said() -> None:
    labels = np.zeros((4, 5), np.int32)
    scores = np.full(labels.shape, 0.25, np.float32)
    scores[0] = np.nan
    empty = np.zeros(0)
    plate = judge_plate(PlateTruth(labels, empty, empty), labels > 0, scores)
    found = pixel_reliability([plate], resamples=5)
    assert isinstance(found, Reliability)
    assert found.counts.tolist() == [15]
    assert isinstance(found.interval, Undefined)
    far = judge_plate(PlateTruth(labels, empty, empty), labels > 0, scores * 8)
    assert isinstance(pixel_reliability([far]), Undefined)
    assert isinstance(pixel_reliability([]), Undefined)
