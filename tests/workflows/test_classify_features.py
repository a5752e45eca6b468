"""Files of features: the right numbers, runs that are interrupted, and files that are damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from isotherm.classification.features import FeatureConfig
from isotherm.core.errors import DataError, OutputError
from isotherm.workflows import classify_features
from isotherm.workflows.classify import ClassifySettings, load_classifier, train_classifier
from isotherm.workflows.classify_data import labelled_folder
from isotherm.workflows.classify_evaluate import evaluate_classifier
from isotherm.workflows.classify_features import extract_features, read_features
from isotherm.workflows.classify_rows import LookSettings, Reading
from isotherm.workflows.reading import read_many
from labelled_pictures import write_pictures

QUICK = LookSettings(image_size=32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_pictures(tmp_path_factory.mktemp("pictures"), 12, parts=["train"])
    write_pictures(root, 4, parts=["test"], seed=1)
    (root / "train" / "bar" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return root


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("features") / "f.h5"
    report = extract_features(labelled_folder(data), out, settings=QUICK)
    assert (report.pictures, report.resumed, report.categories) == (48, 0, ("bar", "plain", "spot"))
    assert [each.name for each in report.skipped] == ["train/bar/torn.png"]
    assert [path.name for path in out.parent.iterdir()] == ["f.h5"]
    return out


def test_what_the_file_says(made: Path) -> None:
    spec = FeatureConfig().chosen((32, 32))
    with h5py.File(made) as file:
        assert file["features"].shape == (48, 2 * (40 + 112 + 320))
        assert file["label_names"].asstr()[()].tolist() == ["bar", "plain", "spot"]
        assert file["labels"][()].tolist() == sorted(file["labels"][:12].tolist()) + file["labels"][12:].tolist()
        assert file["paths"].asstr()[0] == "test/bar/0.png" or file["paths"].asstr()[0] == "train/bar/0.png"
        assert file.attrs["backbone"] == "efficientnet_lite0"
        assert file.attrs["weights_sha256"] == spec.digest
        assert json.loads(file["skipped"].asstr()[0])[0] == "train/bar/torn.png"


def test_the_features_are_those_of_the_pictures(made: Path, data: Path) -> None:
    rows = read_features(made)
    place = 17
    (outcome,) = read_many([data / rows.rows[place].name])
    assert outcome.thermogram is not None
    pixels = rows.inputs.prepare(outcome.thermogram).pixels
    assert rows.features is not None
    assert rows.features.of(pixels)[0] == pytest.approx(rows.values[place], rel=1e-5)
    assert rows.rows[place].digest == outcome.thermogram.digest


def test_an_interrupted_run_goes_on(data: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify_features, "STEP", 10)
    out, seen = tmp_path / "f.h5", list[int]()

    def stop(done: int, total: int, message: str) -> None:
        if message == "features":
            seen.append(done)
            if done == 25:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(labelled_folder(data), out, settings=QUICK, progress=stop)
    assert not out.exists()
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        extract_features(labelled_folder(data), out, settings=QUICK, progress=stop)
    # Two steps of ten were done and are not done again.
    assert seen[0] == 21
    report = extract_features(labelled_folder(data), out, settings=QUICK)
    assert (report.pictures, report.resumed, len(report.skipped)) == (48, 20, 1)
    again, whole = read_features(out), read_features(made)
    assert again.rows == whole.rows
    assert np.array_equal(again.values, whole.values)
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


def test_steps_of_other_settings_are_not_mixed_in(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"

    def stop(done: int, total: int, message: str) -> None:
        if message == "features":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(labelled_folder(data), out, settings=QUICK, progress=stop)
    with pytest.raises(OutputError, match="other pictures or settings"):
        extract_features(labelled_folder(data), out, settings=LookSettings(image_size=64))
    (out.with_name("f.h5.part") / "run.json").write_text("{")
    with pytest.raises(OutputError, match="is damaged"):
        extract_features(labelled_folder(data), out, settings=QUICK)
    assert extract_features(labelled_folder(data), out, settings=QUICK, overwrite=True).pictures == 48


def test_a_file_is_not_overwritten_unasked(data: Path, made: Path) -> None:
    with pytest.raises(OutputError, match="--overwrite"):
        extract_features(labelled_folder(data), made, settings=QUICK)


def test_a_folder_of_others_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "f.h5.part").mkdir()
    (tmp_path / "f.h5.part" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="something else"):
        extract_features(labelled_folder(data), tmp_path / "f.h5", settings=QUICK)


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "data" / "bar").mkdir(parents=True)
    (tmp_path / "data" / "bar" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bar/a\.png"):
        extract_features(labelled_folder(tmp_path / "data"), tmp_path / "f.h5", settings=QUICK)


def test_a_classifier_of_features_judges_pictures(made: Path, data: Path, tmp_path: Path) -> None:
    trained = train_classifier(read_features(made), tmp_path / "model", settings=ClassifySettings())
    assert trained.manifest["metrics"]["test"]["accuracy"]["hits"] == 12
    model = load_classifier(tmp_path / "model")
    by_pictures = evaluate_classifier(model, labelled_folder(data).pictures)
    by_features = evaluate_classifier(model, read_features(made))
    assert [each.nearest for each in by_pictures.found.answers] == [each.nearest for each in by_features.found.answers]
    assert by_features.found.confidence == pytest.approx(by_pictures.found.confidence, abs=1e-5)


def test_features_of_other_kinds_do_not_go_together(made: Path, data: Path, tmp_path: Path) -> None:
    rows = read_features(made)
    assert len(rows.joined(rows.as_common()).rows) == 96
    reading = Reading(features=FeatureConfig(pooling="average"))
    extract_features(labelled_folder(data), tmp_path / "g.h5", settings=QUICK, reading=reading)
    with pytest.raises(DataError, match=r"do not go together: efficientnet_lite0 .* spread .* average"):
        rows.joined(read_features(tmp_path / "g.h5"))
    model = train_classifier(rows, tmp_path / "model")
    with pytest.raises(DataError, match="not those that the model was taught with"):
        evaluate_classifier(model, read_features(tmp_path / "g.h5"))


def damaged(made: Path, tmp_path: Path, change: object) -> Path:
    path = tmp_path / "damaged.h5"
    path.write_bytes(made.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)  # type: ignore[operator]
    return path


def _shorter(file: h5py.File) -> None:
    labels = file["labels"][:-1]
    del file["labels"]
    file["labels"] = labels


def _elsewhere(file: h5py.File) -> None:
    del file["features"]
    file["features"] = h5py.ExternalLink("/etc/passwd", "x")


def _not_finite(file: h5py.File) -> None:
    file["features"][3, 4] = np.nan


def _nameless(file: h5py.File) -> None:
    file["labels"][0] = 7


def _newer(file: h5py.File) -> None:
    about = json.loads(file["about"].asstr()[()])
    del file["about"]
    file["about"] = json.dumps({**about, "format_version": 99})


def _without_names(file: h5py.File) -> None:
    del file["label_names"]


@pytest.mark.parametrize("change", [_shorter, _elsewhere, _not_finite, _nameless, _newer, _without_names])
def test_files_that_do_not_fit_are_refused(made: Path, tmp_path: Path, change: object) -> None:
    with pytest.raises(DataError, match=r"damaged\.h5: no file of features, or damaged"):
        read_features(damaged(made, tmp_path, change))


def test_damaged_bytes_are_refused_or_harmless(made: Path, tmp_path: Path) -> None:
    data, rng = made.read_bytes(), np.random.default_rng(0)
    whole, path, refused = read_features(made), tmp_path / "f.h5", 0
    for place in rng.integers(0, len(data), 60).tolist():
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            found = read_features(path)
        except DataError:
            refused += 1
        else:
            assert np.array_equal(found.values, whole.values)
            assert found.rows == whole.rows
    assert refused > 30
    for length in (0, 7, 600, len(data) // 2):
        path.write_bytes(data[:length])
        with pytest.raises(DataError):
            read_features(path)
    with pytest.raises(DataError, match="no such file"):
        read_features(tmp_path / "absent.h5")


def test_groups_and_parts_are_kept(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data", 2, categories=["bar", "spot"])
    folder = labelled_folder(tmp_path / "data")
    folder = replace(folder, pictures=tuple(replace(each, group="g", part="test") for each in folder.pictures))
    extract_features(folder, tmp_path / "f.h5", settings=QUICK)
    rows = read_features(tmp_path / "f.h5").rows
    assert [(row.name, row.group, row.part) for row in rows[:2]] == [
        ("bar/0.png", "g", "test"), ("bar/1.png", "g", "test")
    ]  # fmt: skip
