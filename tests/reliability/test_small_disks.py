"""A service on disks that become full at every place: an error that says so, nothing hurt, and with room on it goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("small_disks.py")
SIZES_KB = [860, *range(1200, 1304, 4 if os.environ.get("ISOTHERM_EVERY_CALL") else 8), 2500]
"""One picture more takes about 100 kB, the log of the database included: so it gets full within each part of that."""


@pytest.mark.slow
def test_a_disk_may_become_full_at_any_place(tmp_path: Path) -> None:
    apart = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("may not mount small disks here (unshare --map-root-user --mount)")
    command = [*apart, sys.executable, str(PROGRAM), str(tmp_path), *map(str, SIZES_KB)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert [disk["size_kb"] for disk in seen] == SIZES_KB
    for disk in seen:
        assert disk["flaws"] == [], disk
        assert disk["errors"] == ["StorageFullError"] * 3, disk
        assert disk["restart"] in ("", "StorageFullError", "OutputError"), disk
    taken = [disk["taken"] for disk in seen]
    assert taken == sorted(taken)
    assert taken[0] > 0
