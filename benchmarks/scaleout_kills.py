"""Kill the driver and the workers of an inspection in chunks until it is done: every picture has one row.

``python benchmarks/scaleout_kills.py --images 100000`` makes tiny pictures (kept, if ``--folder`` names their folder),
inspects them by the command, kills the command (with all its memory of what is under way) and its workers by SIGKILL at
random times, runs it again until it ends by itself, and compares the rows with the pictures.
"""

from __future__ import annotations

import argparse
import csv
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

HEIGHT, WIDTH = 24, 32
FOLDERS_OF = 1000


def make_pictures(folder: Path, count: int) -> None:
    """Write pictures of temperatures (H W) [°C], every third one with a hot spot; one file in a thousand is broken."""
    rng = np.random.default_rng(3)
    plain = [rng.normal(22, 0.2, (HEIGHT, WIDTH)).astype(np.float32) for _ in range(50)]
    for number in range(count):
        path = folder / f"{number // FOLDERS_OF:04}" / f"{number:07}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = plain[number % len(plain)].copy()
        if number % 3 == 0:
            values[6:10, 8:12] += 30 + number % 40
        if number % 1000 == 999:
            path.write_bytes(b"broken")
        else:
            np.save(path, values)


def children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        return []


def begin(folder: Path, out: Path, options: list[str]) -> subprocess.Popen[bytes]:
    """Start the command."""
    command = [sys.executable, "-m", "isotherm", "hotspots", folder, "-o", out, "--no-panels", "--report", "csv"]
    with (out.parent / "log.txt").open("ab") as log:
        return subprocess.Popen([*command, *options], stdout=log, stderr=log)


def run_with_kills(folder: Path, out: Path, options: list[str], *, kills: Counter[str], within_s: float) -> int:
    """Run the command until it ends by itself; returns its exit status."""
    rng = random.Random(5)
    while True:
        process = begin(folder, out, options)
        while process.poll() is None:
            left = list(kills.elements())
            try:
                process.wait(rng.uniform(0.3, 1) * within_s if left else None)
            except subprocess.TimeoutExpired:
                victim = rng.choice(left)
                workers = children(process.pid)
                if victim == "worker" and not workers:
                    continue
                kills[victim] -= 1
                target = process.pid if victim == "driver" else rng.choice(workers)
                subprocess.run(["kill", "-KILL", str(target)], check=False)
                if victim == "driver":
                    process.wait()
        finished = (out / "run.json").is_file() and not (out / "ledger.sqlite").is_file()
        if process.returncode != -signal.SIGKILL or finished:
            # Killed between its last write and its end, the command has done everything, too.
            return max(0, process.returncode)


def check(folder: Path, out: Path, count: int) -> None:
    """Compare the rows with the pictures."""
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = Counter(row["image"] for row in rows)
    wanted = {path.relative_to(folder).as_posix() for path in folder.rglob("*.npy")}
    assert len(wanted) == count
    doubled = [name for name, times in found.items() if times > 1]
    lost = wanted - set(found)
    assert not doubled, f"{len(doubled)} doubled: {doubled[:5]}"
    assert not lost, f"{len(lost)} lost: {sorted(lost)[:5]}"
    assert len(rows) == count
    bad = {row["image"]: row["error"] for row in rows if row["status"] == "failed"}
    wrong = [name for name in bad if int(Path(name).stem) % 1000 != 999]
    assert not wrong, f"{len(wrong)} failed that are whole: {wrong[0]}: {bad[wrong[0]]}"
    left = [path.name for path in out.rglob("*") if path.name.startswith(("ledger", ".isotherm"))]
    assert not left, f"left behind: {left}"
    masks = sum(1 for _ in (out / "masks").iterdir())
    assert masks == count - len(bad), f"{masks} masks"


def main() -> None:
    """Make, inspect with kills, check, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--executor", default="pool")
    parser.add_argument("--chunk", type=int, default=256)
    parser.add_argument("--drivers", type=int, default=5, help="how often the command is killed")
    parser.add_argument("--workers", type=int, default=5, help="how often a worker is killed (pool)")
    parser.add_argument("--every", type=float, default=4.0, help="about how long until the next kill [s]")
    parser.add_argument("--ledger", help="a database in place of a file beside the results")
    parser.add_argument("--folder", type=Path, help="where the pictures are made, or lie already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isotherm-scaleout-") as scratch:
        folder = arguments.folder or Path(scratch) / "pictures"
        if not folder.is_dir():
            make_pictures(folder, arguments.images)
        out = Path(scratch) / "out"
        options = ["--executor", arguments.executor, "--chunk", str(arguments.chunk)]
        options += ["--ledger", arguments.ledger] if arguments.ledger else []
        kills = Counter(driver=arguments.drivers, worker=arguments.workers)
        began = time.perf_counter()
        status = run_with_kills(folder, out, options, kills=kills, within_s=arguments.every)
        took = time.perf_counter() - began
        said = (out.parent / "log.txt").read_text()
        if status not in (0, 3):
            sys.exit(f"the command ended with status {status}\n{said[-3000:]}")
        check(folder, out, arguments.images)
        done = Counter(driver=arguments.drivers, worker=arguments.workers) - kills
        killed = " and ".join(f"{times} {name}s" for name, times in done.items())
        print(f"{arguments.images} pictures, each with one row; {killed} killed; {took:.1f} s")
        if sum(kills.values()):
            sys.exit(f"the work was over before all kills: {dict(kills)} left; take more images or a smaller --every")


if __name__ == "__main__":
    main()
