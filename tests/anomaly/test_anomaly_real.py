"""PatchCore and PaDiM on real thermal crops of solar modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.workflows.train import TrainSettings, fit_model

SETTINGS = TrainSettings(image_size=64)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_faulty_solar_modules_score_higher(data: Path, name: str) -> None:
    stored = np.load(data / "solar_modules" / "modules.npz")
    normal = stored["labels"] == list(stored["names"]).index("No-Anomaly")
    images = stored["images"]
    rng = np.random.default_rng(0)
    good, bad = (rng.permutation(np.flatnonzero(mask)) for mask in (normal, ~normal))

    def pictures(chosen: np.ndarray) -> list[Thermogram]:
        return [Thermogram(images[place], None, assumed_scene(), "test") for place in chosen]

    model = fit_model(pictures(good[:150]), ANOMALY_METHODS.get(name), settings=SETTINGS)
    asked = pictures(np.concatenate([good[150:300], bad[:150]]))
    scores = [item.score for item in model.score_many(asked)]
    labels = np.repeat([0, 1], 150)
    # Measured .80 and .81, with a standard error of about .025; chance is .5.
    assert roc_auc_score(labels, scores) > 0.72
    # The threshold is the largest of 30 held-out normal scores: about one normal image in 30 lies above it.
    assert np.mean([item.anomalous for item in model.score_many(asked[:150])]) < 0.12
