"""``isotherm info`` and ``isotherm formats``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli.info import text_of
from isotherm.cli.main import main
from isotherm.core.capture import Pose, VisualPhoto
from isotherm.core.shapes import Marked, Polygon, Spot
from isotherm.formats import read_bytes
from isotherm.runtime.bundle import write_bundle
from isotherm.workflows.info import describe
from isotherm.workflows.reading import Outcome
from thermal_files import FlirFile, encoded, exif_block


@pytest.fixture
def flir(tmp_path: Path) -> Path:
    path = tmp_path / "IR_1.jpg"
    path.write_bytes(FlirFile(gps=(49.0, 8.4, 120.0)).jpeg(exif=exif_block(maker="FLIR Systems AB")))
    return path


def test_text(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(flir)]) == 0
    text = capsys.readouterr().out
    for expected in (
        str(flir),
        "flir (planck), 16 x 12 px",
        "FLIR Systems AB Test T1, serial S-0815, lens L25, 25 deg",
        "2020-09-13T13:26:40.250+01:00",
        "49.000000, 8.400000, 120 m",
        "°C at (0, 0)",
        "°C at (15, 11)",
        "camera scale",
        "emissivity           0.95 (file)",
        "humidity_percent     50 % (file)",
        "reflected_c          20 °C (file)",
        "distance_m           1 m (file)",
    ):
        assert expected in text


def test_json(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(flir), "--json", "--emissivity", "0.8", "--humidity-percent", "30"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["status"], row["format"], row["width"], row["height"]) == ("ok", "flir", 16, 12)
    assert row["parameters"]["emissivity"] == {
        "value": 0.8,
        "unit": "1",
        "source": "user",
        "sigma": 0.02,
        "sigma_reason": "type B, value from user",
    }
    assert row["parameters"]["humidity_percent"]["value"] == 30
    assert row["parameters"]["distance_m"]["source"] == "file"
    found = row["temperatures"]
    assert found["min_c"] < found["mean_c"] < found["max_c"]
    assert (found["min_at"], found["max_at"], found["missing_px"]) == ([0, 0], [15, 11], 0)
    assert row["calibration"]["kind"] == "planck"
    assert len(row["sha256"]) == 64
    assert row["position"] == {"latitude_deg": 49.0, "longitude_deg": 8.4, "altitude_m": 120.0}


def test_a_camera_scale_that_moved_with_the_scene_says_so(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def line(*flags: str) -> str:
        assert main(["info", str(flir), *flags]) == 0
        return next(row for row in capsys.readouterr().out.splitlines() if "camera scale" in row)

    assert line().endswith(" °C")
    assert line("--emissivity", "0.5").endswith(" °C, in this changed scene: the camera itself showed other ends")
    assert main(["info", str(flir), "--json", "--emissivity", "0.5"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["camera_scale_edited"] is True


def test_how_sure_each_parameter_is_and_why(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(flir), "--distance-m", "20"]) == 0
    text = capsys.readouterr().out
    assert "emissivity           0.95 (file), ± 0.03 (k = 1; type B, value from file)" in text
    assert "distance_m           20 m (user), ± 1 (k = 1; type B, value from user: 5%)" in text
    assert "window_transmission  1 (file), ± 0 (k = 1; no window)" in text


def test_what_a_file_holds_beside_temperatures_is_shown() -> None:
    thermogram = replace(
        read_bytes(FlirFile().jpeg()),
        sensor_size=(6, 8),
        pose=Pose(pitch_deg=-90.0, target_distance_m=12.9),
        visual=VisualPhoto(b"12345"),
        regions=(Marked("Sp1", Spot(3, 4), "camera"), Marked("roof", Polygon(((1, 1), (9, 1), (5, 7))))),
    )
    row = describe(Outcome(Path("a.jpg"), "a.jpg", thermogram))
    assert json.loads(json.dumps(row))["regions"][0] == {
        "label": "Sp1", "origin": "camera", "shape": "spot", "x": 3, "y": 4, "size_px": 3,
    }  # fmt: skip
    text = "\n".join(text_of(row))
    for expected in (
        "sensor       8 x 6 px, enlarged to 16 x 12",
        "pose         pitch_deg -90, target_distance_m 12.9",
        "photo        embedded, 5 bytes",
        "spot         Sp1 (camera): x 3, y 4, size_px 3",
        "polygon      roof (user): corners ",
    ):
        assert expected in text


def test_a_lower_emissivity_reads_hotter(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["info", str(flir), "--json"])
    (as_filed,) = json.loads(capsys.readouterr().out)
    main(["info", str(flir), "--json", "--emissivity", "0.5"])
    (edited,) = json.loads(capsys.readouterr().out)
    assert edited["temperatures"]["max_c"] > as_filed["temperatures"]["max_c"] + 1


def test_a_folder_with_good_and_bad_files(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (flir.parent / "picture.png").write_bytes(encoded(np.zeros((3, 4), np.uint8), "PNG"))
    (flir.parent / "broken.jpg").write_bytes(flir.read_bytes()[:700])
    assert main(["info", str(flir.parent)]) == 3
    text = capsys.readouterr().out
    assert "none: this picture holds only colours or grey levels" in text
    assert text.count("failed") == 1
    assert main(["info", str(flir.parent), "--json"]) == 3
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows] == ["failed", "ok", "ok"]
    assert rows[2]["temperatures"] is None


def test_status_one_where_all_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jpg").write_text("text")
    assert main(["info", str(tmp_path / "a.jpg")]) == 1
    assert "failed" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["absent.jpg"], ["."]])
def test_nothing_to_read(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["info", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("isotherm: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "flags", [["--emissivity", "1.5"], ["--emissivity", "nan"], ["--offset", "3"], ["--step", "0"]]
)
def test_bad_settings_are_bad_usage(flags: list[str], flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(flir), *flags]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_scale_and_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plane.png"
    path.write_bytes(encoded(np.array([[1200, 1301]], np.uint16), "PNG"))
    assert main(["info", str(path), "--json", "--step", "0.1", "--offset", "-100", "--unit", "c"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["temperatures"]["max_c"] == pytest.approx(30.1, abs=1e-3)
    assert row["parameters"] == {}
    assert main(["info", str(path)]) == 0
    assert "scale of this 16-bit PNG is not known" in capsys.readouterr().out


def test_gaps_and_pictures_of_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gaps.csv").write_text("nan,20\n21,22\n")
    (tmp_path / "nothing.csv").write_text("nan,nan\nnan,nan\n")
    assert main(["info", str(tmp_path), "--json"]) == 0
    gaps, nothing = json.loads(capsys.readouterr().out)
    assert (gaps["temperatures"]["missing_px"], gaps["temperatures"]["min_at"]) == (1, [1, 0])
    assert nothing["temperatures"] is None
    assert main(["info", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "1 px have no temperature" in text
    assert "no pixel has one" in text


def test_a_name_that_is_no_text_is_printed_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff.csv"
    Path(os.fsdecode(raw)).write_text("20,21\n22,23\n")
    assert main(["info", str(tmp_path)]) == 0
    assert "\ufffd.csv" in capsys.readouterr().out


def test_the_formula_of_older_papers(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(flir), "--json", "--formula", "thermimage"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["calibration"]["formula"] == "thermimage"


@pytest.mark.real_data
def test_every_camera_file_and_every_b300_picture(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(data / "camera_files"), "--json"]) == 3
    rows = json.loads(capsys.readouterr().out)
    assert {row["status"] for row in rows} == {"ok", "failed"}
    assert main(["info", str(data / "resistive_circuit"), "--json"]) in (0, 3)
    rows = [row for row in json.loads(capsys.readouterr().out) if row["path"].endswith(".jpg")]
    assert len(rows) == 30
    assert {row["camera"]["model"] for row in rows} == {"FLIR B300"}
    assert all(15 < row["temperatures"]["mean_c"] < 60 for row in rows)


@pytest.mark.parametrize(
    "said",
    [
        {"data": None},
        {"inputs": {"kind": "temperature"}},
        {"calibration": {"threshold": None}},
        {"labels": 7},
        {"metrics": {"held_out": {"accuracy": "much"}}},
    ],
)
def test_a_manifest_that_no_isotherm_wrote_is_an_error(
    said: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "model", manifest={"method": "padim", **said}, arrays={"a": np.zeros(2, np.float32)})
    assert main(["info", str(tmp_path / "model")]) == 1
    assert "manifest.json is not as isotherm writes it" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "model"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "padim"


def test_a_number_that_json_cannot_hold_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(tmp_path / "model", manifest={"metrics": float("nan")}, arrays={"a": np.zeros(2, np.float32)})
    assert main(["info", str(tmp_path / "model"), "--json"]) == 1
    assert "holds what JSON cannot" in capsys.readouterr().err


def test_a_model_does_not_command_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibration = {"threshold": 1.0, "how": "by hand\x1b]0;title\x07\x1b[2J\nand more"}
    manifest = {"kind": "flow\x9b31m", "method": "x", "calibration": calibration}
    write_bundle(tmp_path / "model", manifest=manifest, arrays={"a": np.zeros(2, np.float32)})
    assert main(["info", str(tmp_path / "model")]) == 0
    told = capsys.readouterr().out
    assert "by hand�]0;title��[2J�and more" in told
    assert all(line.isprintable() for line in told.splitlines())
