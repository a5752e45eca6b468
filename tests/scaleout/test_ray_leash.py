"""The process that ends what a local Ray has left when its driver is gone, tried without Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from isotherm.scaleout import ray_leash

HOLDER = "import sys; kept = open(sys.argv[1], 'w'); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    found: list[subprocess.Popen[str]] = []
    yield found
    for process in found:
        process.kill()
        process.communicate()


def start(started: list[subprocess.Popen[str]], *command: str | Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_when_the_driver_is_gone_its_processes_are_ended_and_no_others(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    folder, other = tmp_path / "ray", tmp_path / "ray-of-others"
    folder.mkdir()
    other.mkdir()
    ours = start(started, sys.executable, "-c", HOLDER, folder / "worker.out")
    driver = start(started, sys.executable, "-c", HOLDER, folder / "driver.out")
    others = start(started, sys.executable, "-c", HOLDER, other / "worker.out")
    (folder / "log").write_text("first line\n")
    reader = start(started, "tail", "-f", folder / "log")
    watched, alive = os.pipe()
    command = [sys.executable, "-I", "-S", ray_leash.__file__, str(watched), str(driver.pid), folder]
    leash = subprocess.Popen(command, pass_fds=[watched])
    os.close(watched)
    with pytest.raises(subprocess.TimeoutExpired):
        leash.wait(0.5)
    assert ours.poll() is None
    os.close(alive)
    assert leash.wait(30) == 0
    assert ours.wait(5) == -9
    assert [process.poll() for process in (driver, others, reader)] == [None, None, None]
    assert not folder.exists()
    assert other.is_dir()
