from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main
from thermal_files import FlirFile


def picture(spot_c: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(int(spot_c)).normal(22, 0.1, (24, 32)).astype(np.float32)
    if spot_c:
        values[5:10, 20:26] = spot_c
    return values


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    folder.mkdir()
    for name, spot_c in (("cold", 0), ("mild", 29), ("hot", 70)):
        np.save(folder / f"{name}.npy", picture(spot_c))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("train")
    normals = root / "normals"
    normals.mkdir()
    for number in range(6):
        np.save(normals / f"{number}.npy", picture() + np.float32(0.01 * number))
    assert main(["train", str(normals), "-o", str(root / "model"), "--image-size", "64"]) == 0
    return root / "model"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_inspect_with_a_trained_model(
    shots: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    status = main(["inspect", str(shots), "-o", str(out), "--model", str(model), "--maps", "--report", "html,csv,json"])
    cold, hot, _ = rows(out)

    assert status == 0
    assert (cold["image"], cold["prediction"]) == ("cold.npy", "Normal")
    assert (hot["image"], hot["prediction"], hot["percentile"]) == ("hot.npy", "Anomaly", "100")
    assert float(hot["score"]) > float(hot["threshold"]) == float(cold["threshold"])
    assert int(hot["anomaly_area_px"]) > 0
    for name in ("report.html", "results.json", "run.json", "panels/hot.png", "masks/hot.png", "maps/hot.npz"):
        assert (out / name).is_file(), name
    with Image.open(out / "masks" / "hot.png") as mask:
        assert mask.size == (32, 24)
        assert np.count_nonzero(np.asarray(mask) == 255) == int(hot["anomaly_area_px"])
    card = json.loads((out / "run.json").read_bytes())["model"]
    assert card["sha256"] == json.loads((model / "manifest.json").read_bytes())["manifest_sha256"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert card["calibration"]["how"] in page
    assert card["sha256"] in page
    text = capsys.readouterr().out
    assert "3 of 3 pictures inspected" in text
    assert "worst first\n  hot.npy  Anomaly: score" in text
    assert str(out / "report.html") in text


def test_info_tells_what_a_model_is(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((model / "manifest.json").read_bytes())
    assert main(["info", str(model)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{model}\n  model        anomaly model, patchcore, trained {manifest['created_at']}\n")
    assert "learnt from  6 images" in told
    rows, columns = manifest["inputs"]["size"]
    assert f" °C; {columns} x {rows} px\n" in told
    assert f"threshold    {manifest['calibration']['threshold']:.4g}: " in told
    assert main(["info", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == manifest


def test_pictures_without_temperatures_are_told(
    shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (32, 24), 90).save(shots / "photo.png")
    assert main(["hotspots", str(shots), "-o", str(tmp_path / "out"), "--no-panels"]) == 0
    assert "4 of 4 pictures inspected\n  without temperatures 1: no degrees, no severity" in capsys.readouterr().out


def test_inspect_twice_gives_the_same_files(shots: Path, model: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        assert main(["inspect", str(shots), "-o", str(tmp_path / out), "--model", str(model)]) == 0

    assert (tmp_path / "a" / "results.csv").read_bytes() == (tmp_path / "b" / "results.csv").read_bytes()
    for name in ("panels/hot.png", "masks/hot.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_inspect_without_a_model_is_hotspots(shots: Path, tmp_path: Path) -> None:
    assert main(["inspect", str(shots), "-o", str(tmp_path / "a")]) == 0
    assert main(["hotspots", str(shots), "-o", str(tmp_path / "b")]) == 0

    assert (tmp_path / "a" / "results.csv").read_bytes() == (tmp_path / "b" / "results.csv").read_bytes()


def test_emissivity_can_be_changed_where_the_file_allows_it(shots: Path, tmp_path: Path) -> None:
    (shots / "camera.jpg").write_bytes(FlirFile().jpeg())

    def highest(*flags: str) -> float:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        assert main(["hotspots", str(shots), "-o", str(out), "--no-panels", *flags]) == 0
        assert "emissivity" in (out / "report.html").read_text(encoding="utf-8")
        return float({row["image"]: row for row in rows(out)}["camera.jpg"]["max_c"])

    # A warm body that radiates less must be hotter to look the same.
    assert highest("--emissivity", "0.6") > highest() + 1


def test_severity_and_method_can_be_changed(shots: Path, tmp_path: Path) -> None:
    def hot(*flags: str) -> dict[str, str]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        assert main(["hotspots", str(shots), "-o", str(out), "--no-panels", *flags]) == 0
        return rows(out)[1]

    assert (hot()["severity"], hot()["severity_table"]) == ("1", "neta-similar")
    assert (hot("--severity", "none")["severity"], hot("--severity", "none")["severity_table"]) == ("", "")
    ambient = hot("--severity", "neta-ambient")
    assert (ambient["severity"], ambient["severity_table"]) == ("not applicable", "neta-ambient")
    assert float(ambient["delta_t_c"]) == pytest.approx(50, abs=0.01)  # over the assumed 20 °C
    assert hot("--severity", "neta-ambient", "--atmosphere-c", "25")["severity"] == "1"
    assert hot("--method", "absolute", "--threshold-c", "80")["hotspot_count"] == "0"


def test_a_severity_table_of_ones_own(shots: Path, tmp_path: Path) -> None:
    table = {
        "id": "plant-7",
        "edition": "2024",
        "source": "handbook",
        "domain": "motors",
        "comparison": "similar",
        "intervals": [{"interval": "[5, inf)", "grade": "watch", "action": "look again"}],
    }
    (tmp_path / "own.json").write_text(json.dumps(table), encoding="utf-8")
    status = main(["hotspots", str(shots), "-o", str(tmp_path / "out"), "--severity", str(tmp_path / "own.json")])

    assert status == 0
    assert [row["severity"] for row in rows(tmp_path / "out")] == ["", "watch", "watch"]
    assert "plant-7" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_reports_can_be_chosen_and_the_table_is_always_written(shots: Path, tmp_path: Path) -> None:
    assert main(["hotspots", str(shots), "-o", str(tmp_path / "out"), "--report", "json"]) == 0

    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"results.json", "results.csv", "run.json", "journal.jsonl", "panels", "masks"}


def test_a_second_run_is_refused_unless_told(shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["hotspots", str(shots), "-o", str(tmp_path / "out"), "--no-panels"]
    assert main(command) == 0
    assert main(command) == 1
    assert "continue it (--resume), replace it (--overwrite), or name another folder" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--severity", "none"]) == 0
    assert main([*command, "--resume"]) == 1
    assert "was begun with other input or settings" in capsys.readouterr().err
    assert main([*command, "--resume", "--severity", "none"]) == 0


@pytest.mark.real_data
def test_every_camera_file_of_a_known_format(data: Path, tmp_path: Path) -> None:
    folder = data / "camera_files" / "thermal_parser"
    status = main(["hotspots", str(folder), "-o", str(tmp_path / "out")])
    found = {row["image"]: row for row in rows(tmp_path / "out")}

    assert status == 3  # the licence beside the pictures is none
    assert found["LICENSE"]["status"] == "failed"
    # Own computation with one atmosphere path; see the data's README.
    for name, highest in (("FLIR.jpg", 62.231), ("FLIR_T640.jpg", 97.701), ("DJI_XT2.jpg", 82.269)):
        assert float(found[name]["max_c"]) == pytest.approx(highest, abs=0.01)
        assert found[name]["severity"] == "1"
        assert (tmp_path / "out" / "panels" / name).with_suffix(".png").is_file()
    assert found["M30T/DJI_0001_R.JPG"]["radiometric"] == "false"
    assert found["M30T/DJI_0001_R.JPG"]["max_c"] == ""


@pytest.mark.real_data
def test_the_states_of_a_resistor_circuit(data: Path, tmp_path: Path) -> None:
    assert main(["inspect", str(data / "resistive_circuit"), "-o", str(tmp_path / "out"), "--no-panels"]) == 0
    found = rows(tmp_path / "out")

    assert len(found) == 30
    assert {row["radiometric"] for row in found} == {"true"}
    # The three shots of one state agree, and the hottest states are those with the most power.
    worst = sorted(found, key=lambda row: -float(row["max_c"]))[:9]
    assert all(float(row["max_c"]) > 126 for row in worst)
    assert {row["severity"] for row in worst} == {"1"}
