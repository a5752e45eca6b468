"""Anomaly models that were trained elsewhere: given to a site as a folder, at work there, and handed out again."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from api_cases import Caller

from isotherm.core.errors import StorageFullError
from isotherm.runtime.bundle import ARRAYS, MANIFEST, read_bundle, write_bundle
from isotherm.store import idempotency
from isotherm.store.folder import Store
from isotherm.store.verify import verify
from isotherm.workflows.evaluate import EvaluateSettings, ModelToJudge, evaluate
from isotherm.workflows.judging import LabelledSource
from isotherm.workflows.service import given_models, model_trial
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.given_numbers import METRICS
from isotherm.workflows.service.models import get_model, training_data
from isotherm.workflows.service.service import Service
from isotherm.workflows.train import TrainSettings, train
from small_pictures import hot_csv

Parts = list[tuple[str, bytes]]
LEARNT = range(6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a model that has learnt from pictures of temperatures, without a network."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "healthy").mkdir()
    for seed in LEARNT:
        (folder / "healthy" / f"{seed}.csv").write_bytes(hot_csv(20.1, seed=seed))
    train(folder / "healthy", folder / "model", method_name="statistics", settings=TrainSettings(image_size=64))
    return folder / "model"


def parts_of(folder: Path) -> Parts:
    return [(name, (folder / name).read_bytes()) for name in (MANIFEST, ARRAYS)]


def send(call: Caller, site: str, parts: Parts, status: int = 201, **fields: str) -> dict[str, Any]:
    files = [("files", part) for part in parts]
    return call("POST", f"sites/{site}/models/anomaly", status, files=files, data=fields).json()


def test_a_model_from_elsewhere_scores_the_images_of_a_site(call: Caller, folder: Service, model: Path) -> None:
    site = call.site()
    call.upload(site, ("known.csv", hot_csv(20.1, seed=LEARNT[2])))
    given = send(call, site, parts_of(model), normal="fine", note="by the lab", activate="true")
    assert (given["number"], given["kind"], given["method"], given["made_by"]) == (1, "anomaly", "statistics", "local")
    assert call.json("GET", f"sites/{site}/models/active?kind=anomaly")["id"] == given["id"]
    calibration = json.loads((model / MANIFEST).read_text())["calibration"]
    held = given["metrics"]["held_out"]
    assert (held["scores"], held["threshold"]) == (calibration["scores"], calibration["threshold"])
    assert (given["metrics"]["basis"], given["metrics"]["count"], given["metrics"]["accuracy"]) == ("held-out", 6, None)
    card = given["card"]
    assert (card["normal"], card["note"], card["data"]["train"]) == ("fine", "by the lab", 6)
    assert (card["elsewhere"]["named"], card["elsewhere"]["here"], card["seen"]["sizes"]) == (6, 1, {"24 x 24": 1})
    assert "given as a folder; 1 of the 6 images" in card["notes"][0]
    assert "not been tested with images of this site" in card["notes"][-1]
    learnt = training_data(folder, get_model(folder, LOCAL, given["id"]))
    assert (len(learnt["train"]), sum(bool(row[0]) for row in learnt["train"])) == (6, 1)
    (hot,) = call.upload(site, ("hot.csv", hot_csv(95.0, seed=41)))["results"]
    assert hot["inspection"]["anomaly"]["prediction"] == "Anomaly"
    (line, *_) = call.json("GET", "audit?action=model.imported")["items"]
    assert (line["subject"], line["details"]["number"]) == (given["id"], 1)
    assert verify(Store(folder.database, folder.blobs)).flaws == ()
    assert not list((folder.folder / "scratch").glob("model-*"))


def test_a_model_goes_out_as_the_folder_that_it_came_as(call: Caller, model: Path) -> None:
    given = send(call, call.site(), parts_of(model))
    answer = call("GET", f"models/{given['id']}/folder.zip", 200)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        found = [(name, archive.read(name)) for name in (MANIFEST, ARRAYS)]
        assert sorted(archive.namelist()) == sorted(name for name, _ in found)
    assert found == parts_of(model)
    assert int(answer.headers["content-length"]) == len(answer.content)
    again = send(call, call.site("other"), found)
    assert again["metrics"] == given["metrics"]


def test_a_damaged_file_is_not_handed_out(call: Caller, folder: Service, model: Path) -> None:
    given = send(call, call.site(), parts_of(model))
    stored = folder.blobs.path(get_model(folder, LOCAL, given["id"]).files[ARRAYS])
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    answer = call("GET", f"models/{given['id']}/folder.zip", 409)
    assert "arrays.safetensors of version 1 is damaged" in answer.text
    assert not list((folder.folder / "scratch").glob("export-*"))


def test_what_is_no_model_is_refused_with_what_would_be_right(call: Caller, folder: Service, model: Path) -> None:
    site = call.site()
    manifest, arrays = parts_of(model)
    turned = (ARRAYS, arrays[1][:-1] + bytes([arrays[1][-1] ^ 1]))
    said = json.loads(manifest[1])
    wrong: list[tuple[Parts, str]] = [
        ([manifest], "manifest.json and arrays.safetensors, each once; 1 files were sent: 'manifest.json'"),
        ([manifest, arrays, ("model.pkl", b"\x80\x04")], "3 files were sent"),
        ([manifest, manifest], "each once"),
        ([manifest, ("../arrays.safetensors.pkl", arrays[1])], "'arrays.safetensors.pkl'"),
        ([manifest, turned], "has been altered"),
        ([manifest, (ARRAYS, b"\x80\x04cposix\nsystem\n")], "bytes where"),
        ([(MANIFEST, b"\x80\x04."), arrays], "is no JSON"),
        ([(MANIFEST, b"[" * 100_000), arrays], "is no JSON"),
        ([(MANIFEST, json.dumps(said | {"method": "padim"}).encode()), arrays], "has been altered"),
        ([(MANIFEST, json.dumps(said | {"format_version": 99}).encode()), arrays], "format version 99"),
    ]
    for parts, told in wrong:
        problem = send(call, site, parts, 422)
        assert told in problem["detail"], problem
        assert str(folder.folder) not in problem["detail"]
    problem = send(call, site, [manifest, arrays], 422, activate="perhaps")
    assert "activate must be true or false" in problem["detail"]
    assert "category" in send(call, site, [manifest, arrays], 422, normal="a/b")["detail"]
    assert call.json("GET", f"models?site_id={site}")["items"] == []
    assert not list((folder.folder / "scratch").iterdir())


def test_sizes_are_bounded_before_anything_is_opened(
    call: Caller, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = call.site()
    monkeypatch.setattr(given_models, "MOST_BYTES", 500)
    assert "at most 500 are taken" in send(call, site, parts_of(model), 422)["detail"]
    monkeypatch.undo()
    monkeypatch.setattr(given_models, "MOST_MANIFEST_BYTES", 100)
    assert "at most 100 are taken" in send(call, site, parts_of(model), 422)["detail"]
    monkeypatch.undo()
    monkeypatch.setattr(model_trial, "PICTURE_S", -1.0)
    assert "for one picture" in send(call, site, parts_of(model), 422)["detail"]
    monkeypatch.setattr(model_trial, "MOST_SCORES", 5)
    assert "6 scores of held-out images; at most 5" in send(call, site, parts_of(model), 422)["detail"]


def test_a_repeated_request_makes_one_version(call: Caller, model: Path) -> None:
    site, key = call.site(), {"idempotency-key": "once"}
    files = [("files", part) for part in parts_of(model)]
    path = f"sites/{site}/models/anomaly"
    first, again = (call("POST", path, 201, files=files, headers=key) for _ in range(2))
    assert first.json() == again.json()
    assert len(call.json("GET", f"models?site_id={site}")["items"]) == 1


def test_a_version_and_its_kept_answer_are_written_together_or_not_at_all(
    call: Caller, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise StorageFullError

    site = call.site()
    monkeypatch.setattr(idempotency, "keep", full)
    files = [("files", part) for part in parts_of(model)]
    call.problem("POST", f"sites/{site}/models/anomaly", 507, files=files, headers={"idempotency-key": "once"})
    assert call.json("GET", f"models?site_id={site}")["items"] == []


@pytest.mark.parametrize("data", [[], None, "text"])
def test_a_manifest_that_says_nothing_of_its_data_is_refused_before_a_site_relies_on_it(
    call: Caller, model: Path, tmp_path: Path, data: object
) -> None:
    manifest, arrays = read_bundle(model)
    write_bundle(tmp_path / "odd", manifest=manifest | {"data": data}, arrays=arrays)
    assert "under `data`" in send(call, call.site(), parts_of(tmp_path / "odd"), 422)["detail"]


@pytest.fixture(scope="module")
def judged(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give what `isotherm evaluate` writes of the model."""
    folder = tmp_path_factory.mktemp("lab")
    for name, limits in (("normal", {}), ("faulty", {"highest": 95.0})):
        (folder / "cabinets" / name).mkdir(parents=True)
        for seed in range(20, 24):
            data = hot_csv(limits.get("highest", 20.1), seed=seed + len(name))
            (folder / "cabinets" / name / f"{seed}.csv").write_bytes(data)
    found = evaluate(LabelledSource(folder / "cabinets"), ModelToJudge(model), settings=EvaluateSettings(resamples=100))
    (folder / METRICS).write_text(json.dumps(found.metrics))
    return folder / METRICS


