"""``isotherm sequence dataset``: many recordings of random plates, to learn from and to judge by."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, from_flags
from isotherm.cli.progress import bar
from isotherm.core.errors import ConfigError
from isotherm.datasets.plate_broad import BroadPlates
from isotherm.datasets.plate_dataset import DEFECTS, PLATES, Plates, write_plates
from isotherm.datasets.plate_random import RandomPlates


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command, and the flags of the kind of plates that `argv` asks for."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the recordings")
    parser.add_argument("--plates", type=int, default=10, metavar="N", help="how many (default 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides all about every plate (default 0)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default 2)")
    parser.add_argument(
        "--broad",
        action="store_true",
        help="plates of many materials, sizes, speeds and cameras, as the shipped model learns from; has other flags "
        "(--broad --help)",
    )
    # Abbreviated too, as argparse allows.
    broad = any(len(word) > 2 and "--broad".startswith(word) for word in argv)
    add_flags(parser, BroadPlates if broad else RandomPlates, "plates, drawn at random")


def run(arguments: argparse.Namespace) -> int:
    """Simulate the plates."""
    if arguments.plates < 1:
        raise ConfigError(f"--plates must be 1 or more, not {arguments.plates}")
    spec: Plates = from_flags(BroadPlates, arguments) if arguments.broad else from_flags(RandomPlates, arguments)
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
