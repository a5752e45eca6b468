"""``isotherm evaluate`` as a user types it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from isotherm.cli import evaluate as command
from isotherm.cli.main import main
from isotherm.core.registry import Registry, Row
from isotherm.workflows import evaluate as workflow

# The small method and scenes of the workflow's tests.
sys.path.append(str(Path(__file__).parents[1] / "workflows"))
from labelled_scenes import write_site


@pytest.fixture
def _small_method(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry("anomaly method", Row("patchcore", "mean_image_method:METHOD", "stands in for the default"))
    monkeypatch.setattr(workflow, "ANOMALY_METHODS", registry)
    monkeypatch.setattr(command, "ANOMALY_METHODS", registry)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    for site in "AB":
        write_site(tmp_path / "plant", site, normal=6, faulty=2)
    return tmp_path / "plant"


@pytest.mark.usefixtures("_small_method")
def test_the_table_shows_each_site_before_all(plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    argv = ["evaluate", str(plant), "-o", str(out), "--protocol", "leave-one-site-out", "--image-size", "64"]
    assert main([*argv, "--gain", "2", "--resamples", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["site", "normal", "anomalous", "AUROC"]
    assert [line.split()[0] for line in lines[1:4]] == ["A", "B", "all"]
    assert "1.000 [1.000 1.000]" in lines[1]
    assert any("fitted on these labels" in line for line in lines)
    assert lines[-1].endswith("metrics.json, scores.csv, error_analysis.png, decisions.png")
    assert (out / "metrics.json").is_file()


@pytest.mark.usefixtures("_small_method")
def test_one_site_has_one_line_and_failed_files_are_said(
    plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (plant / "A" / "faulty" / "bad.npy").write_bytes(b"nothing")
    argv = ["evaluate", str(plant / "A"), "-o", str(tmp_path / "out"), "--image-size", "64", "--resamples", "100"]
    assert main(argv) == 3
    text = capsys.readouterr().out
    assert "failed: faulty/bad.npy: " in text
    assert "\nall " not in text
    assert "AUPRO" not in text


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--method", "patchcor"], 2, "did you mean 'patchcore'"),
        (["--protocol", "sites"], 2, "invalid choice"),
        (["--model", "m", "--method", "patchcore"], 2, "not both"),
        (["--model", "absent"], 1, "there is no such folder"),
        (["--layout", "mvtec"], 1, "no pictures in the layout 'mvtec'; expected train/good"),
        (["--protocol", "kfold", "--folds", "99"], 1, "99 folds need at least as many groups"),
        (["--masks", "absent"], 1, "no such folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], status: int, message: str
) -> None:
    argv = ["evaluate", str(plant), "-o", str(tmp_path / "out"), *flags]
    try:
        found = main(argv)
    except SystemExit as stop:
        found = int(stop.code or 0)
    captured = capsys.readouterr()
    assert found == status
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not list(tmp_path.glob("out/*"))


def test_an_output_that_cannot_be_written_is_said_before_the_work(
    plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(command, "evaluate", lambda *_, **__: pytest.fail("it should not have begun"))
    assert main(["evaluate", str(plant), "-o", str(tmp_path / "file" / "out")]) == 1
    assert "cannot create the folder" in capsys.readouterr().err


def test_the_default_method_from_the_command_line(
    plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["evaluate", str(plant), "-o", str(tmp_path / "out"), "--protocol", "leave-one-site-out"]
    assert main([*argv, "--image-size", "64", "--resamples", "100"]) == 0
    text = capsys.readouterr().out
    assert "A     6       2" in text
    assert "all   12      4" in text
    assert "AUPRO" in text


@pytest.mark.usefixtures("_small_method")
def test_two_evaluations_are_compared(plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["evaluate", str(plant), "--protocol", "leave-one-site-out", "--image-size", "64", "--resamples", "100"]
    assert main([*argv, "-o", str(tmp_path / "one")]) == 0
    capsys.readouterr()
    assert main([*argv, "-o", str(tmp_path / "two"), "--gain", "3", "--compare", str(tmp_path / "one")]) == 0
    text = capsys.readouterr().out
    assert f"compared with {tmp_path / 'one'} on 12 normal and 4 anomalous images:" in text
    # A gain changes the unit alone.
    assert "AUROC  1.000  1.000  0.000 [0.000 0.000]" in text
    assert "DeLong test of the AUROCs: both models order every picture alike" in text
    assert "McNemar test of the decisions, all: both models decide alike on every picture" in text
    assert (tmp_path / "two" / "comparison.json").is_file()
    assert main([*argv, "-o", str(tmp_path / "three"), "--compare", str(tmp_path / "none")]) == 1
    assert "name the output folder of `isotherm evaluate`" in capsys.readouterr().err
    assert not (tmp_path / "three").exists()
