"""The short form of killing drivers and workers of a run in chunks; `benchmarks/scaleout_kills.py` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).parents[2] / "benchmarks" / "scaleout_kills.py"


@pytest.mark.slow
def test_every_picture_has_one_row_after_the_driver_and_workers_were_killed_five_times() -> None:
    command = [sys.executable, KILLS, "--images", "2000", "--chunk", "32", "--every", "1.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert "2000 pictures, each with one row; 5 drivers and 5 workers killed" in done.stdout
