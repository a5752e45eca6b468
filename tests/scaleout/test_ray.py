"""Ray: on this machine, as a cluster of two nodes of which one dies, and at addresses where there is none."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from isotherm.core.errors import ConfigError, UnreachableError, UsageError
from isotherm.scaleout.driving import Task, drive
from isotherm.scaleout.executor import open_executor
from isotherm.scaleout.ledger import Held, Ledger
from isotherm.scaleout.plan import Plan
from isotherm.scaleout.ray_tasks import _task
from isotherm.scaleout.work import rows_of

pytest.importorskip("ray")
HERE = Path(__file__).parent
ITEMS = [str(number) for number in range(200)]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield ledger.hold(Plan("run", {}, {}, len(ITEMS), 4))
    ledger.close()


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
    assert time.monotonic() - began < 5


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


def in_a_process(script: str, tmp_path: Path, *arguments: str) -> str:
    """Run a driver apart from the tests: Ray leaves threads, and warnings that are errors here."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(tmp_path),
    }
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout


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


@pytest.mark.slow
def test_a_local_ray_does_all_items_once_though_a_worker_is_killed(tmp_path: Path) -> None:
    setup = json.dumps({"at": "57", "marker": str(tmp_path / "died")})
    said = in_a_process(DRIVER, Path("/tmp"), "ray-local", f"sqlite:///{tmp_path / 'l.sqlite'}", setup)
    assert json.loads(said.splitlines()[-1]) == [str(2 * int(item)) for item in ITEMS]
    assert (tmp_path / "died").is_file()


@contextmanager
def node(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give a Ray node whose processes all end with the block."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.Popen(
        [*command, "--object-store-memory=100000000", *arguments],
        env=environment,
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


def wait_for(port: int) -> None:
    for _ in range(120):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.5)
    raise AssertionError("Ray does not start")


@pytest.mark.slow
def test_a_cluster_of_two_nodes_loses_one_and_no_row(tmp_path: Path) -> None:
    port, client = free_port(), free_port()
    with (
        node("--head", f"--port={port}", f"--ray-client-server-port={client}", "--include-dashboard=false"),
        node_after(client, f"--address=127.0.0.1:{port}") as second,
    ):
        setup = json.dumps({"seconds": 0.3, "calls": str(tmp_path / "calls")})
        environment = {**os.environ, "PYTHONPATH": str(HERE), "RAY_AUTH_MODE": "disabled"}
        command = [sys.executable, "-c", DRIVER, f"ray://127.0.0.1:{client}", f"sqlite:///{tmp_path / 'l'}", setup]
        driver = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        calls = tmp_path / "calls"
        for _ in range(900):
            if calls.is_file() and len(calls.read_text().splitlines()) >= 8:
                break
            time.sleep(0.1)
        workers_before = {line.split()[0] for line in calls.read_text().splitlines()}
        end(second)
        said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0
    assert json.loads(said.splitlines()[-1]) == [str(2 * int(item)) for item in ITEMS]
    assert len(workers_before) == 2


@contextmanager
def node_after(port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give another node, once the head answers."""
    wait_for(port)
    with node(*arguments) as found:
        yield found
