"""The short form of `benchmarks/soak.py`, and that it would see what grows.

The short form sees processes, descriptors and threads that pile up, and some 100 kB an upload that stay; not less, as
allocators and pools settle for longer than it lasts. `tests/server/test_upload_memory.py` counts what Python holds,
object by object; what libraries hold in small pieces is seen by the soak of half an hour only.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SECONDS, RATE = 45, 4


@pytest.fixture(autouse=True)
def benchmarks_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.slow
def test_a_server_under_load_does_not_grow() -> None:
    command = [sys.executable, BENCHMARKS / "soak.py", "--seconds", str(SECONDS), "--rate", str(RATE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert '"server"' in done.stdout
    assert '"limited_child"' in done.stdout
    assert '"worker_process"' in done.stdout


def samples(memory_mb: list[float], descriptors: list[int]) -> list[object]:
    from soak import Sample

    pairs = enumerate(zip(memory_mb, descriptors, strict=True))
    return [Sample(10.0 * at, "server", 1, memory, count, 5) for at, (memory, count) in pairs]


def test_growth_is_seen_and_warming_up_is_not() -> None:
    from soak import growth, judge

    flat = samples([50, 150, 200, 200, 201, 200, 200, 201, 200], [5, 20, 20, 20, 21, 20, 20, 20, 21])
    assert judge(growth(flat, 90), log_mb=4) == []
    leaking = samples([200 + 6 * at for at in range(9)], [20 + at for at in range(9)])
    assert judge(growth(leaking, 90), log_mb=65) == [
        "the log of the database reached 65 MB",
        "server: memory_mb grew from 224.0 to 242.0",
        "server: descriptors grew from 24.0 to 27.0",
    ]


def test_what_a_process_holds(tmp_path: Path) -> None:
    from soak import held_by

    before = held_by(os.getpid())
    # Not from the heap, which may hold as much already that nobody uses.
    ballast = mmap.mmap(-1, 40 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    ballast[:: mmap.PAGESIZE] = b"x" * (len(ballast) // mmap.PAGESIZE)
    opened = [(tmp_path / str(number)).open("w") for number in range(7)]
    after = held_by(os.getpid())
    for stream in (ballast, *opened):
        stream.close()
    assert after[0] - before[0] == pytest.approx(40, rel=0.2)
    assert after[1] - before[1] == 7
    assert after[2] == before[2]