def test_what_a_folder_says_of_its_test_is_kept_as_its_words(call: Caller, model: Path, judged: Path) -> None:
    site = call.site()
    measured = json.loads(judged.read_text())["pooled"]
    given = send(call, site, [*parts_of(model), (METRICS, judged.read_bytes())], activate="true")
    assert (given["metrics"]["basis"], given["metrics"]["test"]) == ("held-out", None)
    said = given["card"]["elsewhere"]["says"]["test"]
    assert (said["anomalous"], said["normal"], said["on"]) == (4, 4, "cabinets")
    assert said["false_alarms"] == measured["called"]["false_alarms"]
    assert said["auroc"]["value"] == measured["image"]["auroc"]["value"]
    (line,) = given["card"]["elsewhere"]["said"]
    assert "4 of 4 faulty images found" in line
    assert "on 8 labelled images of the folder cabinets" in line
    page = call("GET", f"/models/{given['id']}", 200).text
    assert "As the folder says, not measured by this server: 4 of 4 faulty images found" in page
    call.upload(site, ("hot.csv", hot_csv(95.0, seed=41)))
    report = call("GET", f"sites/{site}/report.html", 200).text
    assert "as the folder says, not measured by this server" in report
    lower = call.json("POST", f"models/{given['id']}/threshold", 201, json={"threshold": 1e9})
    assert f"threshold {given['metrics']['threshold']:.4g}" in lower["card"]["elsewhere"]["said"][0]


