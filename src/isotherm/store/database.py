"""The database: transactions that read, transactions that write, and its clock.

SQLite by default, with no set-up; PostgreSQL by its URL. Both run the same statements. A writing transaction of SQLite
takes the one write lock when it begins, so it never fails halfway because of another; on PostgreSQL it is READ
COMMITTED, and who reads a row in order to change it asks ``with_for_update()`` (which SQLite does not need).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock, get_ident, local
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError, MissingExtraError, OutputError, StorageFullError, one_line
from isotherm.store.failures import is_full, translated
from isotherm.store.filesystem import refuse_network

BUSY_TIMEOUT_S = 30
CONNECTIONS = 16
LOG_BYTES = 32 << 20
_SQLITE_NOW = "SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
_POSTGRESQL_NOW = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


class _Joint(local):
    """The transaction that all writes of a thread belong to, within `Database.together`."""

    stack: ExitStack | None = None
    session: Session | None = None


class Database:
    """An open database; made by `open`, shared by all threads of a process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self._reading = _for(engine, "read")
        self._writing = _for(engine, "write")
        self._writers = Lock()
        self._writer = 0
        self._joint = _Joint()

    @classmethod
    def open(cls, url: str) -> Database:
        """Open ``sqlite:///FILE`` (made where it is absent) or ``postgresql://USER:PASSWORD@HOST/NAME``.

        Raises
        ------
        ConfigError
            The URL is neither.
        StorageFullError
            There is no room for it, or for what SQLite keeps beside it.
        OutputError
            The database cannot be opened, or lies on a network file system.
        """
        engine = _engine(url)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except DBAPIError as error:
            engine.dispose()
            said = f"the database {engine.url!r} cannot be opened: {one_line(error.orig or error)}"
            if is_full(error):
                raise StorageFullError(f"{said}; free some room, nothing stored is hurt") from error
            raise OutputError(said) from error
        return cls(engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one state of the database and cannot change it."""
        if self._joint.session is not None:
            # What this thread has written before in the same block is seen, as if it were kept already.
            yield self._joint.session
            return
        with translated(), Session(self._reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose changes are kept, on the disk, when the block ends; an error inside takes all back.

        Raises
        ------
        RuntimeError
            Inside another `write` of this thread: two transactions would wait for each other.
        StorageFullError
            There is no room; nothing of this transaction is kept.
        ConflictError
            A row that must be the only one is there already, or one that it refers to is not.
        BusyError
            Other writers did not finish within `BUSY_TIMEOUT_S`, or the server of the database does not answer.
        """
        if self._joint.stack is None:
            with self._transaction() as session:
                yield session
            return
        if self._joint.session is None:
            self._joint.session = self._joint.stack.enter_context(self._transaction())
        with translated(), self._joint.session.begin_nested():
            yield self._joint.session

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of all that this thread writes in the block; it begins with the first `write`.

        A `write` that fails takes back its own changes; an error that leaves the block takes back all of them. Until
        the block ends nobody else sees any. Do not wait for other threads in it: they may wait for this transaction.
        """
        if self._joint.stack is not None:
            raise RuntimeError("together inside together")
        try:
            with ExitStack() as stack:
                self._joint.stack = stack
                yield
        finally:
            self._joint.stack = self._joint.session = None

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Keep what this thread writes in the block by itself, whatever becomes of the block of `together` around it.

        For what is found out and is true though the request fails. It must come before the first `write` of that
        block: two transactions of a thread would wait for each other.
        """
        if self._joint.session is not None:
            raise RuntimeError("apart after a write together")
        stack, self._joint.stack = self._joint.stack, None
        try:
            yield
        finally:
            self._joint.stack = stack

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with translated(), self._turn(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let the threads of this process write one after the other on SQLite.

        They would queue for its one lock anyway, but by sleeping and trying again, in no order.
        """
        if self.dialect != "sqlite":
            yield
            return
        if self._writer == get_ident():
            raise RuntimeError("a write inside a write of the same thread")
        with self._writers:
            self._writer = get_ident()
            try:
                yield
            finally:
                self._writer = 0

    @contextmanager
    def change_schema(self) -> Iterator[Connection]:
        """Give a connection for statements that change tables; all of them are kept when the block ends, or none."""
        with translated(), self._turn(), _for(self.engine, "schema").begin() as connection:
            yield connection

    def now_ms(self, session: Session) -> int:
        """Return the time by the clock of the database [ms since 1970], the same for all processes that use it."""
        return int(session.scalar(text(_SQLITE_NOW if self.dialect == "sqlite" else _POSTGRESQL_NOW)) or 0)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"{url!r} is no URL of a database; sqlite:///FILE or postgresql://... would be") from error
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed.database or "")
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False))
    raise ConfigError(f"a database is sqlite:///FILE or postgresql://..., not {parsed.drivername}")


def _sqlite(file: str) -> Engine:
    path = Path(file)
    if not path.parent.is_dir() or not path.name:
        raise OutputError(f"there is no folder {path.parent} for the database {path.name}")
    refuse_network(path.parent)
    engine = create_engine(
        f"sqlite:///{path}",
        # Transactions begin where we say so (`_begin`), not where the driver of Python 3.11 guesses.
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        pool_size=CONNECTIONS,
        max_overflow=CONNECTIONS,
        pool_timeout=BUSY_TIMEOUT_S,
        # The connection that was used last still has the pages in its memory that the next one needs.
        pool_use_lifo=True,
    )
    event.listen(engine, "connect", _settle)
    event.listen(engine, "begin", _begin)
    return engine


def _postgresql(url: str) -> Engine:
    try:
        return create_engine(
            url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, pool_timeout=BUSY_TIMEOUT_S, pool_pre_ping=True
        )
    except ImportError as error:
        raise MissingExtraError("PostgreSQL", "postgres") from error


def _for(engine: Engine, purpose: str) -> Engine:
    """Return the engine, with the same connections, for transactions: ``read``, ``write`` or change of ``schema``."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(purpose=purpose)
    if purpose == "read":
        return engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
    return engine


def _settle(connection: Any, record: object) -> None:  # noqa: ARG001 (the event's form)
    """Set a new connection of SQLite up: https://www.sqlite.org/pragma.html."""
    cursor = connection.cursor()
    # The wait first: changing the journal of a new file needs a lock of its own.
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    if cursor.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        # It does not say what kept it from that; a write does, for it fails the same way.
        cursor.execute("PRAGMA user_version = 0")
        raise sqlite3.OperationalError("SQLite cannot keep its log (WAL) beside it")
    # With NORMAL, the last commits may be gone after a loss of power.
    cursor.execute("PRAGMA synchronous = FULL")
    # A log that has grown in a busy hour is cut back afterwards.
    cursor.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    cursor.execute("PRAGMA trusted_schema = OFF")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction of SQLite: one that reads cannot write, any other takes the lock at once.

    Where the schema changes, tables are copied and dropped that others refer to; keys are checked at its end.
    """
    purpose = connection.get_execution_options().get("purpose", "write")
    for setting, value in (
        ("query_only", "ON" if purpose == "read" else "OFF"),
        ("foreign_keys", "OFF" if purpose == "schema" else "ON"),
    ):
        if connection.info.get(setting) != value:
            connection.exec_driver_sql(f"PRAGMA {setting} = {value}")
            connection.info[setting] = value
    connection.exec_driver_sql("BEGIN" if purpose == "read" else "BEGIN IMMEDIATE")
