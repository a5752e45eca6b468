"""A head learnt from labelled pictures, from the command to the evaluation of the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_scenes import write_site

from isotherm.anomaly.head import HeadedDetector
from isotherm.anomaly.statistics import METHOD
from isotherm.anomaly.tiles import Frame
from isotherm.cli.main import main
from isotherm.core.errors import DataError, UsageError
from isotherm.workflows.evaluate import ModelToJudge, evaluate
from isotherm.workflows.judging import LabelledSource
from isotherm.workflows.labelled_head import HeadSettings, add_head, cross_fitted, learn_head
from isotherm.workflows.models import TrainedModel, load_model, save_model
from isotherm.workflows.train import FolderImages, TrainSettings, fit_model


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plant")
    write_site(root / "normals", "A", normal=12, faulty=0)
    write_site(root / "labelled", "B", normal=10, faulty=6, seed=1)
    write_site(root / "later", "C", normal=8, faulty=8, seed=2)
    return root


@pytest.fixture(scope="module")
def model(plant: Path) -> TrainedModel:
    settings = TrainSettings(image_size=64, crossfit_below=0)
    return fit_model(FolderImages(plant / "normals" / "A" / "normal", jobs=1), METHOD, settings=settings)


@pytest.fixture(scope="module")
def headed(plant: Path, model: TrainedModel) -> Path:
    save_model(model, plant / "model")
    out = plant / "headed"
    argv = ["head", str(plant / "model"), str(plant / "labelled" / "B"), "-o", str(out), "--jobs", "1"]
    assert main(argv) == 0
    return out


def test_the_command_writes_a_model_that_ranks_by_the_head(plant: Path, headed: Path) -> None:
    found = evaluate(LabelledSource(plant / "later" / "C", jobs=1), ModelToJudge(headed))
    scores = np.array([item.score for item in found.judged])
    faulty = np.array([item.sample.anomalous for item in found.judged])
    assert scores[faulty].min() > scores[~faulty].max()
    assert scores[faulty].min() > 0


def test_the_model_is_not_judged_on_what_its_head_has_learnt_from(plant: Path, headed: Path) -> None:
    with pytest.raises(DataError, match="learnt from all 16 pictures"):
        evaluate(LabelledSource(plant / "labelled" / "B", jobs=1), ModelToJudge(headed))


def test_the_model_says_what_its_head_has_learnt_from(headed: Path, model: TrainedModel) -> None:
    loaded = load_model(headed)
    record = loaded.manifest["data"]["head"]
    assert (record["normal"], record["faulty"], len(record["image_digests"])) == (10, 6, 16)
    assert isinstance(loaded.detector, HeadedDetector)
    assert loaded.calibration.scores.size == 10
    assert loaded.calibration.pixel_threshold == model.calibration.pixel_threshold
    assert loaded.calibration.map_yardstick() == model.calibration.map_yardstick()
    assert "labelled normal images, each scored by a head that had not seen it" in loaded.calibration.how


def test_pictures_that_the_model_has_learnt_from_are_left_out(plant: Path, tmp_path: Path, headed: Path) -> None:
    mixed = tmp_path / "mixed"
    for place, path in enumerate(sorted((plant / "normals" / "A" / "normal").iterdir())):
        (mixed / "normal").mkdir(parents=True, exist_ok=True)
        (mixed / "normal" / f"old{place}.npy").symlink_to(path)
    for path in sorted((plant / "labelled" / "B").glob("*/*.npy")):
        (mixed / path.parent.name).mkdir(exist_ok=True)
        (mixed / path.parent.name / path.name).symlink_to(path)
    learnt = add_head(plant / "model", LabelledSource(mixed, jobs=1), tmp_path / "out")
    assert learnt.manifest["data"]["head"]["normal"] == 10
    expected = load_model(headed).detector.arrays()["head.weights"]
    np.testing.assert_allclose(learnt.detector.arrays()["head.weights"], expected, rtol=1e-4, atol=1e-6)


def test_one_class_alone_is_refused(plant: Path, tmp_path: Path, headed: Path) -> None:
    assert headed.is_dir()
    write_site(tmp_path, "D", normal=4, faulty=1)
    with pytest.raises(DataError, match="1 faulty pictures to learn a head from; at least 2"):
        add_head(plant / "model", LabelledSource(tmp_path / "D", jobs=1), tmp_path / "out")


def test_a_picture_that_cannot_be_read_is_named(plant: Path, tmp_path: Path, headed: Path) -> None:
    assert headed.is_dir()
    write_site(tmp_path, "D", normal=4, faulty=3)
    (tmp_path / "D" / "normal" / "broken.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"normal/broken.npy cannot be read"):
        add_head(plant / "model", LabelledSource(tmp_path / "D", jobs=1), tmp_path / "out")


def test_heads_are_not_stacked_and_tiles_are_refused(plant: Path, model: TrainedModel, headed: Path) -> None:
    source = LabelledSource(plant / "labelled" / "B", jobs=1)
    with pytest.raises(UsageError, match="has a head already"):
        learn_head(load_model(headed), source.images(()))
    tiled = replace(model, inputs=replace(model.inputs, frame=Frame((128, 128), (64, 64))))
    with pytest.raises(UsageError, match="cuts them into tiles"):
        learn_head(tiled, source.images(()))


def test_groups_stay_together_when_scores_are_held_out() -> None:
    # Copies of a picture in one group: a head that saw one of them would know the others.
    rng = np.random.default_rng(0)
    groups = [str(number) for number in range(20) for _ in range(4)]
    rows = np.repeat(rng.normal(0, 1, (20, 40)), 4, axis=0)
    labels = np.repeat(rng.random(20) < 0.5, 4)
    together = cross_fitted(rows, labels, groups, HeadSettings(penalty=0.01))
    apart = cross_fitted(rows, labels, [str(place) for place in range(80)], HeadSettings(penalty=0.01))
    assert ((apart > 0) == labels).all()
    assert ((together > 0) == labels).mean() < 0.9
