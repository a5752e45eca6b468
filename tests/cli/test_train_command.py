"""``isotherm train`` as a user types it, and the progress bars."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from isotherm.cli.main import main
from isotherm.cli.progress import bar, stage_of
from isotherm.workflows.models import load_model


@pytest.fixture
def shed(tmp_path: Path) -> Path:
    folder = tmp_path / "shed"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for place in range(4):
        values = 25 + np.add.outer(np.sin(np.arange(30) / 4), np.cos(np.arange(40) / 5)) + rng.normal(0, 0.1, (30, 40))
        tifffile.imwrite(folder / f"IR_{place}.tif", values.astype(np.float32))
    return folder


def words(shed: Path, out: Path, *more: str) -> list[str]:
    return ["train", str(shed), "-o", str(out), "--method", "padim", "--image-size", "64", "--dimensions", "20", *more]


def test_train(shed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(shed, tmp_path / "m", "--seed", "3", "--threshold-percentile", "95")) == 0
    output = capsys.readouterr()
    assert "padim, learnt from 4 of 4 images" in output.out
    assert "°C, 64 x 64 px" in output.out
    assert "95th percentile" in output.out
    assert "reading: 4/4" in output.err
    model = load_model(tmp_path / "m")
    assert model.manifest["settings"]["seed"] == 3
    assert model.calibration.percentile == 95


def test_files_that_are_left_out_are_said(shed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shed / "broken.tif").write_bytes(b"II*\0rubbish")
    assert main(words(shed, tmp_path / "m")) == 3
    assert "skipped broken.tif: " in capsys.readouterr().err
    assert len(load_model(tmp_path / "m").manifest["data"]["skipped"]) == 1


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (["--method", "pdim"], 2, "unknown anomaly method 'pdim' (did you mean 'padim'?)"),
        (["--image-size", "100"], 2, "--image-size must be a multiple of 32"),
        (["--dimensions", "1000"], 2, "dimensions must be at most 176"),
        (["--holdout", "0.9"], 2, "holdout must be at most 0.5"),
        (["-o", "SHED"], 1, "not part of a model"),
        (["-o", "SHED/IR_0.tif"], 1, "is not a folder"),
    ],
)
def test_one_line_says_what_is_wrong(
    shed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], status: int, reason: str
) -> None:
    given = [word.replace("SHED", str(shed)) for word in change]
    assert main([*words(shed, tmp_path / "m"), *given]) == status
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("isotherm: ")
    assert reason in error
    assert len(list(shed.iterdir())) == 4


def test_the_flags_are_those_of_the_chosen_method(capsys: pytest.CaptureFixture[str]) -> None:
    for method, flag in (("patchcore", "--coreset-ratio"), ("padim", "--dimensions")):
        with pytest.raises(SystemExit) as caught:
            main(["train", "--help", "--method", method])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        assert flag in text
        assert "--emissivity" in text
    assert "--coreset-ratio" not in text


def test_from_outside_it_prints_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "isotherm", "train", str(tmp_path / "empty"), "-o", str(tmp_path / "m")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"isotherm: {tmp_path / 'empty'}: the folder holds no file"]


def test_stages() -> None:
    assert stage_of("epoch loss 0.01 best 0.02") == "epoch loss"
    assert stage_of("fold 2/5: coreset") == "fold 2/5: coreset"
    assert stage_of("reading") == "reading"
    assert stage_of("") == ""


def work() -> None:
    with bar() as progress:
        for done in range(1, 4):
            progress(done, 3, "reading")
        for done in range(1, 3):
            progress(done, 2, f"epoch loss {0.5 / done}")
        progress(1, 2, "epoch loss 0.4")


def test_a_log_file_gets_one_line_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    work()
    assert capsys.readouterr().err.splitlines() == ["reading: 3/3", "epoch loss 0.25: 2/2", "epoch loss 0.4: 1/2"]


def test_a_terminal_gets_bars(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    work()
    text = capsys.readouterr().err
    assert "reading: 100%" in text
    assert "epoch loss 0.25: 100%" in text
    assert text.count("2/2") >= 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--span", "image"], "span      of each image itself"),
        (
            ["--span", "site", "--channels", "local"],
            "span      of each site (north, south), of the image itself elsewhere",
        ),
    ],
)
def test_the_choice_of_inputs_is_said_and_stored(
    flags: list[str], said: str, shed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, file in enumerate(sorted(shed.iterdir())):
        (shed / ("north", "south")[place % 2]).mkdir(exist_ok=True)
        file.rename(shed / ("north", "south")[place % 2] / file.name)
    assert main(words(shed, tmp_path / "m", *flags)) == 0
    assert said in capsys.readouterr().out
    inputs = load_model(tmp_path / "m").inputs
    assert [inputs.span, inputs.channels] == [flags[1], "local" if "local" in flags else "grey"]
    assert set(inputs.sites) == ({"north", "south"} if "site" in flags else set())
    assert main(["inspect", str(shed), "--model", str(tmp_path / "m"), "-o", str(tmp_path / "out"), "--no-panels"]) == 0
    assert main(["export", str(tmp_path / "m"), "-o", str(tmp_path / "graph")]) == 2
    assert "cannot be exported: how its inputs are prepared is not part of the graph" in capsys.readouterr().err
