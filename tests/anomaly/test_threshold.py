"""Thresholds from held-out normal scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from isotherm.anomaly.threshold import ScoreCalibration, Yardstick, calibrate, keep_within, yardstick
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


def of(scores: np.ndarray, threshold: float) -> ScoreCalibration:
    return ScoreCalibration(np.sort(scores).astype(np.float32), 0.0, threshold, threshold, "by hand", "labels")


def test_the_expected_false_alarm_rate_by_hand() -> None:
    # The highest of 99 scores is exceeded by one of 100 new ones; Beta(1, 99) has 1 - (1 - x)^99 below x.
    found = calibrate(np.arange(99, dtype=np.float32), np.arange(99, dtype=np.float32), 100).false_alarms()
    assert found.rate == pytest.approx(0.01)
    assert found.low == pytest.approx(1 - 0.975 ** (1 / 99))
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 99))
    assert str(found) == "1 % of normal images (95 % interval 0.0256 % to 3.66 %)"
    # Chosen elsewhere, none of 10 above: Clopper & Pearson.
    elsewhere = of(np.arange(10), 20.5).false_alarms()
    assert (elsewhere.rate, elsewhere.low, elsewhere.high) == pytest.approx((0.0, 0.0, 0.3085), abs=5e-5)
    assert of(np.arange(10), -1.0).false_alarms().rate == 1.0


def test_the_interval_holds_for_new_images() -> None:
    rng = np.random.default_rng(0)
    inside, expected, seen = 0, 0.0, 0.0
    for _ in range(300):
        found = calibrate(*2 * [rng.exponential(size=60).astype(np.float32)], 95)
        limits, truth = found.false_alarms(), float(np.exp(-found.threshold))
        inside += limits.low <= truth <= limits.high
        expected, seen = expected + limits.rate, seen + truth
    assert inside / 300 == pytest.approx(0.95, abs=0.04)
    assert expected == pytest.approx(seen, rel=0.08)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([60, 300, 1000]), st.sampled_from([0.01, 0.05, 0.2]))
def test_a_budget_is_kept_and_used(seed: int, count: int, rate: float) -> None:
    scores = np.random.default_rng(seed).permutation(count).astype(np.float32)
    found = keep_within(scores, scores + 5, rate, confidence=0.9)
    above = int((scores > found.threshold).sum())
    promised = binom.sf(above, count, rate)
    assert found.rule == "budget"
    assert found.pixel_threshold == found.threshold + 5
    if promised >= 0.9:
        # One more above would be too many.
        assert binom.sf(above + 1, count, rate) < 0.9
        assert f"at most {100 * rate:.3g} % false alarms with 90 % confidence" in found.how
    else:
        assert above == 0
        assert "too few" in found.how


def test_a_budget_holds_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    kept = [
        np.exp(-keep_within(*2 * [rng.exponential(size=200).astype(np.float32)], 0.05, confidence=0.9).threshold)
        <= 0.05
        for _ in range(400)
    ]
    assert 0.88 <= np.mean(kept) <= 0.99


def test_too_few_images_for_a_budget_are_said_to_be_too_few() -> None:
    scores = np.arange(60, dtype=np.float32)
    found = keep_within(scores, scores, 0.01)
    assert found.threshold == 59
    assert found.how.startswith(
        "60 held-out images are too few to promise at most 1 % false alarms with 95 % confidence (299 are needed; "
        "what can be promised is at most 4.87 %): the highest score of"
    )
    # 299 is the published number for 99 % with 95 % confidence (Wilks 1941).
    enough = np.arange(299, dtype=np.float32)
    assert keep_within(enough, enough, 0.01).how.startswith("at most 1 % false alarms with 95 % confidence")
    assert "too few" in keep_within(enough[:298], enough[:298], 0.01).how
    with pytest.raises(DataError, match="no held-out"):
        keep_within(np.empty(0, np.float32), np.empty(0, np.float32), 0.01)


@settings(deadline=None, max_examples=40)
@given(scores_of, st.floats(0, 1000, width=32))
def test_p_values_count_the_image_itself(scores: np.ndarray, score: float) -> None:
    found = of(scores, 1.0).p_value(score)
    assert found == pytest.approx((1 + (scores >= np.float32(score)).sum()) / (1 + scores.size))


def test_calibrations_of_older_models_are_read() -> None:
    scores = np.array([1, 2], np.float32)
    stored = calibrate(scores, scores, 99).to_mapping()
    assert stored.pop("rule") == "percentile"
    assert ScoreCalibration.from_mapping(stored).rule == "percentile"
    with pytest.raises(ModelError, match="unknown threshold rule 'guess'"):
        ScoreCalibration.from_mapping(stored | {"rule": "guess"})
    # They did not keep where the maps lie; the scores stand in.
    older = ScoreCalibration.from_mapping({name: value for name, value in stored.items() if name != "map_maxima"})
    assert older.map_yardstick() == older.yardstick()
    with pytest.raises(ModelError, match="spread of the maps"):
        ScoreCalibration.from_mapping(stored | {"map_maxima": {"centre": 1.0, "spread": 0.0}})


def test_a_standing_keeps_order_and_does_not_depend_on_unit_or_origin() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=40).astype(np.float32)
    plain, other = (calibrate(values, values, 99) for values in (scores, 1000 - 50 + 7 * scores))
    for measure, values in ((plain.yardstick(), scores), (other.yardstick(), 950 + 7 * scores)):
        standings = measure.standing(values)
        assert np.median(standings) == pytest.approx(0, abs=1e-4)
        assert np.std(standings, ddof=1) == pytest.approx(1, rel=1e-3)
        assert measure.value(float(standings[3])) == pytest.approx(values[3], rel=1e-5)
    assert plain.map_yardstick() == plain.yardstick()
    # Of one image, or of images that are all alike, there is still a unit.
    assert yardstick(np.array([2.0], np.float32)) == yardstick(np.full(5, 2.0, np.float32)) == Yardstick(2.0, 2e-3)
    assert yardstick(np.zeros(3, np.float32)).spread > 0


@pytest.mark.parametrize(("before", "then", "pixel"), [(4.0, 6.0, 12.0), (-4.0, 6.0, 18.0)])
def test_a_threshold_that_is_moved_takes_that_of_pixels_along(before: float, then: float, pixel: float) -> None:
    # By the same factor, 8 * 6 / 4; where a threshold is not positive by the same step, 8 + 6 - -4.
    scores = np.array([before - 2, before - 1, before], np.float32)
    found = ScoreCalibration(scores, 99.0, before, 8.0, "as it was").moved(then, "set by somebody", "hand")
    assert (found.threshold, found.pixel_threshold, found.percentile) == (then, pixel, 100.0)
    assert (found.how, found.rule) == ("set by somebody", "hand")
    assert ScoreCalibration.from_mapping(json.loads(json.dumps(found.to_mapping()))).rule == "hand"
    assert found.false_alarms().rate == 0
    assert found.moved(then, "x", "hand", pixel_threshold=7.0).pixel_threshold == 7.0
