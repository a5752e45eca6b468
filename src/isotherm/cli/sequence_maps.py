"""``isotherm sequence maps``: a recording of a heated part to maps."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotherm.cli.flags import add_flags, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.sequences import MAP_METHODS
from isotherm.workflows.reading import exit_status
from isotherm.workflows.sequence_maps import make_maps, write_maps
from isotherm.workflows.sequence_opening import PrepareSettings

METHODS = "pct,ppt,tsr"


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command, and the flags of the methods that `argv` names."""
    known = ", ".join(MAP_METHODS.names())
    parser.add_argument("path", type=Path, metavar="FILE", help="a recording: a file, or a folder of frames")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the maps")
    parser.add_argument(
        "--methods", default=METHODS, metavar="NAMES", help=f"with commas between: {known} (default {METHODS})"
    )
    add_flags(parser, PrepareSettings, "the recording")
    for name in _names(chosen(list(argv), "--methods", METHODS)):
        add_flags(parser, MAP_METHODS.get(name).config_type, f"method {name}", prefix=name)


def run(arguments: argparse.Namespace) -> int:
    """Make and write the maps, and say what was assumed; 3 where some methods cannot be used on the recording."""
    names = _names(arguments.methods)
    configs: dict[str, Any] = {
        name: from_flags(MAP_METHODS.get(name).config_type, arguments, prefix=name) for name in names
    }
    settings = from_flags(PrepareSettings, arguments)
    with bar() as progress:
        result = make_maps(arguments.path, names, configs=configs, settings=settings, progress=progress)
    written = write_maps(result, arguments.output, configs=configs)
    frames, height, width = result.shape
    print(f"{result.name}: {frames} frames of {width} x {height} px")
    for stack in result.stacks:
        print(f"  {stack.method:<10} {', '.join(stack.names)}")
    for note in dict.fromkeys((*result.notes, *(note for stack in result.stacks for note in stack.notes))):
        print(f"  note: {note}")
    print(f"written   {', '.join(map(str, written))}, and a TIFF for each map")
    for name, why in result.failed.items():
        print(f"isotherm: no maps of {name}: {why}", file=sys.stderr)
    return exit_status(len(result.failed), len(names))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
