"""The version of a database's schema: made, brought up to date, compared with `isotherm.store.tables`.

The steps from version to version stand in ``migrations/versions``, numbered; Alembic runs them. All steps of one call
run in one transaction, so one that is killed has changed nothing and may be run again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, inspect, select, text

from isotherm.core.errors import DataError
from isotherm.store.database import Database
from isotherm.store.tables import Table

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"
_STEPS = _FOLDER / "versions"
VERSION_TABLE = "alembic_version"
# Any number, used for nothing else; it lets one process at a time change a schema of PostgreSQL.
_SCHEMA_LOCK = 0x150_7E12_0002


def versions() -> list[str]:
    """Return all versions that this isotherm knows, oldest first (``r0001_first.py`` is ``0001``)."""
    return sorted(path.name[1:5] for path in _STEPS.glob("r[0-9]*.py"))


def newest() -> str:
    """Return the version that this isotherm works with."""
    return versions()[-1]


def version_of(database: Database) -> str:
    """Return the version of a database's schema; empty where it has no tables.

    Raises
    ------
    DataError
        It has tables, but not of isotherm.
    """
    with database.read() as session:
        return _version_of(session.connection())


def _version_of(connection: Connection) -> str:
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) or ""  # noqa: S608 (our own name)
    if tables:
        raise DataError(
            f"the database holds tables that isotherm has not made ({', '.join(sorted(tables)[:3])} ...); give it an "
            "empty one"
        )
    return ""


def check(database: Database) -> None:
    """Raise DataError, with what to do, where the schema is not the one that this isotherm works with."""
    found = version_of(database)
    if found == newest():
        return
    _refuse_unknown(found)
    if not found:
        raise DataError("the database is empty; run isotherm db upgrade")
    raise DataError(f"the database has schema {found}, and isotherm needs {newest()}; run isotherm db upgrade")


def _refuse_unknown(found: str) -> None:
    if found and found not in versions():
        raise DataError(
            f"the database has schema {found}, made by a newer isotherm; this one knows up to {newest()}: upgrade "
            "isotherm, or restore an older backup"
        )


def set_up(database: Database) -> None:
    """Make the tables of an empty database; raises DataError for one with another schema than isotherm needs."""
    if not version_of(database):
        upgrade(database)
    check(database)


def upgrade(database: Database, version: str = "") -> tuple[str, str]:
    """Bring the schema to the newest version, or to an older one than that; returns the version before and after.

    Raises
    ------
    DataError
        The database is of a newer isotherm, or not of isotherm.
    """
    return _move(database, version or newest(), up=True)


def downgrade(database: Database, version: str) -> tuple[str, str]:
    """Bring the schema back to an older version, ``base`` for none; what only the newer one can hold is lost."""
    return _move(database, version, up=False)


def _move(database: Database, version: str, *, up: bool) -> tuple[str, str]:
    from alembic import command

    with database.change_schema() as connection:
        if database.dialect == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
        before = _version_of(connection)
        _refuse_unknown(before)
        (command.upgrade if up else command.downgrade)(_config(connection), version)
        _check_keys(connection)
        return before, _version_of(connection)


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    # A percent sign in the path would be read as the start of a variable.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _check_keys(connection: Connection) -> None:
    """Raise DataError where a row refers to none, which SQLite does not watch while tables are copied."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(3)
    if broken:
        raise DataError(
            f"after the change of schema rows of {broken[0][0]} refer to none of {broken[0][2]}; kept as it was"
        )


def differences(database: Database) -> list[str]:
    """Return how the tables of a database differ from `isotherm.store.tables`, one sentence each."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.read() as session:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(session.connection(), opts=options)
        found = compare_metadata(context, Table.metadata)
    return [_sentence(difference) for difference in found]


def _sentence(difference: Any) -> str:
    """Return what Alembic calls ``("add_column", None, "site", Column(...))``, in words."""
    first = difference[0] if isinstance(difference, list) else difference
    things = [str(getattr(thing, "name", thing)) for thing in first[1:] if thing is not None]
    return f"{first[0].replace('_', ' ')}: {', '.join(things)}"
