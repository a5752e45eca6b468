"""Ray: on this machine, as a cluster of two nodes of which one dies, and at addresses where there is none."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from isotherm.core.errors import ConfigError, UnreachableError, UsageError, one_line
from isotherm.scaleout import ray_tasks
from isotherm.scaleout.driving import Task, drive
from isotherm.scaleout.executor import open_executor
from isotherm.scaleout.ledger import Ledger
from isotherm.scaleout.plan import Plan
from isotherm.scaleout.ray_leash import users_of
from isotherm.scaleout.ray_tasks import _task
from isotherm.scaleout.work import rows_of

pytest.importorskip("ray")
HERE = Path(__file__).parent
ITEMS = [str(number) for number in range(200)]
DOUBLED = [str(2 * int(item)) for item in ITEMS]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.parametrize("address", ["ray://", "ray://host", "ray://host:port", "ray://:10001"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="ray://HOST:PORT, such as ray://head:10001"):
        open_executor(address)


def test_where_nobody_listens_that_is_said_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"no Ray answers at ray://127.0.0.1:\d+ .*refused.*port 10001"):
        open_executor(f"ray://127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 15


def test_a_node_with_another_version_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"a node has isotherm \S+, the driver 0\.0; install the same on all nodes"):
        rows_of(_task("0.0", "nowhere:nothing", "", ()))


def test_who_listens_and_never_answers_is_given_up_within_fifteen_seconds() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="does not answer as Ray does"):
            open_executor(f"ray://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began < 15


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder for Ray, whose names of sockets must be short."""
    found = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))
    yield found
    shutil.rmtree(found, ignore_errors=True)


