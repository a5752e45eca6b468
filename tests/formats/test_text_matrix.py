"""Frames of small sensors as text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import isotherm
from isotherm.core.errors import FormatError
from isotherm.formats import FORMATS, ReadHints, read_bytes

FRAME = (np.arange(768) / 40 + 18).round(2)


def line(numbers: np.ndarray, separator: str = ",") -> str:
    return separator.join(f"{number:.2f}" for number in numbers)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(line(FRAME), id="one line"),
        pytest.param(line(FRAME) + ",\n", id="a comma at the end"),
        pytest.param(line(FRAME, " "), id="blanks"),
        pytest.param(line(FRAME, ";").replace(".", ","), id="decimal commas"),
        pytest.param("\n".join(f"{number:.2f}" for number in FRAME), id="one number a line"),
        pytest.param("Frame 1: " + line(FRAME), id="a label"),
        pytest.param("2024-05-06 07:08:09.5, " + line(FRAME), id="a time"),
        pytest.param("12345," + line(FRAME), id="a count of milliseconds"),
        pytest.param("starting ...\nMLX90640 found\n" + line(FRAME) + "\ndone\n", id="words of the board"),
        pytest.param(json.dumps(FRAME.tolist()), id="JSON, flat"),
        pytest.param(json.dumps(FRAME.reshape(24, 32).tolist()), id="JSON, rows"),
        pytest.param(json.dumps([FRAME.reshape(24, 32).tolist()], indent=1), id="JSON, one frame in a list"),
        pytest.param(np.array2string(FRAME.reshape(24, 32), threshold=10_000), id="NumPy's print"),
    ],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-16"])
def test_ways_of_writing_a_frame(text: str, coding: str) -> None:
    found = read_bytes(text.encode(coding))
    assert found.format == "text"
    np.testing.assert_array_equal(found.counts, FRAME.reshape(24, 32))
    np.testing.assert_allclose(found.celsius(), FRAME.reshape(24, 32), atol=1e-4)


@pytest.mark.parametrize(("size", "shape"), [(64, (8, 8)), (192, (12, 16)), (4800, (60, 80)), (19200, (120, 160))])
def test_sensors_are_told_by_the_count(size: int, shape: tuple[int, int]) -> None:
    numbers = np.random.default_rng(0).uniform(10, 90, size).round(2)
    found = read_bytes(line(numbers).encode())
    assert (found.size, found.format) == (shape, "text")
    assert f"{size} numbers taken as {shape[0]} rows of {shape[1]}" in found.notes[0]


@pytest.mark.parametrize("bracketed", [False, True])
def test_a_log_is_frames(bracketed: bool) -> None:
    frames = np.stack([FRAME + index for index in range(5)]).round(2)
    text = json.dumps(frames.tolist()) if bracketed else "\n".join(line(frame) for frame in frames)
    found = read_bytes(text.encode(), ReadHints(frame=-1))
    np.testing.assert_array_equal(found.counts, frames[4].reshape(24, 32))
    assert found.notes[-1] == "frame 4 of 5 is read, counted from 0 (choose with --frame)"
    with pytest.raises(FormatError, match="no frame 5; the sequence has 5"):
        read_bytes(text.encode(), ReadHints(frame=5))


def test_frames_of_rows_in_brackets() -> None:
    frames = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(
        read_bytes(json.dumps(frames.tolist()).encode(), ReadHints(frame=1)).counts, frames[1]
    )


def test_a_matrix_that_is_as_wide_as_a_sensor_has_pixels_is_a_picture() -> None:
    rows = "\n".join(line(np.full(768, 20.5)) for _ in range(576))
    found = read_bytes(rows.encode())
    assert (found.format, found.size) == ("csv", (576, 768))


def test_the_unit_is_named_or_hinted() -> None:
    assert read_bytes(("in °F: " + line(FRAME)).encode()).celsius()[0, 0] == pytest.approx((18 - 32) / 1.8, abs=1e-4)
    assert read_bytes(line(FRAME + 273).encode(), ReadHints(unit="k")).kelvin()[0, 0] == pytest.approx(291, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1, 2, 3]", "3 numbers in a list; frames have 64 "),
        ("[[1, 2], [3]]", "lists of 1, 2 numbers; equal ones are needed"),
        ("[[[1, 2], [3, 4]], [[5, 6]]]", "3 rows in 2 frames"),
        (line(FRAME) + "\n" + line(FRAME[:64]), "line 2 has 64 numbers; the frames above have 768"),
        ("[1, 2" + " " * 5000 + "x]", "something else than numbers"),
        ("\n".join(["20.5"] * 70), "70 numbers in a list"),
    ],
)
def test_what_is_no_frame_says_why(text: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        read_bytes(text.encode())


@pytest.mark.parametrize("data", [b'["a"]', b"[", b"[]", b"words", b"1,2\n3,4", b"\x00[1]", b" " * 300_000])
def test_other_text_is_left_to_others(data: bytes) -> None:
    assert not FORMATS.get("text").recognises(data)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), height=st.integers(2, 12), width=st.integers(1, 12))
def test_any_bracketed_matrix_survives(seed: int, height: int, width: int) -> None:
    numbers = np.random.default_rng(seed).uniform(-40, 140, (height, width))
    np.testing.assert_array_equal(read_bytes(json.dumps(numbers.tolist()).encode()).counts, numbers)


@pytest.mark.real_data
def test_hands(data: Path) -> None:
    paths = sorted((data / "hands_mlx90640").rglob("out*.txt"))
    assert len(paths) == 160
    for path in paths[::16]:
        found = isotherm.read(path)
        expected = np.array(path.read_text().strip().strip(",").split(","), dtype=float).reshape(24, 32)
        np.testing.assert_array_equal(found.counts, expected)
        assert found.format == "text"
