"""Judging a method and a model on labelled pictures, from folders to files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_scenes import scene, write, write_site
from mean_image_method import METHOD
from PIL import Image

from isotherm.anomaly.threshold import Yardstick
from isotherm.core.errors import DataError
from isotherm.core.files import sha256
from isotherm.core.registry import Registry, Row
from isotherm.datasets.layouts import Sample
from isotherm.workflows import evaluate as workflow
from isotherm.workflows import models
from isotherm.workflows.evaluate import EvaluateSettings, MethodToJudge, ModelToJudge, evaluate
from isotherm.workflows.evaluation_result import COLUMNS, Evaluation, scores_csv, write_evaluation
from isotherm.workflows.judging import GRID_PX, Judged, LabelledSource, TruthAndMaps, grid_of
from isotherm.workflows.models import save_model
from isotherm.workflows.train import FolderImages, TrainSettings, fit_model

SMALL = TrainSettings(image_size=64)
QUICK = {"resamples": 100}


@pytest.fixture(autouse=True)
def _methods(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("anomaly method", Row("mean-image", "mean_image_method:METHOD", "for tests"))
    monkeypatch.setattr(workflow, "ANOMALY_METHODS", registry)
    monkeypatch.setattr(models, "ANOMALY_METHODS", registry)


def by_site(root: Path, **settings: object) -> Evaluation:
    chosen = EvaluateSettings(**{"protocol": "leave-one-site-out", **QUICK, **settings})  # type: ignore[arg-type]
    return evaluate(LabelledSource(root, jobs=1), MethodToJudge("mean-image", None, SMALL), settings=chosen)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    root = tmp_path / "plant"
    for site in "AB":
        write_site(root, site)
    return root


def test_sites_folds_pixels_and_pooled(plant: Path) -> None:
    metrics = by_site(plant).metrics
    assert list(metrics["sites"]) == ["A", "B"]
    assert metrics["sites"]["A"]["counts"] == {"images": 16, "normal": 12, "anomalous": 4, "masks": 4}
    assert metrics["pooled"]["counts"]["images"] == 32
    for part in (*metrics["sites"].values(), metrics["pooled"]):
        assert part["image"]["auroc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
        assert part["pixel"]["aupro"]["value"] > 0.9
        assert part["pixel"]["pixel_f1"]["value"] > 0.4
        assert sum(part["called"].values()) == part["counts"]["images"]
    assert [fold["name"] for fold in metrics["folds"]] == ["A", "B"]
    assert all(fold["normal_to_learn_from"] == 12 and fold["auroc"]["value"] == 1.0 for fold in metrics["folds"])
    assert metrics["timings"]["images_per_s"] > 0


def test_the_same_seed_gives_the_same_scores(plant: Path) -> None:
    assert scores_csv(by_site(plant)) == scores_csv(by_site(plant))


def test_thresholds_do_not_know_the_judged_pictures(plant: Path, tmp_path: Path) -> None:
    other = tmp_path / "plant-with-hotter-faults"
    write_site(other, "A", rise_c=300.0)
    write_site(other, "B")
    limits = [
        [(fold["threshold"], fold["pixel_threshold"]) for fold in by_site(root).metrics["folds"]]
        for root in (plant, other)
    ]
    assert limits[0] == limits[1]


def test_a_fold_learns_from_normal_pictures_of_other_sites_only(plant: Path) -> None:
    # Site B is 30 °C hotter: judged by what site A taught, all of it is strange.
    rng = np.random.default_rng(5)
    for index in range(12):
        write(plant / "B" / "normal" / f"{index}.npy", scene(rng, offset_c=30.0))
    metrics = by_site(plant).metrics
    assert metrics["sites"]["B"]["called"]["false_alarms"] == 12


def test_one_class_is_undefined_and_says_why(plant: Path) -> None:
    write_site(plant, "C", normal=3, faulty=0)
    site = by_site(plant).metrics["sites"]["C"]
    assert site["image"]["auroc"]["value"] is None
    assert site["image"]["auroc"]["reason"] == "no anomalous samples"
    assert site["pixel"]["aupro"] == {"value": None, "reason": "no masks"}


def test_a_bad_file_is_a_row_and_stops_nothing(plant: Path) -> None:
    (plant / "A" / "faulty" / "broken.npy").write_bytes(b"no picture at all")
    Image.new("L", (20, 20)).save(plant / "A" / "faulty" / "plain.png")
    write(plant / "A" / "faulty" / "empty.npy", np.full((20, 20), np.nan, np.float32))
    (plant / "B" / "normal" / "zero.npy").write_bytes(b"")
    evaluation = by_site(plant)
    errors = {lost.sample.name: lost.error for lost in evaluation.unjudged}
    assert set(errors) == {"A/faulty/broken.npy", "A/faulty/plain.png", "A/faulty/empty.npy", "B/normal/zero.npy"}
    assert "plain picture without temperatures" in errors["A/faulty/plain.png"]
    assert evaluation.metrics["sites"]["A"]["failed"] == 3
    assert evaluation.metrics["pooled"]["failed"] == 4
    assert evaluation.metrics["pooled"]["counts"]["images"] == 32
    assert [item["name"] for item in evaluation.metrics["folds"][0]["skipped"]] == ["B/normal/zero.npy"]
    rows = list(csv.DictReader(io.StringIO(scores_csv(evaluation))))
    assert [row["status"] for row in rows].count("failed") == 4
    assert all(row["error"] for row in rows if row["status"] == "failed")


def test_files_are_complete(plant: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    write_evaluation(by_site(plant), out)
    assert sorted(path.name for path in out.iterdir()) == [
        "decisions.png",
        "error_analysis.png",
        "metrics.json",
        "scores.csv",
    ]
    metrics = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert metrics["definitions"]["f1_max"].startswith("best F1 that any threshold gives, fitted on these very labels")
    rows = list(csv.DictReader(io.StringIO((out / "scores.csv").read_text())))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 32
    for row in rows:
        assert np.isfinite(float(row["standing"]))
        assert (row["prediction"] == "Anomaly") == (float(row["score"]) > float(row["threshold"]))
    with Image.open(out / "error_analysis.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50


def test_kinds_and_masks_that_are_missing(tmp_path: Path) -> None:
    root = tmp_path / "parts"
    rng = np.random.default_rng(0)
    for index in range(20):
        write(root / "good" / f"{index}.npy", scene(rng))
    for kind, rise_c in (("faint", 0.05), ("strong", 20.0)):
        for index in range(3):
            values = scene(rng)
            values[5:10, 5:10] += rise_c
            write(root / "bad" / kind / f"{kind}{index}.npy", values)
    mask = np.zeros((40, 48), np.uint8)
    mask[5:10, 5:10] = 1
    (root / "masks").mkdir()
    Image.fromarray(mask).save(root / "masks" / "strong0.png")
    metrics = evaluate(
        LabelledSource(root, jobs=1),
        MethodToJudge("mean-image", None, SMALL),
        settings=EvaluateSettings(protocol="fixed", train_share=0.5, **QUICK),
    ).metrics
    assert metrics["kinds"]["strong"]["image"]["auroc"]["value"] == 1.0
    assert metrics["kinds"]["faint"]["image"]["auroc"]["value"] < 0.9
    assert metrics["kinds"]["strong"]["counts"] == {"anomalous": 3, "normal": 10}
    assert metrics["pooled"] == metrics["sites"]["parts"]
    assert metrics["pooled"]["counts"]["masks"] == 1
    assert metrics["pooled"]["pixel"]["pixel_auroc"]["value"] > 0.95


def test_kfold_with_groups_judges_everything_once(plant: Path, tmp_path: Path) -> None:
    names = [f"{site}/normal/{index}.npy" for site in "AB" for index in range(12)]
    names += [f"{site}/faulty/{index}.npy" for site in "AB" for index in range(4)]
    table = tmp_path / "groups.csv"
    table.write_text("file,group\n" + "".join(f"{name},{index % 8}\n" for index, name in enumerate(names)))
    evaluation = evaluate(
        LabelledSource(plant, groups=table, jobs=1),
        MethodToJudge("mean-image", None, SMALL),
        settings=EvaluateSettings(protocol="kfold", folds=4, **QUICK),
        seed=3,
    )
    assert sorted(item.sample.name for item in evaluation.judged) == sorted(names)
    folds = {group: {item.fold for item in evaluation.judged if item.sample.group == group} for group in "01234567"}
    assert all(len(found) == 1 for found in folds.values())


def model_folder(normals: Path, folder: Path, digests: list[str] | None = None) -> ModelToJudge:
    model = fit_model(FolderImages(normals, jobs=1), METHOD, settings=SMALL)
    data = model.manifest["data"]
    data.pop("image_digests", None)
    if digests is not None:
        data["image_digests"] = digests
    save_model(model, folder)
    return ModelToJudge(folder)


def judged_model(plant: Path, model: ModelToJudge) -> dict[str, Any]:
    return evaluate(LabelledSource(plant, jobs=1), model, settings=EvaluateSettings(**QUICK)).metrics


@pytest.mark.parametrize("listed", [True, False])
def test_a_model_is_not_judged_on_what_it_has_learnt_from(plant: Path, tmp_path: Path, listed: bool) -> None:
    digests = [sha256(path.read_bytes()) for path in (plant / "A" / "normal").iterdir()] if listed else None
    metrics = judged_model(plant, model_folder(plant / "A" / "normal", tmp_path / "model", digests))
    assert metrics["protocol"] == "model"
    assert metrics["sites"]["A"]["counts"]["normal"] == 0
    assert metrics["sites"]["B"]["counts"]["normal"] == 12
    assert "12 pictures left out that the model has learnt from, or has its threshold from" in metrics["notes"][0]


def test_a_model_that_does_not_say_what_it_has_learnt_from(plant: Path, tmp_path: Path) -> None:
    (plant / "A" / "normal" / "0.npy").rename(tmp_path / "0.npy")
    model = model_folder(plant / "A" / "normal", tmp_path / "model")
    (tmp_path / "0.npy").rename(plant / "A" / "normal" / "0.npy")
    metrics = judged_model(plant, model)
    assert metrics["sites"]["A"]["counts"]["normal"] == 12
    assert "whether it has learnt from some of them is not known" in metrics["notes"][0]


def test_a_model_of_other_pictures_needs_no_note(plant: Path, tmp_path: Path) -> None:
    model = model_folder(plant / "A" / "normal", tmp_path / "model", ["0" * 64])
    assert judged_model(plant, model)["notes"] == []


def test_nothing_left_to_judge(plant: Path, tmp_path: Path) -> None:
    everything = [sha256(path.read_bytes()) for path in plant.rglob("*.npy")]
    model = model_folder(plant / "A" / "normal", tmp_path / "model", everything)
    with pytest.raises(DataError, match="learnt from all 32 pictures"):
        judged_model(plant, model)


def test_maps_of_large_pictures_are_compared_on_a_grid(tmp_path: Path) -> None:
    assert grid_of((300, 200)) == (300, 200)
    assert grid_of((1920, 3840)) == (GRID_PX // 2, GRID_PX)
    mask = np.zeros((2000, 4000), dtype=np.uint8)
    mask[:1000] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    sample = Sample(tmp_path / "a", "a", True, "faulty", "s", mask=tmp_path / "mask.png")
    blind = Sample(tmp_path / "b", "b", True, "faulty", "s")
    values = np.zeros((8, 8), np.float32)
    judged = [
        Judged(each, "f", 1.0, 50.0, 0.5, 9, 1.0, False, Yardstick(0.0, 1.0), (2000, 4000), values, 1.0)
        for each in (sample, blind)
    ]
    pictures = TruthAndMaps(judged)
    assert len(pictures) == 1
    truth, scores = pictures[0]
    assert truth.shape == scores.shape == (512, 1024)
    assert truth[:256].all()
    assert not truth[256:].any()
    assert len(pictures[:0]) == 0


@pytest.mark.real_data
@pytest.mark.slow
def test_real_items_are_judged_once_and_their_masks_are_scored(data: Path) -> None:
    metrics = evaluate(
        LabelledSource(data / "kolektor_sdd"),
        MethodToJudge("mean-image", None, SMALL),
        settings=EvaluateSettings(layout="items", protocol="kfold", folds=2, **QUICK),
    ).metrics
    # 399 parts less the 16 of two items that are there twice; 52 defects less the 2 of these items.
    assert metrics["pooled"]["counts"] == {"images": 383, "normal": 333, "anomalous": 50, "masks": 50}
    assert metrics["pooled"]["failed"] == 0
    assert any("kos26 with kos01" in note for note in metrics["notes"])
    assert [fold["judged"] for fold in metrics["folds"]] == pytest.approx([191] * 2, abs=6)
    assert 0 < metrics["pooled"]["pixel"]["aupro"]["value"] < 1


@pytest.mark.real_data
@pytest.mark.slow
def test_real_sites_with_pictures_of_many_sizes(data: Path) -> None:
    metrics = evaluate(
        LabelledSource(data / "transformers" / "images", masks=data / "transformers" / "masks"),
        MethodToJudge("mean-image", None, SMALL),
        settings=EvaluateSettings(protocol="leave-one-site-out", **QUICK),
    ).metrics
    assert list(metrics["sites"]) == [f"T{number}" for number in range(1, 8)]
    assert [part["counts"]["anomalous"] for part in metrics["sites"].values()] == [47, 3, 3, 2, 2, 2, 3]
    assert [part["counts"]["masks"] for part in metrics["sites"].values()] == [47, 3, 3, 1, 1, 2, 3]
    assert metrics["pooled"]["failed"] == 0