def test_numbers_of_another_model_or_none_are_refused(call: Caller, model: Path, judged: Path) -> None:
    site, said = call.site(), json.loads(judged.read_text())
    subject, called = said["subject"], said["pooled"]["called"]
    wrong: list[tuple[object, str]] = [
        (said | {"subject": subject | {"manifest_sha256": "0" * 64}}, "speaks of another model"),
        (said | {"subject": {"model": "m"}}, "speaks of a model that it does not name"),
        (said | {"subject": {"method": "padim"}}, "speaks of a model that it does not name"),
        ([said], "holds no test of one model"),
        (said | {"pooled": said["pooled"] | {"called": called | {"hits": -1}}}, "numbers that no test gives"),
    ]
    for content, told in wrong:
        problem = send(call, site, [*parts_of(model), (METRICS, json.dumps(content).encode())], 422)
        assert told in problem["detail"]
        assert "isotherm evaluate DATA --model MODEL" in problem["detail"]
    assert call.json("GET", f"models?site_id={site}")["items"] == []


def test_labelled_images_that_chose_a_threshold_are_told_as_such(call: Caller, model: Path, tmp_path: Path) -> None:
    manifest, arrays = read_bundle(model)
    labelled = {"folder": "/home/a/secret/lab", "normal": 30, "anomalous": 10, "misses": 1, "false_alarms": 2}
    write_bundle(tmp_path / "m", manifest=manifest | {"data": manifest["data"] | {"labelled": labelled}}, arrays=arrays)
    elsewhere = send(call, call.site(), parts_of(tmp_path / "m"))["card"]["elsewhere"]
    assert "9 of 10 faulty images found, 2 false alarms among 30 normal ones" in elsewhere["said"][0]
    assert "by which its threshold was chosen" in elsewhere["said"][0]
    assert "secret" not in json.dumps(elsewhere)


def test_drift_says_that_the_training_is_not_here(call: Caller, model: Path) -> None:
    site = call.site()
    send(call, site, parts_of(model), activate="true")
    drift = call.json("GET", f"sites/{site}/drift")
    assert "what version 1 has learnt from is not on this server" in drift["reference"]
    assert drift["state"] == "unknown"


def test_the_child_finds_what_this_process_finds(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = model_trial.tried(model, children=False)
    # As where a server was started with a relative data folder.
    monkeypatch.chdir(model.parent)
    there = model_trial.tried(Path(model.name))
    assert {**here, "picture_s": 0} == {**there, "picture_s": 0}
    assert 0 <= there["picture_s"] < model_trial.PICTURE_S
