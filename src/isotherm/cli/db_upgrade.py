"""``isotherm db upgrade``: the tables of this version of isotherm."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from isotherm.cli.serve import add_data
from isotherm.core.errors import MissingExtraError
from isotherm.core.files import make_folder

if TYPE_CHECKING:
    from isotherm.store.folder import Store


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm db upgrade``."""
    add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Bring the database to the newest schema, or make it; returns 0."""
    url = url_of(arguments)
    from isotherm.store.database import Database
    from isotherm.store.folder import sqlite_file
    from isotherm.store.migrate import upgrade

    file = sqlite_file(url)
    if file is not None:
        make_folder(file.parent)
    database = Database.open(url)
    try:
        before, after = upgrade(database)
    finally:
        database.close()
    print(f"schema {after}, as before" if before == after else f"schema {before or 'none'} -> {after}")
    return 0


def url_of(arguments: argparse.Namespace) -> str:
    """Return the URL of the database that a command is for; raises MissingExtraError where libraries are missing."""
    try:
        from isotherm.workflows.service.service import url_of as url_of_folder
    except ImportError as error:
        raise MissingExtraError("the database", "serve") from error
    return url_of_folder(arguments.data, arguments.database)


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Store]:
    """Give the store of the data folder that a command is for; raises DataError where there is none."""
    url = url_of(arguments)
    from isotherm.store.folder import opened as opened_store

    with opened_store(arguments.data, url) as store:
        yield store
