"""`isotherm sequence evaluate` from outside: methods into one table, and what goes wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from isotherm.cli.main import main

QUICK = ["--resamples", "20", "--maps-preset", "pct4"]


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged") / "plates"
    size = ["--height-px", "32", "--width-px", "40", "--frames", "30", "--low-defects", "1", "--high-defects", "2"]
    assert main(["sequence", "dataset", "-o", str(folder), "--plates", "2", "--workers", "1", *size]) == 0
    return folder


def test_several_methods_in_one_table_with_their_own_flags(
    plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "judged"
    methods = ["--methods", "mahalanobis,grow", "--mahalanobis-limit", "4", "--grow-seed-limit", "5"]
    assert main(["sequence", "evaluate", str(plates), "-o", str(out), *methods, "--baseline", "grow", *QUICK]) == 0
    said = capsys.readouterr().out
    assert "mahalanobis" in said
    assert "difference to the baseline" in said
    about = json.loads((out / "results.json").read_text(encoding="utf-8"))
    settings = {one["name"]: one["settings"] for one in about["methods"]}
    assert settings["mahalanobis"]["limit"] == 4
    assert settings["grow"]["seed_limit"] == 5
    assert settings["grow"]["features"]["preset"] == "pct4"
    with (out / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["method"] for row in csv.DictReader(stream)] == ["mahalanobis", "grow"]


def test_the_default_is_a_method_and_a_recording_without_labels_is_said(
    plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "plate_0001.npz").write_bytes((plates / "plate_0001.npz").read_bytes())
    simulate = ["sequence", "simulate", "-o", str(tmp_path / "plate.npz"), "--size", "20,30", "--frames", "30"]
    assert main([*simulate, "--hole", "6,5,4,0.8"]) == 0
    import numpy as np

    with np.load(tmp_path / "plate.npz") as stored:
        np.savez(data / "unlabelled.npz", counts=stored["counts"], times_s=stored["times_s"])
    assert main(["sequence", "evaluate", str(data), "-o", str(tmp_path / "out"), *QUICK]) == 0
    said = capsys.readouterr().out
    assert "mahalanobis" in said
    assert "unlabelled.npz: no labels beside it or in it" in said
    (data / "cut.npz").write_bytes((plates / "plate_0002.npz").read_bytes()[:20_000])
    assert main(["sequence", "evaluate", str(data), "-o", str(tmp_path / "out"), *QUICK]) == 3
    assert "cut.npz" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["DATA", "-o", "OUT", "--methods", "pca"], 2, "unknown segmentation method 'pca'"),
        (["DATA", "-o", "OUT", "--methods", "otsu,otsu"], 2, "two methods or models are called 'otsu'"),
        (["DATA", "-o", "OUT", "--baseline", "otsu"], 2, "the baseline 'otsu' is not among"),
        (["DATA", "-o", "OUT", "--models", "NONE"], 1, "nothing"),
        (["NONE", "-o", "OUT"], 1, "no such folder"),
        (["EMPTY", "-o", "OUT"], 1, "no labelled recording; expected"),
        (["DATA", "-o", "DATA"], 1, "name another folder"),
        (["DATA", "-o", "OUT", "--cover-percent", "300"], 2, "--cover-percent must be at most 100"),
        (["DATA", "-o", "OUT", "--crop", "0,0,900,900"], 1, "is not inside the frames"),
    ],
)
def test_wrong_requests_say_what_would_be_right(
    arguments: list[str], status: int, said: str, plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"DATA": str(plates), "OUT": str(tmp_path / "out"), "NONE": str(tmp_path / "nothing"),
              "EMPTY": str(tmp_path / "empty")}  # fmt: skip
    assert main(["sequence", "evaluate", *(places.get(item, item) for item in arguments), *QUICK]) == status
    assert said in capsys.readouterr().err
