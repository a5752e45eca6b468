"""``isotherm worker``."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isotherm.cli.main import main
from isotherm.jobs import queue
from isotherm.store.database import Database

PATIENCE_S = 120


def test_it_runs_the_jobs_of_a_data_folder_until_it_is_told_to_stop(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-m", "isotherm", "worker", "--data", str(folder)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert "Ctrl-C stops it" in worker.stdout.readline()
        database = Database.open(f"sqlite:///{folder / 'isotherm.db'}")
        with database.write() as session:
            job_id = queue.enqueue(session, "evaluate", payload={"model": "none"}).id
        job, deadline = None, time.monotonic() + PATIENCE_S
        while (job is None or job.state not in queue.FINISHED) and time.monotonic() < deadline:
            time.sleep(0.1)
            with database.read() as session:
                job = queue.get(session, job_id)
        database.close()
        # The real kinds were at work: there is no such model version.
        assert job is not None
        assert (job.state, job.error) == ("failed", "there is no model version 'none'")
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        worker.stdout.close()


@pytest.mark.parametrize("count", ["0", "65"])
def test_a_wrong_number_of_workers_is_bad_usage(count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--data", str(tmp_path / "data"), "--workers", count]) == 2
    assert f"--workers must be from 1 to 64, not {count}" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    assert main(["worker", "--data", str(tmp_path / "data")]) == 1
    assert capsys.readouterr().err.startswith("isotherm: ")
