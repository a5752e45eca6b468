"""Open Inference Protocol v2 over a site's models: metadata, readiness, verdicts in JSON and in binary."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from compat_server import Compat, compat_server, png, saved
from isotherm.store.tables import ModelVersion
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.sites import create_site, site_named

LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compat]:
    """A server whose site ``t`` has two model versions."""
    with compat_server(tmp_path_factory.mktemp("oip")) as found:
        found.teach(3)
        with found.worker():
            for level in (120, 121):
                # Of the same pictures within the same second the same files would come.
                assert found.post("save_data", saved("hot", png(level, 77), f"one at {level}"))[0] == 200
                assert found.post("make_model", {"temple_id": "t", "forceful": True})[0] == 200
        create_site(found.service, LOCAL, "untaught")
        yield found


def asked(*images: bytes, **changes: Any) -> dict[str, Any]:
    data = [base64.b64encode(image).decode() for image in images]
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(images)], "data": data}]} | changes


def outputs(answer: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in answer["outputs"]}


def test_server_says_what_it_is(taught: Compat) -> None:
    found = taught.http.get("/v2").json()
    assert found["name"] == "isotherm"
    assert found["extensions"] == ["binary_tensor_data"]
    assert taught.http.get("/v2/health/live").json() == {"live": True}
    assert taught.http.get("/v2/health/ready").json()["ready"] is True


@pytest.mark.parametrize("by", ["name", "id"])
def test_model_says_what_it_takes_and_gives(taught: Compat, by: str) -> None:
    site = site_named(taught.service, LOCAL, "t")
    name = site.name if by == "name" else site.id
    found = taught.http.get(f"/v2/models/{name}").json()
    assert found["name"] == name
    assert found["versions"] == ["1", "2"]
    assert found["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [each["name"] for each in found["outputs"]] == ["label", "confidence", "probabilities"]
    assert found["outputs"][2]["shape"] == [-1, 2]
    assert found["parameters"]["labels"] == ["cold", "hot"]
    assert taught.http.get(f"/v2/models/{name}/ready").json() == {"name": name, "ready": True}


def test_verdicts_in_json(taught: Compat) -> None:
    answer = taught.http.post("/v2/models/t/infer", json=asked(png(0, 5), png(120, 6), id="q1"))
    assert answer.status_code == 200
    found = answer.json()
    assert (found["model_name"], found["model_version"], found["id"]) == ("t", "2", "q1")
    by_name = outputs(found)
    assert by_name["label"] == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["cold", "hot"]}
    table = np.reshape(by_name["probabilities"]["data"], by_name["probabilities"]["shape"])
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(table.max(axis=1), by_name["confidence"]["data"])


def test_verdicts_in_binary_are_the_same(taught: Compat) -> None:
    image = png(120, 6)
    plain = outputs(taught.http.post("/v2/models/t/infer", json=asked(image)).json())
    tail = struct.pack("<I", len(image)) + image
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
    answer = taught.http.post("/v2/models/t/infer", content=head + tail, headers=headers)
    assert answer.status_code == 200
    end = int(answer.headers[LENGTH])
    sizes = [each["parameters"]["binary_data_size"] for each in json.loads(answer.content[:end])["outputs"]]
    label, confidence, probabilities = np.split(np.frombuffer(answer.content[end:], np.uint8), np.cumsum(sizes)[:2])
    assert label.tobytes() == struct.pack("<I", 3) + b"hot"
    np.testing.assert_array_equal(confidence.view("<f8"), plain["confidence"]["data"])
    np.testing.assert_array_equal(probabilities.view("<f8"), plain["probabilities"]["data"])


def test_only_wanted_outputs_come(taught: Compat) -> None:
    answer = taught.http.post("/v2/models/t/infer", json=asked(png(0), outputs=[{"name": "label"}]))
    assert list(outputs(answer.json())) == ["label"]


def test_unsure_pictures_have_no_category(taught: Compat) -> None:
    answer = taught.http.post("/v2/models/t/infer", json=asked(png(0), parameters={"min_confidence": 1}))
    assert outputs(answer.json())["label"]["data"] == ["No category (Anomaly)"]


def test_older_version_answers_by_its_number(taught: Compat) -> None:
    answer = taught.http.post("/v2/models/t/versions/1/infer", json=asked(png(0)))
    assert (answer.status_code, answer.json()["model_version"]) == (200, "1")
    assert taught.http.get("/v2/models/t/versions/1/ready").json()["ready"] is True


@pytest.mark.parametrize(
    "path", ["nobody", "untaught", "t/versions/9", "t/versions/x", "t/versions/-1", "t/versions/٢", "..%2Ft", "%00"]
)
@pytest.mark.parametrize("verb", ["", "/ready", "/infer"])
def test_what_is_not_there_is_404_with_an_error(taught: Compat, path: str, verb: str) -> None:
    method = "POST" if verb == "/infer" else "GET"
    answer = taught.http.request(method, f"/v2/models/{path}{verb}", json=asked(png(0)) if verb == "/infer" else None)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"] or "%2F" in path


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"{", b"[" * 50_000, b"\xff"])
def test_wrong_request_is_400_with_an_error(taught: Compat, body: bytes) -> None:
    answer = taught.http.post("/v2/models/t/infer", content=body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


def test_picture_that_is_none_is_named(taught: Compat) -> None:
    answer = taught.http.post("/v2/models/t/infer", json=asked(png(0), b"no picture"))
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("element 1: ")


def test_damaged_version_is_refused_and_the_other_answers(taught: Compat) -> None:
    with taught.service.database.read() as session:
        older, newer = session.scalars(select(ModelVersion).order_by(ModelVersion.number)).all()
    for digest in set(newer.files.values()) - set(older.files.values()):
        path = taught.service.blobs.path(digest)
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    taught.service.loaded.drop(newer.id)
    answer = taught.http.post("/v2/models/t/versions/2/infer", json=asked(png(0)))
    assert (answer.status_code, list(answer.json())) == (409, ["error"])
    answer = taught.http.post("/v2/models/t/infer", json=asked(png(0)))
    assert (answer.status_code, answer.json()["model_version"]) == (200, "1")
    assert taught.http.get("/v2/models/t").json()["versions"] == ["1"]
