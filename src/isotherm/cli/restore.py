"""``isotherm restore BACKUP``: a backup, made by ``isotherm backup``, as a new data folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.backup import tell
from isotherm.cli.db_upgrade import url_of
from isotherm.cli.progress import bar
from isotherm.cli.serve import add_blobs, add_data


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm restore``."""
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="folder that isotherm backup has written")
    add_data(parser)
    add_blobs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Restore it to a new or empty folder; returns 0, or 1 where files of the backup are missing or damaged."""
    url = url_of(arguments)
    from isotherm.store.restore import restore

    with bar() as progress:
        outcome = restore(arguments.backup, arguments.data, url, progress, blobs=arguments.blobs)
    return tell(outcome, f"restored to {arguments.data}")