def ray_environment(folder: Path) -> dict[str, str]:
    """Return the environment of drivers and nodes that look for a cluster, and keep their files, in a folder."""
    own = {"PYTHONPATH": str(HERE), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    # As docs/scale.md says: or the head's process for a client may end before its first line.
    return {**os.environ, **own, "GRPC_ENABLE_FORK_SUPPORT": "0", "RAY_TMPDIR": str(folder)}


def driver(folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a driver apart from the tests: Ray leaves threads, and warnings that are errors here."""
    command = [sys.executable, "-c", DRIVER, *arguments]
    started = subprocess.Popen(command, env=ray_environment(folder), stdout=subprocess.PIPE, text=True)
    DRIVERS.append(started)
    return started


DRIVERS: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def no_driver_outlives_its_test() -> Iterator[None]:
    yield
    while DRIVERS:
        with DRIVERS.pop() as started:
            started.kill()


def rows_from(driven: subprocess.Popen[str]) -> list[str]:
    """Return the rows that a driver ends with."""
    said, _ = driven.communicate(timeout=240)
    assert driven.returncode == 0
    rows: list[str] = json.loads(said.splitlines()[-1])
    return rows


def wait_until(found: Callable[[], object], what: str, within_s: float = 180) -> None:
    """Wait for something; fails where it does not come."""
    end = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def calls_in(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.is_file() else []


DRIVER = """
import json, sys
from pathlib import Path
import test_ray as this
print(json.dumps(this.work(*sys.argv[1:])))
"""


def work(address: str, ledger: str, setup: str) -> list[str]:
    """Drive all items; returns the rows."""
    opened = Ledger.open(ledger)
    held = opened.hold(Plan("run", {}, {}, len(ITEMS), 4))
    executor = open_executor(address, 2)
    try:
        while executor.workers < 2:
            time.sleep(0.5)
        task = Task("scaleout_functions:die_once", setup, ITEMS, lambda item, why: f"{item}: {why}", "working")
        drive(held, executor, task)
    finally:
        executor.close()
    return list(held.rows())


class BusyRay:
    """What is asked of Ray to join a cluster; its process for the client ends at once for the first times."""

    def __init__(self, refusals: int, why: Exception) -> None:
        self.refusals, self.why, self.left = refusals, why, 0

    def init(self, **_: object) -> None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise self.why

    def shutdown(self) -> None:
        self.left += 1

    def remote(self, **_: object) -> Callable[[object], object]:
        return lambda function: function


def test_a_cluster_whose_process_for_a_client_ends_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_tasks, "_check_answers", lambda address: None)
    # As Ray's client raises it: a ConnectionError, not the RuntimeError of its text.
    ended = ConnectionAbortedError("Initialization failure from server:\nRuntimeError: Starting failed.")
    other = RuntimeError("another version")
    for refusals, why, joins in ((4, ended, True), (5, ended, False), (1, other, False)):
        ray = BusyRay(refusals, why)
        monkeypatch.setattr(ray_tasks, "_ray", lambda ray=ray: ray)
        said, told = re.escape(one_line(why)), list[tuple[int, int, str]]()
        with nullcontext() if joins else pytest.raises(UnreachableError, match=f"no Ray lets .*: {said}"):
            open_executor("ray://head:10001", progress=lambda *step, told=told: told.append(step))
        assert told == [(number, 5, "asking Ray to let us in") for number in range(2, 6) if why is ended]
        # Whoever is refused has left before it asks again, and in the end.
        assert ray.left == (refusals if why is ended else 1)


@pytest.mark.slow
def test_a_local_ray_does_all_items_once_though_a_worker_is_killed(tmp_path: Path, folder: Path) -> None:
    setup = json.dumps({"at": "57", "marker": str(tmp_path / "died")})
    assert rows_from(driver(folder, "ray-local", f"sqlite:///{tmp_path / 'l.sqlite'}", setup)) == DOUBLED
    assert (tmp_path / "died").is_file()
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_a_local_ray_goes_with_its_driver_even_where_that_is_killed(tmp_path: Path, folder: Path) -> None:
    setup = json.dumps({"seconds": 60, "calls": str(tmp_path / "calls"), "begun": str(tmp_path / "begun")})
    driven = driver(folder, "ray-local", f"sqlite:///{tmp_path / 'l.sqlite'}", setup)
    wait_until((tmp_path / "begun").exists, "no worker began")
    (session,) = folder.iterdir()
    assert len(list(users_of(str(session)))) >= 6
    driven.kill()
    driven.communicate()
    # Ray's agents alone would stay for more than a minute.
    wait_until(lambda: not list(users_of(str(session))), "processes of Ray are left", within_s=20)
    wait_until(lambda: not list(folder.iterdir()), "files of Ray are left", within_s=20)


@contextmanager
def node(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give a Ray node whose processes all end with the block."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    process = subprocess.Popen(
        [*command, "--object-store-memory=100000000", *arguments],
        env=ray_environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a node with all its processes, as a loss of power would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_cluster_of_two_nodes_is_joined_and_loses_one_node_and_no_row(tmp_path: Path, folder: Path) -> None:
    port, client = free_port(), free_port()
    head = ("--head", f"--port={port}", f"--ray-client-server-port={client}", "--include-dashboard=false")
    with node(folder, *head):
        wait_until(lambda: answers(client), "Ray does not start")
        with node(folder, f"--address=127.0.0.1:{port}") as second:
            joined = json.dumps({"calls": str(tmp_path / "joined")})
            assert rows_from(driver(folder, "ray://auto", f"sqlite:///{tmp_path / 'a'}", joined)) == DOUBLED
            calls = tmp_path / "calls"
            setup = json.dumps({"seconds": 0.3, "calls": str(calls)})
            driven = driver(folder, f"ray://127.0.0.1:{client}", f"sqlite:///{tmp_path / 'l'}", setup)
            wait_until(lambda: len(calls_in(calls)) >= 8, "no chunk is done")
            workers_before = {line.split()[0] for line in calls_in(calls)}
            end(second)
            assert rows_from(driven) == DOUBLED
    assert len(workers_before) == 2


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
