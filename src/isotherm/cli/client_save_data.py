"""``isotherm client save-data``: send labelled pictures to a server, one request each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.client_flags import add_server, connected
from isotherm.cli.main import EXIT_FAILED, EXIT_SOME_FAILED
from isotherm.cli.progress import bar

TOLD = 10


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="pictures in folders of their categories")
    parser.add_argument(
        "--temple-id", required=True, metavar="ID", help="whose they are; common: training images of every temple"
    )
    parser.add_argument(
        "--train-test", choices=("train", "test"), default="train", help="to learn from, or to judge by (default train)"
    )
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send the pictures, say what was refused."""
    from isotherm.client.compat import CompatClient

    with connected(arguments) as transport, bar() as progress:
        report = CompatClient(transport).save_folder(
            arguments.temple_id, arguments.train_test, arguments.folder, progress=progress
        )
    for path, reason in report.refused[:TOLD]:
        print(f"isotherm: {path}: {reason}", file=sys.stderr)
    if len(report.refused) > TOLD:
        print(f"isotherm: {len(report.refused) - TOLD} more were refused", file=sys.stderr)
    print(f"{report.saved} of {report.saved + len(report.refused)} pictures saved")
    if not report.saved:
        return EXIT_FAILED
    return EXIT_SOME_FAILED if report.refused else 0
