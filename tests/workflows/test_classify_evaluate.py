"""Evaluations of classifiers: the numbers, the files, and what a reader must be told."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.core.errors import DataError
from isotherm.workflows.classify import ClassifySettings, Rejection, TrainedClassifier, train_classifier
from isotherm.workflows.classify_data import labelled_folder
from isotherm.workflows.classify_evaluate import FILES, evaluate_classifier, write_class_evaluation
from labelled_pictures import write_pictures


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("learnt"), 14)


@pytest.fixture(scope="module")
def model(learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedClassifier:
    out = tmp_path_factory.mktemp("models") / "model"
    return train_classifier(labelled_folder(learnt).pictures, out, settings=ClassifySettings(image_size=64))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_pictures(tmp_path_factory.mktemp("new"), 5, categories=["bar", "plain", "spot", "checks"], seed=3)
    # One spot is called a bar: a mistake that the model must be charged with.
    (root / "spot" / "0.png").rename(root / "bar" / "wrong.png")
    return root


def test_the_files(model: TrainedClassifier, new: Path, tmp_path: Path) -> None:
    found = evaluate_classifier(model, labelled_folder(new).pictures, rejection=Rejection(0.4, open_set=True))
    write_class_evaluation(found, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["accuracy"]["hits"], metrics["accuracy"]["count"]) == (14, 15)
    assert metrics["confusion"] == [[5, 0, 1], [0, 5, 0], [0, 0, 4]]
    assert metrics["categories"]["bar"]["recall"]["value"] == pytest.approx(5 / 6)
    assert metrics["categories"]["spot"]["precision"]["value"] == pytest.approx(4 / 5)
    assert metrics["min_confidence"] == 0.4
    assert metrics["unknown"]["categories"] == ["checks"]
    assert metrics["unknown"]["rejected"]["hits"] == 5
    assert metrics["notes"] == ["categories that the model does not know, judged by rejection only: checks"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "answers.csv").read_text())))
    wrong = next(row for row in rows if row["name"] == "bar/wrong.png")
    assert (wrong["category"], wrong["nearest"]) == ("bar", "spot")
    assert sum(float(wrong[f"p {label}"]) for label in model.labels) == pytest.approx(1, abs=1e-5)
    table = list(csv.DictReader(io.StringIO((tmp_path / "out" / "categories.csv").read_text())))
    assert [(row["category"], row["support"]) for row in table] == [("bar", "6"), ("plain", "5"), ("spot", "4")]
    for name in ("confusion.png", "probabilities.png"):
        assert np.asarray(Image.open(tmp_path / "out" / name)).std() > 10


def test_pictures_that_were_learnt_from_are_left_out_or_said(model: TrainedClassifier, learnt: Path, new: Path) -> None:
    pictures = labelled_folder(learnt).pictures
    same = evaluate_classifier(model, pictures)
    assert same.learnt == len(same.rows) == 42
    assert same.notes == ["the model has learnt from all of these images: the numbers say nothing about new ones"]
    both = evaluate_classifier(model, [*pictures, *labelled_folder(new).pictures])
    assert (both.learnt, len(both.rows)) == (42, 20)
    assert both.notes[0] == "42 images that the model has learnt from were left out"


def test_copies_are_judged_once(model: TrainedClassifier, new: Path) -> None:
    pictures = labelled_folder(new).pictures
    assert len(evaluate_classifier(model, [*pictures, *pictures]).rows) == 20


def test_only_unknown_categories(model: TrainedClassifier, tmp_path: Path) -> None:
    write_pictures(tmp_path, 2, categories=["checks"])
    with pytest.raises(DataError, match=r"knows \(bar, plain, spot\); found checks"):
        evaluate_classifier(model, labelled_folder(tmp_path).pictures)


def test_nothing_readable(model: TrainedClassifier, tmp_path: Path) -> None:
    (tmp_path / "bar").mkdir()
    (tmp_path / "bar" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"the first: bar/a\.png"):
        evaluate_classifier(model, labelled_folder(tmp_path).pictures)
