"""The arguments that commands over recordings of sequences share."""

from __future__ import annotations

import argparse

from isotherm.cli.flags import add_results
from isotherm.workflows.remote_inputs import path_of


def add_recordings(parser: argparse.ArgumentParser, results: str) -> None:
    """Add the recordings, one or several, and the folder for the `results`."""
    parser.add_argument(
        "paths",
        type=path_of,
        nargs="+",
        metavar="FILE",
        help="a recording: a file, or a folder of frames; or several, or a folder or s3://bucket/prefix of several",
    )
    add_results(parser, f"the {results}; of several recordings it gets a folder for each, and summary.csv")
