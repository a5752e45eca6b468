"""Thresholds from labelled pictures and from a budget, from training to evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_scenes import write_site
from mean_image_method import METHOD

from isotherm.core.errors import DataError, UsageError
from isotherm.core.registry import Registry, Row
from isotherm.evaluation.cost import Costs
from isotherm.workflows import evaluate as workflow
from isotherm.workflows import models
from isotherm.workflows.evaluate import EvaluateSettings, MethodToJudge, ModelToJudge, evaluate
from isotherm.workflows.judging import LabelledSource, judge
from isotherm.workflows.models import TrainedModel, load_model, save_model
from isotherm.workflows.threshold_choice import LabelledChoice
from isotherm.workflows.train import FolderImages, TrainSettings, fit_model

BY_LABELS = TrainSettings(image_size=64, threshold="labels")


@pytest.fixture(autouse=True)
def _methods(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("anomaly method", Row("mean-image", "mean_image_method:METHOD", "for tests"))
    monkeypatch.setattr(workflow, "ANOMALY_METHODS", registry)
    monkeypatch.setattr(models, "ANOMALY_METHODS", registry)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    write_site(tmp_path / "plant", "A", normal=12, faulty=0)
    write_site(tmp_path / "labelled", "B", normal=8, faulty=6, rise_c=2.0, seed=1)
    return tmp_path


def trained(plant: Path, costs: Costs | None = None, masks: Path | None = None) -> TrainedModel:
    choice = LabelledChoice(LabelledSource(plant / "labelled" / "B", masks=masks, jobs=1), costs)
    return fit_model(
        FolderImages(plant / "plant" / "A" / "normal", jobs=1), METHOD, settings=BY_LABELS, labelled=choice
    )


def labelled_scores(model: TrainedModel, plant: Path) -> tuple[np.ndarray, np.ndarray]:
    source = LabelledSource(plant / "labelled" / "B", jobs=1)
    samples = LabelledChoice(source).pictures().samples
    found = judge(model, source.images(samples), fold="", with_maps=False, progress=lambda *_: None).judged
    return np.array([item.sample.anomalous for item in found]), np.array([item.score for item in found])


def test_the_threshold_of_highest_f1_on_the_labelled_pictures(plant: Path) -> None:
    model = trained(plant)
    labels, scores = labelled_scores(model, plant)
    assert model.calibration.rule == "labels"
    assert scores[~labels].max() < model.calibration.threshold < scores[labels].min()
    record = model.manifest["data"]["labelled"]
    assert (record["normal"], record["anomalous"], record["misses"], record["false_alarms"]) == (8, 6, 0, 0)
    assert len(record["image_digests"]) == 14
    assert "highest F1 on 8 normal and 6 faulty labelled images" in model.calibration.how
    # The held-out normal pictures still say what to expect.
    assert 0 <= model.calibration.false_alarms().low <= model.calibration.false_alarms().rate < 0.3


def test_costs_move_the_threshold(plant: Path) -> None:
    # So dear that nothing is ever called, and so cheap that everything is.
    never = trained(plant, Costs(cost_miss=0.0, cost_false_alarm=1.0))
    always = trained(plant, Costs(cost_miss=1.0, cost_false_alarm=0.0))
    labels, scores = labelled_scores(never, plant)
    assert never.calibration.threshold >= scores[~labels].max()
    assert always.calibration.threshold < scores[labels].min()
    assert "least cost (a miss 1, a false alarm 0, their own share of faults)" in always.calibration.how
    assert never.manifest["data"]["labelled"]["costs"]["cost_false_alarm"] == 1.0


def test_masks_choose_the_pixel_threshold(plant: Path) -> None:
    without, with_masks = trained(plant), trained(plant, masks=plant / "labelled" / "masks" / "B")
    assert without.calibration.threshold == with_masks.calibration.threshold
    assert without.calibration.pixel_threshold != with_masks.calibration.pixel_threshold
    assert "pixel threshold: highest F1 over the pixels of their masks" in with_masks.calibration.how
    assert with_masks.calibration.pixel_threshold > 0


def test_chosen_on_is_never_judged(plant: Path, tmp_path: Path) -> None:
    save_model(trained(plant), tmp_path / "model")
    assert load_model(tmp_path / "model").calibration.rule == "labels"
    settings = EvaluateSettings(resamples=100)
    with pytest.raises(DataError, match="or has its threshold from them"):
        evaluate(LabelledSource(plant / "labelled" / "B", jobs=1), ModelToJudge(tmp_path / "model"), settings=settings)
    # The same folder split into what is judged and what thresholds are chosen on.
    write_site(plant / "labelled", "B", normal=20, faulty=9, rise_c=2.0, seed=2)
    write_site(plant / "choice", "B", normal=5, faulty=3, rise_c=2.0, seed=2)
    for name in ("normal/0.npy", "normal/1.npy"):
        twin = (plant / "choice" / "B" / name).read_bytes()
        (plant / "labelled" / "B" / name).write_bytes(twin)
    subject = MethodToJudge("mean-image", None, BY_LABELS, LabelledChoice(LabelledSource(plant / "choice" / "B")))
    metrics = evaluate(LabelledSource(plant / "labelled" / "B", jobs=1), subject, settings=settings).metrics
    left_out = [note for note in metrics["notes"] if "thresholds are chosen on" in note]
    shared = sum(
        (plant / "choice" / "B" / path.relative_to(plant / "labelled" / "B")).is_file()
        and path.read_bytes() == (plant / "choice" / "B" / path.relative_to(plant / "labelled" / "B")).read_bytes()
        for path in (plant / "labelled" / "B").rglob("*.npy")
    )
    assert left_out == [f"{shared} pictures left out that thresholds are chosen on"]
    assert "on 5 normal and 3 faulty labelled images" in metrics["folds"][0]["threshold_how"]


def test_one_class_or_a_broken_picture_gives_no_threshold(plant: Path) -> None:
    for path in (plant / "labelled" / "B" / "faulty").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no anomalous samples among the 8 labelled pictures"):
        trained(plant)
    (plant / "labelled" / "B" / "faulty" / "broken.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"faulty/broken\.npy cannot be used"):
        trained(plant)


def test_labels_and_their_rule_belong_together(plant: Path) -> None:
    normals = FolderImages(plant / "plant" / "A" / "normal", jobs=1)
    with pytest.raises(UsageError, match="needs labelled images"):
        fit_model(normals, METHOD, settings=BY_LABELS)
    choice = LabelledChoice(LabelledSource(plant / "labelled" / "B"))
    with pytest.raises(UsageError, match="for the threshold rule 'labels', not for 'percentile'"):
        fit_model(normals, METHOD, settings=TrainSettings(image_size=64), labelled=choice)


def test_a_budget_is_chosen_in_training(plant: Path) -> None:
    settings = TrainSettings(image_size=64, threshold="budget", false_alarms=0.3, confidence=0.8)
    found = fit_model(FolderImages(plant / "plant" / "A" / "normal", jobs=1), METHOD, settings=settings).calibration
    assert found.rule == "budget"
    assert found.how.startswith("at most 30 % false alarms with 80 % confidence: the 2nd highest score of 12 normal")
