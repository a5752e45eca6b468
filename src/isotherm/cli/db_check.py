"""``isotherm db check``: whether the tables of a database are those that this version of isotherm works with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from isotherm.cli.db_upgrade import url_of
from isotherm.cli.serve import add_data


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm db check``."""
    add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema and what differs; returns 0, or 1 where anything does."""
    url = url_of(arguments)
    from isotherm.store.folder import opened_database
    from isotherm.store.migrate import check, differences, newest

    with opened_database(url) as database:
        check(database)
        found = differences(database)
    for difference in found:
        print(f"differs: {difference}")
    print(f"schema {newest()}, {'which is current' if not found else 'but the tables are not its tables'}")
    return 1 if found else 0
