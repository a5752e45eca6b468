"""A program that has a private network for itself: a Ray of two nodes, the second one behind a cable that is cut.

``unshare --user --map-root-user --net --pid --fork --kill-child --mount-proc python two_networks.py FOLDER`` inspects
``FOLDER/pictures`` into ``FOLDER/out`` by both nodes and takes the cable away while the second one works. Ends with the
command's status, and with all its processes; what it saw is told in one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HEAD, NODE, PORT, CLIENT = "10.77.0.1", "10.77.0.2", 6379, 10001
START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
# The head asks each node every second whether it is there, and three times are enough. What waits for an answer over a
# cable that is cut asks after five seconds whether anybody is there (after five minutes by default).
IMPATIENT = {
    "RAY_grpc_client_keepalive_time_ms": "5000",
    "RAY_grpc_client_keepalive_timeout_ms": "3000",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    # As docs/scale.md says: or the head's process for a client may end before its first line.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def connect() -> int:
    """Join this network by a cable to a second one; returns a process that lives in that."""
    other = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    wait_until(lambda: network_of(other.pid) != network_of(os.getpid()), "no second network")
    inside = ("nsenter", "--target", str(other.pid), "--net")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "name", "cable", "type", "veth", "peer", "name", "end")
    run("ip", "link", "set", "end", "netns", str(other.pid))
    run("ip", "address", "add", f"{HEAD}/24", "dev", "cable")
    run("ip", "link", "set", "cable", "up")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "address", "add", f"{NODE}/24", "dev", "end")
    run(*inside, "ip", "link", "set", "end", "up")
    return other.pid


def network_of(process: int) -> str:
    return str(Path(f"/proc/{process}/ns/net").readlink())


def start_node(folder: Path, *arguments: str, inside: tuple[str, ...] = ()) -> None:
    folder.mkdir()
    environment = {**os.environ, **IMPATIENT, "RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": str(folder)}
    command = [*inside, *START, "--object-store-memory=100000000", *arguments]
    with (folder / "log.txt").open("wb") as log:
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def workers_in(network: str) -> list[int]:
    """Return the workers of Ray that do a task of ours in a network."""
    found = []
    for entry in Path("/proc").iterdir():
        # A process may end while one looks.
        with suppress(OSError):
            title = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            if title.startswith(b"ray::_task") and network_of(int(entry.name)) == network:
                found.append(int(entry.name))
    return found


def second_works(other: str) -> bool:
    """Say whether the second node has begun; until it has, the head's workers are halted, or they would do it all."""
    found = bool(workers_in(other))
    for worker in workers_in(network_of(os.getpid())):
        os.kill(worker, signal.SIGCONT if found else signal.SIGSTOP)
    return found


def wait_until(found: Callable[[], bool], what: str, within_s: float = 120) -> None:
    end = time.monotonic() + within_s
    while not found():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)


def nodes() -> int:
    """Return how many nodes the head knows that live."""
    asked = f"import ray; ray.init('{HEAD}:{PORT}', logging_level='error'); print(sum(n['Alive'] for n in ray.nodes()))"
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def main(folder: Path) -> int:
    other = connect()
    client = f"--ray-client-server-port={CLIENT}"
    start_node(
        folder / "h", "--head", f"--node-ip-address={HEAD}", f"--port={PORT}", client, "--include-dashboard=false"
    )
    wait_until(lambda: nodes() == 1, "the head does not start")
    inside = ("nsenter", "--target", str(other), "--net")
    start_node(folder / "n", f"--node-ip-address={NODE}", f"--address={HEAD}:{PORT}", inside=inside)
    wait_until(lambda: nodes() == 2, "the node does not start")
    command = [sys.executable, "-m", "isotherm", "hotspots", str(folder / "pictures"), "-o", str(folder / "out")]
    options = ["--executor", f"ray://{HEAD}:{CLIENT}", "--chunk", "2", "--no-panels", "--report", "csv"]
    driver = subprocess.Popen(
        [*command, *options], env={**os.environ, "RAY_AUTH_MODE": "disabled"}, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: second_works(network_of(other)), "the second node is given no work", within_s=240)
    run("ip", "link", "set", "cable", "down")
    began = time.monotonic()
    cut_in_work = driver.poll() is None
    status = driver.wait(240)
    said = {"cut_in_work": cut_in_work, "nodes": nodes(), "after_s": round(time.monotonic() - began)}
    sys.stdout.write(f"{json.dumps(said)}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
