"""``isotherm serve``: the API and the pages over one data folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isotherm.core.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from isotherm.server.serving import Listening

MOST_WORKERS = 64
MOST_METRICS_SITES = 1000


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm serve``."""
    add_listening(parser)
    add_data(parser)
    add_blobs(parser)


def add_listening(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where a server listens, who may come, and who does its jobs."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where to listen (default 127.0.0.1, this machine only, without login; others need tokens)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="port, 0 for any that is free (default 8000)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes that train and run other jobs (default 1)"
    )
    parser.add_argument(
        "--public-url",
        default="",
        metavar="URL",
        help="how browsers reach the server through a proxy, such as https://thermal.example; then all need tokens",
    )
    parser.add_argument(
        "--metrics-sites",
        type=int,
        default=20,
        metavar="N",
        help="how many sites have figures of their own at /metrics; the others are added up (default 20)",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="let other machines in without tokens where none has been issued"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add ``--data`` and ``--database`` of the commands that open a server's data."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("isotherm-data"),
        metavar="DIR",
        help="folder of database, files and logs (default isotherm-data, made where it is not there)",
    )
    parser.add_argument(
        "--database",
        default=None,
        metavar="URL",
        help="postgresql://USER:PASSWORD@HOST/NAME in place of the SQLite file in the folder",
    )


def add_blobs(parser: argparse.ArgumentParser) -> None:
    """Add ``--blobs`` of the commands that begin a data folder."""
    parser.add_argument(
        "--blobs",
        default="",
        metavar="URL",
        help="s3://bucket/prefix for the files of a new data folder, in place of the folder (extra s3; remembered)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; returns 0."""
    return serve_folder(arguments, arguments.data)


def serve_folder(arguments: argparse.Namespace, folder: Path, compat: Any = None) -> int:
    """Serve a data folder as the arguments of `add_listening` say; returns 0 when it has been stopped.

    Parameters
    ----------
    arguments, folder
        The arguments, perhaps with those of `add_data` and `add_blobs`; the data folder.
    compat
        The folders of the compatibility routes, `isotherm.workflows.compat.config.CompatConfig`; None for its default.
    """
    from isotherm.core.memory import loading_for_good

    _check(arguments)
    try:
        with loading_for_good():
            from isotherm.server.serving import ServeOptions, serve
    except ImportError as error:
        raise MissingExtraError("a server", "serve") from error
    options = ServeOptions(
        folder=folder,
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        database_url=getattr(arguments, "database", None),
        blobs=getattr(arguments, "blobs", ""),
        public_url=arguments.public_url.rstrip("/"),
        insecure=arguments.insecure,
        metrics_sites=arguments.metrics_sites,
        compat=compat,
    )
    serve(options, lambda listening: _announce(listening, folder))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.port <= 65535:
        raise UsageError(f"--port must be from 0 to 65535, not {arguments.port}")
    if not 0 <= arguments.workers <= MOST_WORKERS:
        raise UsageError(f"--workers must be from 0 to {MOST_WORKERS}, not {arguments.workers}")
    if not 0 <= arguments.metrics_sites <= MOST_METRICS_SITES:
        raise UsageError(f"--metrics-sites must be from 0 to {MOST_METRICS_SITES}, not {arguments.metrics_sites}")


def _announce(listening: Listening, folder: Path) -> None:
    login = "with tokens" if listening.needs_token else "without login"
    print(f"isotherm: {listening.url} ({login}; data in {folder}); Ctrl-C stops it", flush=True)
