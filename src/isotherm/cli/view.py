"""``isotherm view FILE...``: a page with the temperature under the pointer and tools to measure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from isotherm.cli.flags import add_flags, add_overwrite, from_flags
from isotherm.core.scene import SceneEdit
from isotherm.formats.reader import ReadHints
from isotherm.reports import palette
from isotherm.reports.view_data import Unit
from isotherm.workflows.reading import exit_status, list_inputs
from isotherm.workflows.spans import SPAN_HELP, parse_span
from isotherm.workflows.view import ViewSettings, targets, view
from isotherm.workflows.visual import check_one_photo, parse_nudge


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm view``."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="files, or folders that are read recursively"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="the page (.html), or the picture with --edges (.png); a folder for several files (default: the working "
        "folder)",
    )
    parser.add_argument(
        "--palette",
        default="iron",
        metavar="NAME",
        help=f"colours: {', '.join(palette.FOR_TEMPERATURES)}, or camera for those of the camera (default iron)",
    )
    parser.add_argument("--span", default="auto", metavar="SPAN", help=SPAN_HELP)
    parser.add_argument(
        "--temperature-unit", choices=get_args(Unit), default="c", help="unit that is shown first (default c)"
    )
    parser.add_argument(
        "--photo",
        type=Path,
        metavar="FILE",
        help="photo of the same view (default: the one in the file, else one beside it by its name)",
    )
    parser.add_argument(
        "--align",
        metavar="DX,DY[,SCALE]",
        help="move the photo right and down [px of the thermal picture] and enlarge it",
    )
    parser.add_argument(
        "--edges", action="store_true", help="write a PNG with the edges of the photo over the thermal picture instead"
    )
    add_overwrite(parser)
    add_flags(parser, SceneEdit, "scene (in place of the files' own values)")
    add_flags(parser, ReadHints, "reading (what a file cannot say)")


def run(arguments: argparse.Namespace) -> int:
    """Write the pages; returns 0, 3 where some could not be written, 1 where none could."""
    settings = ViewSettings(
        palette=arguments.palette,
        span=parse_span(arguments.span),
        unit=arguments.temperature_unit,
        edges=arguments.edges,
        photo=arguments.photo,
        nudge=None if arguments.align is None else parse_nudge(arguments.align),
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        overwrite=arguments.overwrite,
    )
    inputs = list_inputs(arguments.paths)
    check_one_photo(settings.photo, settings.nudge, len(inputs))
    failures = 0
    for done in view(inputs, targets(inputs, arguments.output, edges=settings.edges), settings):
        failures += done.target is None
        print(f"{done.name} -> {done.target}" if done.target else f"{done.name} failed: {done.error}")
        for note in done.notes:
            print(f"  note: {note}")
    return exit_status(failures, len(inputs))
