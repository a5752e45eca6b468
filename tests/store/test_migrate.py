"""Versions of the schema on both databases: up, down, compared with the tables, and refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, select, text

from isotherm.core.errors import DataError
from isotherm.store.database import Database
from isotherm.store.migrate import (
    check,
    differences,
    downgrade,
    newest,
    set_up,
    upgrade,
    version_of,
    versions,
)
from isotherm.store.tables import Activation, Site


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    found = Database.open(empty_url)
    yield found
    found.close()


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_the_steps_make_the_tables_that_the_code_uses(empty: Database) -> None:
    assert upgrade(empty) == ("", newest())
    assert differences(empty) == []
    check(empty)


def test_a_difference_is_told(database: Database) -> None:
    with database.change_schema() as connection:
        connection.execute(text("DROP INDEX ix_image_digest"))
        connection.execute(text("ALTER TABLE site ADD COLUMN extra INTEGER"))
    assert sorted(differences(database)) == ["add index: ix_image_digest", "remove column: site, extra"]


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    before = tables(database)
    assert upgrade(database) == (newest(), newest())
    assert tables(database) == before


def test_down_and_up_again(database: Database) -> None:
    before = tables(database)
    assert downgrade(database, "base") == (newest(), "")
    assert tables(database) == set()
    assert upgrade(database) == ("", newest())
    assert tables(database) == before


@pytest.mark.parametrize("earlier", versions()[:-1])
def test_from_each_earlier_version_the_newest_is_reached(database: Database, earlier: str) -> None:
    downgrade(database, earlier)
    assert upgrade(database) == (earlier, newest())
    assert differences(database) == []


def test_going_back_forgets_what_was_switched_of_the_second_model(database: Database) -> None:
    with database.write() as session:
        site = Site(name="plant")
        session.add(site)
        session.flush()
        kinds = "classifier", "anomaly"
        session.add_all(Activation(site_id=site.id, number=number, kind=kind) for number, kind in enumerate(kinds, 1))
    downgrade(database, "0002")
    upgrade(database)
    with database.read() as session:
        # Without its kind, the other one would be gone back to as a classifier.
        assert [(row.number, row.kind) for row in session.scalars(select(Activation))] == [(1, "classifier")]


def test_set_up_makes_an_empty_database_and_leaves_a_current_one(empty: Database) -> None:
    set_up(empty)
    set_up(empty)
    assert version_of(empty) == newest()


def test_versions_are_numbered_without_gaps() -> None:
    assert versions() == [f"{number:04d}" for number in range(1, len(versions()) + 1)]


def test_an_empty_database_is_no_current_one(empty: Database) -> None:
    with pytest.raises(DataError, match="run isotherm db upgrade"):
        check(empty)


@pytest.mark.parametrize(("found", "message"), [("0000", "newer"), ("9999", "made by a newer isotherm")])
def test_an_unknown_version_is_refused(database: Database, found: str, message: str) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})
    for use in (check, set_up, upgrade):
        with pytest.raises(DataError, match=message):
            use(database)


def test_an_older_version_asks_for_the_upgrade(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = newest()
    monkeypatch.setattr("isotherm.store.migrate.versions", lambda: [now, "9998"])
    for use in (check, set_up):
        with pytest.raises(DataError, match=f"has schema {now}, and isotherm needs 9998; run isotherm db upgrade"):
            use(database)


def test_the_tables_of_others_are_left_alone(empty: Database) -> None:
    with empty.change_schema() as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    for use in (set_up, upgrade):
        with pytest.raises(DataError, match="has not made"):
            use(empty)
    assert tables(empty) == {"theirs"}


# A child of each turn ends itself before its nth statement; the last one comes through.
KILLED = """
import os, signal, sys
from sqlalchemy import event
from isotherm.store import migrate
from isotherm.store.database import Database

def move(last, down):
    database = Database.open(sys.argv[1])
    statements = []
    def count(*_):
        statements.append(1)
        if len(statements) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(database.engine, "before_cursor_execute", count)
    migrate.downgrade(database, "base") if down else migrate.upgrade(database)

for down in (False, True):
    for last in range(1, 10**6, int(sys.argv[2])):
        child = os.fork()
        if not child:
            move(last, down)
            os._exit(0)
        done = os.waitpid(child, 0)[1] == 0
        database = Database.open(sys.argv[1])
        print(down, done, repr(migrate.version_of(database)), flush=True)
        database.close()
        if done:
            break
"""


def test_killed_at_any_statement_it_has_changed_nothing(empty_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, empty_url, "19"], capture_output=True, text=True, check=True, timeout=100
    )
    lines = done.stdout.splitlines()
    up, down = ([line for line in lines if line.startswith(f"{way} ")] for way in (False, True))
    assert up == ["False False ''"] * (len(up) - 1) + [f"False True '{newest()}'"]
    assert down == [f"True False '{newest()}'"] * (len(down) - 1) + ["True True ''"]
    assert len(up) > 2
    assert len(down) > 2


def test_two_processes_that_upgrade_at_once(empty_url: str) -> None:
    command = [sys.executable, "-m", "isotherm", "db", "upgrade", "--database", empty_url]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(child.communicate(timeout=100)[0].strip() for child in children)
    assert [child.returncode for child in children] == [0, 0]
    assert told == [f"schema {newest()}, as before", f"schema none -> {newest()}"]
