"""A folder of simulated recordings with their truth, made in parallel.

``plate_0001.npz`` ... as `write_sequence` writes them, ``plates.csv`` (one row a plate), ``defects.csv`` (one row a
defect). The seed and the number of a plate decide all about it, however many processes work.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from isotherm.core.errors import ConfigError, OutputError
from isotherm.core.files import csv_of, make_folder, write_whole
from isotherm.core.progress import Progress, silent
from isotherm.datasets.plate_sequence import Experiment, simulate_plate, write_sequence
from isotherm.datasets.plates import Plate

PLATES, DEFECTS = "plates.csv", "defects.csv"
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@runtime_checkable
class Plates(Protocol):
    """What plates are drawn from; goes to other processes."""

    def draw(self, rng: np.random.Generator) -> tuple[Plate, Experiment]:
        """Draw a plate and how it is recorded."""
        ...


@dataclass(frozen=True)
class PlateRow:
    """One plate of a data set: its file, its seed, and how it was recorded."""

    file: str
    seed: int
    number: int
    thickness_mm: float
    diffusivity_m2_s: float
    pixel_mm: float
    defects: int
    netd_mk: float
    energy_j_m2: float
    heating_start_s: float
    material: str


@dataclass(frozen=True)
class DefectRow:
    """One defect: its file, its number in ``labels``, where it lies, and what it is; ``ratio`` is D/d."""

    file: str
    number: int
    kind: str
    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float
    diameter_mm: float
    depth_mm: float
    ratio: float
    pixels: int


def write_plates(
    folder: Path,
    spec: Plates,
    *,
    count: int,
    seed: int = 0,
    workers: int = 1,
    progress: Progress = silent,
) -> tuple[list[PlateRow], list[DefectRow]]:
    """Simulate random plates into a folder; returns what ``plates.csv`` and ``defects.csv`` hold.

    Files of the same names are replaced, others are let be. With several workers call it from a program whose start is
    guarded by ``if __name__ == "__main__"``, as for all use of processes.

    Raises
    ------
    ConfigError
        `count` or `workers` is below 1, or `seed` below 0.
    OutputError
        The folder cannot be written, or a worker was ended from outside (for want of memory, say).
    """
    for name, value, least in (("count", count, 1), ("workers", workers, 1), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"{name} must be {least} or more, not {value}")
    make_folder(folder)
    rows: dict[int, tuple[PlateRow, list[DefectRow]]] = {}
    for number, row in _made(folder, spec, count, seed, min(workers, count)):
        rows[number] = row
        progress(len(rows), count, row[0].file)
    plates = [rows[number][0] for number in sorted(rows)]
    defects = [defect for number in sorted(rows) for defect in rows[number][1]]
    _write_table(folder / PLATES, PlateRow, plates)
    _write_table(folder / DEFECTS, DefectRow, defects)
    return plates, defects


def _made(
    folder: Path, spec: Plates, count: int, seed: int, workers: int
) -> Iterator[tuple[int, tuple[PlateRow, list[DefectRow]]]]:
    if workers == 1:
        for number in range(1, count + 1):
            yield number, write_plate(folder, spec, seed, number)
        return
    with _one_thread_each(), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(write_plate, folder, spec, seed, number): number for number in range(1, count + 1)}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BrokenProcessPool as error:
            raise OutputError(
                f"{folder}: a worker ended unexpectedly; is there memory for {workers} of them?"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start now compute with one thread each: more would only wait for one another."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def write_plate(folder: Path, spec: Plates, seed: int, number: int) -> tuple[PlateRow, list[DefectRow]]:
    """Simulate and write plate `number` of a seed; returns its rows."""
    rng = np.random.default_rng([seed, number])
    plate, experiment = spec.draw(rng)
    experiment = replace(experiment, steps=replace(experiment.steps, threads=1))
    made = simulate_plate(plate, experiment, seed=int(rng.integers(2**31)))
    file = f"plate_{number:04d}.npz"
    write_sequence(folder / file, made)
    row = PlateRow(
        file=file,
        seed=seed,
        number=number,
        thickness_mm=plate.thickness_mm,
        diffusivity_m2_s=plate.layers[0].material.diffusivity_m2_s,
        pixel_mm=plate.pixel_mm,
        defects=len(plate.defects),
        netd_mk=experiment.camera.netd_mk,
        energy_j_m2=getattr(experiment.heating, "energy_j_m2", float("nan")),
        heating_start_s=made.heating_start_s,
        material=plate.layers[0].material.name,
    )
    defects = []
    for index, defect in enumerate(plate.defects, start=1):
        patch = defect.patch
        defects.append(
            DefectRow(
                file=file,
                number=index,
                kind=defect.kind,
                x_mm=patch.x_mm,
                y_mm=patch.y_mm,
                width_mm=patch.width_mm,
                height_mm=patch.height_mm,
                diameter_mm=patch.diameter_mm,
                depth_mm=defect.depth_mm,
                ratio=patch.diameter_mm / defect.depth_mm,
                pixels=int((made.truth.labels == index).sum()),
            )
        )
    return row, defects


def _write_table(path: Path, kind: type, rows: list[PlateRow] | list[DefectRow]) -> None:
    write_whole(path, csv_of([item.name for item in fields(kind)], (asdict(row) for row in rows), line_end="\n"))
