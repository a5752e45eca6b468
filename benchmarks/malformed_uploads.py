"""Malformed uploads, one after the other, to a server: each must be a 4xx problem or a part that is refused or sound.

python benchmarks/malformed_uploads.py [--count 2000] [--seed 1] [--url http://127.0.0.1:8000]

Three kinds in turn: damaged copies of files of many formats (`isotherm.testing.fuzz`, and the handmade bombs and lies
of tests/hostile_files.py), forms whose own bytes are damaged, and forms that break off. A damaged file that still can
be read is taken: that is no fault. Fails (status 1) where an answer is 5xx, or an error without a problem, where the
server dies, or where it does not answer for health within a second after any of them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from service_load import BOUNDARY, Client, form, own_server

from hostile_files import hostile_files
from isotherm.testing.fuzz import mutated
from thermal_files import FlirFile, encoded, ramp

KIND = f"multipart/form-data; boundary={BOUNDARY}"


def samples() -> list[bytes]:
    """Return sound files of some formats."""
    grey = ramp(24, 32)
    pictures = [encoded((grey // 256).astype(np.uint8), kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "WEBP")]
    return [FlirFile(counts=grey).jpeg(), FlirFile(counts=grey).fff(), encoded(grey, "PNG"), *pictures]


def damaged_form(body: bytes, rng: np.random.Generator) -> bytes:
    """Return a form with some of its own first or last bytes changed."""
    found = bytearray(body)
    for _ in range(int(rng.integers(1, 6))):
        near = int(rng.integers(min(160, len(found))))
        found[near if rng.integers(2) else -1 - near] = int(rng.integers(256))
    return bytes(found)


def bodies(count: int, seed: int) -> list[tuple[str, bytes]]:
    """Return the forms to send, each with words for what it is."""
    sound, hostile = samples(), list(hostile_files().items())
    made = []
    for index in range(count):
        rng = np.random.default_rng((seed, index, 1))
        if index < len(hostile):
            name, data = hostile[index]
            made.append((f"hostile: {name}", form("a.jpg", data)))
            continue
        data, words = mutated(sound, seed, index)
        body = form("a.jpg", data)
        what = index % 4
        if what == 1:
            made.append((f"form damaged; {words}", damaged_form(body, rng)))
        elif what == 2:
            made.append((f"form cut; {words}", body[: int(rng.integers(len(body)))]))
        else:
            made.append((f"file: {words}", body))
    return made


def judge(status: int, kind: str, data: bytes) -> str:
    """Return what is wrong with an answer; empty where it is right."""
    if status == 200:
        found = json.loads(data)
        return "" if found["taken"] else "200, and nothing taken"
    if status == 429:
        return ""
    if not 400 <= status < 500:
        return f"status {status}"
    return "" if kind == "application/problem+json" else f"{status} as {kind}"


def send(url: str, path: str, body: bytes) -> tuple[int, str, bytes]:
    """Send one form over a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": KIND})
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read()
    finally:
        connection.close()


def main() -> int:
    """Send all, and say how many were answered how."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", default="")
    arguments = parser.parse_args()
    if arguments.url:
        return run(arguments, arguments.url)
    with own_server(workers=0) as (url, process):
        failed = run(arguments, url)
        return failed or int(process.poll() is not None)


def run(arguments: argparse.Namespace, url: str) -> int:
    """Send all to one server; returns 1 where something was wrong."""
    client, faults = Client(url), []
    site = client.json("POST", "/api/v1/sites", {"name": f"malformed-{os.getpid()}-{time.time_ns()}"})["id"]
    statuses, slowest = Counter(), 0.0
    for what, body in bodies(arguments.count, arguments.seed):
        started = time.perf_counter()
        try:
            status, kind, data = send(url, f"/api/v1/sites/{site}/images", body)
        except (OSError, http.client.HTTPException) as error:
            faults.append(f"{what}: {error!r}")
            continue
        slowest = max(slowest, time.perf_counter() - started)
        statuses[status] += 1
        wrong = judge(status, kind, data)
        health = Client(url).send("GET", "/healthz")
        if wrong or health[0] != 200 or health[2] > 1.0:
            faults.append(f"{what}: {wrong or health}")
    print(
        json.dumps(
            {
                "sent": arguments.count,
                "answers": dict(sorted(statuses.items())),
                "slowest_s": round(slowest, 2),
                "faults": faults[:20],
            }
        )
    )
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
