"""The chain of the audit trail on both databases."""

from __future__ import annotations

from threading import Thread

import pytest
from sqlalchemy import text

from isotherm.store import audit
from isotherm.store.database import Database


def write(database: Database, *actions: str) -> None:
    for action in actions:
        with database.write() as session:
            audit.append(session, "ann", action, "site 1", {"number": 1e3, "name": "Nord", "of": [1, 2.5, None, True]})


def flaws(database: Database) -> list[str]:
    with database.read() as session:
        return list(audit.verify(session))


def test_a_chain_is_whole(database: Database) -> None:
    assert flaws(database) == []
    write(database, "create", "rename", "delete")
    assert flaws(database) == []
    with database.read() as session:
        assert audit.head(session)[0] == 3


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("UPDATE audit SET actor = 'bob' WHERE number = 2", ["audit row 2 was changed"]),
        ("UPDATE audit SET details = '{}' WHERE number = 2", ["audit row 2 was changed"]),
        ("DELETE FROM audit WHERE number = 2", ["audit rows 2 to 2 are missing"]),
        ("DELETE FROM audit WHERE number = 1", ["audit rows 1 to 1 are missing"]),
    ],
)
def test_what_was_done_to_it_shows(database: Database, damage: str, told: list[str]) -> None:
    write(database, "create", "rename", "delete")
    with database.write() as session:
        session.execute(text(damage))
    assert flaws(database) == told


def test_a_row_with_a_hash_of_its_own_does_not_fit(database: Database) -> None:
    write(database, "create", "rename", "delete")
    with database.write() as session:
        row = session.get(audit.Audit, 2)
        row.actor = "bob"
        row.digest = audit.digest_of(row)
    assert flaws(database) == ["audit row 3 does not follow the row before it"]


@pytest.mark.parametrize("value", [1e22, 1e23, -0.0, 1000, 1e3, 0.1, 2**60, "\u00e9\u2028", {"b": 1, "a": {"d": []}}])
def test_any_plain_value_comes_back_with_its_hash(database: Database, value: object) -> None:
    with database.write() as session:
        audit.append(session, "ann", "set", "", {"value": value})
    assert flaws(database) == []


def test_threads_append_one_after_the_other(database: Database) -> None:
    threads = [Thread(target=write, args=(database, *"abcde")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flaws(database) == []
    with database.read() as session:
        assert audit.head(session)[0] == 20
