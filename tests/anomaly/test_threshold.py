"""Thresholds from held-out normal scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isotherm.anomaly.threshold import ScoreCalibration, calibrate
from isotherm.core.errors import DataError, ModelError

scores_of = arrays(np.float32, st.integers(1, 200), elements=st.floats(0, 1000, width=32))


@settings(deadline=None, max_examples=60)
@given(scores_of, st.floats(50, 100))
def test_the_share_above_the_threshold_is_at_most_what_was_asked(scores: np.ndarray, percentile: float) -> None:
    found = calibrate(scores, scores * 2, percentile)
    assert (scores > found.threshold).mean() <= 1 - percentile / 100 + 1e-9
    assert found.threshold in scores
    # The next smaller score would let too many through.
    below = scores[scores < found.threshold]
    if below.size:
        assert (scores > below.max()).mean() > 1 - percentile / 100 - 1e-9
    assert found.pixel_threshold == pytest.approx(2 * found.threshold)


@settings(deadline=None, max_examples=60)
@given(scores_of, st.floats(0, 1000, width=32))
def test_percentile_counts_what_is_lower(scores: np.ndarray, score: float) -> None:
    found = calibrate(scores, scores, 99).percentile_of(score)
    assert found == pytest.approx(100 * (scores < np.float32(score)).mean())


def test_nothing_is_clamped() -> None:
    found = calibrate(np.arange(1, 101, dtype=np.float32), np.arange(1, 101, dtype=np.float32), 99)
    assert found.threshold == 99
    assert found.percentile_of(1e9) == 100
    assert found.percentile_of(-1) == 0
    assert "99th percentile of the scores of 100 held-out normal images" in found.how
    assert "largest" not in found.how


def test_few_scores_are_said_to_be_few() -> None:
    scores = np.array([3, 1, 2, 7], np.float32)
    found = calibrate(scores, scores, 99, held_out="4 pictures of a shed")
    assert found.threshold == 7
    assert "scores of 4 pictures of a shed; with 4 scores this is the largest" in found.how
    assert "at least 100 images" in found.how
    assert "20 % false alarms" in found.how
    assert calibrate(scores, scores, 100).threshold == 7
    assert "need at least" not in calibrate(scores, scores, 100).how


def test_there_and_back_through_json() -> None:
    scores = np.random.default_rng(0).gamma(3, 5, 37).astype(np.float32)
    first = calibrate(scores, scores + 1, 95)
    again = ScoreCalibration.from_mapping(json.loads(json.dumps(first.to_mapping())))
    assert np.array_equal(first.scores, again.scores)
    assert first.to_mapping() == again.to_mapping()


def test_no_scores_or_broken_ones_are_refused() -> None:
    with pytest.raises(DataError, match="no held-out"):
        calibrate(np.empty(0, np.float32), np.empty(0, np.float32), 99)
    with pytest.raises(DataError, match="not a finite number"):
        calibrate(np.array([1, np.nan], np.float32), np.array([1, 2], np.float32), 99)


@pytest.mark.parametrize(
    "change",
    [{"scores": []}, {"scores": [[1.0]]}, {"scores": "many"}, {"threshold": None}, {"threshold": float("inf")}],
)
def test_damaged_calibrations_are_refused(change: dict[str, object]) -> None:
    scores = np.array([1, 2], np.float32)
    with pytest.raises(ModelError, match="calibration"):
        ScoreCalibration.from_mapping(calibrate(scores, scores, 99).to_mapping() | change)
