"""``isotherm convert FILE... -o DIR --to FORMAT``: temperatures for other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, add_overwrite, from_flags
from isotherm.core.scene import SceneEdit
from isotherm.formats.reader import ReadHints
from isotherm.workflows.convert import TARGETS, convert, target_names
from isotherm.workflows.output_files import check_folder
from isotherm.workflows.reading import exit_status, list_inputs, read_inputs


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm convert``."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="files, or folders that are read recursively"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--to",
        required=True,
        choices=tuple(TARGETS),
        help="tiff: float32 °C; png16: 16-bit PNG of 0.01 K, 0 for none; csv: plain °C numbers; npz: °C, counts, facts",
    )
    add_overwrite(parser)
    add_flags(parser, SceneEdit, "scene (in place of the files' own values)")
    add_flags(parser, ReadHints, "reading (what a file cannot say)")


def run(arguments: argparse.Namespace) -> int:
    """Convert the files; returns 0, 3 where some could not be converted, 1 where none could."""
    edit, hints = from_flags(SceneEdit, arguments), from_flags(ReadHints, arguments)
    check_folder(arguments.output)
    inputs = list_inputs(arguments.paths)
    names = target_names([source.name for source in inputs], TARGETS[arguments.to][0])
    failures = 0
    outcomes = read_inputs(inputs, edit=edit, hints=hints)
    written = convert(
        outcomes,
        names,
        arguments.output,
        arguments.to,
        inputs=[source.path for source in inputs],
        overwrite=arguments.overwrite,
    )
    for done in written:
        failures += done.target is None
        print(f"{done.name} -> {done.target}" if done.target else f"{done.name} failed: {done.error}")
        for note in done.notes:
            print(f"  note: {note}")
    return exit_status(failures, len(inputs))
