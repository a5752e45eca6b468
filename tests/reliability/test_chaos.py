"""The short form of `make chaos`: kill -9 under load, on both databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from databases import PostgreSQL

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(program: str, *arguments: str) -> None:
    command = [sys.executable, BENCHMARKS / program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed() -> None:
    # Clients that rest leave the processor to the other tests; they still have a request under way at most kills.
    run("chaos.py", "--kills", "60", "--rest", "0.03")


@pytest.mark.slow
def test_no_job_is_lost_or_done_twice_on_postgresql(postgresql: PostgreSQL) -> None:
    with postgresql.database() as url:
        run("chaos_queue.py", "--kills", "20", "--patience", "3", "--url", url)
