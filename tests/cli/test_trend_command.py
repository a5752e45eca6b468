"""``isotherm trend``: from files to alarms, tables and drawings."""

from __future__ import annotations

import csv
import json
import weakref
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli.main import main
from isotherm.core.thermogram import Thermogram
from isotherm.workflows import trend
from thermal_files import FlirFile

START_S, MONTH_S = 1_600_000_000, 30 * 86_400


def motor(hot: int, month: int) -> bytes:
    y, x = np.mgrid[:96, :128]
    counts = 17000 + 60 * ((x // 16 + y // 16) % 2) + np.random.default_rng(month).normal(0, 4, x.shape)
    counts = counts + hot * (np.hypot(x - 64, y - 24) < 6)
    return FlirFile(counts=counts.astype(np.uint16), seconds=START_S + month * MONTH_S).jpeg()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return three pictures of one view; the third is hotter."""
    paths = [tmp_path / f"motor7_{number}.jpg" for number in range(3)]
    for number, (path, hot) in enumerate(zip(paths, (1500, 1520, 3500), strict=True)):
        path.write_bytes(motor(hot, 3 * number))
    return paths


def test_a_rise_is_an_alarm(files: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["trend", *map(str, reversed(files)), "-o", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert [line.split()[2] for line in lines[:3]] == [f"motor7_{number}.jpg:" for number in range(3)]
    assert "same view (translation" in lines[0]
    assert lines[2].endswith("the newest")
    assert "ALARM     max_c has risen beyond its uncertainty" in lines
    found = json.loads((tmp_path / "out" / "trend.json").read_text())
    assert "max_c" in found["alarms"]
    assert found["series"][0]["samples"][0]["at"].startswith("2020-09-13")
    with (tmp_path / "out" / "trend.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == [path.name for path in files]
    assert (tmp_path / "out" / "max_c.svg").read_text().startswith("<svg")


def test_of_another_view_there_is_a_caution(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(5).normal(17000, 900, (96, 128)).astype(np.uint16)
    files[0].write_bytes(FlirFile(counts=noise, seconds=START_S).jpeg())
    assert main(["trend", str(files[0]), str(files[2])]) == 0
    told = capsys.readouterr().out
    assert "motor7_0.jpg: max" in told
    assert "caution   1 not in the view of the newest picture: their hottest point may be of another thing" in told
    assert told.count("max_c ") == told.count(" since ") - told.count("delta_t_k ") == 1, "one change, told once"


def test_of_pictures_that_are_read_only_their_views_are_kept(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, most, own = list[weakref.ref[np.ndarray]](), 0, trend.known_values

    def values_of(thermogram: Thermogram) -> np.ndarray:
        nonlocal most
        values = own(thermogram).copy()
        made.append(weakref.ref(values))
        most = max(most, sum(one() is not None for one in made))
        return values

    monkeypatch.setattr(trend, "known_values", values_of)
    paths = [files[0].with_name(f"more_{number}.jpg") for number in range(12)]
    for path in paths:
        path.write_bytes(files[0].read_bytes())
    found = trend.file_trend(paths)
    assert len(found.views) == 11
    assert len(made) == 12
    assert most <= 2, "the one in hand, and the one before"


def test_loads_are_taken_by_the_files_names(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trend", *map(str, files[:2]), "--load", "motor7_0.jpg=50", "--load", "motor7_1.jpg=30"]) == 0
    told = capsys.readouterr().out
    assert "load 50 %, at the rated load" in told
    assert "no alarm" in told


def test_files_of_one_name_are_told_apart_by_their_folders(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / year for year in ("2020", "2021")]
    for folder, file in zip(folders, files, strict=False):
        folder.mkdir()
        file.rename(folder / "motor7.jpg")
    assert main(["trend", *map(str, folders), "--load", f"{folders[0]}/motor7.jpg=50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[:2]] == [f"{folder}/motor7.jpg:" for folder in folders]
    assert ["load 50 %" in line for line in lines[:2]] == [True, False]
    assert main(["trend", *map(str, folders), "--load", "motor7.jpg=50"]) == 2
    assert "names 2 files; write the path" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("load", "message"),
    [("motor7_0.jpg", "NAME=PERCENT"), ("motor7_0.jpg=-3", "NAME=PERCENT"), ("pump.jpg=50", "names no file")],
)
def test_loads_that_cannot_be_right_are_refused(
    files: list[Path], capsys: pytest.CaptureFixture[str], load: str, message: str
) -> None:
    assert main(["trend", str(files[0]), "--load", load]) == 2
    assert message in capsys.readouterr().err


def test_a_file_without_a_time_or_a_picture_stops_nothing(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "plain.csv").write_text("\n".join(["20,21,22"] * 3))
    assert main(["trend", *map(str, files), str(tmp_path / "broken.jpg"), str(tmp_path / "plain.csv")]) == 3
    errors = capsys.readouterr().err
    assert "broken.jpg: " in errors
    assert "plain.csv: the file does not say when it was taken" in errors
    assert main(["trend", str(tmp_path / "plain.csv")]) == 1
    assert "no picture could be used" in capsys.readouterr().err


def test_an_output_that_is_called_like_a_file_is_refused(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trend", str(files[0]), "-o", "trend.csv"]) == 2
    assert "-o is a folder here" in capsys.readouterr().err
