"""``isotherm compat serve``: the server, with the folders of a configuration file for the compatibility routes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.serve import add_listening, serve_folder
from isotherm.workflows.compat.config import load_config


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the command's arguments."""
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="as 'isotherm compat make-config' writes it"
    )
    add_listening(parser)
    parser.add_argument(
        "--database", default=None, metavar="URL", help="in place of the SQLite file in the folder of app_path"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; refuses to start where a folder is missing."""
    config = load_config(arguments.config)
    return serve_folder(arguments, config.app_path, config)
