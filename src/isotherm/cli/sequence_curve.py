"""``isotherm sequence curve``: the temperature of places of a recording over time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, from_flags
from isotherm.core.errors import ConfigError
from isotherm.core.files import write_whole
from isotherm.workflows.sequence_curve import curves_csv, curves_picture, place, read_curves
from isotherm.workflows.sequence_opening import PrepareSettings


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of the command."""
    parser.add_argument("path", type=Path, metavar="FILE", help="a recording: a file, or a folder of frames")
    parser.add_argument(
        "--at", action="append", required=True, metavar="X,Y", help="a place [px]; may be given several times"
    )
    parser.add_argument(
        "--size-px", type=int, default=3, metavar="N", help="side of the square that is averaged [px] (default 3)"
    )
    parser.add_argument(
        "--cooling", action="store_true", help="only the frames behind the flash, with the time that counts from it"
    )
    parser.add_argument(
        "--log", action="store_true", help="both axes logarithmic, as for a cooling half-space (slope -1/2)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="a picture (.png) or a table (.csv)"
    )
    add_flags(parser, PrepareSettings, "the recording")


def run(arguments: argparse.Namespace) -> int:
    """Write the picture or the table."""
    suffix = arguments.output.suffix.lower()
    if suffix not in (".png", ".csv"):
        raise ConfigError(f"{arguments.output}: -o must end with .png or .csv")
    places = [place(text) for text in arguments.at]
    settings = from_flags(PrepareSettings, arguments)
    curves = read_curves(
        arguments.path, places, settings=settings, size_px=arguments.size_px, cooling=arguments.cooling
    )
    data = curves_picture(curves, log=arguments.log) if suffix == ".png" else curves_csv(curves)
    write_whole(arguments.output, data)
    for note in curves.notes:
        print(f"note: {note}")
    print(f"written   {arguments.output}")
    return 0
