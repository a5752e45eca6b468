"""What one image costs a worker, and what a chunk and an image cost the driver, in seconds of processor time.

python benchmarks/scaling_costs.py [--images 48] [--rows 5000] [--s3 s3://bucket/prefix] [-o scaling_costs.json]

Without --s3 the file keeps what it says of a bucket. `scaling_page.py` writes the numbers into docs/scaling.md.

The images are R-JPEGs of 640x512 with raw counts (about 660 kB), written here. Processor time is hardly disturbed by
neighbours; times of flushing a commit are wall time of this machine's disk and are the median of many.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from service_load import scene

from isotherm.core.findings import ImageResult, Inspection
from isotherm.reports.plain import dumps
from isotherm.scaleout.executor import open_executor
from isotherm.scaleout.ledger import Ledger
from isotherm.scaleout.plan import Plan
from isotherm.scaleout.work import Work
from isotherm.workflows.columns_output import ColumnsTarget
from isotherm.workflows.inspect import InspectRun, InspectSettings, inspect
from isotherm.workflows.models import TrainedModel
from isotherm.workflows.reading import natural_key
from isotherm.workflows.run_end import RunEnd
from isotherm.workflows.run_folder import write_journal
from isotherm.workflows.run_place import FolderPlace
from isotherm.workflows.scaled_inspect import items_of
from isotherm.workflows.stored_results import stored_results
from isotherm.workflows.train import TrainSettings, train

CHUNK, NORMALS = 256, 12


def processor_s(do: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a call [s], and what it gave."""
    begun = time.process_time()
    found = do()
    return time.process_time() - begun, found


def same_rows(setup: str, items: Sequence[str]) -> list[str]:
    """Answer each item with one row, without any work (called in the processes of the pool)."""
    return [setup] * len(items)


def of_images(folder: Path, root: Path, model: TrainedModel) -> tuple[dict[str, Any], Sequence[ImageResult]]:
    """Measure what workers do with an image."""
    plain, drawn = InspectSettings(panels=False, jobs=1, reports=("csv",)), InspectSettings(jobs=1, reports=("csv",))
    kinds = {"hotspots": (None, plain), "hotspots_panels": (None, drawn), "patchcore": (model, plain)}
    count, found = len(list(folder.iterdir())), {}
    results: Sequence[ImageResult] = ()
    for name, (learnt, settings) in kinds.items():
        inspect(folder, root / f"warm {name}", model=learnt, settings=settings)
        used_s, inspection = processor_s(lambda: inspect(folder, root / name, model=learnt, settings=settings))  # noqa: B023
        written = sum(path.stat().st_size for path in (root / name).rglob("*.png"))
        found[name] = {"processor_s": used_s / count, "written_bytes": written / count}
        results = results or inspection.results
    return found, results


def of_chunks(root: Path, rows: Sequence[str]) -> dict[str, float]:
    """Measure what a chunk costs the driver: to give, to take, to pack and to commit."""
    plan = Plan("costs", {}, {}, items=100 * CHUNK, chunk=CHUNK)
    ledger = Ledger.open(f"sqlite:///{root / 'ledger.sqlite'}")
    waits = list[float]()

    def commit() -> None:
        held = ledger.hold(plan)
        for number in range(100):
            begun = time.perf_counter()
            held.commit(number, rows[:CHUNK])
            waits.append(time.perf_counter() - begun)

    commit_s, _ = processor_s(commit)
    ledger.close()
    packed = (root / "ledger.sqlite").stat().st_size
    return {
        "commit_processor_s": commit_s / 100,
        "commit_s": statistics.median(waits),
        "ledger_bytes_an_image": packed / (100 * CHUNK),
        "dispatch_processor_s": _dispatch_s(rows[0]),
    }


