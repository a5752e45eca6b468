"""A whole simulated inspection as files: healthy pictures to learn from, then a mixed set with the truth about it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from isotherm.core.errors import ConfigError
from isotherm.core.files import csv_of, make_folder, write_whole
from isotherm.core.progress import Progress, silent
from isotherm.datasets.cabinet.electrics import FAULT_KINDS, LOAD
from isotherm.datasets.cabinet.simulation import CabinetShot, simulate_cabinet
from isotherm.formats.exif import MAKE, MODEL, Capture
from isotherm.formats.float_tiff import encode_celsius
from isotherm.formats.ifd import text_entry

INSPECTED_LOAD = (0.4, 1.0)
"""Loads of the pictures to inspect: below 40 % nobody should inspect (NFPA 70B)."""
TRUTH = "truth.csv"
_THREADS = 2


@dataclass(frozen=True)
class Truth:
    """What is true of one picture of an inspection: a row of ``truth.csv``.

    Parameters
    ----------
    file
        Path below the inspection's folder, with ``/``.
    kind
        ``good`` or the fault's kind.
    load, ambient_c
        See `CabinetShot`.
    circuit, phase, side, factor
        See `Fault`; None for a healthy cabinet.
    delta_t_c, x, y
        The largest rise of true temperature that the fault makes [K], and where; 0 and None for a healthy cabinet.
    """

    file: str
    kind: str
    load: float
    ambient_c: float
    circuit: int | None
    phase: int | None
    side: int | None
    factor: float | None
    delta_t_c: float
    x: int | None
    y: int | None


@dataclass(frozen=True)
class _Plan:
    """One picture to simulate."""

    folder: str
    number: int
    seed: int
    load: float
    fault: str | None

    @property
    def file(self) -> str:
        return f"{self.folder}/{self.number:03d}.tiff"

    @property
    def mask(self) -> str | None:
        return f"ground_truth/{self.fault}/{self.number:03d}_mask.png" if self.fault else None


def write_inspection(
    folder: Path, *, seed: int, normals: int, faulty: int, healthy: int, progress: Progress = silent
) -> list[Truth]:
    """Simulate an inspection and write it in the layout ``mvtec``; returns the truth, as in ``truth.csv``.

    ``train/good`` holds healthy pictures at loads of 30 to 100 %; ``test/good`` and ``test/<kind>`` pictures at 40 to
    100 %; ``ground_truth/<kind>`` the masks (0 and 255). Pictures are TIFF of float °C. Files of the same names are
    replaced, others are let be.

    Parameters
    ----------
    folder
        Is created where it does not exist.
    seed
        The same seed and numbers give the same files.
    normals, healthy, faulty
        How many pictures to learn from, and how many healthy and faulty ones to inspect; the kinds of fault take turns.

    Raises
    ------
    ConfigError
        A number is negative.
    OutputError
        The folder cannot be written.
    """
    if min(seed, normals, faulty, healthy) < 0:
        raise ConfigError(f"seed and numbers must be 0 or more, not {min(seed, normals, faulty, healthy)}")
    plans = list(_plans(seed, normals, faulty, healthy))
    for plan in plans:
        make_folder((folder / plan.file).parent)
        if plan.mask:
            make_folder((folder / plan.mask).parent)
    truths = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="isotherm-simulate") as pool:
        for truth in pool.map(lambda plan: _make(folder, plan), plans):
            truths.append(truth)
            progress(len(truths), len(plans), "simulating")
    write_whole(folder / TRUTH, _table(truths))
    return truths


def _plans(seed: int, normals: int, faulty: int, healthy: int) -> Iterator[_Plan]:
    seeds = iter(np.random.SeedSequence(seed).generate_state(normals + faulty + healthy, np.uint64).tolist())
    rng = np.random.default_rng(seed)
    for number in range(normals):
        yield _Plan("train/good", number, next(seeds), rng.uniform(*LOAD), None)
    for number in range(healthy):
        yield _Plan("test/good", number, next(seeds), rng.uniform(*INSPECTED_LOAD), None)
    for place in range(faulty):
        number, turn = divmod(place, len(FAULT_KINDS))
        kind = FAULT_KINDS[turn]
        yield _Plan(f"test/{kind}", number, next(seeds), rng.uniform(*INSPECTED_LOAD), kind)


def _make(folder: Path, plan: _Plan) -> Truth:
    shot = simulate_cabinet(plan.seed, plan.fault, load=plan.load)
    write_whole(folder / plan.file, encode_shot(shot))
    if plan.mask:
        write_whole(folder / plan.mask, _encode_mask(shot.mask))
    return _truth(plan.file, shot)


def encode_shot(shot: CabinetShot) -> bytes:
    """Return what the camera shows as a TIFF of float °C that names the simulator as its camera."""
    camera = {MAKE: text_entry("isotherm"), MODEL: text_entry("cabinet simulator")}
    return encode_celsius(shot.celsius, Capture(main=camera))


def _encode_mask(mask: Bool[np.ndarray, "h w"]) -> bytes:
    # Simulating pictures should not have to import what only writing masks needs.
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "PNG")
    return stream.getvalue()


def _truth(file: str, shot: CabinetShot) -> Truth:
    fault, peak = shot.fault, shot.peak
    return Truth(
        file=file,
        kind=shot.kind,
        load=round(shot.load, 4),
        ambient_c=round(shot.ambient_c, 2),
        circuit=fault.circuit if fault else None,
        phase=fault.phase if fault else None,
        side=fault.side if fault else None,
        factor=round(fault.factor, 3) if fault else None,
        delta_t_c=round(shot.delta_t_c, 2),
        x=peak[0] if peak else None,
        y=peak[1] if peak else None,
    )


def _table(truths: list[Truth]) -> bytes:
    return csv_of([item.name for item in fields(Truth)], (asdict(truth) for truth in truths), line_end="\n")
