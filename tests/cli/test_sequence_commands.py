"""`isotherm sequence ...` from outside: simulate, map, curve, data set, and what goes wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli.main import main

SMALL = ["--size", "40,50", "--frames", "60"]


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plates") / "plate.npz"
    hole = ["--hole", "12,10,8,0.8"]
    assert main(["sequence", "simulate", "-o", str(path), *SMALL, *hole, "--netd-mk", "5"]) == 0
    return path


def test_a_simulated_recording_holds_its_truth(plate: Path) -> None:
    with np.load(plate) as found:
        assert found["counts"].shape == (70, 40, 50)
        assert set(np.unique(found["mask"])) == {0, 255}
        assert np.nanmin(found["depth_mm"]) == np.float32(0.8)


def test_maps_show_the_hole_and_are_written_as_numbers_and_pictures(
    plate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "maps"
    assert main(["sequence", "maps", str(plate), "-o", str(out), "--methods", "pct,ppt", "--ppt-bins", "2"]) == 0
    assert "the mean of the frames 0 to 9 was subtracted" in capsys.readouterr().out
    about = json.loads((out / "maps.json").read_text(encoding="utf-8"))
    names = [item["name"] for method in about["methods"] for item in method["maps"]]
    with np.load(out / "maps.npz") as maps, np.load(plate) as truth:
        assert set(names) <= set(maps.files)
        phase, hole = maps["ppt_phase_1"], truth["mask"] > 0
        apart = abs(phase[hole].mean() - phase[~hole].mean()) / phase[~hole].std()
        assert apart > 2
    assert {path.name for path in out.iterdir()} >= {"pct.png", "ppt.png", "pct_1.tiff", "ppt_phase_1.tiff"}


def test_curves_as_a_table_and_as_a_picture(plate: Path, tmp_path: Path) -> None:
    table, picture = tmp_path / "curves.csv", tmp_path / "curves.png"
    places = ["--at", "24,20", "--at", "5,5"]
    assert main(["sequence", "curve", str(plate), *places, "-o", str(table), "--cooling"]) == 0
    assert main(["sequence", "curve", str(plate), *places, "-o", str(picture), "--log"]) == 0
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["time_s", "at 24, 20 [K]", "at 5, 5 [K]"]
    times, hole, sound = np.array(rows[1:], dtype=float).T
    assert times[0] > 0
    assert hole[-20:].mean() > sound[-20:].mean() + 0.1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_data_set_has_its_tables(tmp_path: Path) -> None:
    out = tmp_path / "set"
    flags = ["--height-px", "32", "--width-px", "40", "--frames", "20", "--low-defects", "1", "--high-defects", "2"]
    assert main(["sequence", "dataset", "-o", str(out), "--plates", "2", "--workers", "1", *flags]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "defects.csv", "plate_0001.npz", "plate_0002.npz", "plates.csv",
    ]  # fmt: skip


def test_broad_plates_have_their_own_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--height-px", "32", "--width-px", "40", "--low-frames", "20", "--high-frames", "20"]
    command = ["sequence", "dataset", "-o", str(tmp_path / "set"), "--plates", "2", "--workers", "1"]
    assert main([*command, "--bro", "--materials", "pvc, gfrp", *small]) == 0
    with (tmp_path / "set" / "plates.csv").open() as stream:
        assert {row["material"] for row in csv.DictReader(stream)} <= {"pvc", "gfrp"}
    assert main([*command, "--broad", "--materials", "pvc,cheese"]) == 2
    assert "unknown material 'cheese'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["maps", "PLATE", "-o", "OUT", "--methods", "pca"], 2, "unknown map method 'pca'"),
        (["maps", "PLATE", "-o", "OUT", "--methods", ","], 2, "no method asked for"),
        (["maps", "PLATE", "-o", "OUT", "--crop", "0,0,500,500", "--methods", "pct"], 1, "500"),
        (["maps", "PLATE", "-o", "OUT", "--window", "1", "--methods", "pct"], 2, "--window is T0,T1"),
        (["maps", "PLATE", "-o", "OUT", "--heated", "x", "--methods", "pct"], 2, "--heated is FIRST"),
        (["maps", "NONE", "-o", "OUT"], 1, "nothing.npz"),
        (["curve", "PLATE", "--at", "5", "-o", "c.csv"], 2, "a place is X,Y"),
        (["curve", "PLATE", "--at", "500,5", "-o", "c.csv"], 1, "500"),
        (["curve", "PLATE", "--at", "5,5", "-o", "c.txt"], 2, "must end with .png or .csv"),
        (["simulate", "-o", "x.npz", "--hole", "1,2"], 2, "--hole is X,Y,D,Z"),
        (["simulate", "-o", "x.npz", "--layers", "cheese:3"], 2, "unknown material 'cheese'"),
        (["simulate", "-o", "x.npz", "--hole", "20,20,5,9"], 2, "hole"),
    ],
)
def test_wrong_requests_say_what_would_be_right(
    arguments: list[str], status: int, said: str, plate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"PLATE": str(plate), "OUT": str(tmp_path / "out"), "NONE": str(tmp_path / "nothing.npz")}
    assert main(["sequence", *(places.get(item, item) for item in arguments)]) == status
    assert said in capsys.readouterr().err


def test_a_group_alone_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["sequence", "--help"])
    assert stopped.value.code == 0
    assert "maps" in capsys.readouterr().out
    assert main(["sequence", "map"]) == 2
    assert "did you mean 'sequence maps'" in capsys.readouterr().err


def test_segment_finds_the_hole_and_tells_its_size(
    plate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    assert main(["sequence", "segment", str(plate), "-o", str(out), "--pixel-mm", "0.5"]) == 0
    assert "1 defect\n" in capsys.readouterr().out
    (row,) = csv.DictReader((out / "defects.csv").read_text(encoding="utf-8").splitlines())
    assert float(row["diameter_mm"]) == pytest.approx(8, rel=0.6)
    with np.load(plate) as truth, np.load(out / "maps.npz") as found:
        hole = truth["mask"] > 0
        assert found["mask"][hole].mean() > 0.9
        assert found["mask"][~hole].mean() < 0.25
    assert {path.name for path in out.iterdir()} == {
        "defects.csv", "defects.json", "defects.png", "mask.png", "maps.npz",
    }  # fmt: skip
    assert json.loads((out / "defects.json").read_text(encoding="utf-8"))["defects"][0]["outline"]


def test_a_sound_plate_has_no_defect(tmp_path: Path) -> None:
    path, out = tmp_path / "sound.npz", tmp_path / "out"
    assert main(["sequence", "simulate", "-o", str(path), *SMALL, "--layers", "pvc:4"]) == 0
    assert main(["sequence", "segment", str(path), "-o", str(out)]) == 0
    assert (out / "defects.csv").read_text(encoding="utf-8").splitlines()[1:] == []
