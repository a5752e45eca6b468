"""``isotherm token list``: who has a key to a server."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from isotherm.cli.serve import add_data
from isotherm.cli.token_issue import opened

if TYPE_CHECKING:
    from isotherm.store.tables import Token


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm token list``."""
    add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line a token, newest first; returns 0."""
    with opened(arguments) as service:
        from isotherm.workflows.service.access import LOCAL
        from isotherm.workflows.service.tokens import list_tokens

        tokens = list_tokens(service, LOCAL)
    for token in tokens:
        print(f"{token.id}  {token.name}  {','.join(token.scopes)}  {_reach(token)}  {_state(token)}")
    if not tokens:
        print("no tokens; make one with isotherm token issue NAME")
    return 0


def _reach(token: Token) -> str:
    return "all sites" if token.sites is None else f"{len(token.sites)} site{'s' * (len(token.sites) != 1)}"


def _state(token: Token) -> str:
    from isotherm.workflows.service.tokens import is_good

    if token.revoked_at is not None:
        return f"revoked {token.revoked_at:%Y-%m-%d %H:%M} UTC"
    until = f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "for ever"
    used = f", last used {token.last_used_at:%Y-%m-%d %H:%M} UTC" if token.last_used_at else ", never used"
    return (f"until {until}" if is_good(token) else f"ran out {until}") + used
