"""What the per-site API writes for others to read: the files of a model, and the logs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from isotherm.workflows.compat.logs import ERROR_LOG, LOG, Logs
from isotherm.workflows.compat.weights import ARCHITECTURE, EXTRA, WEIGHTS, files_of
from onnx_models import blurring


def test_network_becomes_architecture_and_datasets() -> None:
    facts = {"method": "small_cnn", "labels": ["b", "a"], "input_shape": [12, 16, 3]}
    files = files_of({}, blurring(3), facts)
    assert list(files) == [ARCHITECTURE, WEIGHTS, EXTRA]
    with h5py.File(io.BytesIO(files[WEIGHTS])) as weights:
        assert weights["w"].shape == (1, 3, 3, 3)
        np.testing.assert_array_equal(weights["w"][:], np.full((1, 3, 3, 3), 1 / 27, np.float32))
    architecture = json.loads(files[ARCHITECTURE])
    assert "Convolution" in [layer["type"] for layer in architecture["layers"]]
    assert architecture["weights"]["w"] == {"shape": [1, 3, 3, 3], "dtype": "float32"}
    assert json.loads(files[EXTRA]) == facts


def test_arrays_become_datasets_and_the_same_model_the_same_bytes() -> None:
    arrays = {"coefficients": np.arange(6.0).reshape(2, 3), "intercept": np.array([1.0, 2.0])}
    first, again = (files_of(arrays, b"", {"method": "logistic"}) for _ in range(2))
    assert first == again
    with h5py.File(io.BytesIO(first[WEIGHTS])) as weights:
        np.testing.assert_array_equal(weights["coefficients"][:], arrays["coefficients"])


def test_status_log_has_all_probabilities_in_one_line(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    facts = {"image_name": 'a\nb 2020-01-01 forged "entry"', "probabilities": {"hot": 0.25, "cold": 0.75}}
    logs.status("predict", facts)
    (line,) = (tmp_path / LOG).read_text().splitlines()
    found = json.loads(line[line.index("{") :])
    assert found["probabilities"] == {"hot": 0.25, "cold": 0.75}


def test_error_log_has_the_traceback_and_nothing_begins_a_line_that_should_not(tmp_path: Path) -> None:
    both = Logs(tmp_path)
    try:
        raise ValueError("first\n2020-01-01 00:00:00 forged \ud800 entry")
    except ValueError as error:
        both.error("predict", error, {"temple_id": "x\ny"})
    head, *rest = (tmp_path / ERROR_LOG).read_text().splitlines()
    assert "predict" in head
    assert rest[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize("name", [LOG, ERROR_LOG])
def test_logs_are_made_when_they_are_needed(tmp_path: Path, name: str) -> None:
    Logs(tmp_path)
    assert not (tmp_path / name).exists()
