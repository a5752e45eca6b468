"""Maps of several recordings, a folder for each: a bad one is a row with its reason and stops nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.device import on_device, wanted
from isotherm.core.errors import DataError, IsothermError
from isotherm.core.progress import Progress, silent
from isotherm.reports.plain import dumps, from_plain
from isotherm.scaleout.driving import Task
from isotherm.sequences import MAP_METHODS
from isotherm.workflows.recordings_output import RecordingsOutput, Summary
from isotherm.workflows.remote_inputs import settled
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.scaled_recordings import items_of, place_of, work_through_recordings
from isotherm.workflows.sequence_batch import ENDS_ALL, Place, named, reason_of
from isotherm.workflows.sequence_data import is_no_recording
from isotherm.workflows.sequence_maps import MapsResult, make_maps, write_maps
from isotherm.workflows.sequence_opening import PrepareSettings

FUNCTION = f"{__name__}:map_chunk"


@dataclass(frozen=True)
class MapSettings:
    """What is made of each recording.

    Parameters
    ----------
    methods, configs
        Names of `isotherm.sequences.MAP_METHODS`, and the configuration of each.
    """

    methods: tuple[str, ...]
    configs: Mapping[str, Any]
    prepare: PrepareSettings = field(default_factory=PrepareSettings)

    def described(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        configs = {name: to_mapping(config) for name, config in self.configs.items()}
        return {"methods": list(self.methods), "configs": configs, "prepare": to_mapping(self.prepare)}

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> MapSettings:
        """Return the settings again."""
        configs: dict[str, Any] = {
            name: from_mapping(MAP_METHODS.get(name).config_type, values)
            for name, values in described["configs"].items()
        }
        prepare = from_mapping(PrepareSettings, described["prepare"])
        return cls(tuple(described["methods"]), configs, prepare)


@dataclass(frozen=True)
class MapsRow:
    """What came of one recording: a row of ``summary.csv``; ``skipped`` is a file that is no recording."""

    recording: str
    folder: str
    status: str
    maps: int | None = None
    reason: str = ""


def map_recordings(
    places: Sequence[Place],
    out: RecordingsOutput,
    settings: MapSettings,
    *,
    scale: ScaleSettings,
    progress: Progress = silent,
) -> list[MapsRow]:
    """Make maps of recordings in a folder each, and write ``summary.csv`` and the tables; in chunks, where asked for.

    Raises
    ------
    ConfigError, UnknownNameError, OutputError
        A setting is wrong, the folder cannot be written or holds a run with other settings, or there are tables
        already.
    DataError
        No file is a recording.
    IsothermError
        As `isotherm.workflows.scaled.work_through` does.
    """
    if scale.asked:
        return _in_chunks(places, out, settings, scale, progress)
    summary = out.open()
    rows = list[MapsRow]()
    for place, name in named(places):
        rows.append(map_place(place, name, out.folder, settings))
        progress(len(rows), len(places), "recordings")
    _sum_up(rows, summary)
    return rows


def map_place(place: Place, name: str, folder: Path, settings: MapSettings) -> MapsRow:
    """Make and write the maps of one recording into ``folder / name``; raises what stops all."""
    try:
        result = make_maps(place.path, settings.methods, configs=settings.configs, settings=settings.prepare)
        write_maps(result, folder / name, configs=settings.configs)
    except ENDS_ALL:
        raise
    except IsothermError as error:
        status = "skipped" if is_no_recording(error) and not place.named else "failed"
        return MapsRow(place.name, "", status, reason=reason_of(error, place))
    return maps_row(place.name, name, result)


def maps_row(recording: str, folder: str, result: MapsResult) -> MapsRow:
    """Return the row of a recording that has maps."""
    failed = "; ".join(f"no {method}: {why}" for method, why in result.failed.items())
    return MapsRow(recording, folder, "done", sum(len(stack.names) for stack in result.stacks), failed)


def _in_chunks(
    places: Sequence[Place], out: RecordingsOutput, settings: MapSettings, scale: ScaleSettings, progress: Progress
) -> list[MapsRow]:
    described = settings.described()
    setup = json.dumps({**described, "folder": str(settled(out.folder)), "device": wanted()})
    task = Task(FUNCTION, setup, items_of(places), _failed, "recordings")
    with work_through_recordings(task, places, out, settings=described, scale=scale, progress=progress) as held:
        rows, summary = [from_plain(MapsRow, row) for row in held[0]], held[1]
        _sum_up(rows, summary)
    return rows


def _failed(item: str, why: str) -> str:
    return dumps(MapsRow(place_of(item)[0].name, "", "failed", reason=why))


def map_chunk(setup: str, items: Sequence[str]) -> list[str]:
    """Make maps where the work is done; see `isotherm.scaleout.work.WorkFunction`."""
    said = json.loads(setup)
    settings, folder = MapSettings.of(said), Path(said["folder"])
    with on_device(said["device"]):
        return [dumps(map_place(*place_of(item), folder, settings)) for item in items]


def _sum_up(rows: Sequence[MapsRow], summary: Summary) -> None:
    used = [row for row in rows if row.status != "skipped"]
    if not used:
        raise DataError(f"no recording among {len(rows)} files")
    summary.write(used)
