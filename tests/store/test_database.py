"""Transactions on both databases."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from store_rows import add_site, lines_until_killed

from databases import PostgreSQL
from isotherm.core.errors import BusyError, ConfigError, ConflictError, MissingExtraError, OutputError, StorageFullError
from isotherm.store.database import Database
from isotherm.store.failures import translated
from isotherm.store.filesystem import file_system, has_room
from isotherm.store.tables import Category, Image, Site


def add(database: Database, name: str, *, then: Exception | None = None) -> None:
    with database.write() as session:
        add_site(session, name)
        if then is not None:
            raise then


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Site.name).order_by(Site.name)))


def test_what_is_written_is_read(database: Database) -> None:
    with database.write() as session:
        session.add(Site(name="north", settings={"min_confidence": 0.5}))
    with database.read() as session:
        site = session.scalars(select(Site)).one()
    assert (site.name, site.settings, site.version) == ("north", {"min_confidence": 0.5}, 1)
    assert site.created_at.tzinfo is not None


def test_an_error_takes_all_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        add(database, "north", then=ZeroDivisionError())
    assert names(database) == []


def test_a_second_row_of_the_same_name_is_a_conflict(database: Database) -> None:
    add(database, "north")
    with pytest.raises(ConflictError):
        add(database, "north")
    assert names(database) == ["north"]


def test_a_row_that_refers_to_none_is_a_conflict(database: Database) -> None:
    with pytest.raises(ConflictError), database.write() as session:
        session.add(Image(site_id="absent", digest="0" * 64, name="a.jpg", size=1))


def test_common_categories_have_names_of_their_own(database: Database) -> None:
    def add_category(site: str | None) -> None:
        with database.write() as session:
            session.add(Category(site_id=site, name="broken"))

    with database.write() as session:
        site = add_site(session)
    for place in (None, site.id):
        add_category(place)
        with pytest.raises(ConflictError):
            add_category(place)


def test_a_reading_session_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"read-?only"), database.read() as session:
        add_site(session)
    assert names(database) == []
    add(database, "north")


def test_a_reading_session_sees_one_state(database: Database) -> None:
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Site)) == 0
        add(database, "north")
        assert session.scalar(select(func.count()).select_from(Site)) == 0
    assert names(database) == ["north"]


def test_threads_lose_no_count(database: Database) -> None:
    add(database, "north")

    def count() -> None:
        for _ in range(10):
            with database.write() as session:
                site = session.scalars(select(Site).with_for_update()).one()
                site.images += 1

    threads = [Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.scalars(select(Site.images)).one() == 60


def test_a_savepoint_takes_back_a_part(database: Database) -> None:
    with database.write() as session:
        add_site(session, "north")
        part = session.begin_nested()
        add_site(session, "south")
        part.rollback()
    assert names(database) == ["north"]


def test_the_clock_is_that_of_this_machine(database: Database) -> None:
    with database.read() as session:
        assert abs(database.now_ms(session) - time.time() * 1000) < 60_000
    with database.write() as session:
        first = database.now_ms(session)
        time.sleep(0.02)
        # Not the time at which the transaction began.
        assert database.now_ms(session) >= first + 19


def test_a_restart_of_postgresql_is_survived(postgresql: PostgreSQL) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'"
    with postgresql.database() as url:
        database = Database.open(url)
        add(database, "north")
        postgresql.run(end)
        # No connection was in use: the next one is new.
        assert names(database) == ["north"]
        with pytest.raises(BusyError):
            add_while(database, lambda: postgresql.run(end))
        assert names(database) == ["north"]
        database.close()


def add_while(database: Database, interrupt: Callable[[], None]) -> None:
    with database.write() as session:
        add_site(session, "south")
        interrupt()


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match="postgres"):
        Database.open("postgresql://127.0.0.1/x")


@pytest.fixture
def sqlite(tmp_path: Path, sqlite_template: Path) -> Database:
    path = tmp_path / "isotherm.db"
    path.write_bytes(sqlite_template.read_bytes())
    return Database.open(f"sqlite:///{path}")


def test_every_connection_of_sqlite_is_set_up(sqlite: Database) -> None:
    for use in (sqlite.read, sqlite.write):
        with use() as session:
            found = [
                session.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            ]
        # https://www.sqlite.org/pragma.html#pragma_synchronous: 2 is FULL
        assert found == ["wal", 2, 30_000, 1]
    sqlite.close()


def test_a_write_inside_a_write_is_a_mistake(sqlite: Database) -> None:
    with pytest.raises(RuntimeError, match="a write inside a write"), sqlite.write():
        add(sqlite, "north")
    add(sqlite, "north")
    sqlite.close()


def test_another_process_that_holds_the_lock(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    other = sqlite3.connect(sqlite.engine.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with sqlite.read() as session:
        session.execute(text("PRAGMA busy_timeout = 10"))
    with pytest.raises(BusyError):
        add(sqlite, "north")
    other.execute("ROLLBACK")
    other.close()
    add(sqlite, "north")
    sqlite.close()


@pytest.mark.parametrize(
    ("url", "kind", "message"),
    [
        ("", ConfigError, "is no URL of a database"),
        ("isotherm.db", ConfigError, "is no URL of a database"),
        ("mysql://localhost/x", ConfigError, "or postgresql://"),
        ("sqlite://", OutputError, "there is no folder"),
        ("sqlite:////absent/folder/isotherm.db", OutputError, "there is no folder /absent/folder"),
        ("postgresql://user:word@127.0.0.1:1/x?connect_timeout=2", OutputError, "cannot be opened"),
    ],
)
def test_what_cannot_be_opened(url: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        Database.open(url)
    assert "word" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "isotherm.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match="cannot be opened"):
        Database.open(f"sqlite:///{tmp_path / 'isotherm.db'}")


def mounts_of(folder: Path, kind: str) -> str:
    import os

    device = folder.stat().st_dev
    return (
        "22 27 0:9999 / /proc rw,relatime - proc proc rw\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime shared:1 - {kind} server:/export rw\n"
    )


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(mounts_of(tmp_path, "nfs4"), "utf-8")
    monkeypatch.setattr("isotherm.store.filesystem._MOUNTS", mounts)
    with pytest.raises(OutputError, match=r"network file system \(nfs4\)"):
        Database.open(f"sqlite:///{tmp_path / 'isotherm.db'}")
    assert not (tmp_path / "isotherm.db").exists()


@pytest.mark.parametrize(
    ("free", "size", "enough"),
    [(50, 1000, True), (49, 1000, False), (2e9, 1e12, True), (1.9e9, 1e12, False), (0, 0, True)],
)
def test_a_part_of_a_small_disk_or_two_gigabytes_of_a_large_one_must_be_free(
    free: float, size: float, *, enough: bool
) -> None:
    assert has_room(int(free), int(size)) is enough


def test_the_kind_of_a_file_system(tmp_path: Path) -> None:
    assert file_system(tmp_path, mounts_of(tmp_path, "ext4")) == "ext4"
    assert file_system(tmp_path, "") == ""


class Failed(sqlite3.OperationalError):
    """SQLite's error with a name of its own choice."""

    def __init__(self, name: str) -> None:
        super().__init__("it failed")
        self.sqlite_errorname = name


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (lambda: Failed("SQLITE_FULL"), StorageFullError),
        (lambda: Failed("SQLITE_IOERR_WRITE"), StorageFullError),
        (lambda: Failed("SQLITE_BUSY_SNAPSHOT"), BusyError),
        (lambda: Failed("SQLITE_CORRUPT_VTAB"), OutputError),
        (lambda: psycopg.errors.DiskFull("it failed"), StorageFullError),
        (lambda: psycopg.errors.DeadlockDetected("it failed"), BusyError),
        (lambda: psycopg.errors.TooManyConnections("it failed"), BusyError),
        (lambda: psycopg.OperationalError("the connection is lost"), BusyError),
        (lambda: psycopg.errors.UniqueViolation("it failed"), ConflictError),
        (lambda: psycopg.errors.UndefinedTable("it failed"), OperationalError),
    ],
)
def test_what_a_failure_is_called(cause: Callable[[], Exception], kind: type[Exception]) -> None:
    with pytest.raises(kind), translated():
        raise OperationalError("SELECT 1", {}, cause())


