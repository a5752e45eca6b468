"""``isotherm client export-model``: get an anomaly model of a server as a folder."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isotherm.cli.client_flags import add_server, add_site, connected_client, site_of
from isotherm.core.errors import DataError

if TYPE_CHECKING:
    from isotherm.client.api import Client


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    add_site(parser)
    parser.add_argument("folder", type=Path, metavar="MODEL", help="where it is written; must not exist yet")
    parser.add_argument("--version", type=int, metavar="N", help="which version of the site (default: the one at work)")
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    """Get the files, write the folder."""
    with connected_client(arguments) as client:
        version = _version(client, site_of(client, arguments.site), arguments.version)
        client.export_anomaly_model(version["id"], arguments.folder)
    print(f"version {version['number']} ({version['method']}) is in {arguments.folder}")
    return 0


def _version(client: Client, site: Mapping[str, Any], number: int | None) -> Mapping[str, Any]:
    """Return the anomaly model of a number, or the one at work; raises DataError where there is none."""
    for version in client.rows("/models", {"site_id": site["id"], "kind": "anomaly"}):
        if version["number"] == number or (number is None and version["id"] == site["active_anomaly_model"]):
            return version
    wanted = "no anomaly model is at work" if number is None else f"there is no anomaly model of the number {number}"
    raise DataError(f"{wanted} at the site {site['name']!r}")
