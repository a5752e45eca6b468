"""Classifiers from pictures to answers: taught, stored, loaded, used, and what happens to bad input."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.core.errors import ConfigError, DataError, ModelError, OutputError, UsageError
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reading import read, read_bytes
from isotherm.workflows.classify import (
    NO_CATEGORY,
    ClassifySettings,
    LabelledPicture,
    TrainedClassifier,
    load_classifier,
    train_classifier,
)
from isotherm.workflows.classify_data import labelled_folder
from labelled_pictures import CATEGORIES, SIZE, drawn, write_pictures

QUICK = ClassifySettings(image_size=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_pictures(tmp_path_factory.mktemp("pictures"), 14, parts=["train"])
    return write_pictures(root, 6, parts=["test"], seed=1)


@pytest.fixture(scope="module")
def model_dir(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "model"
    train_classifier(labelled_folder(folder).pictures, out, settings=QUICK)
    return out


@pytest.fixture(scope="module")
def model(model_dir: Path) -> TrainedClassifier:
    return load_classifier(model_dir)


def thermogram(picture: np.ndarray) -> Thermogram:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return read_bytes(stream.getvalue())


def pictures_of(category: str, count: int, seed: int = 7) -> list[Thermogram]:
    rng = np.random.default_rng(seed)
    return [thermogram(drawn(category, rng)) for _ in range(count)]


def test_new_pictures_get_their_category(model: TrainedClassifier) -> None:
    for category in CATEGORIES:
        for answer in model.classify(pictures_of(category, 5)):
            assert answer.nearest == category
            assert answer.label == (NO_CATEGORY if answer.rejected else category)
            assert answer.confidence == max(answer.probabilities.values())
            assert list(answer.probabilities) == list(CATEGORIES)
            assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_the_card(model: TrainedClassifier) -> None:
    card = model.manifest
    assert model.labels == CATEGORIES
    assert card["data"]["images"] == 42
    assert card["data"]["categories"]["bar"] == {"train": 14, "test": 6, "common": 0}
    assert len(card["data"]["image_digests"]) == 42
    assert card["metrics"]["held_out"]["images"] == 42
    test = card["metrics"]["test"]
    assert (test["accuracy"]["hits"], test["accuracy"]["count"]) == (18, 18)
    assert test["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 18))
    assert test["was_learnt_from"] is False
    assert test["confusion"] == [[6, 0, 0], [0, 6, 0], [0, 0, 6]]
    json.dumps(card)


def test_a_loaded_model_answers_the_same(folder: Path, model_dir: Path, tmp_path: Path) -> None:
    trained = train_classifier(labelled_folder(folder).pictures, tmp_path / "again", settings=QUICK)
    new = pictures_of("spot", 3)
    first, loaded = trained.classify(new), load_classifier(model_dir).classify(new)
    for one, other in zip(first, loaded, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-6)
        assert one.distance == pytest.approx(other.distance, abs=1e-4)


def test_an_answer_does_not_depend_on_its_neighbours(model: TrainedClassifier) -> None:
    new = [*pictures_of("bar", 2), *pictures_of("spot", 40)]
    alone = [model.classify([each])[0] for each in new[:2]]
    for one, among in zip(alone, model.classify(new), strict=False):
        # But for the last bits, which matrix products of other sizes round otherwise.
        assert (one.label, one.nearest) == (among.label, among.nearest)
        assert one.distance == pytest.approx(among.distance, rel=1e-9)
        assert one.probabilities == pytest.approx(among.probabilities, rel=1e-9)
    assert model.classify([]) == []


def test_pictures_prepared_one_by_one_get_the_same_answers(model: TrainedClassifier, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.full(SIZE, 20.0, np.float32))
    new = [*pictures_of("bar", 3), read(tmp_path / "t.npy"), *pictures_of("spot", 40)]
    assert model.answers([model.row(each) for each in new]) == model.classify(new)
    assert model.answers([]) == []


def test_below_the_confidence_there_is_no_category(model: TrainedClassifier) -> None:
    (answer,) = model.classify(pictures_of("bar", 1), min_confidence=1.0, open_set=False)
    assert (answer.label, answer.rejected, answer.nearest) == (NO_CATEGORY, True, "bar")
    assert "is below 1" in answer.reason
    (answer,) = model.classify(pictures_of("bar", 1), min_confidence=0.0, open_set=False)
    assert (answer.label, answer.rejected, answer.reason) == ("bar", False, "")
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError):
            model.classify(pictures_of("bar", 1), min_confidence=wrong)


def test_what_is_unlike_all_is_rejected_although_it_is_sure(model: TrainedClassifier) -> None:
    strange = pictures_of("checks", 10)
    answers = model.classify(strange)
    assert Counter(answer.label for answer in answers) == {NO_CATEGORY: 10}
    assert all(answer.distance is not None and answer.distance > 1 for answer in answers)
    assert "unlike all that was learnt" in answers[0].reason
    by_confidence_alone = model.classify(strange, open_set=False)
    assert any(not answer.rejected for answer in by_confidence_alone)


def test_temperatures_are_refused_by_a_model_of_pictures(model: TrainedClassifier, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.full(SIZE, 20.0, np.float32))
    found = model.classify([read(tmp_path / "t.npy"), *pictures_of("bar", 1)])
    assert "temperature image" in found[0].error
    assert (found[0].label, found[1].nearest) == ("", "bar")


def test_temperatures_and_pictures_together_are_all_shown_as_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data", 6, categories=["bar", "plain"])
    rng = np.random.default_rng(3)
    for category in ("bar", "plain"):
        for number in range(6):
            celsius = drawn(category, rng).astype(np.float32) / 4
            np.save(tmp_path / "data" / category / f"t{number}.npy", celsius)
    pictures = labelled_folder(tmp_path / "data").pictures
    model = train_classifier(pictures, tmp_path / "model", settings=QUICK)
    assert model.as_pictures
    hot = read(tmp_path / "data" / "bar" / "t0.npy")
    assert load_classifier(tmp_path / "model").classify([hot], open_set=False)[0].nearest == "bar"
    with pytest.raises(DataError, match="mixed"):
        train_classifier(pictures, tmp_path / "other", settings=replace(QUICK, show="temperatures"))


def test_temperatures_alone_stay_temperatures(tmp_path: Path) -> None:
    """The same picture warm and cold: only temperatures can tell them apart."""
    rng = np.random.default_rng(0)
    for label, celsius in (("cold", 10.0), ("warm", 30.0)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(8):
            values = (celsius + rng.normal(0, 0.5, SIZE)).astype(np.float32)
            np.save(tmp_path / "data" / label / f"{number}.npy", values)
    pictures = labelled_folder(tmp_path / "data").pictures
    model = train_classifier(pictures, tmp_path / "model", settings=QUICK)
    assert (model.inputs.kind, model.as_pictures) == ("temperature", False)
    np.save(tmp_path / "new.npy", np.full(SIZE, 29, np.float32) + rng.normal(0, 0.5, SIZE).astype(np.float32))
    assert model.classify([read(tmp_path / "new.npy")], open_set=False)[0].nearest == "warm"


def test_one_picture_of_each_of_two_categories(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data", 1, categories=["bar", "spot"])
    model = train_classifier(labelled_folder(tmp_path / "data").pictures, tmp_path / "model", settings=QUICK)
    assert model.open_set is None
    assert any("not calibrated" in note for note in model.manifest["notes"])
    assert model.classify([read(tmp_path / "data" / "bar" / "0.png")])[0].label == "bar"


def test_a_shared_collection_is_learnt_from_and_not_tested(folder: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "shared", 6, categories=["checks"], parts=["train", "test"])
    own, shared = labelled_folder(folder).pictures, labelled_folder(tmp_path / "shared", common=True).pictures
    model = train_classifier([*own, *shared], tmp_path / "model", settings=QUICK)
    assert model.manifest["data"]["categories"]["checks"] == {"train": 6, "test": 0, "common": 6}
    model = train_classifier([*own, *shared], tmp_path / "model", settings=replace(QUICK, common_in_testing=True))
    assert model.manifest["data"]["categories"]["checks"]["test"] == 6


def test_testing_with_what_was_learnt_is_said(folder: Path, tmp_path: Path) -> None:
    learnt = [each for each in labelled_folder(folder).pictures if each.part == "train"]
    same = [replace(each, part="test") for each in learnt]
    model = train_classifier([*learnt, *same], tmp_path / "model", settings=QUICK)
    assert model.manifest["metrics"]["test"]["was_learnt_from"] is True
    assert model.manifest["data"]["test_images_learnt_from"] == len(same)
    assert any("the test says nothing" in note for note in model.manifest["notes"])


def test_a_share_is_held_out_for_testing(folder: Path, tmp_path: Path) -> None:
    pictures = [replace(each, part="") for each in labelled_folder(folder).pictures]
    model = train_classifier(pictures, tmp_path / "model", settings=replace(QUICK, test_share=0.25))
    counts = model.manifest["data"]["categories"]
    assert {label: (each["train"], each["test"]) for label, each in counts.items()} == dict.fromkeys(
        CATEGORIES, (15, 5)
    )


def test_pictures_that_cannot_be_read_are_skipped(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    pictures = [*labelled_folder(folder).pictures, LabelledPicture(broken, "bar", name="hall 3.png"),
                LabelledPicture(tmp_path / "absent.png", "bar", part="test")]  # fmt: skip
    model = train_classifier(pictures, tmp_path / "model", settings=QUICK)
    assert [each["name"] for each in model.manifest["data"]["skipped"]] == ["hall 3.png", "absent.png"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [(["a"], "at least two categories"), ([], "at least two categories"), (["a", " "], "cannot be a category"),
     (["a", NO_CATEGORY], "cannot be a category")],
)  # fmt: skip
def test_categories_that_cannot_be_taught(tmp_path: Path, labels: list[str], said: str) -> None:
    pictures = []
    for number, label in enumerate(labels):
        Image.fromarray(drawn("bar", np.random.default_rng(number))).save(tmp_path / f"{number}.png")
        pictures.append(LabelledPicture(tmp_path / f"{number}.png", label))
    with pytest.raises(DataError, match=said):
        train_classifier(pictures, tmp_path / "model", settings=QUICK)
    assert not (tmp_path / "model").exists()


def test_one_usable_category_is_not_enough(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2, categories=["bar"])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    pictures = [*labelled_folder(tmp_path).pictures, LabelledPicture(tmp_path / "broken.png", "spot")]
    with pytest.raises(DataError, match=r"found 'bar'; 1 images cannot be used, the first: broken\.png"):
        train_classifier(pictures, tmp_path / "model", settings=QUICK)


def test_what_is_no_model_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"precious\.txt"):
        train_classifier(labelled_folder(folder).pictures, tmp_path, settings=QUICK)


def test_features_are_no_pixels(folder: Path, tmp_path: Path, model: TrainedClassifier) -> None:
    from isotherm.workflows.classify_rows import Fixed, Reading

    fixed = Fixed(model.inputs, model.features, as_pictures=False)
    rows = fixed.rows(labelled_folder(folder).pictures[:4], Reading(), tmp_path, lambda done, total, message: None)
    with pytest.raises(UsageError, match="takes pixels"):
        train_classifier(rows, tmp_path / "model", method="small_cnn")


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
def test_damaged_models_are_refused(model_dir: Path, tmp_path: Path, name: str) -> None:
    for place in (0, 40, -3):
        broken = tmp_path / f"model{place}"
        broken.mkdir()
        for path in model_dir.iterdir():
            data = bytearray(path.read_bytes())
            if path.name == name:
                data[place] ^= 1
            (broken / path.name).write_bytes(data)
        with pytest.raises(ModelError):
            load_classifier(broken)


@pytest.mark.parametrize(
    "change",
    [{"kind": "anomaly"}, {"labels": ["a"]}, {"labels": ["bar", "bar", "spot"]}, {"temperature": 0.0},
     {"temperature": "1"}, {"method": "bayes"}, {"features": None}, {"config": {"c": -1.0}},
     {"open_set": {"kind": "knn"}}, {"inputs": {}}, {"labels": ["a", "b"]}],
)  # fmt: skip
def test_models_whose_parts_do_not_fit_are_refused(model_dir: Path, tmp_path: Path, change: dict[str, object]) -> None:
    from isotherm.runtime.bundle import read_parts, write_parts

    manifest, arrays, network = read_parts(model_dir)
    write_parts(tmp_path / "model", manifest=manifest | change, arrays=arrays, network=network)
    with pytest.raises(ModelError, match="model "):
        load_classifier(tmp_path / "model")


def test_another_network_is_refused(model_dir: Path, tmp_path: Path) -> None:
    from isotherm.runtime.bundle import read_parts, write_parts

    manifest, arrays, _ = read_parts(model_dir)
    features = manifest["features"] | {"digest": "cd" * 32}
    write_parts(tmp_path / "model", manifest=manifest | {"features": features}, arrays=arrays)
    with pytest.raises(ModelError, match="cdcdcdcdcdcd"):
        load_classifier(tmp_path / "model")
