"""Runs `isotherm serve` under a steady load and watches whether it grows: memory, descriptors, threads, database log.

python benchmarks/soak.py [--seconds 1800] [--rate 5] [--data DIR] [--database postgresql://...] [--trace soak.csv]

One client uploads pictures at a steady rate (`--rate` a second), looks at pages and pictures, corrects verdicts, sends
what is no image, breaks off uploads, and now and then starts an inspection and a training. Every few seconds the
processes are looked at, by what they do: how many there are, and what the largest of them holds (jobs start children of
their own, which come and go). In the end the last third is compared with the third before it; a model has been learnt
before the first one. Exit status 1 where anything grew beyond the limits below, or an answer was a 5xx.

What it sees: growth of a process beyond `SPARE_MB` and `MOST_GROWTH` in a third of the time: 3 kB an upload in half an
hour at five a second, but only 130 kB an upload in a minute. What grows and is no leak: each training makes a model,
and eight are kept in memory (`Limits.models`, about 1.2 MB each).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import httpx2
from chaos import API, CATEGORIES, Server, picture
from chaos_processes import command_of, descendants

LOOK_S = 2.0
READY_S = 60.0
INSPECT_S, TRAIN_S = 20.0, 120.0
ROLES = ("limited_child", "worker_process", "job_process")
MOST_GROWTH = 0.05
"""Of the memory of a process from one third to the next."""
SPARE_MB = 8.0
"""Growth below this is the allocator's, whatever share it is."""
MOST_LOG_MB = 64.0
MOST_MORE = 2
"""How many more descriptors or threads a process may hold, and processes there may be, than in the third before."""


@dataclass(frozen=True)
class Sample:
    """What the largest of the processes that do the same holds, and how many there are."""

    at_s: float
    role: str
    processes: int
    memory_mb: float
    descriptors: int
    threads: int


def look(server: int, at_s: float) -> list[Sample]:
    """Return what the server and its descendants hold at this moment, by what they do."""
    found: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for process in (server, *descendants(server)):
        command = command_of(process)
        role = "server" if process == server else next((role for role in ROLES if role in command), "other")
        try:
            held = held_by(process)
        except (OSError, KeyError):
            # It has ended meanwhile.
            continue
        found[role].append(held)
    return [
        Sample(at_s, role, len(each), *(max(column) for column in zip(*each, strict=True)))
        for role, each in found.items()
    ]


def held_by(process: int) -> tuple[float, int, int]:
    """Return resident memory that is its own [MB], open descriptors and threads of a process (Linux)."""
    folder = Path(f"/proc/{process}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text("utf-8").splitlines())
    own_kb = int(status["RssAnon"].split()[0])
    return own_kb / 1024, sum(1 for _ in (folder / "fd").iterdir()), int(status["Threads"])


@dataclass
class Load:
    """One client that does the same things again and again."""

    server: Server
    http: httpx2.Client
    site: str
    rng: random.Random
    answers: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, method: str, path: str, **parts: object) -> httpx2.Response:
        """Return the answer; 5xx are noted."""
        answer = self.http.request(method, path, **parts)
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500:
            self.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def upload(self) -> None:
        """Send one picture and remember it."""
        category = self.rng.choice(CATEGORIES)
        files = {"files": ("picture.npy", picture(self.rng, hot=category == "hot"))}
        answer = self.ask(
            "POST", f"{API}/sites/{self.site}/images", files=files, data={"category": category, "split": "train"}
        )
        if answer.status_code == 200:
            result = answer.json()["results"][0]
            self.images.append((result["image"]["id"], result["inspection"]["id"]))
            del self.images[:-500]

    def send_rubbish(self) -> None:
        """Send what is no image."""
        self.ask("POST", f"{API}/sites/{self.site}/images", files={"files": ("a.jpg", self.rng.randbytes(5000))})

    def break_off(self) -> None:
        """Announce an upload, send a part and hang up."""
        where = urlsplit(self.server.url)
        head = f"POST {API}/sites/{self.site}/images HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 90000\r\n"
        with socket.create_connection((where.hostname, where.port)) as line:
            line.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())

    def look_at_pages(self) -> None:
        """Ask for pages and for the pictures of one image."""
        image, inspection = self.rng.choice(self.images)
        for path in ("/", "/images", f"/images/{image}", "/jobs", "/metrics", "/readyz"):
            self.ask("GET", path)
        self.ask("GET", f"{API}/images/{image}/thumbnail")
        self.ask("GET", f"{API}/inspections/{inspection}")

    def correct(self) -> None:
        """Say that a verdict is wrong."""
        _, inspection = self.rng.choice(self.images)
        self.ask("POST", f"{API}/inspections/{inspection}/feedback", json={"category": self.rng.choice(CATEGORIES)})

    def inspect(self) -> None:
        """Start a job that inspects images again."""
        chosen = [image for image, _ in self.images[-20:]]
        self.ask("POST", f"{API}/sites/{self.site}/inspect", json={"image_ids": chosen})

    def train(self) -> None:
        """Start a training."""
        self.ask("POST", f"{API}/sites/{self.site}/train", json={})


