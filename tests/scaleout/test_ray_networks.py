"""Ray over two networks of which one is cut off in mid-run: every picture still has one row."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray")
PROGRAM = Path(__file__).with_name("two_networks.py")
ALONE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
PICTURES = 160


def why_not() -> str:
    """Return why there can be no private networks here; empty where there can."""
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed (util-linux, iproute2)"
    cable = ("ip", "link", "add", "name", "cable", "type", "veth", "peer", "name", "end")
    tried = subprocess.run([*ALONE, *cable], capture_output=True, text=True, check=False)
    return f"no network of one's own here: {tried.stderr.strip()}" if tried.returncode else ""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder with pictures; Ray's names of sockets must be short."""
    found = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))
    (found / "pictures").mkdir()
    rng = np.random.default_rng(4)
    for number in range(PICTURES):
        values = rng.normal(22, 0.3, (240, 320)).astype(np.float32)
        values[50:60, 80:90] += 30 + number % 20
        np.save(found / "pictures" / f"{number:03}.npy", values)
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.mark.slow
def test_a_node_that_is_cut_off_in_mid_run_costs_no_row(folder: Path) -> None:
    if why := why_not():
        pytest.skip(why)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*ALONE, sys.executable, PROGRAM, folder],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["cut_in_work"]
    assert seen["nodes"] == 1
    with (folder / "out" / "results.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["image"] for row in rows) == [f"{number:03}.npy" for number in range(PICTURES)]
    assert {row["status"] for row in rows} == {"ok"}
