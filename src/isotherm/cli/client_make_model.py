"""``isotherm client make-model``: have a server make a temple's model, and wait for it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from isotherm.cli.client_flags import add_server, connected


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument("--temple-id", required=True, metavar="ID", help="whose model")
    parser.add_argument("--forceful", action="store_true", help="also where there is one already")
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, wait, print the flags."""
    from isotherm.client.compat import CompatClient

    with connected(arguments) as transport:
        found = CompatClient(transport).make_model(arguments.temple_id, forceful=arguments.forceful)
    for name, value in found.items():
        if name != "error_msg":
            print(f"{name:<30} {'yes' if value else 'no'}")
    return 0