def wait_until_ready(http: httpx2.Client) -> None:
    """Wait for the server's workers; a server that lacks anything else never becomes ready."""
    due = time.monotonic() + READY_S
    while (answer := http.get("/readyz")).status_code != 200:
        if time.monotonic() > due:
            raise SystemExit(f"the server is not ready after {READY_S:.0f} s: {answer.text}")
        time.sleep(0.2)


def warm_up(load: Load) -> None:
    """Let the server learn a model and judge with it, which it loads once and keeps."""
    for _ in range(20):
        load.upload()
    job = load.ask("POST", f"{API}/sites/{load.site}/train", json={}).json()
    while job["state"] in ("queued", "running"):
        job = load.ask("GET", f"{API}/jobs/{job['id']}", params={"wait": 20}).json()
    for _ in range(20):
        load.upload()


def run(load: Load, seconds: float, rate: float, record: Callable[[float], None]) -> None:
    """Put the load on for some seconds, and call `record` with the time [s] every `LOOK_S`."""
    began = time.monotonic()
    due = {load.inspect: INSPECT_S / 2, load.train: min(TRAIN_S, seconds) / 4}
    next_look, number = 0.0, 0
    while (at_s := time.monotonic() - began) < seconds:
        load.upload()
        beside = (load.look_at_pages, load.correct, load.send_rubbish, load.break_off)
        if load.images:
            beside[number % len(beside)]()
        for deed, when_s in due.items():
            if at_s >= when_s and load.images:
                deed()
                due[deed] = when_s + (INSPECT_S if deed == load.inspect else TRAIN_S)
        if at_s >= next_look:
            record(at_s)
            next_look = at_s + LOOK_S
        number += 1
        time.sleep(max(0.0, began + number / rate - time.monotonic()))


def growth(samples: list[Sample], seconds: float) -> dict[str, dict[str, tuple[float, float]]]:
    """Return, for each role, the medians of the second and of the last third of the time."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for role in sorted({sample.role for sample in samples} - {"job_process", "other"}):
        own = [sample for sample in samples if sample.role == role]
        thirds = [[one for one in own if int(3 * one.at_s / seconds) == third] for third in (1, 2)]
        if all(thirds):
            found[role] = {
                what: (medians[0], medians[1])
                for what in ("memory_mb", "descriptors", "threads", "processes")
                for medians in [[median(getattr(one, what) for one in third) for third in thirds]]
            }
    return found


def judge(grown: dict[str, dict[str, tuple[float, float]]], log_mb: float) -> list[str]:
    """Return what grew too much, one sentence each."""
    faults = [f"the log of the database reached {log_mb:.0f} MB"] if log_mb > MOST_LOG_MB else []
    for role, each in grown.items():
        for what, (before, after) in each.items():
            most = max(before * MOST_GROWTH, SPARE_MB) if what == "memory_mb" else MOST_MORE
            if after - before > most:
                faults.append(f"{role}: {what} grew from {before:.1f} to {after:.1f}")
    return faults


def main() -> int:
    """Run the soak; returns 1 where anything grew or failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--rate", type=float, default=5.0, help="uploads a second")
    parser.add_argument("--data", type=Path, default=None, help="an empty folder to keep (default: a temporary one)")
    parser.add_argument("--database", default="", metavar="URL")
    parser.add_argument("--trace", type=Path, default=None, help="a CSV file for all that was seen")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isotherm-soak-") as temporary:
        folder = (arguments.data or Path(temporary)) / "data"
        folder.mkdir(parents=True)
        return soak(folder, arguments)


def soak(folder: Path, arguments: argparse.Namespace) -> int:
    """Run the load against a server over a folder, and print what it held."""
    server = Server(folder, arguments.database)
    samples: list[Sample] = []
    log_bytes = [0]

    def record(at_s: float) -> None:
        samples.extend(look(server.process.pid, at_s))
        log = folder / "isotherm.db-wal"
        log_bytes.append(log.stat().st_size if log.exists() else 0)

    try:
        with httpx2.Client(base_url=server.url, timeout=60) as http:
            site = http.post(f"{API}/sites", json={"name": "soak"}).raise_for_status().json()["id"]
            for name in CATEGORIES:
                http.post(f"{API}/sites/{site}/categories", json={"name": name}).raise_for_status()
            wait_until_ready(http)
            load = Load(server, http, site, random.Random(1))
            warm_up(load)
            run(load, arguments.seconds, arguments.rate, record)
    finally:
        server.stop()
    if arguments.trace:
        with arguments.trace.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([list(Sample.__dataclass_fields__), *map(astuple, samples)])
    grown, log_mb = growth(samples, arguments.seconds), max(log_bytes) / 1e6
    faults = load.faults[:20] + judge(grown, log_mb)
    answers = {str(status): count for status, count in sorted(load.answers.items())}
    print(json.dumps({"seconds": arguments.seconds, "answers": answers, "log_mb": round(log_mb, 1), **grown}))
    print("\n".join(faults) or "nothing grew")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
