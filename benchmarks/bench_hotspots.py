"""Camera files of 640x480 through `isotherm hotspots` to CSV: files per second, and whether memory stays flat.

python benchmarks/bench_hotspots.py [--files 1000] [--sample FILE ...]

Without samples the files are made up in FLIR's layout, a half with raw counts and a half packed as PNG, each with noise
and a hot component of its own. Wanted: 60 files/s on two free cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from thermal_files import FlirFile

WIDTH, HEIGHT = 640, 480
WANTED_PER_S = 60


def made_up(number: int) -> bytes:
    """Return a file of a warm rack with noise and one component that is too hot."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    counts = 17_500 + x + rng.normal(0, 8, (HEIGHT, WIDTH))
    left, top = rng.integers(40, 500), rng.integers(40, 380)
    counts[(abs(x - left) < 30) & (abs(y - top) < 20)] += rng.uniform(1000, 5000)
    return FlirFile(counts=counts.round().astype(np.uint16), packed=number % 2 == 1).jpeg()


def write(folder: Path, count: int, samples: list[Path]) -> None:
    """Fill a folder with `count` files."""
    folder.mkdir()
    for number in range(count):
        data = samples[number % len(samples)].read_bytes() if samples else made_up(number)
        (folder / f"IR_{number:05}.jpg").write_bytes(data)


@dataclass(frozen=True)
class Run:
    """One whole process."""

    seconds: float
    cpu_s: float
    peak_mib: float


def run(folder: Path, out: Path) -> Run:
    """Run the command on a folder."""
    command = [
        sys.executable,
        "-m",
        "isotherm",
        "hotspots",
        str(folder),
        "-o",
        str(out),
        "--report",
        "csv",
        "--no-panels",
    ]
    start = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"the command ended with status {os.waitstatus_to_exitcode(status)}")
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> int:
    """Measure and print; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--sample", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root, runs = Path(scratch), {}
        for count in (max(1, arguments.files // 10), arguments.files):
            write(root / f"in{count}", count, arguments.sample)
            runs[count] = found = run(root / f"in{count}", root / f"out{count}")
            rate, cost = count / found.seconds, 1000 * found.cpu_s / count
            print(f"{count:6} files: {rate:6.1f} files/s, {cost:5.1f} CPU-ms a file, peak {found.peak_mib:.0f} MiB")
    few, many = runs.values()
    reached = arguments.files / many.seconds
    print(f"{reached / WANTED_PER_S:.2f} of the {WANTED_PER_S} wanted; memory x {many.peak_mib / few.peak_mib:.2f}")
    return int(reached < WANTED_PER_S)


if __name__ == "__main__":
    sys.exit(main())
