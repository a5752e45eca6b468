"""``isotherm sequence train``: teach a network what defects look like, from labelled recordings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_device, add_flags, from_flags
from isotherm.cli.main import EXIT_SOME_FAILED
from isotherm.cli.progress import bar
from isotherm.core.config import settings_of
from isotherm.core.processes import is_first_process
from isotherm.segmentation import NETWORKS
from isotherm.segmentation.network import NetConfig
from isotherm.segmentation.plan import FitConfig
from isotherm.sequences.features import FeaturesConfig
from isotherm.workflows.sequence_data import DataSettings
from isotherm.workflows.sequence_opening import PrepareSettings
from isotherm.workflows.sequence_train import (
    INPUTS,
    NET,
    SequenceTraining,
    SequenceTrainSettings,
    TaughtNetwork,
    train_network,
)

INPUT_CHOICES = next(item.choices for item in settings_of(FeaturesConfig) if item.name == "preset")


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of the command."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        metavar="DATA",
        help="folder of labelled recordings, such as `isotherm sequence dataset` writes; or several",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL", help="folder for the model")
    parser.add_argument(
        "--net", default=NET, metavar="NAME", help=f"one of {', '.join(NETWORKS.names())} (default {NET})"
    )
    parser.add_argument(
        "--input",
        choices=INPUT_CHOICES,
        help=f"what the network is given (default {INPUTS['maps']}; {INPUTS['frames']} where it sees frames over time)",
    )
    add_device(parser)
    add_flags(parser, SequenceTrainSettings, "training")
    add_flags(parser, FitConfig, "how it learns")
    add_flags(parser, NetConfig, "the network", prefix="net")
    add_flags(parser, PrepareSettings, "the recordings")
    add_flags(parser, DataSettings, "what the recordings cannot say")


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model, print its card; status 3 where some recordings could not be used."""
    training = SequenceTraining(
        net=arguments.net,
        net_config=from_flags(NetConfig, arguments, prefix="net"),
        features=FeaturesConfig(preset=arguments.input) if arguments.input else None,
        fit=from_flags(FitConfig, arguments),
        train=from_flags(SequenceTrainSettings, arguments),
        prepare=from_flags(PrepareSettings, arguments),
        data=from_flags(DataSettings, arguments),
    )
    with bar() as progress:
        taught = train_network(arguments.data, arguments.output, training, progress=progress)
    if is_first_process():
        _tell(taught, arguments.output)
    return EXIT_SOME_FAILED if taught.skipped else 0


def _tell(taught: TaughtNetwork, folder: Path) -> None:
    for item in taught.skipped:
        print(f"isotherm: skipped {item.name}: {item.reason}", file=sys.stderr)
    print(f"{folder}: a model that `isotherm sequence segment --model {folder}` uses")
    for line in taught.model.card:
        print(f"  {line}")
    for note in taught.notes:
        print(f"  note: {note}")
