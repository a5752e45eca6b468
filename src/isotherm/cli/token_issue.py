"""``isotherm token issue``: a key for somebody who shall use a server."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from isotherm.cli.serve import add_data
from isotherm.core.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from isotherm.workflows.service.service import Service

SCOPES = ("read", "predict", "write", "train", "admin")
MOST_DAYS = 3650


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm token issue``."""
    parser.add_argument("name", metavar="NAME", help="who or what will use it; stands in the audit trail")
    parser.add_argument(
        "--scopes",
        default="read,predict",
        metavar="LIST",
        help=f"what it is good for, of {','.join(SCOPES)} (default read,predict; admin includes all)",
    )
    parser.add_argument(
        "--site",
        action="append",
        metavar="NAME",
        dest="sites",
        help="a site that it is good for; may be repeated (default: all sites)",
    )
    parser.add_argument("--days", type=int, default=365, metavar="N", help="how long it is good (default 365)")
    add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the token, which is shown this once; returns 0."""
    if not 1 <= arguments.days <= MOST_DAYS:
        raise UsageError(f"--days must be from 1 to {MOST_DAYS}, not {arguments.days}")
    with opened(arguments) as service:
        from isotherm.workflows.service.access import LOCAL
        from isotherm.workflows.service.sites import site_named
        from isotherm.workflows.service.tokens import issue_token

        sites = None if arguments.sites is None else [site_named(service, LOCAL, name).id for name in arguments.sites]
        token, text = issue_token(
            service,
            LOCAL,
            arguments.name,
            scopes=[scope.strip() for scope in arguments.scopes.split(",")],
            sites=sites,
            expires_at=datetime.now(UTC) + timedelta(days=arguments.days),
        )
    print(text)
    print(
        f"{token.name}: {', '.join(token.scopes)}; good for {arguments.days} days. It is shown only now: keep it safe."
    )
    return 0


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Service]:
    """Give the data of a server; raises MissingExtraError where its libraries are not installed."""
    try:
        from isotherm.workflows.service.service import Service
    except ImportError as error:
        raise MissingExtraError("isotherm token", "serve") from error
    with Service.open(arguments.data, arguments.database) as service:
        yield service
