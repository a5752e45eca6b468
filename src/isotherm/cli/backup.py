"""``isotherm backup -o FOLDER``: all that a server keeps, while it goes on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isotherm.cli.db_upgrade import opened
from isotherm.cli.progress import bar
from isotherm.cli.serve import add_data

if TYPE_CHECKING:
    from isotherm.store.backup import Outcome


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm backup``."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="new or empty folder to write to"
    )
    add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the backup; returns 0, or 1 where stored files are missing or damaged."""
    with opened(arguments) as store, bar() as progress:
        from isotherm.store.backup import back_up

        outcome = back_up(store, arguments.output, progress)
    return tell(outcome, f"backed up to {arguments.output}")


def tell(outcome: Outcome, done: str) -> int:
    """Print what was done and what was wrong; returns the exit status."""
    for flaw in outcome.flaws:
        print(f"{flaw.subject} {flaw.reason}")
    manifest = outcome.manifest
    print(f"{done}: {manifest.files} files of {manifest.bytes / 1e6:.1f} MB, {manifest.audit_rows} audit rows")
    if outcome.flaws:
        print(f"{len(outcome.flaws)} files are not in it; isotherm verify tells more")
    return 1 if outcome.flaws else 0
