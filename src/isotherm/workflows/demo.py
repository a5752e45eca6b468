"""The demo: simulate an inspection of an electrical cabinet, learn from its healthy pictures, inspect the others."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from isotherm.core.errors import OutputError
from isotherm.core.files import make_folder, write_whole
from isotherm.core.findings import ImageResult, Inspection
from isotherm.core.progress import Progress, silent
from isotherm.datasets.cabinet import Truth, write_inspection
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.train import TrainSettings, train

MARK = "isotherm-demo.json"
"""Marks a folder as a demo's, so that the next demo may write there."""
IMAGES, MODEL, INSPECTION = "images", "model", "inspection"


@dataclass(frozen=True)
class DemoSize:
    """How many pictures are learnt from, and how many healthy and faulty ones are inspected."""

    normals: int = 150
    healthy: int = 12
    faulty: int = 12


@dataclass(frozen=True)
class Judged:
    """One inspected picture beside the truth about it."""

    truth: Truth
    result: ImageResult

    @property
    def right(self) -> bool:
        """Whether the verdict agrees with the truth; an unreadable picture is no right verdict."""
        anomaly = self.result.anomaly
        if anomaly is None:
            return False
        return (anomaly.prediction == "Anomaly") == (self.truth.kind != "good")


@dataclass(frozen=True)
class Demo:
    """What a demo gave: the pictures in the order of the inspection, the inspection, its folder, seconds by stage."""

    folder: Path
    judged: tuple[Judged, ...]
    inspection: Inspection
    seconds: dict[str, float]


def run_demo(folder: Path, *, seed: int = 0, size: DemoSize | None = None, progress: Progress = silent) -> Demo:
    """Simulate, learn and inspect in `folder`; see `isotherm.datasets.cabinet` for the pictures.

    The files of a former demo of the same size are replaced; no other file is touched. The threshold comes from healthy
    pictures that were held out of the learning, never from the inspected ones.

    Raises
    ------
    ConfigError
        The seed is negative or too large.
    OutputError
        The folder holds something that is no demo, a demo of another size, or cannot be written.
    """
    size, settings = size or DemoSize(), TrainSettings(seed=seed)
    _claim(folder, size)
    watch = _Watch()
    truths = write_inspection(
        folder / IMAGES,
        seed=seed,
        normals=size.normals,
        faulty=size.faulty,
        healthy=size.healthy,
        progress=progress,
    )
    watch.stop("simulate")
    model = train(folder / IMAGES / "train" / "good", folder / MODEL, settings=settings, progress=progress)
    watch.stop("train")
    inspection = inspect(
        folder / IMAGES / "test",
        folder / INSPECTION,
        model=model,
        settings=InspectSettings(reports=("html", "csv", "json"), existing="overwrite"),
        progress=progress,
    )
    watch.stop("inspect")
    return Demo(folder, _judge(truths, inspection), inspection, watch.seconds)


def _claim(folder: Path, size: DemoSize) -> None:
    """Make the folder, or see that it is a former demo's, and mark it."""
    mark = json.dumps(asdict(size)).encode() + b"\n"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if not (folder / MARK).is_file():
                raise OutputError(f"{folder} holds something that is no demo; name a new or empty folder")
            # Files of a larger demo would stay behind, and be learnt from.
            if (folder / MARK).read_bytes() != mark:
                raise OutputError(f"{folder} holds a demo of another size; name a new or empty folder")
    except OSError as error:
        raise OutputError(f"cannot look into {folder}: {error.strerror}") from error
    make_folder(folder)
    write_whole(folder / MARK, mark)


def _judge(truths: list[Truth], inspection: Inspection) -> tuple[Judged, ...]:
    known = {truth.file: truth for truth in truths}
    pairs = ((known.get(f"test/{result.image}"), result) for result in inspection.results)
    return tuple(Judged(truth, result) for truth, result in pairs if truth is not None)


class _Watch:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage], self._since = now - self._since, now
