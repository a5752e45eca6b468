"""``isotherm sequence train`` as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from isotherm.cli.main import main
from isotherm.datasets.plate_dataset import write_plates
from isotherm.datasets.plate_random import RandomPlates

SMALL = ["--steps", "6", "--checks", "2", "--batch-size", "2", "--crop-px", "32", "--net-width", "4"]
Tell = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    spec = RandomPlates(height_px=40, width_px=48, frames=40, low_defects=2, high_defects=3, inclusion_share=0.0)
    write_plates(folder, spec, count=3, seed=8)
    return folder


def test_train_then_segment(plates: Path, tmp_path: Path, capsys: Tell) -> None:
    model = tmp_path / "model"
    words = ["sequence", "train", str(plates), "-o", str(model), "--input", "tsr6", *SMALL, "--device", "cpu"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "learning: step 6, loss" in told.err
    assert "maps: 3/3" in told.err
    assert f"--model {model}" in told.out
    assert "never seen: any real recording" in told.out
    assert sorted(path.name for path in model.iterdir()) == ["manifest.json", "network.onnx"]
    recording, out = str(plates / "plate_0001.npz"), tmp_path / "out"
    assert main(["sequence", "segment", recording, "--model", str(model), "-o", str(out)]) == 0
    assert (out / "probability.png").exists()


def test_skipped_recordings_give_status_3(plates: Path, tmp_path: Path, capsys: Tell) -> None:
    damaged = plates / "damaged.npz"
    damaged.write_bytes((plates / "plate_0001.npz").read_bytes()[:30_000])
    try:
        words = ["sequence", "train", str(plates), "-o", str(tmp_path / "m"), "--input", "pct4", *SMALL]
        assert main([*words, "--no-augment", "--loss", "dice"]) == 3
    finally:
        damaged.unlink()
    assert "isotherm: skipped damaged.npz: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        (["--net", "unett"], 2, "unknown segmentation network 'unett' (did you mean 'unet'?)"),
        (["--net", "unet3d", "--input", "std14"], 2, "network unet3d sees frames in the order of time"),
        (["--validation", "1.5"], 2, "--validation must be at most 0.9"),
        (["--net-width", "2"], 2, "--net-width must be at least 4"),
        (["--memory-gb", "0.01", "--augment-copies", "99"], 1, "GB of memory"),
        (["--crop", "0,0,8"], 2, "x,y,width,height"),
        (["--window", "100,200"], 1, "none of 3 recordings can be used; plate_0001.npz: "),
        (["-o", "PLATES"], 1, "not part of a model"),
    ],
)
def test_one_line_says_what_is_wrong(
    plates: Path, tmp_path: Path, capsys: Tell, change: list[str], status: int, said: str
) -> None:
    given = [word.replace("PLATES", str(plates)) for word in change]
    assert main(["sequence", "train", str(plates), "-o", str(tmp_path / "m"), *SMALL, *given]) == status
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("isotherm: ")
    assert said in error


def test_no_data_is_said(tmp_path: Path, capsys: Tell) -> None:
    assert main(["sequence", "train", str(tmp_path), "-o", str(tmp_path / "m")]) == 1
    assert "labelled recording" in capsys.readouterr().err


def test_help_and_missing_torch_need_no_torch(plates: Path, tmp_path: Path) -> None:
    program = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "monai"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from isotherm.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    for words, status, said in (
        (["--help"], 0, "--net-width"),
        ([str(plates), "-o", str(tmp_path / "m")], 1, "pip install 'isotherm[train]'"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, "sequence", "train", *words], capture_output=True, text=True, check=False
        )
        assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stderr
