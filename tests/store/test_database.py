"""Transactions on both databases."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from isotherm.core.errors import ConflictError
from isotherm.store.database import Database
from isotherm.store.tables import Site


def test_what_is_written_is_read(database: Database) -> None:
    with database.write() as session:
        session.add(Site(name="north", settings={"min_confidence": 0.5}))
    with database.read() as session:
        site = session.scalars(select(Site)).one()
    assert (site.name, site.settings, site.version) == ("north", {"min_confidence": 0.5}, 1)


def add_site(database: Database, name: str, *, then: Exception | None = None) -> None:
    with database.write() as session:
        session.add(Site(name=name))
        session.flush()
        if then is not None:
            raise then


def test_an_error_takes_all_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        add_site(database, "north", then=ZeroDivisionError())
    with database.read() as session:
        assert session.scalars(select(Site)).all() == []


def test_a_second_row_of_the_same_name_is_a_conflict(database: Database) -> None:
    add_site(database, "north")
    with pytest.raises(ConflictError):
        add_site(database, "north")


def test_the_clock_is_that_of_this_machine(database: Database) -> None:
    with database.read() as session:
        assert abs(database.now_ms(session) - time.time() * 1000) < 60_000
