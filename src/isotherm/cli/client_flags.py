"""Flags that all commands of the client have: which server, with which token."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from isotherm.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from isotherm.client.api import Client
    from isotherm.client.transport import Transport

USUAL_URL = "http://127.0.0.1:8000"
URL, TOKEN = "ISOTHERM_URL", "ISOTHERM_TOKEN"


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add ``--url``, ``--token`` and ``--timeout``."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--url", default=os.environ.get(URL, USUAL_URL), metavar="URL", help=f"of the server ({URL}, else {USUAL_URL})"
    )
    group.add_argument(
        "--token", default=None, metavar="TOKEN", help=f"where it asks for one; better in the environment as {TOKEN}"
    )
    group.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="seconds until an answer is given up (default 60)"
    )


@contextmanager
def connected(arguments: argparse.Namespace) -> Iterator[Transport]:
    """Give a connection to the server that the flags name."""
    from isotherm.client.transport import Transport

    if not 0 < arguments.timeout <= 86_400:
        raise UsageError(f"--timeout must be from 0 to 86400 seconds, not {arguments.timeout:g}")
    token = arguments.token or os.environ.get(TOKEN)
    with Transport(arguments.url, token=token, timeout_s=arguments.timeout) as transport:
        yield transport


@contextmanager
def connected_client(arguments: argparse.Namespace) -> Iterator[Client]:
    """Give a client of the server that the flags name."""
    from isotherm.client.api import Client

    with connected(arguments) as transport:
        yield Client(transport=transport)


def add_site(parser: argparse.ArgumentParser) -> None:
    """Add the site as the first argument."""
    parser.add_argument("site", metavar="SITE", help="name or id of a site of the server")


def site_of(client: Client, wanted: str) -> dict[str, Any]:
    """Return the site of a name or an id; raises DataError that names those there are."""
    sites = list(client.sites())
    for site in sites:
        if wanted in (site["name"], site["id"]):
            return site
    names = ", ".join(repr(site["name"]) for site in sites[:10]) or "none"
    raise DataError(f"there is no site {wanted!r} at this server; it has: {names}")
