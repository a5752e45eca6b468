"""``isotherm sequence dataset``: many recordings of random plates, to learn from and to judge by."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, from_flags
from isotherm.cli.progress import bar
from isotherm.datasets.plate_dataset import DEFECTS, PLATES, write_plates
from isotherm.datasets.plate_random import RandomPlates


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of the command."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the recordings")
    parser.add_argument("--plates", type=int, default=10, metavar="N", help="how many (default 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides all about every plate (default 0)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default 2)")
    add_flags(parser, RandomPlates, "plates, drawn at random")


def run(arguments: argparse.Namespace) -> int:
    """Simulate the plates."""
    spec = from_flags(RandomPlates, arguments)
    with bar() as progress:
        plates, defects = write_plates(
            arguments.output,
            spec,
            count=arguments.plates,
            seed=arguments.seed,
            workers=arguments.workers,
            progress=progress,
        )
    print(f"{len(plates)} plates with {len(defects)} defects")
    print(f"written   {arguments.output / PLATES}, {arguments.output / DEFECTS}")
    return 0
