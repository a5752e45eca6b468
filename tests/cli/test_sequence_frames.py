"""The commands on a sequence: its first frame, or the one that is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import isotherm
from isotherm.cli.main import main
from isotherm.formats import ReadHints
from thermal_files import FlirFile, ramp


@pytest.fixture
def seq(tmp_path: Path) -> Path:
    path = tmp_path / "recording.seq"
    path.write_bytes(FlirFile().fff() + FlirFile(counts=ramp(low=18_000)).fff())
    return path


def test_info_tells_of_the_chosen_frame(seq: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(seq), "--frame", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)[0]
    assert found["notes"] == ["frame 1 of 2 is read, counted from 0 (choose with --frame)"]
    second = isotherm.read(seq, ReadHints(frame=1)).celsius()
    assert found["temperatures"]["min_c"] == pytest.approx(float(second.min()), abs=1e-3)
    assert main(["info", str(seq), "--frame", "2"]) == 1
    assert "there is no frame 2; the sequence has 2, numbered from 0" in capsys.readouterr().out


def test_convert_writes_the_chosen_frame(seq: Path, tmp_path: Path) -> None:
    for frame in (0, -1):
        assert (
            main(["convert", str(seq), "-o", str(tmp_path / "out"), "--to", "tiff", f"--frame={frame}", "--overwrite"])
            == 0
        )
        written = isotherm.read(tmp_path / "out/recording.tiff").celsius()
        np.testing.assert_allclose(written, isotherm.read(seq, ReadHints(frame=frame)).celsius(), atol=1e-4)


def test_hotspots_are_found_in_the_first_frame(seq: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["hotspots", str(seq), "-o", str(out), "--method", "absolute", "--threshold-c", "40"]) == 0
    assert "recording.seq" in (out / "results.csv").read_text()
