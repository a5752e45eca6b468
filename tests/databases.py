"""Databases for tests: files of SQLite, and a private server of PostgreSQL that is started once a test process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from isotherm.store.database import Database
from isotherm.store.migrate import upgrade

BINARIES_VARIABLE = "ISOTHERM_POSTGRESQL_BIN"
_START_S = 30
# No network, no flushing: the server lives as long as the tests.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}


def postgresql_binaries() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``: a variable's, Debian's newest, or that of the search path."""
    if named := os.environ.get(BINARIES_VARIABLE):
        return Path(named)
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb")
    return debian[-1].parent if debian else Path(found).resolve().parent if found else None


class PostgreSQL:
    """A server that listens on a socket in a folder of its own; each database is a copy of one with the schema."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count(1)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://isotherm@/{name}?host={self.folder}"

    def run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(host=str(self.folder), user="isotherm", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)

    def make_template(self) -> None:
        self.run("CREATE DATABASE template")
        make_schema(self.url("template"))

    @contextmanager
    def database(self, *, template: str = "template") -> Iterator[str]:
        """Give the URL of a fresh database with the schema (``template0``: with none)."""
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield self.url(name)
        self.run(f"DROP DATABASE {name} WITH (FORCE)")


def make_schema(url: str) -> None:
    database = Database.open(url)
    upgrade(database)
    database.close()


@contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    """Start a server and stop it; skips the test where PostgreSQL is not installed."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip(f"needs PostgreSQL (initdb, postgres; {BINARIES_VARIABLE} names their folder)")
    # Names of sockets must be short; tmp_path's are not.
    folder = Path(tempfile.mkdtemp(prefix="isotherm-pg-"))
    who = _unprivileged(folder)
    try:
        options = ["-U", "isotherm", "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "--no-instructions"]
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", *options],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **who,
        )
        with _running(binaries, folder, who):
            server = PostgreSQL(folder)
            server.make_template()
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> dict[str, object]:
    """Return who runs the server: it refuses root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def _running(binaries: Path, folder: Path, who: dict[str, object]) -> Iterator[None]:
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    # Tests that are killed take the server with them.
    leash = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*leash, binaries / "postgres", "-D", folder / "data", "-k", folder, *settings],
            stdout=log,
            stderr=log,
            cwd="/",
            **who,
        )
    try:
        deadline = time.monotonic() + _START_S
        while subprocess.run([binaries / "pg_isready", "-q", "-h", folder], check=False).returncode != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text('utf-8')}")
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
