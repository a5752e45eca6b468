"""Requests and answers of the Open Inference Protocol, byte by byte."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isotherm.core.errors import FormatError, IsothermError, UsageError
from isotherm.server.inference_wire import LENGTH_HEADER, Tensor, read_request, write_answer

IMAGES = [b"first", b"", b"third\x00"]


def tensor(**changes: Any) -> dict[str, Any]:
    data = [base64.b64encode(image).decode() for image in IMAGES]
    return {"name": "image", "datatype": "BYTES", "shape": [3], "data": data} | changes


def body(**changes: Any) -> bytes:
    return json.dumps({"inputs": [tensor()]} | changes).encode()


def binary(images: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(image)) + image for image in images)


def test_images_in_json_are_base64() -> None:
    found = read_request(body(id="a7"), None, most_images=3)
    assert list(found.images) == IMAGES
    assert found.request_id == "a7"
    assert found.outputs == {"label": False, "confidence": False, "probabilities": False}


@pytest.mark.parametrize("shape", [[3], [3, 1]])
def test_shape_may_have_one_column(shape: list[int]) -> None:
    rows = [[each] for each in tensor()["data"]] if len(shape) == 2 else tensor()["data"]
    found = read_request(body(inputs=[tensor(shape=shape, data=rows)]), None, most_images=3)
    assert list(found.images) == IMAGES


def test_images_in_binary_follow_the_json() -> None:
    tail = binary(IMAGES)
    given_tensor = {"name": "image", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"inputs": [given_tensor], "parameters": {"binary_data_output": True}}).encode()
    found = read_request(head + tail, str(len(head)), most_images=3)
    assert list(found.images) == IMAGES
    assert found.outputs == {"label": True, "confidence": True, "probabilities": True}


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_any_images_pass_in_binary(images: list[bytes]) -> None:
    tail = binary(images)
    one = {"name": "image", "datatype": "BYTES", "shape": [len(images)], "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"inputs": [one]}).encode()
    assert list(read_request(head + tail, str(len(head)), most_images=5).images) == images


def test_only_the_outputs_that_are_wanted() -> None:
    wanted = [{"name": "label"}, {"name": "confidence", "parameters": {"binary_data": True}}]
    assert read_request(body(outputs=wanted), None, most_images=3).outputs == {"label": False, "confidence": True}


@pytest.mark.parametrize("value", [0, 0.25, 1])
def test_least_confidence(value: float) -> None:
    found = read_request(body(parameters={"min_confidence": value}), None, most_images=3)
    assert found.min_confidence == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no JSON"),
        (b"[]", "must be a JSON object"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "one tensor, image"),
        (body(inputs=[]), "one tensor, image"),
        (body(inputs=[tensor(), tensor()]), "one tensor, image"),
        (body(inputs=["image"]), "one tensor, image"),
        (body(inputs=[tensor(name="x")]), "name image and the datatype BYTES"),
        (body(inputs=[tensor(datatype="FP32")]), "name image and the datatype BYTES"),
        (body(inputs=[tensor(shape=[2])]), r"shape must be \[3\]"),
        (body(inputs=[tensor(shape=[3, 2])]), r"shape must be \[3\]"),
        (body(inputs=[tensor(shape="3")]), r"shape must be \[3\]"),
        (body(inputs=[tensor(data="aGk=")]), "data must be a list"),
        (body(inputs=[tensor(data=[1, 2, 3])]), r"data\[0\] must be a base64 text"),
        (body(inputs=[tensor(data=["aGk=", "%%", ""])]), r"data\[1\] is no base64"),
        (body(inputs=[tensor(data=[], shape=[0])]), "1 to 3 elements, not 0"),
        (body(inputs=[tensor(data=["aGk="] * 4, shape=[4])]), "1 to 3 elements, not 4"),
        (body(inputs=[tensor(parameters=[])]), "parameters must be an object"),
        (body(inputs=[tensor(parameters={"binary_data_size": 7})]), "bytes behind the JSON, 0"),
        (body(inputs=[tensor(parameters={"binary_data_size": True})]), "bytes behind the JSON, 0"),
        (body(parameters=1), "parameters must be an object"),
        (body(parameters={"binary_data_output": 1}), "binary_data_output must be true or false"),
        (body(parameters={"min_confidence": 2}), "from 0 to 1"),
        (body(parameters={"min_confidence": True}), "from 0 to 1"),
        (body(parameters={"min_confidence": "x"}), "from 0 to 1"),
        (body(outputs={}), "outputs must be a list"),
        (body(outputs=[{"name": "logits"}]), "the outputs are label, confidence, probabilities"),
        (body(outputs=[{"name": "label", "parameters": {"binary_data": 1}}]), "binary_data must be true or false"),
        (body(id=7), "id must be text"),
        (body(id="x" * 257), "id must be text"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    with pytest.raises((UsageError, FormatError), match=message):
        read_request(data, None, most_images=3)


@pytest.mark.parametrize("length", ["", "x", "-1", "0", "1.5", "999999", "٣", "9" * 5000])
def test_length_of_the_json_must_be_right(length: str) -> None:
    with pytest.raises(UsageError, match="Inference-Header-Content-Length"):
        read_request(body(), length, most_images=3)


@pytest.mark.parametrize("cut", [1, 3, 5, 10])
def test_binary_that_ends_early_is_refused(cut: int) -> None:
    tail = binary([b"abcdef", b"gh"])[:-cut]
    one = {"name": "image", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"inputs": [one]}).encode()
    with pytest.raises((FormatError, UsageError)):
        read_request(head + tail, str(len(head)), most_images=3)


@given(st.binary(max_size=60), st.one_of(st.none(), st.integers(-5, 80).map(str)))
def test_any_bytes_are_read_or_refused(data: bytes, length: str | None) -> None:
    with pytest.raises(IsothermError):
        read_request(data, length, most_images=3)


TENSORS = [Tensor("label", ["hot", "kält"]), Tensor("probabilities", np.array([[0.25, 0.75], [1.0, 0.0]]))]


def test_answer_in_json() -> None:
    data, headers = write_answer({"model_name": "m"}, TENSORS, {"label": False, "probabilities": False})
    assert headers == {"Content-Type": "application/json"}
    assert json.loads(data) == {
        "model_name": "m",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["hot", "kält"]},
            {"name": "probabilities", "datatype": "FP64", "shape": [2, 2], "data": [0.25, 0.75, 1.0, 0.0]},
        ],
    }


def test_answer_in_binary() -> None:
    data, headers = write_answer({"model_name": "m"}, TENSORS, {"label": True, "probabilities": True})
    end = int(headers[LENGTH_HEADER])
    label, probabilities = json.loads(data[:end])["outputs"]
    texts = binary([b"hot", "kält".encode()])
    assert label["parameters"] == {"binary_data_size": len(texts)}
    assert data[end : end + len(texts)] == texts
    assert probabilities["parameters"] == {"binary_data_size": 32}
    np.testing.assert_array_equal(np.frombuffer(data[end + len(texts) :], "<f8"), [0.25, 0.75, 1.0, 0.0])
