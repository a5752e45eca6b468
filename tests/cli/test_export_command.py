"""``isotherm export`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli.main import main


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    (root / "shed").mkdir()
    rng = np.random.default_rng(0)
    for place in range(5):
        values = 25 + np.add.outer(np.sin(np.arange(40) / 4), np.cos(np.arange(48) / 5)) + rng.normal(0, 0.1, (40, 48))
        np.save(root / "shed" / f"{place}.npy", values.astype(np.float32))
    words = ["train", str(root / "shed"), "-o", str(root / "m"), "--method", "padim", "--image-size", "64"]
    assert main([*words, "--dimensions", "20"]) == 0
    return root / "m"


def test_export(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = str(model.parent / "shed")
    assert main(["export", str(model), "-o", str(tmp_path / "out"), "--to", "onnx", "--images", images]) == 0
    output = capsys.readouterr().out
    assert "padim as onnx, f32" in output
    assert "N x 1 x 64 x 64" in output
    assert "on 5 images" in output
    assert "labels flipped: 0" in output
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["source"] == images


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["--precision", "bf16"], 2, "not in bfloat16"),
        (["--precision", "int8"], 2, "needs --calibration"),
        (["--to", "tflite"], 2, "invalid choice: 'tflite'"),
        (["--to", "openvino", "--precision", "bf16", "--max-difference", "0"], 1, "parity-failed"),
        (["--images", "nowhere"], 1, "nowhere: no such"),
    ],
)
def test_what_cannot_be_done(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, reason: str
) -> None:
    try:
        found: object = main(["export", str(model), "-o", str(tmp_path / "out"), *words])
    except SystemExit as left:
        found = left.code
    assert found == status
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
