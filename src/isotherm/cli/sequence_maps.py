"""``isotherm sequence maps``: recordings of heated parts to maps."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotherm.cli.flags import add_flags, add_parquet, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.cli.recording_flags import add_recordings
from isotherm.cli.terminal import harmless
from isotherm.sequences import MAP_METHODS
from isotherm.workflows.reading import exit_status
from isotherm.workflows.recordings_output import SUMMARY, RecordingsOutput
from isotherm.workflows.remote_inputs import address_of
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.sequence_batch import places_of
from isotherm.workflows.sequence_maps import make_maps, write_maps
from isotherm.workflows.sequence_maps_batch import MapSettings, MapsRow, map_recordings, maps_row
from isotherm.workflows.sequence_opening import PrepareSettings

METHODS = "pct,ppt,tsr"


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command, and the flags of the methods that `argv` names."""
    known = ", ".join(MAP_METHODS.names())
    add_recordings(parser, "maps")
    parser.add_argument(
        "--methods", default=METHODS, metavar="NAMES", help=f"with commas between: {known} (default {METHODS})"
    )
    add_parquet(parser)
    add_flags(parser, PrepareSettings, "the recording")
    add_flags(parser, ScaleSettings, "many recordings, several processes or machines")
    for name in _names(chosen(list(argv), "--methods", METHODS)):
        add_flags(parser, MAP_METHODS.get(name).config_type, f"method {name}", prefix=name)


def run(arguments: argparse.Namespace) -> int:
    """Make and write the maps, and say what was assumed; 3 where some methods cannot be used on the recording."""
    names = _names(arguments.methods)
    configs: dict[str, Any] = {
        name: from_flags(MAP_METHODS.get(name).config_type, arguments, prefix=name) for name in names
    }
    settings = MapSettings(tuple(names), configs, from_flags(PrepareSettings, arguments))
    places, scale = places_of(arguments.paths), from_flags(ScaleSettings, arguments)
    out = RecordingsOutput(arguments.output, arguments.parquet)
    if len(places) == 1 and places[0].named and not scale.asked:
        return _one(places[0].path, out, settings)
    with bar() as progress:
        rows = map_recordings(places, out, settings, scale=scale, progress=progress)
    return _tell(rows, arguments.output)


def _one(path: Path, out: RecordingsOutput, settings: MapSettings) -> int:
    summary = out.open()
    with bar() as progress:
        result = make_maps(
            path, settings.methods, configs=settings.configs, settings=settings.prepare, progress=progress
        )
    written = write_maps(result, out.folder, configs=settings.configs)
    summary.write_tables([maps_row(result.name, "", result)])
    frames, height, width = result.shape
    print(f"{result.name}: {frames} frames of {width} x {height} px")
    for stack in result.stacks:
        print(f"  {stack.method:<10} {', '.join(stack.names)}")
    for note in dict.fromkeys((*result.notes, *(note for stack in result.stacks for note in stack.notes))):
        print(f"  note: {note}")
    print(f"written   {', '.join(map(address_of, written))}, and a TIFF for each map")
    for name, why in result.failed.items():
        print(f"isotherm: no maps of {name}: {why}", file=sys.stderr)
    return exit_status(len(result.failed), len(settings.methods))


def _tell(rows: Sequence[MapsRow], folder: Path) -> int:
    used = [row for row in rows if row.status != "skipped"]
    for row in used:
        said = f"{row.maps} maps" + (f" ({row.reason})" if row.reason else "")
        failed = row.status == "failed"
        print(harmless(f"{row.recording}: {row.reason if failed else said}"), file=sys.stderr if failed else sys.stdout)
    if len(used) < len(rows):
        print(f"  note: {len(rows) - len(used)} files are no recordings")
    print(f"written   {address_of(folder / SUMMARY)}")
    return exit_status(sum(row.status == "failed" for row in used), len(used))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
