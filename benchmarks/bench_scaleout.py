"""What working in chunks costs and gains: one worker against two, Ray against the pool, and the ledger alone.

``python benchmarks/bench_scaleout.py [FOLDER]`` inspects 640x512 pictures (or a folder), no panels, by one and by two
workers of a pool, and by two of Ray, and prints seconds, pictures a second and CPU-seconds; then chunks a second and
bytes a row of the ledger. Times of one run can be compared with each other; take an idle machine for any of them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from isotherm.scaleout.ledger import Ledger
from isotherm.scaleout.plan import Plan


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


def timed(folder: Path, out: Path, options: list[str]) -> dict[str, float]:
    """Run the command; returns seconds, and CPU-seconds of it and its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "isotherm", "hotspots", folder, "-o", out, "--no-panels", "--report", "csv"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"s": time.perf_counter() - began, "cpu_s": cpu}


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
        found = {}
        for number, (name, options) in enumerate(runs.items()):
            found[name] = timed(folder, Path(scratch) / f"out{number}", options)
            print(
                f"{name:24} {found[name]['s']:7.2f} s  {count / found[name]['s']:6.1f} pictures/s  "
                f"{1000 * found[name]['cpu_s'] / count:6.1f} CPU-ms a picture",
                flush=True,
            )
        one, two = found["pool, 1 worker(s)"]["s"], found["pool, 2 worker(s)"]["s"]
        print(f"two workers of the pool against one: {one / two:.2f} x")
        if "ray-local, 2 workers" in found:
            print(f"Ray against the pool: {found['ray-local, 2 workers']['s'] - two:+.2f} s in all")
        line = (Path(scratch) / "out0" / "journal.jsonl").read_text().splitlines()[1]
        json.loads(line)
        a_second, bytes_a_row = ledger_alone(Path(scratch) / "ledger.sqlite", line, 200)
        print(f"ledger (SQLite): {a_second:.0f} chunks/s of 256 rows, {bytes_a_row:.0f} bytes a row of {len(line)}")


if __name__ == "__main__":
    main()
