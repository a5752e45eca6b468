"""All metrics of a set by name, ready for JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from isotherm.evaluation.metrics import auroc
from isotherm.evaluation.pixels import aupro, count_pixels, pixel_auroc, rank_pixels
from isotherm.evaluation.summary import DEFINITIONS, PIXEL_METRICS, image_metrics, pixel_metrics, without_masks


def test_image_metrics_by_name_with_intervals() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) < 20
    scores = rng.normal(size=60) + labels
    found = image_metrics(labels, scores, scores > 0.5, resamples=200)
    assert list(found) == ["auroc", "average_precision", "f1", "f1_max"]
    assert set(found) | set(PIXEL_METRICS) <= set(DEFINITIONS)
    value = found["auroc"].to_mapping()
    assert value["value"] == auroc(labels, scores)
    assert value["low"] < value["value"] < value["high"]
    assert list(found["f1_max"].to_mapping()) == ["value"]
    assert found["f1_max"].to_mapping()["value"] >= found["f1"].to_mapping()["value"]


def test_what_is_undefined_is_null_with_its_reason() -> None:
    found = image_metrics(np.array([True, True]), np.array([1.0, 2.0]), np.array([False, True]))
    text = json.loads(json.dumps({name: value.to_mapping() for name, value in found.items()}, allow_nan=False))
    assert text["auroc"] == {"value": None, "low": None, "high": None, "reason": "no normal samples"}
    assert text["f1"]["value"] == pytest.approx(2 / 3)
    assert "two pictures of each class" in text["f1"]["reason"]
    assert without_masks("no masks")["iou"].to_mapping() == {"value": None, "reason": "no masks"}


def label(mask: np.ndarray) -> tuple[np.ndarray, int]:
    numbers, count = ndimage.label(mask, np.ones((3, 3)), np.int32)
    return numbers, int(count)


def test_pixel_metrics_by_name() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:4, 2:6] = True
    scores = np.where(mask, 2.0, 0.5)
    scores[7, 7] = 1.5
    found = pixel_metrics([(mask, scores)], label, np.ones(1), faulty=np.array([True]))
    assert set(found) == set(PIXEL_METRICS)
    values = {name: value.to_mapping()["value"] for name, value in found.items()}
    assert values["pixel_auroc"] == values["aupro"] == values["pixel_f1_max"] == 1.0
    assert values["iou"] == pytest.approx(8 / 9)
    assert values["pixel_f1"] == pytest.approx(16 / 17)
    assert found["iou"].to_mapping()["reason"] == "an interval needs two pictures with masks; there is 1"
    assert found["aupimo"].to_mapping() == {
        "value": None,
        "reason": "a false positive rate of 1e-05 needs at least 100000 normal pixels; there are 0",
    }


def some_pictures(count: int, seed: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Pictures of 60 x 60 with one square defect in every second; maps that follow it more or less."""
    rng = np.random.default_rng(seed)
    pictures = []
    for index in range(count):
        mask, scores = np.zeros((60, 60), dtype=bool), rng.normal(size=(60, 60))
        if index % 2:
            top, left = rng.integers(5, 45, 2)
            mask[top : top + 8, left : left + 8] = True
            scores += mask * rng.uniform(0, 5)
        pictures.append((mask, scores))
    return pictures, np.arange(count) % 2 == 1


def test_pixel_intervals_lie_around_the_exact_values_and_agree_with_plain_resampling() -> None:
    pictures, faulty = some_pictures(60, 0)
    found = pixel_metrics(pictures, label, np.full(60, 2.0), faulty=faulty, resamples=200)
    rng = np.random.default_rng(1)
    drawn: dict[str, list[float]] = {"pixel_auroc": [], "aupro": [], "pixel_f1": [], "iou": []}
    for _ in range(40):
        places = np.concatenate([rng.choice(np.flatnonzero(each), 30) for each in (faulty, ~faulty)])
        chosen = [pictures[place] for place in places]
        rankings, counts = rank_pixels(chosen, label), count_pixels(chosen, np.full(60, 2.0))
        values = (pixel_auroc(rankings), aupro(rankings), counts.f1(), counts.iou())
        for name, value in zip(drawn, values, strict=True):
            assert isinstance(value, float)
            drawn[name].append(value)
    for name, values in drawn.items():
        measured = found[name].to_mapping()
        assert measured["low"] < measured["value"] < measured["high"]
        assert (measured["high"] - measured["low"]) / 3.92 == pytest.approx(np.std(values), rel=0.35)
    pimo = found["aupimo"].to_mapping()
    assert pimo["low"] < pimo["value"] < pimo["high"]
