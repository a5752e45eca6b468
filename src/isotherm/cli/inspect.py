"""``isotherm inspect``: score, mask, measure and report pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli import hotspots
from isotherm.cli.flags import add_device
from isotherm.hotspots import HOTSPOT_METHODS

FLAGS_BY_METHOD = HOTSPOT_METHODS


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of a run and the model's folder."""
    hotspots.add_arguments(parser, argv)
    parser.add_argument(
        "--model", type=Path, metavar="MODEL_DIR", help="folder of `isotherm train`; without it only hotspots are found"
    )
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Inspect, with the model where one is given."""
    return hotspots.run_inspection(arguments, arguments.model)
