"""From a recording to maps of what lies below the surface, written as numbers and as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.config import to_mapping
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.files import npz_of
from isotherm.core.progress import Progress, silent
from isotherm.formats.float_tiff import encode_numbers
from isotherm.reports.figures_sequences import maps_sheet
from isotherm.sequences import MAP_METHODS, MapMethod, MapStack
from isotherm.workflows.remote_inputs import recording_here
from isotherm.workflows.run_place import open_place
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording, prepared


@dataclass(frozen=True, eq=False)
class MapsResult:
    """What was made of one recording: the maps of each method, and what to know about the recording.

    Parameters
    ----------
    failed
        Method -> why it has no maps.
    """

    name: str
    shape: tuple[int, int, int]
    stacks: tuple[MapStack, ...]
    notes: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def make_maps(
    path: Path,
    methods: Sequence[str],
    *,
    configs: Mapping[str, Any] | None = None,
    settings: PrepareSettings | None = None,
    progress: Progress = silent,
) -> MapsResult:
    """Open, prepare and map a recording; a method that cannot be used on it stops no other one.

    Parameters
    ----------
    path
        A file or a folder of frames.
    methods
        Names of `isotherm.sequences.MAP_METHODS`.
    configs
        Method name -> its configuration; the defaults where missing.

    Raises
    ------
    DataError, FormatError
        The recording cannot be used, or by none of the methods.
    ConfigError, UnknownNameError
        A setting or a name is wrong.
    """
    settings = settings or PrepareSettings()
    if not methods:
        raise ConfigError(f"no method asked for; known: {', '.join(MAP_METHODS.names())}")
    chosen = {MAP_METHODS.get(name): (configs or {}).get(name) for name in methods}
    with recording_here(path) as file:
        return _mapped(file, chosen, settings, progress)


def _mapped(path: Path, chosen: Mapping[MapMethod, Any], settings: PrepareSettings, progress: Progress) -> MapsResult:
    recording = open_recording(path, settings)
    stacks, notes = [], dict.fromkeys(recording.notes)
    failed: dict[str, DataError] = {}
    for number, (method, config) in enumerate(chosen.items()):
        try:
            sequence = prepared(recording, method.wants, settings)
            notes |= dict.fromkeys(sequence.notes)
            stacks.append(method.maps(sequence, config or method.config_type()))
        except DataError as error:
            failed[method.name] = error
        progress(number + 1, len(chosen), method.name)
    if not stacks:
        raise next(iter(failed.values()))
    why = {name: str(error) for name, error in failed.items()}
    return MapsResult(recording.name, recording.shape, tuple(stacks), tuple(notes), why)


def write_maps(result: MapsResult, folder: Path, *, configs: Mapping[str, Any] | None = None) -> list[Path]:
    """Write ``maps.npz``, a float TIFF for each map, a sheet of pictures for each method, and ``maps.json``.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    place = open_place(folder)
    place.prepare()
    place.write("maps.npz", _npz(result))
    for stack in result.stacks:
        place.write(f"{stack.method}.png", maps_sheet(result.name, stack))
        for name, unit, values in zip(stack.names, stack.units, stack.values, strict=True):
            place.write(f"{name}.tiff", encode_numbers(values, f"{name} [{unit}]"))
    about = json.dumps(_about(result, configs or {}), indent=1, ensure_ascii=False)
    place.write("maps.json", (about + "\n").encode())
    return [folder / name for name in ("maps.npz", *(f"{stack.method}.png" for stack in result.stacks), "maps.json")]


def _npz(result: MapsResult) -> bytes:
    arrays: dict[str, Any] = {}
    for stack in result.stacks:
        arrays |= dict(zip(stack.names, stack.values, strict=True))
        arrays |= {f"{stack.method}.{name}": np.asarray(values) for name, values in stack.details.items()}
    return npz_of(arrays)


def _about(result: MapsResult, configs: Mapping[str, Any]) -> dict[str, Any]:
    frames, height, width = result.shape
    return {
        "recording": result.name,
        "frames": frames,
        "height": height,
        "width": width,
        "notes": list(result.notes),
        "failed": dict(result.failed),
        "methods": [
            {
                "method": stack.method,
                "config": to_mapping(configs[stack.method]) if stack.method in configs else {},
                "maps": [{"name": name, "unit": unit} for name, unit in zip(stack.names, stack.units, strict=True)],
                "notes": list(stack.notes),
            }
            for stack in result.stacks
        ],
    }
