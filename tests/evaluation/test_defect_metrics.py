"""Judging plates: counts by hand, scikit-learn for the curves, intervals over plates."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from isotherm.core.errors import DataError
from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.defects import (
    CallRules,
    PlateJudgement,
    PlateTruth,
    judge_plate,
    judge_plates,
    plate_differences,
)
from isotherm.evaluation.ranking import Undefined


def boxes(*places: tuple[int, int, int, int], size: tuple[int, int] = (40, 60)) -> np.ndarray:
    """Boxes (row, column, height, width), numbered."""
    labels = np.zeros(size, np.int32)
    for number, (row, column, height, width) in enumerate(places, start=1):
        labels[row : row + height, column : column + width] = number
    return labels


def truth(labels: np.ndarray, ratio: float = 8.0, judged: np.ndarray | None = None) -> PlateTruth:
    count = int(labels.max())
    return PlateTruth(labels, np.full(count, 8.0), np.full(count, 8.0 / ratio), judged)


def judged(labels: np.ndarray, called: np.ndarray, **more: object) -> PlateJudgement:
    return judge_plate(truth(labels), called > 0, (called > 0).astype(np.float32), **more)


def test_pixels_defects_and_false_calls_are_counted() -> None:
    labels = boxes((5, 5, 10, 10), (25, 5, 6, 6), (25, 40, 4, 4))
    called = boxes((5, 5, 10, 5), (25, 5, 6, 7), (5, 40, 5, 5))
    plate = judged(labels, called)
    assert (plate.hits, plate.false_alarms, plate.misses) == (50 + 36, 6 + 25, 50 + 16)
    assert plate.found.tolist() == [True, True, False]
    assert plate.covered.tolist() == [0.5, 1.0, 0.0]
    assert plate.false_calls == 1
    assert plate.ratio.tolist() == [8.0] * 3


def test_a_region_all_over_the_plate_is_a_false_call_and_finds_nothing() -> None:
    labels = boxes((5, 5, 6, 6))
    plate = judged(labels, np.ones_like(labels))
    assert plate.false_calls == 1
    assert not plate.found.any()
    assert plate.misses == 0


def test_a_signal_just_beside_a_defect_is_its_own_but_does_not_find_it() -> None:
    labels = boxes((10, 10, 10, 10))
    beside = boxes((10, 20, 10, 2))
    assert judged(labels, beside).false_calls == 0
    assert not judged(labels, beside).found.any()
    assert judged(labels, beside, rules=CallRules(margin_px=0)).false_calls == 1


def test_small_regions_are_not_counted_as_calls_but_their_pixels_are() -> None:
    labels = boxes((10, 10, 10, 10))
    plate = judged(labels, boxes((30, 30, 1, 3)))
    assert (plate.false_calls, plate.false_alarms) == (0, 3)


def test_pixels_that_are_not_judged_count_for_nothing() -> None:
    labels = boxes((10, 10, 10, 10))
    sure = np.ones(labels.shape, np.bool_)
    sure[:, 40:] = False
    called = (labels > 0) | (boxes((5, 45, 8, 8)) > 0)
    plate = judge_plate(truth(labels, judged=sure), called, called.astype(np.float32))
    assert (plate.hits, plate.false_alarms, plate.misses, plate.false_calls) == (100, 0, 0, 0)
    assert plate.on_defects.size + plate.elsewhere.size == sure.sum()


def test_labels_and_defects_must_agree() -> None:
    labels = boxes((1, 1, 3, 3), (9, 9, 3, 3))
    for wrong in (np.where(labels == 1, 0, labels), np.where(labels == 2, 3, labels), labels - 1):
        with pytest.raises(DataError, match="each on at least one pixel"):
            judge_plate(PlateTruth(wrong, np.ones(2), np.ones(2)), labels > 0, labels.astype(np.float32))


def plates(count: int = 12, seed: int = 0) -> tuple[list[PlateJudgement], np.ndarray, np.ndarray]:
    """Plates with noisy scores; every fourth is without a defect."""
    rng = np.random.default_rng(seed)
    made, all_true, all_scores = [], [], []
    for number in range(count):
        labels = boxes() if number % 4 == 3 else boxes((5, 5, 8, 8), (20, 30, 5, 5))
        scores = rng.standard_normal(labels.shape) + 2.0 * (labels > 0)
        depth = 1.0 + 0.1 * rng.standard_normal(int(labels.max()))
        truth_of = PlateTruth(labels, np.array([8.0, 2.0])[: labels.max()], np.ones(int(labels.max())), pixel_mm=0.5)
        made.append(judge_plate(truth_of, scores > 1.5, scores, depth_told_mm=depth))
        all_true.append(labels.ravel() > 0)
        all_scores.append(scores.ravel())
    return made, np.concatenate(all_true), np.concatenate(all_scores)


def test_curves_and_overlaps_are_those_of_scikit_learn_over_all_pixels() -> None:
    made, true, scores = plates()
    found = judge_plates(made, resamples=20)
    assert found["auroc"].value == pytest.approx(reference.roc_auc_score(true, scores))
    assert found["average_precision"].value == pytest.approx(reference.average_precision_score(true, scores))
    assert found["iou"].value == pytest.approx(reference.jaccard_score(true, scores > 1.5))
    assert found["dice"].value == pytest.approx(reference.f1_score(true, scores > 1.5))


def test_every_metric_has_an_interval_round_it_and_the_same_each_time() -> None:
    made, *_ = plates()
    found, again = judge_plates(made, resamples=200), judge_plates(made, resamples=200)
    assert found == again
    for name, one in found.items():
        if name == "pod_3_to_6":
            assert isinstance(one.value, Undefined)
            continue
        assert isinstance(one.value, float)
        assert isinstance(one.interval, Interval), name
        assert one.interval.low <= one.value <= one.interval.high, name
    assert judge_plates(made, resamples=200, seed=1) != found


def test_intervals_are_of_plates_not_of_pixels() -> None:
    # The same plate twelve times: there is nothing that another plate could change.
    one = plates(1)[0][0]
    for name, measured in judge_plates([one] * 12, resamples=50).items():
        if isinstance(measured.value, float) and not name.startswith("pod"):
            assert isinstance(measured.interval, Interval)
            assert measured.interval.low == pytest.approx(measured.interval.high)


def test_false_calls_are_counted_on_plates_without_a_defect_too() -> None:
    clean = boxes()
    called = boxes((5, 5, 4, 4), (20, 20, 4, 4))
    found = judge_plates([judged(clean, called), judged(clean, clean)], resamples=20)
    assert found["false_calls"].value == 1.0
    for name in ("iou", "dice", "auroc", "average_precision", "pod", "depth_error"):
        assert isinstance(found[name].value, Undefined), name
        assert found[name].interval is None


def test_depth_is_judged_on_found_defects_with_a_depth() -> None:
    labels = boxes((5, 5, 8, 8), (20, 30, 5, 5), (30, 5, 5, 5))
    called = boxes((5, 5, 8, 8), (20, 30, 5, 5))
    truth_of = PlateTruth(labels, np.array([8.0, 2.0, 2.0]), np.ones(3))
    plate = judge_plate(truth_of, called > 0, called * 1.0, depth_told_mm=np.array([1.1, 0.7, 5.0]))
    found = judge_plates([plate, plate], resamples=20)
    assert found["depth_error"].value == pytest.approx(0.2)
    assert found["depth_error_from_6"].value == pytest.approx(0.1)


def test_one_plate_has_numbers_but_no_intervals_and_none_has_neither() -> None:
    found = judge_plates(plates(1)[0])
    assert isinstance(found["iou"].value, float)
    assert isinstance(found["iou"].interval, Undefined)
    assert isinstance(judge_plates([])["iou"].value, Undefined)


def test_scores_without_a_number_are_the_lowest() -> None:
    labels = boxes((5, 5, 8, 8))
    scores = np.where(labels > 0, 1.0, np.nan)
    plate = judge_plate(truth(labels), labels > 0, scores)
    assert judge_plates([plate, plate], resamples=10)["auroc"].value == 1.0


def test_false_calls_over_the_judged_area() -> None:
    # Two plates of 2400 pixels of 0.5 mm, 1200 of them judged on the second: 9e-4 m2, three false calls.
    sure = np.arange(40 * 60).reshape(40, 60) < 1200
    called = boxes((5, 5, 4, 4), (10, 20, 4, 4), (30, 30, 4, 4))
    empty = np.zeros(0)
    made = [
        judge_plate(PlateTruth(boxes(), empty, empty, part, 0.5), called > 0, called * 1.0) for part in (None, sure)
    ]
    assert judge_plates(made, resamples=10)["false_calls_m2"].value == pytest.approx(5 / 9e-4)
    unknown = judge_plates([judged(boxes(), called)], resamples=10)["false_calls_m2"].value
    assert isinstance(unknown, Undefined)


def test_recordings_of_one_specimen_are_drawn_together() -> None:
    made, *_ = plates(12)
    alone = judge_plates(made, resamples=400)["iou"].interval
    # Each plate three times says no more than once: the interval is as wide as before.
    thrice = [plate for plate in made for _ in range(3)]
    names = [f"{number}" for number in range(12) for _ in range(3)]
    together = judge_plates(thrice, specimens=names, resamples=400)["iou"].interval
    taken_apart = judge_plates(thrice, resamples=400)["iou"].interval
    assert isinstance(alone, Interval)
    assert isinstance(together, Interval)
    assert isinstance(taken_apart, Interval)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.2)
    assert taken_apart.high - taken_apart.low < 0.75 * (together.high - together.low)


def test_a_paired_difference_is_that_of_the_values_and_has_no_spread_against_itself() -> None:
    made, *_ = plates()
    other, *_ = plates(seed=5)
    found = plate_differences(made, other, resamples=50)
    values, others = judge_plates(made, resamples=5), judge_plates(other, resamples=5)
    for name in ("iou", "auroc", "pod", "false_calls"):
        assert found[name].value == pytest.approx(values[name].value - others[name].value)
        assert found[name].interval.low <= found[name].value <= found[name].interval.high
    for name, one in plate_differences(made, made, resamples=20).items():
        if name != "pod_3_to_6":
            assert (one.value, one.interval) == (0, Interval(0, 0)), name
    with pytest.raises(DataError, match="same plates"):
        plate_differences(made, made[:-1])


def test_nothing_found_and_no_false_call_are_not_taken_for_certain() -> None:
    labels = boxes((5, 5, 8, 8))
    truth_of = PlateTruth(labels, np.array([8.0]), np.array([1.0]), pixel_mm=0.5)
    missed = [judge_plate(truth_of, np.zeros(labels.shape, np.bool_), labels * 0.0) for _ in range(12)]
    found = judge_plates(missed, resamples=20)
    # scipy.stats.binomtest(0, 12).proportion_ci(): 0 to 0.26465; scipy.stats.chi2.ppf(0.975, 2) / 2 = 3.68888
    assert found["pod"].interval.high == found["pod_from_6"].interval.high == pytest.approx(0.26465, abs=1e-5)
    assert found["false_calls"].interval.high == pytest.approx(3.68888 / 12, abs=1e-5)
    assert found["false_calls_m2"].interval.high == pytest.approx(3.68888 / (12 * 2400 * 0.25e-6), rel=1e-5)
    all_found = judge_plates([judge_plate(truth_of, labels > 0, labels * 1.0)] * 12, resamples=20)
    assert all_found["pod"].interval.low == pytest.approx(1 - 0.26465, abs=1e-5)
