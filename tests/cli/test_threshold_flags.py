"""How ``isotherm train`` is told to choose its threshold, and what it promises."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli.main import main
from isotherm.workflows.models import load_model


def write_scenes(folder: Path, count: int, rise_c: float, seed: int) -> None:
    """Write warm waves, with a hot square of so many degrees where something is wrong."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for place in range(count):
        values = 25 + np.add.outer(np.sin(np.arange(40) / 4), np.cos(np.arange(40) / 5)) + rng.normal(0, 0.1, (40, 40))
        values[10:22, 10:22] += rise_c
        np.save(folder / f"{place}.npy", values.astype(np.float32))


@pytest.fixture
def shed(tmp_path: Path) -> Path:
    write_scenes(tmp_path / "shed", 6, 0.0, 0)
    write_scenes(tmp_path / "labelled" / "normal", 4, 0.0, 1)
    write_scenes(tmp_path / "labelled" / "faulty", 3, 6.0, 2)
    return tmp_path


def train(shed: Path, *more: str) -> int:
    argv = ["train", str(shed / "shed"), "-o", str(shed / "m"), "--method", "padim", "--image-size", "64"]
    return main([*argv, "--dimensions", "20", *more])


def test_a_percentile_says_how_many_false_alarms_to_expect(shed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(shed) == 0
    text = capsys.readouterr().out
    # The largest of six: 1 in 7.
    assert re.search(r"promise +false alarms on 14\.3 % of normal images \(95 % interval 0\.421 % to 45\.9 %\)", text)


def test_a_budget_that_cannot_be_promised_says_so(shed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(shed, "--threshold", "budget", "--false-alarms", "0.01") == 0
    assert "6 held-out images are too few to promise at most 1 % false alarms" in capsys.readouterr().out
    assert load_model(shed / "m").calibration.rule == "budget"
    assert train(shed, "--threshold", "budget", "--false-alarms", "0.45", "--confidence", "0.9") == 0
    assert "at most 45 % false alarms with 90 % confidence: the highest score of 6" in capsys.readouterr().out


def test_labelled_images_choose_it_by_f1_or_by_cost(shed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_labels = ["--threshold", "labels", "--labelled", str(shed / "labelled")]
    assert train(shed, *by_labels) == 0
    text = capsys.readouterr().out
    assert "highest F1 on 4 normal and 3 faulty labelled images" in text
    assert "0 of 3 faulty missed, 0 of 4 normal called, on the images the threshold was chosen on: no promise" in text
    assert load_model(shed / "m").manifest["data"]["labelled"]["anomalous"] == 3
    assert train(shed, *by_labels, "--cost-miss", "20", "--prevalence", "0.02") == 0
    assert "least cost (a miss 20, a false alarm 1, 2 % faults)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "status", "reason"),
    [
        (["--threshold", "labels"], 2, "needs labelled images: name their folder (--labelled DIR)"),
        (["--labelled", "LABELLED"], 2, "not for 'percentile'"),
        (["--labelled-masks", "LABELLED"], 2, "--labelled-masks needs --labelled"),
        (["--cost-miss", "3"], 2, "give --threshold labels --labelled DIR too"),
        (["--threshold", "budget", "--false-alarms", "0"], 2, "--false-alarms must be at least 1e-05"),
        (["--threshold", "labels", "--labelled", "absent"], 1, "absent: no such folder"),
        (["--threshold", "labels", "--labelled", "LABELLED", "--cost-miss", "-1"], 2, "--cost-miss must be at least 0"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    shed: Path, capsys: pytest.CaptureFixture[str], flags: list[str], status: int, reason: str
) -> None:
    assert train(shed, *(flag.replace("LABELLED", str(shed / "labelled")) for flag in flags)) == status
    captured = capsys.readouterr()
    assert reason in captured.err
    assert "reading" not in captured.err
    assert not (shed / "m").exists()
