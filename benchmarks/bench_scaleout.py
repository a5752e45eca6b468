"""What working in chunks costs and gains: one worker against two, Ray against the pool, and the ledger alone.

``python benchmarks/bench_scaleout.py [FOLDER]`` inspects 640x512 pictures (or a folder), no panels, by one and by two
workers of a pool, and by two of Ray. Each command runs once to no account, so that what it reads from the disk is in
memory, and then on a quarter of the pictures and on all: the difference is what three quarters cost (work), and what
is left of either is its start and end. ``--repeat`` takes the median of several. It prints both, pictures a second of
work, and CPU-milliseconds of work a picture, of all processes; then chunks a second and bytes a row of the ledger.
Times of one run can be compared with each other; take an idle machine for any of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isotherm.scaleout.ledger import Ledger
from isotherm.scaleout.plan import Plan

LOOK_S = 0.5
FEW, SHARE = 2, 4
"""Pictures of the run to no account; one in so many is in the smaller run."""


def make_pictures(folder: Path, count: int) -> None:
    """Write 640x512 pictures of counts in TIFF form as NumPy arrays [°C], each with three hot spots."""
    rng = np.random.default_rng(2)
    folder.mkdir()
    y, x = np.mgrid[:512, :640]
    plain = rng.normal(25, 0.3, (512, 640)).astype(np.float32)
    for number in range(count):
        values = plain.copy()
        for _ in range(3):
            cx, cy = rng.integers(40, 600), rng.integers(40, 470)
            values += 40 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 200).astype(np.float32)
        np.save(folder / f"{number:05}.npy", values)


@dataclass(frozen=True)
class Spent:
    """Seconds that a command took, and CPU-seconds of all its processes."""

    wall_s: float
    cpu_s: float

    def beyond(self, other: Spent) -> Spent:
        """Return what was spent beyond another command."""
        return Spent(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def times(self, factor: float) -> Spent:
        """Return so many times as much."""
        return Spent(self.wall_s * factor, self.cpu_s * factor)


def told_apart(few: Spent, many: Spent, counts: tuple[int, int]) -> tuple[Spent, Spent]:
    """Return the start and end of a command, and its work on all pictures: the line through two sizes."""
    a_picture = many.beyond(few).times(1 / (counts[1] - counts[0]))
    work = a_picture.times(counts[1])
    return many.beyond(work), work


def median(spent: Sequence[Spent]) -> Spent:
    """Return the median of each."""
    return Spent(statistics.median(one.wall_s for one in spent), statistics.median(one.cpu_s for one in spent))


def timed(folder: Path, out: Path, options: list[str]) -> Spent:
    """Run the command.

    Ray's workers are waited for by nobody who would tell their time, so all processes of the command's session are
    looked at twice a second (Linux); what one does in its last half second is not seen.
    """
    began, seen = time.perf_counter(), dict[int, float]()
    command = [sys.executable, "-m", "isotherm", "hotspots", folder, "-o", out, "--no-panels", "--report", "csv"]
    process = subprocess.Popen(
        [*command, *options], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        seen |= cpu_of_session(process.pid)
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Spent(time.perf_counter() - began, sum(seen.values()))


def cpu_of_session(session: int) -> dict[int, float]:
    """Return the CPU-seconds of each process of a session that lives (proc_pid_stat(5), columns 6, 14, 15)."""
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            columns = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdecimal() else []
            if columns and int(columns[3]) == session:
                found[int(entry.name)] = (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")
    return found


def few_of(folder: Path, few: Path, count: int) -> Path:
    """Link some pictures into a folder of their own."""
    few.mkdir()
    for path in sorted(path for path in folder.rglob("*") if path.is_file())[:count]:
        (few / path.name).symlink_to(path.resolve())
    return few


def ledger_alone(file: Path, row: str, chunks: int) -> tuple[float, float]:
    """Commit chunks of 256 rows; returns chunks a second and bytes a row."""
    ledger = Ledger.open(f"sqlite:///{file}")
    held = ledger.hold(Plan("run", {}, {}, chunks * 256, 256))
    rng = np.random.default_rng(1)
    portions = [[row.replace("25.", f"{rng.integers(10, 99)}.") for _ in range(256)] for _ in range(8)]
    began = time.perf_counter()
    for number in range(chunks):
        held.commit(number, portions[number % 8])
    took = time.perf_counter() - began
    ledger.close()
    return chunks / took, file.stat().st_size / (chunks * 256)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="pictures; 640x512 ones are made where none is named")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--chunk", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=1, help="times that each is measured; the median counts")
    parser.add_argument("--no-ray", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isotherm-bench-") as scratch:
        folder = arguments.folder or Path(scratch) / "pictures"
        if arguments.folder is None:
            make_pictures(folder, arguments.images)
        count = sum(1 for path in folder.rglob("*") if path.is_file())
        runs = {"as without --executor": []}
        chunk = ["--chunk", str(arguments.chunk)]
        runs |= {f"pool, {n} worker(s)": ["--executor", "pool", "--workers", str(n), *chunk] for n in (1, 2)}
        if not arguments.no_ray:
            runs["ray-local, 2 workers"] = ["--executor", "ray-local", "--workers", "2", *chunk]
        few, some = (few_of(folder, Path(scratch) / f"{n} pictures", n) for n in (FEW, count // SHARE))
        starts, found = {}, {}
        for number, (name, options) in enumerate(runs.items()):
            timed(few, Path(scratch) / f"warm{number}", options)
            pairs = []
            for again in range(arguments.repeat):
                part = timed(some, Path(scratch) / f"some{number}-{again}", options)
                pairs.append((part, timed(folder, Path(scratch) / f"out{number}-{again}", options)))
            part, whole = (median(spent) for spent in zip(*pairs, strict=True))
            starts[name], found[name] = told_apart(part, whole, (count // SHARE, count))
            print(
                f"{name:24} start and end {starts[name].wall_s:5.2f} s ({starts[name].cpu_s:5.2f} CPU-s), "
                f"work {found[name].wall_s:7.2f} s  {count / found[name].wall_s:6.1f} pictures/s  "
                f"{1000 * found[name].cpu_s / count:6.1f} CPU-ms a picture",
                flush=True,
            )
        pool, ray = "pool, 2 worker(s)", "ray-local, 2 workers"
        gain = found["pool, 1 worker(s)"].wall_s / found[pool].wall_s
        print(f"two workers of the pool against one: {gain:.2f} x of work")
        if ray in found:
            start, more = starts[ray].beyond(starts[pool]), found[ray].beyond(found[pool])
            print(
                f"Ray against the pool: start and end {start.wall_s:+.2f} s ({start.cpu_s:+.2f} CPU-s), "
                f"work {more.wall_s:+.2f} s ({1000 * more.cpu_s / count:+.1f} CPU-ms a picture)"
            )
        line = (Path(scratch) / "out0-0" / "journal.jsonl").read_text().splitlines()[1]
        json.loads(line)
        a_second, bytes_a_row = ledger_alone(Path(scratch) / "ledger.sqlite", line, 200)
        print(f"ledger (SQLite): {a_second:.0f} chunks/s of 256 rows, {bytes_a_row:.0f} bytes a row of {len(line)}")


if __name__ == "__main__":
    main()
