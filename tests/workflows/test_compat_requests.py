"""Requests of the per-site API, field by field; pictures whose content is not what they say."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isotherm.core.errors import FormatError, IsothermError, UsageError
from isotherm.workflows.compat.pictures import IMAGE_TYPES, decoded, from_base64
from isotherm.workflows.compat.requests import RefusedError, make_model_of, predict_of, save_data_of

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
GOOD: dict[str, Any] = {
    "temple_id": "temple 7",
    "train_test": "train",
    "category": "hot",
    "image": PNG,
    "image_type": "png",
    "image_name": "shot 1",
}
MOST = 1000


def test_whole_request() -> None:
    found = save_data_of(GOOD, most_bytes=MOST)
    assert (found.temple_id, found.split, found.category) == ("temple 7", "train", "hot")
    assert found.picture.name == "shot 1.png"
    assert found.picture.data.startswith(b"\x89PNG")


@pytest.mark.parametrize("key", list(GOOD))
@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}, ["a"]])
def test_field_of_another_type_is_named(key: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{key} must be text"):
        save_data_of(GOOD | {key: value}, most_bytes=MOST)


@pytest.mark.parametrize("key", list(GOOD))
def test_missing_field_is_named(key: str) -> None:
    with pytest.raises(UsageError, match=f"{key} is missing"):
        save_data_of({name: value for name, value in GOOD.items() if name != key}, most_bytes=MOST)


HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "\0",
    "x" * 129,
    ".hidden",
    "nul",
    "COM1.png",
    "a\nb",
    "\u202eabc",
    "a.",
    "\ud800",
]


@pytest.mark.parametrize("key", ["temple_id", "category", "image_name"])
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_name_is_refused_and_named(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=key):
        save_data_of(GOOD | {key: value}, most_bytes=MOST)


@pytest.mark.parametrize("value", ["", "TRAIN", "training", "../train"])
def test_train_test_is_one_of_two(value: str) -> None:
    with pytest.raises(UsageError, match="train_test must be one of train, test"):
        save_data_of(GOOD | {"train_test": value}, most_bytes=MOST)


@pytest.mark.parametrize("value", ["", "exe", "svg", "png/../x", "pickle", "x" * 10_000])
def test_unknown_image_type_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"image_type must be one of jpg, .* not '.{0,32}'$"):
        save_data_of(GOOD | {"image_type": value}, most_bytes=MOST)


@pytest.mark.parametrize("value", ["PNG", ".png", "png"])
def test_type_may_be_written_as_an_ending(value: str) -> None:
    assert save_data_of(GOOD | {"image_type": value}, most_bytes=MOST).picture.name == "shot 1.png"


@pytest.mark.parametrize("text", ["", "%%%", "abc", "aGk=\0", "aGk=!", "é", "data:image/png;base64,aGk="])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match=r"no base64|is empty"):
        decoded(text, "png", most_bytes=MOST)


def test_base64_with_line_breaks_is_read() -> None:
    assert decoded(f"{PNG[:4]}\r\n{PNG[4:]}\n", "png", most_bytes=MOST).startswith(b"\x89PNG")


@example("AA-_")
@example("AAAA====")
@example("QR==")
@example("QQ==QQ==")
@example("\ud800AAA")
@example("\u00e9AAA")
@settings(deadline=None, max_examples=300)
@given(st.text("AQRZaz09+/-_= \n\x00é", max_size=12))
def test_base64_is_read_as_the_standard_library_reads_it_strictly(text: str) -> None:
    try:
        wanted = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        with pytest.raises(FormatError, match="x is no base64 text"):
            from_base64(text, "x")
    else:
        assert from_base64(text, "x") == wanted


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_come_back_from_base64(data: bytes) -> None:
    assert from_base64(base64.b64encode(data).decode(), "x") == data


def test_too_large_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(FormatError, match="at most 10 bytes"):
        decoded("A" * 1_000_000, "png", most_bytes=10)
    with pytest.raises(FormatError, match="holds 12 bytes; at most 10"):
        decoded("A" * 16, "png", most_bytes=10)


MATRIX = "\n".join(",".join(f"{20 + column / 10:.2f}" for column in range(32)) for _ in range(24)).encode()
SAMPLES = {
    "jpg": b"\xff\xd8\xff\xe0rest",
    "png": b"\x89PNG\r\n\x1a\nrest",
    "bmp": b"BMrest",
    "gif": b"GIF89arest",
    "webp": b"RIFF\0\0\0\0WEBPrest",
    "tif": b"II*\0rest",
    "csv": MATRIX,
}
SAME = {"jpeg": "jpg", "tiff": "tif", "txt": "csv"}


@pytest.mark.parametrize("said", list(IMAGE_TYPES))
@pytest.mark.parametrize("real", list(SAMPLES))
def test_content_must_be_of_the_type_that_is_said(said: str, real: str) -> None:
    text = base64.b64encode(SAMPLES[real]).decode()
    if SAME.get(said, said) == real:
        assert decoded(text, said, most_bytes=100_000) == SAMPLES[real]
    else:
        with pytest.raises(FormatError, match=f"not of the type {said}"):
            decoded(text, said, most_bytes=100_000)


@pytest.mark.parametrize(
    "data", [b"<html><script>alert(1)</script>", b"#!/bin/sh\nrm -rf /", b"hello, world", b"\0" * 100]
)
def test_text_that_is_no_matrix_is_no_picture(data: bytes) -> None:
    with pytest.raises(FormatError, match="not of the type csv"):
        decoded(base64.b64encode(data).decode(), "csv", most_bytes=MOST)


@pytest.mark.parametrize(("value", "forceful"), [(True, True), (False, False), ("True", True), ("false", False)])
def test_forceful(value: object, forceful: bool) -> None:
    assert make_model_of({"temple_id": "a", "forceful": value}).forceful is forceful


def test_forceful_may_be_left_out() -> None:
    assert make_model_of({"temple_id": "a"}).forceful is False


@pytest.mark.parametrize("value", [None, 1, 0, "yes", "", [], {}])
def test_forceful_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="forceful must be true or false"):
        make_model_of({"temple_id": "a", "forceful": value})


def test_common_has_no_model() -> None:
    with pytest.raises(UsageError, match="no model of its own"):
        make_model_of({"temple_id": "common", "forceful": True})


def predicted(**fields: object) -> Any:
    body = {"temple_id": "a", "image": PNG, "image_name": "x", "image_type": "png"} | fields
    return predict_of(body, most_bytes=MOST, most_images=4)


def test_one_picture_is_scalar_and_a_list_is_not() -> None:
    assert predicted().scalar
    found = predicted(image=[PNG], image_name=["y"], image_type=["png"])
    assert not found.scalar
    assert [picture.name for picture in found.pictures] == ["y.png"]


def test_one_type_may_be_for_all() -> None:
    found = predicted(image=[PNG, PNG], image_name=["y", "z"])
    assert [picture.name for picture in found.pictures] == ["y.png", "z.png"]


@pytest.mark.parametrize(
    "fields",
    [
        {"image": [PNG, PNG], "image_name": ["y"]},
        {"image": [PNG, PNG], "image_name": "y"},
        {"image": [PNG], "image_name": ["y"], "image_type": ["png", "png"]},
        {"image": [PNG], "image_name": ["y"], "image_type": None},
        {"image": []},
        {"image": [PNG] * 5, "image_name": ["y"] * 5},
        {"image": PNG, "image_name": ["y"]},
        {"image": {"a": PNG}},
    ],
)
def test_lists_that_do_not_belong_together_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        predicted(**fields)


def test_each_bad_picture_of_a_list_is_named() -> None:
    with pytest.raises(RefusedError) as caught:
        predicted(image=[PNG, "%%", PNG, 7], image_name=["a", "b", "../c", "d"])
    assert caught.value.reasons == (
        r"image 2: the name of the image (image_name) must not hold any of / \ < > : \" | ? *".replace('\\"', '"'),
        "image 3: image must be text, not a number",
    )


def test_the_base64_of_a_list_waits_for_its_turn() -> None:
    first, second = predicted(image=[PNG, "%%"], image_name=["a", "b"]).pictures
    assert first.data() == base64.b64decode(PNG)
    with pytest.raises(FormatError, match="image is no base64 text"):
        second.data()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, JSON)))
def test_any_json_is_read_or_refused(body: object) -> None:
    for read in (
        lambda: save_data_of(body, most_bytes=MOST),
        lambda: make_model_of(body),
        lambda: predict_of(body, most_bytes=MOST, most_images=4),
    ):
        try:
            read()
        except IsothermError:
            continue