def _dispatch_s(row: str) -> float:
    """Give and take back chunks of rows that cost no work, by the pool of processes."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    executor = open_executor("pool", 1)
    works = [Work(number, 0, "scaling_costs:same_rows", row, tuple(map(str, range(CHUNK)))) for number in range(40)]

    def turn(some: Sequence[Work]) -> None:
        for work in some:
            executor.submit(work)
        left = len(some)
        while left:
            left -= len(executor.wait(60))

    turn(works[:1])
    used_s, _ = processor_s(lambda: turn(works[1:]))
    executor.close()
    return used_s / (len(works) - 1)


def of_driver(root: Path, rows: Sequence[str]) -> dict[str, float]:
    """Measure what the driver does with each row when all are there, and what it holds in memory."""

    def ended(name: str, tables: ColumnsTarget | None) -> None:
        place, results = FolderPlace(root / name), stored_results(lambda: rows, len(rows))
        place.prepare()
        write_journal(place, {"identity": {}}, rows)
        run = Inspection(results=results, title="costs", started_at="")
        RunEnd(place, run, ("html", "csv"), tables).write(dict)

    warm = ColumnsTarget.open(root / "warm tables")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended("warm", warm)
    end_s, _ = processor_s(lambda: ended("end", None))
    both_s, _ = processor_s(lambda: ended("both", ColumnsTarget.open(root / "tables")))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    stored = sum(path.stat().st_size for path in (root / "tables").rglob("*.parquet"))
    return {
        "end_processor_s": end_s / len(rows),
        "parquet_processor_s": max(0.0, both_s - end_s) / len(rows),
        "parquet_bytes": stored / len(rows),
        "row_bytes": sum(map(len, rows)) / len(rows),
        "driver_names_bytes": names_bytes(20_000),
        "driver_end_bytes": 1024 * grown_kb,
    }


def names_bytes(count: int) -> float:
    """Return what the driver holds of each picture from the beginning on, at most: its path, its key, its item."""
    root = Path("/archive of a site/2026")
    tracemalloc.start()
    found = [root / f"{number % 97:03}" / f"DJI_{number:08}_R.JPG" for number in range(count)]
    paths = sorted(found, key=lambda path: natural_key(path.relative_to(root).as_posix()))
    run = InspectRun(root, paths, FolderPlace(root), None, InspectSettings())
    items = items_of(run)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / len(items)


def of_bucket(url: str, images: Sequence[bytes]) -> dict[str, float]:
    """Measure what it costs a worker to read an image from a bucket and a server to put one there."""
    from isotherm.store.objects import open_objects

    objects = open_objects(url)

    def put() -> None:
        for number, image in enumerate(images):
            objects.write(f"costs/{number}", image)

    def get() -> None:
        for number in range(len(images)):
            objects.read(f"costs/{number}", 1 << 30)

    write_s, _ = processor_s(put)
    begun = time.perf_counter()
    read_s, _ = processor_s(get)
    waited = time.perf_counter() - begun
    for number in range(len(images)):
        objects.remove(f"costs/{number}")
    count = len(images)
    return {
        "write_processor_s": write_s / count,
        "read_processor_s": read_s / count,
        "read_s": waited / count,
    }


def earlier_bucket(output: Path | None) -> dict[str, float]:
    """Return what a file that will be replaced says of a bucket; empty where it says nothing."""
    if output is None or not output.is_file():
        return {}
    return dict(json.loads(output.read_text("utf-8")).get("bucket", {}))


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--s3", help="measure reading from this bucket too")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name, count in (("normals", NORMALS), ("images", arguments.images)):
            (root / name).mkdir()
            for number in range(count):
                (root / name / f"{number:04}.jpg").write_bytes(
                    scene(number + 1000 * (name == "images"), hot=name == "images")
                )
        pictures = [path.read_bytes() for path in sorted((root / "images").iterdir())]
        model = train(root / "normals", root / "model", settings=TrainSettings())
        worker, results = of_images(root / "images", root, model)
        many = (replace(results[n % len(results)], image=f"{n:08}.jpg") for n in range(arguments.rows))
        rows = [dumps(result) for result in many]
        found = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}",
            "image_bytes": statistics.mean(map(len, pictures)),
            "chunk": CHUNK,
            "worker": worker,
            "driver": of_chunks(root, rows) | of_driver(root, rows),
        }
        if arguments.s3:
            found["bucket"] = of_bucket(arguments.s3, pictures)
        elif earlier := earlier_bucket(arguments.output):
            found["bucket"] = earlier
    text = json.dumps(found, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
