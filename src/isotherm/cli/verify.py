"""``isotherm verify``: whether everything that a server keeps is whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from isotherm.cli.db_upgrade import opened
from isotherm.cli.progress import bar
from isotherm.cli.serve import add_data
from isotherm.core.errors import MissingExtraError

if TYPE_CHECKING:
    from isotherm.store.folder import Store

MOST_ORPHANS = 20


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm verify``."""
    add_data(parser)


@contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[Store]:
    """Give the store of a data folder, or that of a backup as it is before it is restored."""
    try:
        from isotherm.store.folder import is_backup
        from isotherm.store.restore import opened_backup
    except ImportError as error:
        raise MissingExtraError("the database", "serve") from error

    with opened_backup(arguments.data) if is_backup(arguments.data) else opened(arguments) as store:
        yield store


def run(arguments: argparse.Namespace) -> int:
    """Check database, rows, audit trail and files, and print what is wrong; returns 0 where nothing is, else 1."""
    with _opened(arguments) as store, bar() as progress:
        from isotherm.store.verify import verify

        found = verify(store, progress)
    for flaw in found.flaws:
        print(f"{flaw.subject}: {flaw.reason}")
    for orphan in found.orphans[:MOST_ORPHANS]:
        print(f"note: file {orphan} has no row; it is removed a day after it was written")
    if len(found.orphans) > MOST_ORPHANS:
        print(f"note: and {len(found.orphans) - MOST_ORPHANS} more")
    print(f"{found.files} files; audit trail ends with row {found.audit_rows}, sha256 {found.audit_digest or 'none'}")
    print(f"{len(found.flaws)} flaws" if found.flaws else "all is whole")
    return 1 if found.flaws else 0
