"""``isotherm compat make-config``: the folders of the per-site classifier API, and the file that names them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, from_flags
from isotherm.workflows.compat.config import FOLDERS, CompatSettings, make_config


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("config.json"), metavar="FILE", help="file to write (config.json)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="folder below which the folders are made (default .)"
    )
    add_flags(parser, CompatSettings, "how models are made and pictures judged")


def run(arguments: argparse.Namespace) -> int:
    """Make the folders, write the file, say what is where."""
    config = make_config(arguments.output, arguments.root, from_flags(CompatSettings, arguments))
    for key in FOLDERS:
        print(f"{key:<20} {getattr(config, key)}")
    print(f"written   {arguments.output}")
    return 0
