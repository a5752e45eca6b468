"""Decoding strangers' files in children with limits: what it costs over doing it in place, and how many files a second.

    python benchmarks/bench_limited.py [FILE ...] [--seconds 10] [--children 2] [--clients 8] [--fuzz N]

Each file (default: a radiometric FLIR R-JPEG of 640 x 512 with twelve hot spots that this script makes) is examined in
place and in a child in turns, so that a busy machine slows both; medians of the wall clock and of processor time are
compared. Then as many threads as clients send files for some seconds, which gives files a second and percentiles of the
answer's time. Lastly a child is killed by a file again and again, which gives the time until the next one answers.
With ``--fuzz`` so many mutated copies of the files go through a child, and every answer must be a result or a refusal.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

from isotherm.core.errors import DataError, FormatError
from isotherm.testing.fuzz import mutated
from isotherm.workflows.service.examination import Examinations, ExaminationSettings, examine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from thermal_files import FlirFile

ROUNDS, DEATHS = 40, 5
PER_S, P99_MS, MORE_MS, START_S, REPLACED_S = 30.0, 300.0, 1.0, 0.5, 1.5
"""The targets; ``MORE_MS`` is what a child may cost over doing it in place, a file."""


def main() -> int:
    parser = argparse.ArgumentParser(description="decoding in children with limits")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--children", type=int, default=2)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--fuzz", type=int, default=0)
    arguments = parser.parse_args()
    files = [file.read_bytes() for file in arguments.files] or [radiometric()]
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before")
    started = time.perf_counter()
    with Examinations(arguments.children, waiting=arguments.clients) as children:
        assert children.pool is not None
        if not children.pool.wait_ready():
            raise SystemExit("the children cannot be started")
        ready = (time.perf_counter() - started) / arguments.children
        print(f"ready after {ready:.2f} s a child; in force: {', '.join(children.pool.children()[0][1])}")
        more = max(compared(data, children) for data in files)
        per_s, p99 = sustained(files, children, clients=arguments.clients, seconds=arguments.seconds)
        replaced = deaths(children, files[0])
        clean = fuzzed(files, children, arguments.fuzz)
    wanted = [per_s >= PER_S, p99 <= P99_MS, more <= MORE_MS, ready <= START_S, replaced <= REPLACED_S, clean]
    names = ("files a second", "p99", "cost of the child", "start", "replacement", "mutated files")
    missed = [name for name, good in zip(names, wanted, strict=True) if not good]
    print("all targets are met" if not missed else f"missed: {', '.join(missed)}")
    return int(bool(missed))


def radiometric() -> bytes:
    """Return a FLIR R-JPEG of 640 x 512 pixels: a warm scene with noise and twelve hot spots."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :640]
    counts = 18000 + 800 * np.sin(x / 90) + 500 * np.cos(y / 70) + rng.normal(0, 20, (512, 640))
    for _ in range(12):
        row, column, size = rng.integers(20, 490), rng.integers(20, 620), rng.uniform(3, 9)
        counts += 3000 * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * size**2))
    return FlirFile(counts=counts.round().astype(np.uint16)).jpeg()


def compared(data: bytes, children: Examinations) -> float:
    """Print medians of both ways in milliseconds, and return how much more the child takes."""
    settings = ExaminationSettings()
    ways: dict[str, Callable[[], object]] = {
        "in place": lambda: examine(data, "x", settings),
        "in a child": lambda: children.examine(data, "x", settings),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    processor = []
    for _ in range(ROUNDS):
        for name, way in ways.items():
            wall, used = time.perf_counter(), time.process_time()
            way()
            times[name].append(1e3 * (time.perf_counter() - wall))
            if name == "in place":
                processor.append(1e3 * (time.process_time() - used))
    place, child = (median(times[name]) for name in ways)
    print(
        f"{len(data)} bytes: {place:.1f} ms in place ({median(processor):.1f} of it computing), {child:.1f} in a child"
    )
    return child - place


def sustained(files: list[bytes], children: Examinations, *, clients: int, seconds: float) -> tuple[float, float]:
    """Return files a second and the 99th percentile of the answer's time [ms]."""
    until, lock, taken = time.perf_counter() + seconds, threading.Lock(), list[float]()

    def client(number: int) -> None:
        mine = []
        while (begun := time.perf_counter()) < until:
            children.examine(files[(number + len(mine)) % len(files)], "x")
            mine.append(1e3 * (time.perf_counter() - begun))
        with lock:
            taken.extend(mine)

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(client, range(clients)))
    middle, high = np.percentile(taken, [50, 99])
    per_s = len(taken) / seconds
    print(f"{clients} clients for {seconds:g} s: {per_s:.1f} files a second, p50 {middle:.0f} ms, p99 {high:.0f} ms")
    return per_s, float(high)


def deaths(children: Examinations, data: bytes) -> float:
    """Kill all children again and again, and return the median time until a file is examined again [s]."""
    taken = []
    assert children.pool is not None
    for _ in range(DEATHS):
        for pid, _ in children.pool.children():
            os.kill(pid, signal.SIGKILL)
        begun = time.perf_counter()
        while True:
            try:
                children.examine(data, "x")
                break
            except FormatError:
                # It was killed while it read.
                continue
        taken.append(time.perf_counter() - begun)
        children.pool.wait_ready()
    print(f"after the death of all children the next file takes {median(taken):.2f} s")
    return median(taken)


def fuzzed(files: list[bytes], children: Examinations, count: int) -> bool:
    """Send mutated copies; say whether each was answered by a result or a refusal within 5 s."""
    read, slowest = 0, 0.0
    for index in range(count):
        data, words = mutated(files, 1, index)
        begun = time.perf_counter()
        try:
            children.examine(data, words, want=("thumbnail", "view", "picture", "plane", "values"))
            read += 1
        except (FormatError, DataError) as error:
            if "Error: " in str(error):
                print(f"{words}: {error}")
                return False
        slowest = max(slowest, time.perf_counter() - begun)
    if count:
        print(f"{count} mutated files: {read} read, {count - read} refused, the slowest took {slowest:.2f} s")
    return slowest <= 5


if __name__ == "__main__":
    sys.exit(main())
