"""``isotherm token revoke``: an end to a key, at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from isotherm.cli.serve import add_data
from isotherm.cli.token_issue import opened


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm token revoke``."""
    parser.add_argument("id", metavar="ID", help="the token's id, as isotherm token list shows it")
    add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Revoke the token; returns 0."""
    with opened(arguments) as service:
        from isotherm.workflows.service.access import LOCAL
        from isotherm.workflows.service.tokens import revoke_token

        token = revoke_token(service, LOCAL, arguments.id)
    print(f"revoked {token.name}")
    return 0
