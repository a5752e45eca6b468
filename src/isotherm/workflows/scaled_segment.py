"""Recordings segmented in chunks, by many processes or machines; what is written is that of `segment_recordings`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.device import on_device, wanted
from isotherm.core.errors import OutputError
from isotherm.core.files import make_folder
from isotherm.core.progress import Progress, silent
from isotherm.reports.plain import dumps, from_plain
from isotherm.scaleout.driving import Task
from isotherm.scaleout.plan import OtherRunError
from isotherm.sequences.defect_model import DefectModel, LearnedConfig
from isotherm.sequences.defects import DefectRules
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import SEGMENT_METHODS
from isotherm.workflows.reading import fingerprint
from isotherm.workflows.run_folder import LEDGER
from isotherm.workflows.scaled import RunFile, ScaleSettings, work_through
from isotherm.workflows.sequence_batch import Batch, Place, SummaryRow, named, segment_place, summed
from isotherm.workflows.sequence_opening import PrepareSettings
from isotherm.workflows.sequence_segment import DepthSettings, SegmentSettings

FUNCTION = f"{__name__}:segment_chunk"
CHUNK = 1
"""A recording is long work by itself."""


def segment_in_chunks(
    places: Sequence[Place],
    folder: Path,
    settings: SegmentSettings,
    *,
    scale: ScaleSettings,
    model: str | None = None,
    progress: Progress = silent,
) -> Batch:
    """Do what `isotherm.workflows.sequence_batch.segment_recordings` does, in chunks.

    Parameters
    ----------
    scale
        Where the work is done; all workers must find recordings, model and folder under the same paths.
    model
        The name or folder that ``settings.model`` was loaded from.

    Raises
    ------
    IsothermError
        As `segment_recordings` does, and as `isotherm.workflows.scaled.work_through` does.
    """
    run = RunFile(scale, make_folder(folder) / LEDGER, chunk=CHUNK)
    described = settings.described()
    identity = {
        "settings": described,
        "recordings": fingerprint((place.name, place.path) for place in places),
        "isotherm": version("isotherm"),
    }
    items = [json.dumps([str(place.path.resolve()), place.name, place.named, name]) for place, name in named(places)]
    task = Task(FUNCTION, _set_up(settings, folder, model), items, _failed, "recordings")
    try:
        with work_through(run, task, identity=identity, about={}, progress=progress) as held:
            rows = [json.loads(row) for row in held.rows()]
            return summed(places, [row and from_plain(SummaryRow, row) for row in rows], folder)
    except OtherRunError as error:
        raise OutputError(f"{folder} was begun with other recordings or settings; name another folder") from error


def _set_up(settings: SegmentSettings, folder: Path, model: str | None) -> str:
    parts = {name: to_mapping(getattr(settings, name)) for name in _PARTS}
    config = to_mapping(settings.method_config())
    where = {"folder": str(folder.resolve()), "model": model, "device": wanted()}
    return json.dumps({"method": settings.method, "config": config, **parts, **where})


_PARTS: Mapping[str, type] = {
    "learned": LearnedConfig,
    "features": FeaturesConfig,
    "prepare": PrepareSettings,
    "rules": DefectRules,
    "depth": DepthSettings,
}


def _failed(item: str, why: str) -> str:
    return dumps(SummaryRow(json.loads(item)[1], "", "failed", reason=why))


def segment_chunk(setup: str, items: Sequence[str]) -> list[str]:
    """Segment recordings where the work is done; see `isotherm.scaleout.work.WorkFunction`."""
    said = json.loads(setup)
    with on_device(said["device"]):
        settings, folder = _settings(setup), Path(said["folder"])
        found = []
        for path, shown, by_name, name in map(json.loads, items):
            found.append(segment_place(Place(Path(path), shown, by_name), name, folder, settings))
        return [dumps(row) for row in found]


@lru_cache(maxsize=1)
def _settings(setup: str) -> SegmentSettings:
    said: dict[str, Any] = json.loads(setup)
    return SegmentSettings(
        method=said["method"],
        config=from_mapping(SEGMENT_METHODS.get(said["method"]).config_type, said["config"]),
        model=DefectModel.load(said["model"]) if said["model"] else None,
        **{name: from_mapping(kind, said[name]) for name, kind in _PARTS.items()},
    )