def test_an_error_of_the_driver_alone() -> None:
    with pytest.raises(StorageFullError, match="it failed"), translated():
        raise Failed("SQLITE_FULL")
    with pytest.raises(Failed), translated():
        raise Failed("SQLITE_MISUSE")


WRITER = """
import sys
from isotherm.store.database import Database
from isotherm.store.tables import Site
database = Database.open(sys.argv[1])
for number in range(10**6):
    with database.write() as session:
        session.add(Site(name=f"{sys.argv[2]} {number}", note="x" * 3000))
    print(f"{sys.argv[2]} {number}", flush=True)
"""


def test_no_commit_that_was_acknowledged_is_lost_by_kill(database_url: str) -> None:
    acknowledged: list[str] = []
    for turn in range(3):
        acknowledged += lines_until_killed(WRITER, database_url, str(turn), lines=30 + 11 * turn)
    database = Database.open(database_url)
    found = names(database)
    # The one that was being written when it was killed may be there.
    assert set(acknowledged) <= set(found)
    assert len(found) <= len(acknowledged) + 3
    assert len(found) == len(set(found))
    if database.dialect == "sqlite":
        with database.read() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
    database.close()


def test_threads_read_while_others_write(database: Database) -> None:
    start = Barrier(4)
    failures: list[str] = []

    def write(name: str) -> None:
        start.wait()
        for number in range(15):
            with database.write() as session:
                add_site(session, f"{name} {number} a")
                add_site(session, f"{name} {number} b")

    def read() -> None:
        start.wait()
        for _ in range(30):
            found = names(database)
            if len(found) % 2:
                failures.append(f"half a transaction: {found}")

    threads = [Thread(target=write, args=(name,)) for name in "xy"] + [Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(names(database)) == 60


def test_what_is_written_apart_stays_though_the_rest_is_taken_back(database: Database) -> None:
    def fails() -> None:
        with database.together():
            with database.apart():
                add(database, "found out")
            add(database, "north")
            raise ConfigError("no")

    with pytest.raises(ConfigError):
        fails()
    assert names(database) == ["found out"]
    with database.together():
        with database.apart():
            pass
        add(database, "south")
        with pytest.raises(RuntimeError, match="apart after a write"), database.apart():
            pass
    with database.apart():
        add(database, "west")
    assert names(database) == ["found out", "south", "west"]
