"""All metrics of a set by name, ready for JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from isotherm.evaluation.metrics import auroc
from isotherm.evaluation.summary import DEFINITIONS, PIXEL_METRICS, image_metrics, pixel_metrics, without_masks


def test_image_metrics_by_name_with_intervals() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) < 20
    scores = rng.normal(size=60) + labels
    found = image_metrics(labels, scores, 0.5, resamples=200)
    assert list(found) == ["auroc", "average_precision", "f1", "f1_max"]
    assert set(found) | set(PIXEL_METRICS) <= set(DEFINITIONS)
    value = found["auroc"].to_mapping()
    assert value["value"] == auroc(labels, scores)
    assert value["low"] < value["value"] < value["high"]
    assert list(found["f1_max"].to_mapping()) == ["value"]
    assert found["f1_max"].to_mapping()["value"] >= found["f1"].to_mapping()["value"]


def test_what_is_undefined_is_null_with_its_reason() -> None:
    found = image_metrics(np.array([True, True]), np.array([1.0, 2.0]), 1.5)
    text = json.loads(json.dumps({name: value.to_mapping() for name, value in found.items()}, allow_nan=False))
    assert text["auroc"] == {"value": None, "low": None, "high": None, "reason": "no normal samples"}
    assert text["f1"]["value"] == pytest.approx(2 / 3)
    assert "two pictures of each class" in text["f1"]["reason"]
    assert without_masks("no masks")["iou"].to_mapping() == {"value": None, "reason": "no masks"}


def test_pixel_metrics_by_name() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:4, 2:6] = True
    scores = np.where(mask, 2.0, 0.5)
    scores[7, 7] = 1.5
    found = pixel_metrics([(mask, scores)], lambda each: ndimage.label(each, np.ones((3, 3)), np.int32), 1.0)
    assert tuple(found) == PIXEL_METRICS
    values = {name: value.to_mapping()["value"] for name, value in found.items()}
    assert values["pixel_auroc"] == values["aupro"] == values["pixel_f1_max"] == 1.0
    assert values["iou"] == pytest.approx(8 / 9)
    assert values["pixel_f1"] == pytest.approx(16 / 17)
