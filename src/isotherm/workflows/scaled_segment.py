"""Recordings segmented in chunks, by many processes or machines; what is written is that of `segment_recordings`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.device import on_device, wanted
from isotherm.core.progress import Progress, silent
from isotherm.reports.plain import dumps, from_plain
from isotherm.scaleout.driving import Task
from isotherm.sequences.defect_model import DefectModel, LearnedConfig
from isotherm.sequences.defects import DefectRules
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import SEGMENT_METHODS
from isotherm.workflows.recordings_output import RecordingsOutput
from isotherm.workflows.remote_inputs import settled
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.scaled_recordings import items_of, place_of, work_through_recordings
from isotherm.workflows.sequence_batch import Batch, Place, SummaryRow, segment_place, summed
from isotherm.workflows.sequence_opening import PrepareSettings
from isotherm.workflows.sequence_segment import DepthSettings, SegmentSettings

FUNCTION = f"{__name__}:segment_chunk"


def segment_in_chunks(
    places: Sequence[Place],
    out: RecordingsOutput,
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
    task = Task(FUNCTION, _set_up(settings, out.folder, model), items_of(places), _failed, "recordings")
    with work_through_recordings(task, places, out, settings=settings.described(), scale=scale, progress=progress) as (
        rows,
        summary,
    ):
        return summed(places, [row and from_plain(SummaryRow, row) for row in rows], summary)


def _set_up(settings: SegmentSettings, folder: Path, model: str | None) -> str:
    parts = {name: to_mapping(getattr(settings, name)) for name in _PARTS}
    config = to_mapping(settings.method_config())
    # Workers may have another folder of work; a model that comes with the package goes by its name.
    where = {
        "folder": str(settled(folder)),
        "model": str(Path(model).resolve()) if model and Path(model).exists() else model,
        "device": wanted(),
    }
    return json.dumps({"method": settings.method, "config": config, **parts, **where})


_PARTS: Mapping[str, type] = {
    "learned": LearnedConfig,
    "features": FeaturesConfig,
    "prepare": PrepareSettings,
    "rules": DefectRules,
    "depth": DepthSettings,
}


def _failed(item: str, why: str) -> str:
    return dumps(SummaryRow(place_of(item)[0].name, "", "failed", reason=why))


def segment_chunk(setup: str, items: Sequence[str]) -> list[str]:
    """Segment recordings where the work is done; see `isotherm.scaleout.work.WorkFunction`."""
    said = json.loads(setup)
    with on_device(said["device"]):
        settings, folder = _settings(setup), Path(said["folder"])
        return [dumps(segment_place(*place_of(item), folder, settings)) for item in items]


@lru_cache(maxsize=1)
def _settings(setup: str) -> SegmentSettings:
    said: dict[str, Any] = json.loads(setup)
    return SegmentSettings(
        method=said["method"],
        config=from_mapping(SEGMENT_METHODS.get(said["method"]).config_type, said["config"]),
        model=DefectModel.load(said["model"]) if said["model"] else None,
        **{name: from_mapping(kind, said[name]) for name, kind in _PARTS.items()},
    )
