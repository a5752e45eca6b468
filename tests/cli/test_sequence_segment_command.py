"""``isotherm sequence segment`` with a taught network, and with several recordings."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main
from onnx_models import write_model

Tell = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plate with a hole (plate.npz), the same as frames (frames/), and a model of 14 maps (model/)."""
    root = tmp_path_factory.mktemp("segment")
    plate = ["--size", "40,50", "--frames", "60", "--hole", "12,10,8,0.8", "--netd-mk", "5"]
    assert main(["sequence", "simulate", "-o", str(root / "plate.npz"), *plate]) == 0
    write_model(root / "model")
    with np.load(root / "plate.npz") as stored:
        (root / "frames").mkdir()
        for number, frame in enumerate(stored["lookup_table"][stored["counts"]]):
            np.savetxt(root / "frames" / f"frame_{number:03d}.csv", frame, fmt="%.3f", delimiter=",")
    return root


@pytest.fixture
def segment(folder: Path, tmp_path: Path) -> Callable[..., int]:
    """Run the command with files of the folder by name, into tmp_path / out."""

    def run(*words: str) -> int:
        places = [str(folder / word) if (folder / word).exists() else word for word in words]
        return main(["sequence", "segment", *places, "-o", str(tmp_path / "out")])

    return run


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_a_network_writes_mask_probability_and_table(segment: Callable[..., int], tmp_path: Path, capsys: Tell) -> None:
    assert segment("plate.npz", "--model", "model", "--pixel-mm", "0.5", "--diffusivity-m2-s", "4.5e-7") == 0
    told = capsys.readouterr().out
    assert "model model: probability of 0.500 and more" in told
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "defects.csv", "defects.json", "defects.png", "mask.png", "maps.npz", "probability.png",
    }  # fmt: skip
    with np.load(out / "maps.npz") as maps:
        probability, mask = maps["probability"], maps["mask"]
        assert maps["depth_mm"].shape == mask.shape == (40, 50)
    assert np.array_equal(np.asarray(Image.open(out / "probability.png")), np.nan_to_num(probability * 255).round())
    assert np.array_equal(np.asarray(Image.open(out / "mask.png")) > 0, mask)
    assert mask.sum() == sum(int(row["area_px"]) for row in rows(out / "defects.csv"))
    about = json.loads((out / "defects.json").read_text(encoding="utf-8"))
    assert about["settings"]["method"]["model"] == "model"
    assert len(about["settings"]["method"]["sha256"]) == 64


def test_the_threshold_decides(segment: Callable[..., int], tmp_path: Path, capsys: Tell) -> None:
    found = []
    for threshold in ("0.1", "0.999"):
        assert segment("plate.npz", "--model", "model", "--threshold", threshold) == 0
        assert f"probability of {float(threshold):.3f}" in capsys.readouterr().out
        found.append((np.asarray(Image.open(tmp_path / "out" / "mask.png")) > 0).sum())
    assert found[0] > found[1]


def test_what_the_model_does_not_know_is_said(segment: Callable[..., int], capsys: Tell) -> None:
    assert segment("plate.npz", "--model", "model", "--pixel-mm", "3", "--log-bins", "40") == 0
    told = capsys.readouterr().out
    assert "a pixel of 3 mm is far from the 0.4 to 0.6 mm" in told
    assert "log_bins is 40, but the model was taught with 0" in told


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("plate.npz", "--model", "model", "--method", "otsu"), 2, "--method and --model"),
        (("plate.npz", "--model", "model", "--maps-preset", "pct4"), 2, "--maps-preset goes with --method"),
        (("plate.npz", "--model", "model", "--mahalanobis-limit", "4"), 2, "--mahalanobis-limit goes with --method"),
        (("plate.npz", "--threshold", "0.4"), 2, "--threshold goes with --model"),
        (("plate.npz", "--model", "model", "--threshold", "2"), 2, "--threshold must be at most 0.999"),
        (("plate.npz", "--model", "no model"), 1, "no model: there is no such folder"),
        (("plate.npz", "--model", "frames"), 1, "manifest.json is missing"),
        (("nothing.npz", "--model", "model"), 1, "nothing.npz"),
        (("nothing.npz", "nothing2.npz"), 1, "nothing2.npz"),
    ],
)
def test_wrong_requests_are_one_line(
    segment: Callable[..., int], capsys: Tell, words: tuple[str, ...], status: int, said: str
) -> None:
    assert segment(*words) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("isotherm: ")]
    assert said in lines[-1]


def test_one_bad_recording_stops_nothing(folder: Path, tmp_path: Path, capsys: Tell) -> None:
    several, out = tmp_path / "several", tmp_path / "out"
    (several / "below").mkdir(parents=True)
    shutil.copy(folder / "plate.npz", several / "a.npz")
    shutil.copy(folder / "plate.npz", several / "below" / "a.npz")
    (several / "cut.npz").write_bytes((folder / "plate.npz").read_bytes()[:50_000])
    (several / "read me.txt").write_text("hello")
    assert main(["sequence", "segment", str(several), "-o", str(out), "--reject-diameter-mm", "3"]) == 3
    told = capsys.readouterr()
    assert "cut.npz: " in told.err
    assert "1 files are no recordings: read me.txt" in told.out
    found = rows(out / "summary.csv")
    assert [(row["recording"], row["status"]) for row in found] == [
        ("a.npz", "done"), ("below/a.npz", "done"), ("cut.npz", "failed"),
    ]  # fmt: skip
    assert found[2]["reason"].startswith("NPZ: ")
    assert [row["folder"] for row in found] == ["a", "below__a", ""]
    assert int(found[0]["area_px"]) == sum(int(row["area_px"]) for row in rows(out / "a" / "defects.csv"))
    assert (out / "below__a" / "mask.png").read_bytes() == (out / "a" / "mask.png").read_bytes()


def test_a_folder_of_frames_is_one_recording_and_may_stand_beside_others(
    segment: Callable[..., int], folder: Path, tmp_path: Path, capsys: Tell
) -> None:
    assert segment("frames", "--frame-rate-hz", "20") == 0
    assert "frames: " in capsys.readouterr().out
    one = (tmp_path / "out" / "mask.png").read_bytes()
    assert segment("frames", "plate.npz", "--frame-rate-hz", "20") == 0
    found = rows(tmp_path / "out" / "summary.csv")
    assert [row["recording"] for row in found] == ["frames", "plate.npz"]
    assert (tmp_path / "out" / "frames" / "mask.png").read_bytes() == one


def test_all_bad_is_a_failure(folder: Path, tmp_path: Path, capsys: Tell) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    for name in ("a.npz", "b.npz"):
        (bad / name).write_bytes((folder / "plate.npz").read_bytes()[:5000])
    assert main(["sequence", "segment", *map(str, sorted(bad.iterdir())), "-o", str(tmp_path / "out")]) == 1
    assert [row["status"] for row in rows(tmp_path / "out" / "summary.csv")] == ["failed", "failed"]


def test_info_shows_the_card_of_a_model(folder: Path, capsys: Tell) -> None:
    assert main(["info", str(folder / "model")]) == 0
    assert capsys.readouterr().out == "model\n  for: tests\n"
    assert main(["info", str(folder / "model"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "defect network"
