"""``isotherm client import-model``: give a site of a server an anomaly model that was trained on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.client_flags import add_server, add_site, connected_client, site_of


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    add_site(parser)
    parser.add_argument("folder", type=Path, metavar="MODEL", help="a model's folder, as isotherm train has written it")
    parser.add_argument(
        "--normal",
        default="normal",
        metavar="CATEGORY",
        help="category of the site whose images are normal to the model (default normal)",
    )
    parser.add_argument("--activate", action="store_true", help="let it score new images at once")
    parser.add_argument(
        "--metrics",
        type=Path,
        metavar="JSON",
        help="metrics.json that isotherm evaluate --model MODEL has written; shown as what is said of the model",
    )
    parser.add_argument("--note", default="", metavar="TEXT", help="a remark that is kept with the model")
    add_server(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send the folder, say which version it has become and what is known of it."""
    with connected_client(arguments) as client:
        site = site_of(client, arguments.site)
        version = client.import_anomaly_model(
            site["id"],
            arguments.folder,
            normal=arguments.normal,
            activate=arguments.activate,
            note=arguments.note,
            metrics=arguments.metrics,
        )
    state = "at work" if arguments.activate else "not at work yet"
    print(f"version {version['number']} of {site['name']} ({version['method']}), {state}: {version['id']}")
    print(f"threshold {version['metrics']['threshold']:.6g}")
    for line in version["card"]["elsewhere"].get("said", ()):
        print(f"  as the folder says, not measured by the server: {line}")
    for note in version["card"]["notes"]:
        print(f"  {note}")
    return 0
