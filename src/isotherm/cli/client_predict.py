"""``isotherm client predict``: have a server name the categories of pictures."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.client_flags import add_server, connected
from isotherm.cli.progress import bar
from isotherm.core.errors import UsageError

MOST_AT_ONCE = 256


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument("path", type=Path, metavar="PATH", help="a picture, or a folder of pictures")
    parser.add_argument("--temple-id", required=True, metavar="ID", help="whose model judges them")
    parser.add_argument(
        "--labelled", action="store_true", help="PATH holds folders of categories: also say how many are told right"
    )
    parser.add_argument(
        "--batch", type=int, default=32, metavar="N", help="pictures in one request, 1 to 256 (default 32)"
    )
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send the pictures, print a line for each."""
    from isotherm.client.compat import CompatClient, labelled_files, pictures

    if not 1 <= arguments.batch <= MOST_AT_ONCE:
        raise UsageError(f"--batch must be from 1 to {MOST_AT_ONCE}, not {arguments.batch}")
    labelled = labelled_files(arguments.path) if arguments.labelled else []
    paths = [each.path for each in labelled] or pictures(arguments.path)
    with connected(arguments) as transport, bar() as progress:
        client = CompatClient(transport)
        found = list(client.predict_all(arguments.temple_id, paths, batch=arguments.batch, progress=progress))
    for each in found:
        print(f"{each.path}  {each.image_class}  {each.class_confidence:.3f}")
    if labelled:
        _tell_right([each.category for each in labelled], [each.image_class for each in found])
    return 0


def _tell_right(truth: Sequence[str], told: Sequence[str]) -> None:
    right = Counter(true for true, said in zip(truth, told, strict=True) if true == said)
    for category, count in sorted(Counter(truth).items()):
        print(f"{category}: {right[category]} of {count} right")
    print(f"{right.total()} of {len(truth)} right")
