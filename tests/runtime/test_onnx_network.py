"""ONNX models on pictures of any size, and what is no model."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ModelError
from isotherm.runtime.onnx_network import OnnxNetwork
from isotherm.runtime.windows import Windows, starts
from onnx_models import blurring


def test_a_large_picture_in_windows_is_the_same_as_at_once() -> None:
    values = np.random.default_rng(0).normal(size=(2, 150, 97)).astype(np.float32)
    whole = OnnxNetwork(blurring(), channels=2, multiple=1).run(values)
    parts = OnnxNetwork(blurring(), channels=2, multiple=1, window_px=64).run(values)
    assert whole.shape == parts.shape == (150, 97)
    # At the rim of a window the blur sees zeros; the weights are small there.
    assert np.abs(whole - parts).max() < 0.05
    assert np.median(np.abs(whole - parts)) < 1e-6


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3, 8]), st.integers(8, 40))
def test_windows_give_back_what_they_were_given(height: int, width: int, multiple: int, side: int) -> None:
    values = np.random.default_rng(height).normal(size=(2, height, width)).astype(np.float32)
    seen = []

    def compute(part: np.ndarray) -> np.ndarray:
        seen.append(part.shape[1:])
        return part[1]

    np.testing.assert_allclose(Windows(multiple, side).run(values, compute), values[1], atol=1e-5)
    assert all(length % multiple == 0 and length <= max(side, multiple) for size in seen for length in size)


@given(st.integers(1, 500), st.integers(4, 100))
def test_windows_cover_all_and_overlap(length: int, window: int) -> None:
    found = starts(length, window)
    assert found[0] == 0
    assert found[-1] == max(0, length - window)
    assert all(0 < after - before <= window * 3 / 4 + 1 for before, after in pairwise(found))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda _: b"", "cannot be used"),
        (lambda _: b"not an onnx file", "cannot be used"),
        (lambda _: blurring(3), "not 2 maps of a picture to one"),
        (lambda _: blurring(ranks=3), "the network"),
        (lambda data: data + b"\x0a\x08location", "weights in other files"),
        (lambda data: data[: len(data) // 2], "cannot be used"),
        (lambda data: data.replace(b"mean", b"m\xffan", 1), "the network"),
    ],
)
def test_what_is_no_such_network_is_said_in_one_line(changed: Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(ModelError) as caught:
        OnnxNetwork(changed(blurring()), channels=2, multiple=1).run(np.zeros((2, 8, 8), np.float32))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_of_another_answer_is_refused() -> None:
    with pytest.raises(ModelError, match="gave the shape"):
        OnnxNetwork(blurring(out=3), channels=2, multiple=1).run(np.zeros((2, 8, 8), np.float32))


def test_windows_smaller_than_their_multiple() -> None:
    with pytest.raises(ModelError, match="cannot be multiples of 16"):
        OnnxNetwork(blurring(), channels=2, multiple=16, window_px=8)
