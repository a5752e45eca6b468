"""The per-site API from first picture to verdict, and what it says to requests that are wrong."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
from sqlalchemy import select, update

from compat_server import Compat, compat_server, png, saved, text
from isotherm.core.errors import StorageFullError
from isotherm.jobs.running import work_off
from isotherm.store.tables import Image, Job, ModelVersion
from isotherm.workflows.compat import making
from isotherm.workflows.compat.making import Flags, begin
from isotherm.workflows.compat.requests import MakeModel
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.images import list_images
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.sites import site_named

FLAGS = (
    "got_training_data_flag",
    "got_testing_data_flag",
    "made_model_architecture_flag",
    "trained_model_flag",
    "tested_model_flag",
    "saved_model_flag",
)
NO_CATEGORY = "No category (Anomaly)"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Compat]:
    with compat_server(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compat]:
    """A server whose tests leave nothing there."""
    with compat_server(tmp_path_factory.mktemp("empty")) as found:
        yield found


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compat]:
    """A server with one temple, ``t``, that has a model."""
    with compat_server(tmp_path_factory.mktemp("taught")) as found:
        found.teach(3)
        with found.worker():
            status, answer = found.post("make_model", {"temple_id": "t", "forceful": False})
        assert answer == {"error_msg": []} | dict.fromkeys(FLAGS, True), (
            found.config.logs_path / "error_log.txt"
        ).read_text()[-3000:]
        assert status == 200
        yield found


def rows(server: Compat) -> list[Image]:
    return list(list_images(server.service, LOCAL).items)


def test_saved_picture_is_a_file_and_an_image(server: Compat) -> None:
    data = png(0)
    assert server.post("save_data", saved("cold", data, "shot 1")) == (200, {"error_msg": "All OK"})
    assert (server.config.training_data_path / "t" / "cold" / "shot 1.png").read_bytes() == data
    (image,) = rows(server)
    assert (image.name, image.split) == ("shot 1.png", "train")
    assert server.service.blobs.read(image.digest) == data


def test_testing_picture_goes_to_the_other_folder(server: Compat) -> None:
    assert server.post("save_data", saved("cold", png(0), "a", train_test="test"))[0] == 200
    assert (server.config.testing_data_path / "t" / "cold" / "a.png").is_file()
    assert not list(server.config.training_data_path.iterdir())


def test_same_request_again_changes_nothing(server: Compat) -> None:
    for _ in range(2):
        assert server.post("save_data", saved("cold", png(0), "a"))[0] == 200
    assert len(rows(server)) == 1


def test_other_picture_under_the_same_name_replaces_it(server: Compat) -> None:
    server.post("save_data", saved("cold", png(0), "a"))
    server.post("save_data", saved("cold", png(90), "a"))
    (image,) = rows(server)
    assert server.service.blobs.read(image.digest) == png(90)
    assert (server.config.training_data_path / "t" / "cold" / "a.png").read_bytes() == png(90)


def test_same_name_elsewhere_is_another_picture(server: Compat) -> None:
    server.post("save_data", saved("cold", png(0), "a"))
    server.post("save_data", saved("hot", png(0), "a"))
    server.post("save_data", saved("cold", png(0), "a", train_test="test"))
    assert len(rows(server)) == 3


def test_matrix_of_a_small_sensor_is_a_picture(server: Compat) -> None:
    matrix = (",".join(f"{20 + number % 32 / 10:.2f}" for number in range(768)) + ",").encode()
    assert server.post("save_data", saved("cold", matrix, "out0", image_type="txt"))[0] == 200
    (image,) = rows(server)
    assert (image.width, image.height) == (32, 24)


WRONG_SAVES: list[dict[str, Any]] = [
    {"image": "%%%"},
    {"image": ""},
    {"image": text(b"no picture")},
    {"image": text(b"\x89PNG\r\n\x1a\n but damaged")},
    {"image": text(b"\x89PNG\r\n\x1a\n" + b"\xff" * 4000)},
    {"image_type": "jpg"},
    {"image_type": "svg"},
    {"image_type": "../png"},
    {"train_test": "both"},
    {"temple_id": "../t"},
    {"temple_id": "t\x00"},
    {"temple_id": ".."},
    {"temple_id": "x" * 129},
    {"category": "a/b"},
    {"category": "CON"},
    {"category": ""},
    {"image_name": "..\\a"},
    {"image_name": "/etc/passwd"},
    {"image_name": "\ud800"},
    {"image_name": None},
]


@pytest.mark.parametrize("changes", WRONG_SAVES, ids=lambda changes: str(changes)[:40])
def test_wrong_save_is_500_with_one_key_and_leaves_nothing(empty: Compat, changes: dict[str, Any]) -> None:
    body = json.dumps(saved("cold", png(0), "a") | changes).encode()
    answer = empty.http.post("/api/save_data", content=body)
    assert answer.status_code == 500
    assert list(answer.json()) == ["error_msg"]
    assert answer.json()["error_msg"] not in ("", "All OK")
    assert not rows(empty)
    assert not [path for path in empty.config.training_data_path.rglob("*") if path.is_file()]
    assert "Traceback" in (empty.config.logs_path / "error_log.txt").read_text()


@pytest.mark.parametrize("name", ['<img src=x onerror="alert(1)">', "a:b", "x|y"])
def test_names_that_are_html_or_no_file_names_are_refused(empty: Compat, name: str) -> None:
    assert empty.post("save_data", saved(name, png(0), "a"))[0] == 500


def test_look_alikes_are_only_names(server: Compat) -> None:
    names = ["／etc／passwd", "．．", "ｃｏｎ１", "кат", "日本", "e\u0301"]
    for name in names:
        server.post("save_data", saved(name, png(0), name, temple_id=name))
    found = list(server.config.training_data_path.rglob("*.png"))
    assert len(found) == len(names)
    assert {len(path.relative_to(server.config.training_data_path).parts) for path in found} == {3}


@pytest.mark.parametrize("route", ["save_data", "make_model", "predict"])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"{", b"[" * 50_000, b"\xff", b'{"temple_id": NaN}'])
def test_what_is_no_request_is_refused_in_the_form_of_the_route(empty: Compat, route: str, body: bytes) -> None:
    answer = empty.http.post(f"/api/{route}", content=body)
    assert answer.status_code == (500 if route == "save_data" else 400)
    keys = {
        "save_data": {"error_msg"},
        "make_model": {"error_msg", *FLAGS},
        "predict": {"error_msg", "image_class", "class_confidence"},
    }
    assert set(answer.json()) == keys[route]


def test_full_disk_is_told_and_the_next_try_succeeds(server: Compat, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(server.service.blobs, "put", _full)
        assert server.post("save_data", saved("cold", png(0), "a")) == (500, {"error_msg": "no room left"})
    assert not rows(server)
    assert server.post("save_data", saved("cold", png(0), "a"))[0] == 200


def test_model_tells_categories_apart(taught: Compat) -> None:
    for category, level in (("cold", 0.0), ("hot", 120.0)):
        body = {"temple_id": "t", "image": text(png(level, 77)), "image_name": "new", "image_type": "png"}
        status, answer = taught.post("predict", body)
        assert status == 200
        assert (answer["error_msg"], answer["image_class"]) == ([], category)
        assert 0.5 <= answer["class_confidence"] <= 1


def test_list_in_list_out(taught: Compat) -> None:
    images = [text(png(level, 88)) for level in (0.0, 120.0, 0.0)]
    body = {"temple_id": "t", "image": images, "image_name": ["a", "b", "c"], "image_type": "png"}
    status, answer = taught.post("predict", body)
    assert status == 200
    assert answer["image_class"] == ["cold", "hot", "cold"]
    assert [type(value) for value in answer["class_confidence"]] == [float] * 3


def test_list_of_one_is_a_list(taught: Compat) -> None:
    body = {"temple_id": "t", "image": [text(png(0))], "image_name": ["a"], "image_type": ["png"]}
    assert taught.post("predict", body)[1]["image_class"] == ["cold"]


def test_all_probabilities_go_to_the_log(taught: Compat) -> None:
    body = {"temple_id": "t", "image": text(png(0)), "image_name": "logged 1", "image_type": "png"}
    confidence = taught.post("predict", body)[1]["class_confidence"]
    line = (taught.config.logs_path / "log.txt").read_text().splitlines()[-1]
    found = json.loads(line[line.index("{") :])
    assert found["image_name"] == "logged 1.png"
    assert set(found["probabilities"]) == {"cold", "hot"}
    assert found["probabilities"]["cold"] == pytest.approx(confidence, abs=1e-5)
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_unsure_picture_has_no_category(tmp_path: Path, taught: Compat) -> None:
    from dataclasses import replace

    from compat_server import Compat as Server

    sure = replace(taught.config, settings=replace(taught.config.settings, min_confidence=1.0))
    from isotherm.server.settings import ServerSettings

    other = Server(taught.service, sure, ServerSettings(compat=sure))
    body = {"temple_id": "t", "image": text(png(60)), "image_name": "a", "image_type": "png"}
    status, answer = other.post("predict", body)
    assert status == 200
    assert answer["image_class"] == NO_CATEGORY
    assert 0 < answer["class_confidence"] < 1


def test_bad_picture_of_a_list_is_named_and_none_is_judged(taught: Compat) -> None:
    damaged = text(b"\x89PNG\r\n\x1a\n damaged")
    images = [text(png(0)), damaged, "%%"]
    body = {"temple_id": "t", "image": images, "image_name": ["a", "b", "c"], "image_type": "png"}
    status, answer = taught.post("predict", body)
    assert (status, answer["image_class"], answer["class_confidence"]) == (400, [], [])
    first, second = answer["error_msg"]
    assert first.startswith("image 1: ")
    assert second == "image 2: image is no base64 text (RFC 4648)"


@pytest.mark.parametrize("temple", ["nobody", "../t", "", "\x00", "x" * 500, 7, None, ["t"]])
def test_prediction_without_a_model_is_refused(taught: Compat, temple: object) -> None:
    body = {"temple_id": temple, "image": text(png(0)), "image_name": "a", "image_type": "png"}
    status, answer = taught.post("predict", body)
    assert status == 400
    assert (answer["image_class"], answer["class_confidence"]) == ("", 0.0)
    assert len(answer["error_msg"]) == 1


def test_files_of_the_model(taught: Compat) -> None:
    folder = taught.config.models_path / "t"
    assert sorted(path.name for path in folder.iterdir()) == [
        "extra_info.json", "model_architecture.json", "model_weights.h5",
    ]  # fmt: skip
    extra = json.loads((folder / "extra_info.json").read_text())
    assert extra["labels"] == ["cold", "hot"]
    assert extra["input_shape"][2] == 3
    with h5py.File(io.BytesIO((folder / "model_weights.h5").read_bytes())) as weights:
        assert sum(weights[name].size for name in weights) > 0


def test_second_model_needs_force(taught: Compat) -> None:
    status, answer = taught.post("make_model", {"temple_id": "t", "forceful": False})
    assert status == 400
    assert "has a model already" in answer["error_msg"][0]
    assert answer["saved_model_flag"] is False
    with taught.worker():
        status, answer = taught.post("make_model", {"temple_id": "t", "forceful": True})
    assert (status, answer["error_msg"], answer["saved_model_flag"]) == (200, [], True)
    with taught.service.database.read() as session:
        assert len(session.scalars(select(ModelVersion)).all()) == 2


@pytest.mark.parametrize("categories", [(), ("hot",)])
def test_one_category_is_too_few(server: Compat, categories: tuple[str, ...]) -> None:
    for category in categories:
        server.post("save_data", saved(category, png(0), "a"))
    server.post("save_data", saved("cold", png(0), "a", train_test="test"))
    status, answer = server.post("make_model", {"temple_id": "t"})
    assert status == 400
    assert "at least 2 categories" in answer["error_msg"][0]
    assert answer["got_training_data_flag"] is False
    assert answer["got_testing_data_flag"] is True


def test_common_category_is_joined_in_training_only(server: Compat) -> None:
    for number in range(4):
        server.post("save_data", saved("hot", png(120, number), f"h{number}"))
        server.post("save_data", saved("floor", png(0, number), f"f{number}", temple_id="common"))
    server.post("save_data", saved("hot", png(120, 50), "t1", train_test="test"))
    server.post("save_data", saved("floor", png(0, 50), "t2", temple_id="common", train_test="test"))
    assert (server.config.training_data_path / "common" / "floor" / "f0.png").is_file()
    with server.worker():
        status, answer = server.post("make_model", {"temple_id": "t"})
    assert (status, answer["error_msg"]) == (200, [])
    extra = json.loads((server.config.models_path / "t" / "extra_info.json").read_text())
    assert sorted(extra["labels"]) == ["floor", "hot"]
    with server.service.database.read() as session:
        version = session.scalar(select(ModelVersion))
        assert version is not None
        assert (version.metrics["basis"], version.metrics["count"]) == ("test", 1)
        assert {each["truth"] for each in version.metrics["images"].values()} == {"hot"}


def test_without_test_images_a_model_is_made_and_not_tested(server: Compat) -> None:
    for category, level in (("cold", 0), ("hot", 120)):
        server.post("save_data", saved(category, png(level), "a"))
    with server.worker():
        status, answer = server.post("make_model", {"temple_id": "t"})
    assert status == 200
    assert (answer["tested_model_flag"], answer["got_testing_data_flag"]) == (False, False)
    assert answer["saved_model_flag"] is True


def test_training_while_training_is_refused_and_the_server_answers_meanwhile(server: Compat) -> None:
    server.teach(2)
    answers: list[tuple[int, dict[str, Any]]] = []
    waiting = threading.Thread(target=lambda: answers.append(server.post("make_model", {"temple_id": "t"})))
    waiting.start()
    _until(lambda: _jobs(server) == ["queued"])
    status, answer = server.post("make_model", {"temple_id": "t"})
    assert status == 400
    assert "already training" in answer["error_msg"][0]
    assert server.http.get("/v2/health/live").status_code == 200
    with server.worker():
        waiting.join(60)
    assert answers[0][0] == 200
    assert _jobs(server) == ["succeeded"]


def test_corrupt_model_is_refused_and_the_one_before_answers(server: Compat) -> None:
    server.teach(2)
    with server.worker():
        assert server.post("make_model", {"temple_id": "t"})[0] == 200
        # Of the same pictures within the same second the same files would come.
        assert server.post("save_data", saved("hot", png(120, 77), "one more"))[0] == 200
        assert server.post("make_model", {"temple_id": "t", "forceful": True})[0] == 200
    with server.service.database.read() as session:
        older, newer = session.scalars(select(ModelVersion).order_by(ModelVersion.number)).all()
    own = set(newer.files.values()) - set(older.files.values())
    assert own
    for digest in own:
        path = server.service.blobs.path(digest)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    server.service.loaded.drop(newer.id)
    body = {"temple_id": "t", "image": text(png(120, 5)), "image_name": "a", "image_type": "png"}
    status, answer = server.post("predict", body)
    assert (status, answer["image_class"]) == (200, "hot")
    with server.service.database.read() as session:
        assert session.get(ModelVersion, newer.id).state == "refused"
        assert site_named(server.service, LOCAL, "t").active_model == older.id


def test_failed_training_says_why(server: Compat, monkeypatch: pytest.MonkeyPatch) -> None:
    from isotherm.core.errors import DataError
    from isotherm.workflows.service import training

    def fails(*_: object) -> None:
        raise DataError("the pictures are all alike")

    monkeypatch.setattr(training, "_learnt", fails)
    server.teach(1)
    with server.worker():
        status, answer = server.post("make_model", {"temple_id": "t"})
    assert status == 400
    assert answer["error_msg"] == ["the training has failed: the pictures are all alike"]
    assert [answer[flag] for flag in FLAGS] == [True, True, False, False, False, False]


def test_files_are_written_although_the_server_stops_while_the_client_waits(server: Compat) -> None:
    server.teach(2)
    begin(server.service, LOCAL, server.config, MakeModel("t", forceful=False), Flags())
    # Nobody waits for the end; another server's worker does the job.
    with server.worker():
        _until(lambda: _jobs(server) == ["succeeded"], 60)
    assert len(list((server.config.models_path / "t").iterdir())) == 3


def test_worker_that_dies_before_the_files_writes_them_later_and_teaches_once(
    server: Compat, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.teach(2)
    begin(server.service, LOCAL, server.config, MakeModel("t", forceful=False), Flags())
    with monkeypatch.context() as patch:
        patch.setattr(making, "write_below", _full)
        work_off(server.service.database, KINDS(server.service), most=1)
    assert _jobs(server) == ["queued"]
    assert not (server.config.models_path / "t").exists()
    with server.service.database.write() as session:
        session.execute(update(Job).values(run_after_ms=0))
    work_off(server.service.database, KINDS(server.service))
    assert _jobs(server) == ["succeeded"]
    assert len(list((server.config.models_path / "t").iterdir())) == 3
    with server.service.database.read() as session:
        assert len(session.scalars(select(ModelVersion)).all()) == 1


def test_files_that_cannot_be_written_are_told_and_the_model_answers(server: Compat) -> None:
    server.teach(2)
    (server.config.models_path / "t").write_text("in the way")
    with server.worker():
        status, answer = server.post("make_model", {"temple_id": "t"})
    assert status == 400
    assert "a link or a file is where a folder should be" in answer["error_msg"][0]
    assert [answer[flag] for flag in FLAGS] == [True, True, True, True, True, False]
    body = {"temple_id": "t", "image": text(png(120, 5)), "image_name": "a", "image_type": "png"}
    assert server.post("predict", body)[0] == 200


def _full(*_: object, **__: object) -> None:
    raise StorageFullError("no room left")


def _jobs(server: Compat) -> list[str]:
    with server.service.database.read() as session:
        return list(session.scalars(select(Job.state)))


def _until(holds: Any, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
