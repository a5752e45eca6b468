from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotherm.core.errors import ConfigError, OutputError
from isotherm.core.findings import AnomalyResult
from isotherm.workflows.demo import IMAGES, INSPECTION, MODEL, Demo, DemoSize, Judged, run_demo
from isotherm.workflows.models import load_model

SMALL = DemoSize(normals=4, healthy=1, faulty=3)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo"), seed=2, size=SMALL)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_inspected_picture_stands_beside_its_truth(demo: Demo) -> None:
    assert [judged.result.image for judged in demo.judged] == [
        "good/000.tiff",
        "imbalance/000.tiff",
        "loose_joint/000.tiff",
        "overload/000.tiff",
    ]
    for judged in demo.judged:
        assert judged.truth.file == f"test/{judged.result.image}"
        assert judged.truth.kind == judged.result.image.split("/")[0]
        assert judged.result.radiometric
        assert judged.result.anomaly
        assert judged.result.temperatures
        # What the camera shows and what is true: the same cabinet.
        assert judged.result.temperatures.max_c > judged.truth.ambient_c


def test_files_of_every_stage_are_there(demo: Demo) -> None:
    inspection = demo.folder / INSPECTION
    assert {path.name for path in inspection.iterdir()} >= {"report.html", "results.csv", "run.json", "panels", "masks"}
    assert len(list((inspection / "panels").glob("*.png"))) == 4
    with (inspection / "results.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["ok"] * 4
    assert (demo.folder / IMAGES / "truth.csv").is_file()
    assert set(demo.seconds) == {"simulate", "train", "inspect"}


def test_only_healthy_pictures_are_learnt_from(demo: Demo) -> None:
    model = load_model(demo.folder / MODEL)
    assert model.manifest["data"]["images"] == SMALL.normals
    with (demo.folder / IMAGES / "truth.csv").open(newline="", encoding="utf-8") as stream:
        learnt = [row["kind"] for row in csv.DictReader(stream) if row["file"].startswith("train/")]
    assert learnt == ["good"] * SMALL.normals
    assert model.calibration.scores.size == SMALL.normals


def test_a_verdict_is_right_where_it_agrees_with_the_truth(demo: Demo) -> None:
    healthy, faulty = demo.judged[0], demo.judged[1]
    normal = AnomalyResult(score=1.0, percentile=50.0, threshold=2.0, prediction="Normal", area_px=0)
    anomaly = replace(normal, prediction="Anomaly")
    for judged, said, right in (
        (healthy, normal, True),
        (healthy, anomaly, False),
        (faulty, normal, False),
        (faulty, anomaly, True),
        (faulty, None, False),
    ):
        assert Judged(judged.truth, replace(judged.result, anomaly=said)).right is right


def test_a_second_demo_gives_the_same_and_touches_nothing_else(demo: Demo) -> None:
    own = [demo.folder / "notes.txt", demo.folder / INSPECTION / "notes.txt"]
    for path in own:
        path.write_text("mine")
    before = snapshot(demo.folder)
    again = run_demo(demo.folder, seed=2, size=SMALL)
    after = snapshot(demo.folder)
    assert set(after) == set(before)
    pictures = [name for name in before if name.startswith(f"{IMAGES}/")]
    assert all(after[name] == before[name] for name in pictures)
    scores = [[judged.result.anomaly and judged.result.anomaly.score for judged in run.judged] for run in (demo, again)]
    assert scores[0] == scores[1]
    assert [path.read_text() for path in own] == ["mine", "mine"]


def test_a_demo_of_another_size_is_refused(demo: Demo) -> None:
    before = snapshot(demo.folder)
    with pytest.raises(OutputError, match="holds a demo of another size"):
        run_demo(demo.folder, size=replace(SMALL, normals=3))
    assert snapshot(demo.folder) == before


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"beach")
    with pytest.raises(OutputError, match="holds something that is no demo"):
        run_demo(tmp_path, size=SMALL)
    assert snapshot(tmp_path) == {"holiday.jpg": b"beach"}
    with pytest.raises(OutputError, match=r"holiday\.jpg"):
        run_demo(tmp_path / "holiday.jpg", size=SMALL)


def test_a_wrong_seed_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed"):
        run_demo(tmp_path / "new", seed=-1, size=SMALL)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_faults_score_above_healthy_cabinets(tmp_path: Path) -> None:
    # In a program of its own: here every call is checked for its types, which doubles the time of what computes much.
    out = tmp_path / "demo"
    command = [sys.executable, "-m", "isotherm", "demo", "-o", out, "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    truths = {row["file"]: row for row in table(out / IMAGES / "truth.csv")}
    results = [(truths[f"test/{row['image']}"], row) for row in table(out / INSPECTION / "results.csv")]
    good, bad = (
        [float(row["score"]) for truth, row in results if (truth["kind"] == "good") is of] for of in (True, False)
    )
    healthy, faulty = np.array(good), np.array(bad)
    assert (len(healthy), len(faulty)) == (12, 12)
    # The share of pairs in the right order (AUROC); chance gives 0.5 with a standard error of 0.12.
    assert (faulty[:, None] > healthy[None, :]).mean() > 0.85
    graver = [row["prediction"] for truth, row in results if float(truth["delta_t_c"]) > 20]
    assert graver
    assert set(graver) == {"Anomaly"}
