from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.anomaly.inputs import InputSpec
from isotherm.anomaly.method import AnomalyMaps, Inputs
from isotherm.anomaly.threshold import ScoreCalibration
from isotherm.anomaly.tiles import Frame
from isotherm.core.config import setting
from isotherm.core.errors import ConfigError, DataError, OutputError, UnknownNameError
from isotherm.core.scene import SceneEdit
from isotherm.hotspots.measure import HotspotSettings
from isotherm.workflows import inspect_pictures
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.models import TrainedModel
from isotherm.workflows.spans import SpanChoice
from thermal_files import FlirFile, ramp

QUICK = InspectSettings(panels=False, reports=("csv",))


@dataclass(frozen=True)
class BrightConfig:
    gain: float = setting(1.0, "factor of the map")


@dataclass(frozen=True, eq=False)
class Bright:
    """A detector for tests: the map is the input's first channel, the score its maximum; NaN above 50."""

    references: bool = True

    def predict(self, inputs: Inputs) -> AnomalyMaps:
        maps = inputs.pixels[:, 0].copy()
        scores = maps.reshape(len(maps), -1).max(axis=1)
        scores[scores > 50] = np.nan
        return AnomalyMaps(maps, scores, np.zeros_like(inputs.pixels) if self.references else None)

    def arrays(self) -> Mapping[str, np.ndarray]:
        return {}


def model(kind: str = "temperature", **changes: object) -> TrainedModel:
    frame = Frame((96, 128), (96, 128))
    low, high = (20.0, 40.0) if kind == "temperature" else (0.0, 255.0)
    spec = InputSpec(kind, low, high, frame)  # type: ignore[arg-type]
    known = {
        "detector": Bright(),
        "method": "patchcore",
        "config": BrightConfig(),
        "inputs": spec,
        "calibration": ScoreCalibration(np.array([0.5, 1.0], dtype=np.float32), 99.0, 1.0, 0.9, "chosen by hand"),
        "manifest": {"data": {"fitted_on": 8, "images": 10, "held_out": 2}},
    }
    return TrainedModel(**{**known, **changes})  # type: ignore[arg-type]


def temperatures(spot_c: float = 0.0, height: int = 24, width: int = 32) -> np.ndarray:
    rng = np.random.default_rng(int(spot_c) + height)
    values = rng.normal(22, 0.1, (height, width)).astype(np.float32)
    if spot_c:
        values[5:10, 20:26] = spot_c
        values[7, 22] = spot_c + 2
    return values


def write(folder: Path, files: Mapping[str, np.ndarray | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif path.suffix == ".npy":
            np.save(path, content)
        else:
            Image.fromarray(content).save(path)
    return folder


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    grey = np.full((20, 30), 60, dtype=np.uint8)
    grey[4:9, 4:9] = 200
    files = {
        "IR_2.npy": temperatures(),
        "IR_10.npy": temperatures(60),
        "broken.jpg": b"",
        "site ß/IR_1.npy": temperatures(33, height=40),
        "site ß/picture.png": grey,
    }
    return write(tmp_path / "shots", files)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def names(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_hotspots_alone(shots: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    inspection = inspect(shots, out)
    broken, cold, hot, mild, grey = rows(out)

    assert [row["image"] for row in rows(out)] == [
        "broken.jpg", "IR_2.npy", "IR_10.npy", "site ß/IR_1.npy", "site ß/picture.png",
    ]  # fmt: skip
    assert (broken["status"], broken["error"]) == ("failed", "the file is empty (0 bytes)")
    assert (cold["status"], cold["hotspot_count"], cold["severity"]) == ("ok", "0", "")
    assert (hot["hotspot_count"], hot["hotspot_area_px"], hot["max_c"]) == ("1", "30", "62.000")
    assert (hot["hottest_x"], hot["hottest_y"]) == ("22", "7")
    assert float(hot["delta_t_c"]) == pytest.approx(40, abs=0.1)
    assert (hot["severity"], mild["severity"], hot["severity_table"]) == ("1", "3", "neta-similar")
    assert (grey["radiometric"], grey["max_c"], grey["hotspot_count"]) == ("false", "", "1")
    assert {row["prediction"] for row in rows(out)} == {""}
    assert inspection.model is None
    assert names(out) == {
        "results.csv", "report.html", "run.json", "journal.jsonl",
        *(f"{kind}/{name}.png" for kind in ("masks", "panels")
          for name in ("IR_2", "IR_10", "site ß__IR_1", "site ß__picture")),
    }  # fmt: skip


def test_masks_are_the_hotspots_at_the_size_of_the_input(shots: Path, tmp_path: Path) -> None:
    inspect(shots, tmp_path / "out", settings=QUICK)
    expected = np.zeros((24, 32), dtype=np.uint8)
    expected[5:10, 20:26] = 255

    with Image.open(tmp_path / "out" / "masks" / "IR_10.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), expected)
    with Image.open(tmp_path / "out" / "masks" / "IR_2.png") as mask:
        assert not np.asarray(mask).any()


def test_with_a_model(shots: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    inspection = inspect(shots, out, model=model(), settings=replace(QUICK, maps=True))
    broken, cold, hot, mild, grey = rows(out)

    # The span 20 .. 40 °C becomes 0 .. 1, not clamped: 62 °C is 2.1.
    assert float(hot["score"]) == pytest.approx((62 - 20) / 20, rel=0.05)
    assert (hot["prediction"], hot["percentile"], hot["threshold"]) == ("Anomaly", "100", "1")
    assert (mild["prediction"], mild["percentile"], mild["anomaly_area_px"]) == ("Normal", "50", "0")
    assert (cold["prediction"], cold["percentile"]) == ("Normal", "0")
    assert grey["status"] == "failed"
    assert "learnt from temperature images, but this image is a plain picture" in grey["error"]
    assert broken["status"] == "failed"
    with Image.open(out / "masks" / "IR_10.png") as mask:
        marked = np.asarray(mask) > 0
    assert marked.sum() == int(hot["anomaly_area_px"])
    with np.load(out / "maps" / "IR_10.npz") as maps:
        assert set(maps) == {"anomaly_map", "celsius"}
        assert maps["celsius"].max() == pytest.approx(62)
        np.testing.assert_array_equal(maps["anomaly_map"] > 0.9, marked)
    assert inspection.model is not None
    assert inspection.model["calibration"]["how"] == "chosen by hand"
    assert "scores" not in inspection.model["inputs"]


def test_anomalies_are_findings_with_temperatures_severity_and_score(shots: Path, tmp_path: Path) -> None:
    inspection = inspect(shots, tmp_path / "out", model=model(), settings=QUICK)
    hot = next(result for result in inspection.results if result.image == "IR_10.npy")
    (anomaly,) = [finding for finding in hot.findings if finding.kind == "anomaly"]

    assert hot.anomaly is not None
    assert anomaly.origin == "patchcore"
    assert anomaly.region.area_px == hot.anomaly.area_px
    assert anomaly.temperatures is not None
    assert anomaly.temperatures.max_c == pytest.approx(62)
    assert anomaly.severity is not None
    assert anomaly.severity.grade == "1"
    assert anomaly.score == pytest.approx(hot.anomaly.score, rel=0.05)


def test_panels_and_page_come_with_a_model(shots: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    inspect(shots, out, model=model(), settings=InspectSettings(reports=("html", "json")))
    page = (out / "report.html").read_text(encoding="utf-8")

    assert page.count("<img ") == 3
    assert "chosen by hand" in page
    assert "learnt from 8 normal images" in page
    assert json.loads((out / "results.json").read_bytes())["worst_first"][0] == "IR_10.npy"
    with Image.open(out / "panels" / "IR_10.png") as panel:
        assert panel.height > 600  # two rows


def test_run_json_says_how_it_came_about(shots: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = replace(QUICK, edit=SceneEdit(emissivity=0.9))
    inspect(shots, out, model=model(), settings=settings)
    run = json.loads((out / "run.json").read_bytes())

    assert run["settings"]["scene"]["emissivity"] == 0.9
    assert run["settings"]["hotspot_method"]["name"] == "region_growing"
    assert set(run["versions"]) >= {"isotherm", "python", "numpy"}
    assert len(run["inputs"]["IR_2.npy"]) == 64
    assert run["inputs"]["broken.jpg"] == ""
    assert len(run["model"]["sha256"]) == len(run["outputs"]["results.csv"]) == 64
    assert run["totals"]["failed"] == 2
    assert 0 < run["timings_s"]["inspect"] <= run["timings_s"]["total"]


def test_one_file_can_be_inspected(shots: Path, tmp_path: Path) -> None:
    inspection = inspect(shots / "IR_10.npy", tmp_path / "out", settings=QUICK)

    assert [result.image for result in inspection.results] == ["IR_10.npy"]
    assert inspection.title == "IR_10.npy"


def test_results_do_not_depend_on_the_number_of_threads(shots: Path, tmp_path: Path) -> None:
    write(shots, {f"more_{number}.npy": temperatures(30 + number) for number in range(40)})
    for jobs in (1, 3):
        inspect(
            shots, tmp_path / str(jobs), model=model(), settings=InspectSettings(jobs=jobs, reports=("csv", "html"))
        )

    assert names(tmp_path / "1") == names(tmp_path / "3")
    for name in names(tmp_path / "1") - {"run.json", "journal.jsonl", "report.html"}:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes(), name


def test_large_pictures_make_small_batches(shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(inspect_pictures, "MAX_BATCH_PIXELS", 1000)

    def progress(done: int, total: int, message: str) -> None:
        if message == "inspecting":
            sizes.append((done, total))

    inspect(shots, tmp_path / "out", settings=QUICK, progress=progress)

    # 768 px, then 768 + 1280 ...: a batch ends with the picture that makes it too large.
    assert sizes == [(3, 5), (4, 5), (5, 5)]


def test_one_picture_that_cannot_be_scored_spoils_no_other(tmp_path: Path) -> None:
    nothing = np.full((24, 32), np.nan, dtype=np.float32)
    beyond = temperatures(20 + 20 * 60)
    shots = write(
        tmp_path / "shots", {"a.npy": temperatures(60), "b.npy": nothing, "c.npy": temperatures(33), "d.npy": beyond}
    )
    inspect(shots, tmp_path / "out", model=model(), settings=QUICK)
    a, b, c, d = rows(tmp_path / "out")

    assert (a["prediction"], c["prediction"]) == ("Anomaly", "Normal")
    assert (b["status"], d["status"]) == ("failed", "failed")
    assert "temperature" in b["error"]
    assert "no finite score" in d["error"]


def test_a_rule_that_cannot_be_applied_fails_the_picture_and_not_the_run(shots: Path, tmp_path: Path) -> None:
    inspect(shots, tmp_path / "out", settings=replace(QUICK, hotspots=HotspotSettings(reference_box="0,35,4,4")))
    by_name = {row["image"]: row for row in rows(tmp_path / "out")}

    assert by_name["site ß/IR_1.npy"]["status"] == "ok"
    assert by_name["IR_10.npy"]["status"] == "failed"
    assert "outside the picture" in by_name["IR_10.npy"]["error"]


def test_a_method_without_references_has_three_parts(shots: Path, tmp_path: Path) -> None:
    inspect(shots / "IR_10.npy", tmp_path / "out", model=model(detector=Bright(references=False), method="padim"))

    with Image.open(tmp_path / "out" / "panels" / "IR_10.png") as panel:
        assert panel.height > 600


def test_names_that_collide_keep_their_pictures_apart(tmp_path: Path) -> None:
    files = {"IMG.npy": temperatures(60), "IMG.png": np.zeros((8, 8), np.uint8), "a/b.npy": temperatures(33)}
    long = {"x" * 196 + ".npy": temperatures(), "con.npy": temperatures(), "=1+1,№.npy": temperatures()}
    inspection = inspect(write(tmp_path / "shots", {**files, **long}), tmp_path / "out")

    masks = [result.mask for result in inspection.results]
    assert len(set(masks)) == 6
    assert all((tmp_path / "out" / mask).is_file() for mask in masks)
    assert "masks/a__b.png" in masks
    assert {row["image"] for row in rows(tmp_path / "out")} == {*files, *long}


def test_results_below_the_input_are_no_input(shots: Path) -> None:
    inspect(shots, shots / "out")
    again = inspect(shots, shots / "out", settings=InspectSettings(existing="overwrite"))

    assert len(again.results) == 5
    with pytest.raises(DataError, match="holds no file"):
        inspect(shots / "out", shots / "out", settings=InspectSettings(existing="overwrite"))


def test_an_empty_or_missing_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(DataError):
            inspect(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_settings_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="jobs must be from 1"):
        InspectSettings(jobs=0)
    with pytest.raises(UnknownNameError, match="known: csv, html, json"):
        InspectSettings(reports=("pfd",))
    with pytest.raises(UnknownNameError, match=r"known: absolute, adaptive, delta_t, .*otsu, percentile"):
        InspectSettings(method="otzu")


class PowerCutError(Exception):
    """Stands for one."""


def stop_after(count: int) -> object:
    def progress(done: int, total: int, message: str) -> None:
        if done >= count:
            raise PowerCutError

    return progress


@pytest.fixture
def many(tmp_path: Path) -> Path:
    files: dict[str, np.ndarray | bytes] = {f"IR_{n}.npy": temperatures(25 + n) for n in range(40)}
    return write(tmp_path / "many", {**files, "IR_7.npy": b"no"})


def test_an_interrupted_run_is_continued_and_equals_an_uninterrupted_one(many: Path, tmp_path: Path) -> None:
    settings = InspectSettings(reports=("csv", "json"))
    inspect(many, tmp_path / "whole", model=model(), settings=settings)
    with pytest.raises(PowerCutError):
        inspect(many, tmp_path / "cut", model=model(), settings=settings, progress=stop_after(16))  # type: ignore[arg-type]
    assert not (tmp_path / "cut" / "results.csv").exists()
    before = {name: (tmp_path / "cut" / name).stat().st_mtime_ns for name in ("masks/IR_0.png", "panels/IR_0.png")}
    steps = []

    def progress(done: int, total: int, message: str) -> None:
        if message == "inspecting":
            steps.append(done)

    inspect(many, tmp_path / "cut", model=model(), settings=replace(settings, existing="resume"), progress=progress)

    assert min(steps) > 16
    assert {name: (tmp_path / "cut" / name).stat().st_mtime_ns for name in before} == before
    assert names(tmp_path / "cut") == names(tmp_path / "whole")
    for name in names(tmp_path / "whole") - {"run.json", "results.json", "journal.jsonl"}:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_resuming_a_finished_run_only_renews_the_reports(many: Path, tmp_path: Path) -> None:
    inspect(many, tmp_path / "out", settings=QUICK)
    before = (tmp_path / "out" / "results.csv").read_bytes()
    steps = []

    def progress(done: int, total: int, message: str) -> None:
        if message == "inspecting":
            steps.append(done)

    again = replace(QUICK, existing="resume", reports=("json",))
    inspect(many, tmp_path / "out", settings=again, progress=progress)

    assert steps == []
    assert (tmp_path / "out" / "results.csv").read_bytes() == before
    assert (tmp_path / "out" / "results.json").is_file()


def test_another_model_setting_or_input_does_not_resume(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    inspect(many, out, model=model(), settings=QUICK)
    resume = replace(QUICK, existing="resume")

    with pytest.raises(OutputError, match=r"\(model\)"):
        inspect(many, out, model=model(manifest={"data": {}}), settings=resume)
    with pytest.raises(OutputError, match=r"\(emissivity\)"):
        inspect(many, out, model=model(), settings=replace(resume, edit=SceneEdit(emissivity=0.5)))
    with pytest.raises(OutputError, match=r"\(severity table\)"):
        inspect(many, out, model=model(), settings=replace(resume, table=None))
    write(many, {"new.npy": temperatures()})
    with pytest.raises(OutputError, match=r"\(input files\)"):
        inspect(many, out, model=model(), settings=resume)
    with pytest.raises(OutputError, match="holds an inspection already"):
        inspect(many, out, model=model(), settings=QUICK)
    assert len(rows(out)) == 40


def test_a_killed_command_is_continued(many: Path, tmp_path: Path) -> None:
    write(many, {f"large_{n}.npy": temperatures(40 + n, 240, 320) for n in range(60)})
    command = [sys.executable, "-m", "isotherm", "hotspots", str(many), "--jobs", "1", "-o"]
    out = tmp_path / "out"
    with subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 60
        while not (done := _lines(out / "journal.jsonl")) > 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(run.pid, signal.SIGKILL)
    assert 1 < done < 101
    assert not (out / "results.csv").exists()
    again = subprocess.run([*command, str(out), "--resume"], capture_output=True, text=True, check=False)
    inspect(many, tmp_path / "whole")

    assert again.returncode == 3, again.stderr
    assert (out / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()
    assert names(out) == names(tmp_path / "whole")
    for name in names(tmp_path / "whole") - {"run.json", "journal.jsonl", "report.html"}:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def test_pictures_of_16_bits_that_use_a_small_part_of_them_are_shown(tmp_path: Path) -> None:
    counts = np.full((40, 60), 1000, np.uint16)
    counts[10:20, 20:30] = 1300
    (tmp_path / "shots").mkdir()
    Image.fromarray(counts).save(tmp_path / "shots" / "a.png")

    inspect(tmp_path / "shots", tmp_path / "out")

    panel = np.asarray(Image.open(tmp_path / "out" / "panels" / "a.png").convert("L"))
    # Around the middle of the first picture both the dark and the bright part are there.
    part = panel[80:320, 16:376]
    assert part.min() < 60
    assert part.max() > 200


def test_a_span_for_the_set_gives_equal_temperatures_equal_colours(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, hottest in {"mild": 40.0, "hot": 90.0}.items():
        scene = np.full((60, 80), 20.0, np.float32)
        scene[20:40, 20:40] = hottest
        np.save(folder / f"{name}.npy", scene)

    def square(span: SpanChoice) -> list[tuple[int, ...]]:
        out = tmp_path / span.kind
        inspect(folder, out, settings=InspectSettings(span=span, palette="grey"))
        panels = [Image.open(out / "panels" / f"{name}.png").convert("RGB") for name in ("mild", "hot")]
        return [panel.getpixel((panel.width // 6, panel.height // 2)) for panel in panels]

    own, common = square(SpanChoice()), square(SpanChoice("set"))
    assert own[0] == own[1]
    assert common[0] != common[1]
    assert sum(common[0]) < sum(common[1])


def test_cautions_are_in_the_results_and_in_the_report(tmp_path: Path) -> None:
    picture = tmp_path / "in" / "IR_1.jpg"
    picture.parent.mkdir()
    picture.write_bytes(FlirFile(counts=ramp(60, 80)).jpeg())
    settings = replace(QUICK, method="percentile", edit=SceneEdit(emissivity=0.2), reports=("json", "html"))
    (result,) = inspect(picture, tmp_path / "out", settings=settings).results
    cautions = [note for note in result.notes if note.startswith("caution: ")]
    assert [note[:32] for note in cautions] == ["caution: emissivity 0.2 is below"]
    for name in ("results.json", "report.html"):
        assert cautions[0] in (tmp_path / "out" / name).read_text(encoding="utf-8")
    assert result.findings[0].delta_t_uncertainty_k is not None
    assert result.uncertainty_k == result.findings[0].uncertainty_k
    sound = replace(settings, edit=SceneEdit())
    assert not any("caution" in note for note in inspect(picture, tmp_path / "b", settings=sound).results[0].notes)
