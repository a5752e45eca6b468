"""Identifiers and times, as they reach queries and paths."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import StatementError
from store_rows import add_site

from isotherm.store.database import Database
from isotherm.store.ids import is_id, new_id
from isotherm.store.tables import Site


def test_identifiers_sort_by_time_and_differ() -> None:
    first = new_id()
    time.sleep(0.002)
    later = [new_id() for _ in range(1000)]
    assert first < min(later)
    assert len(set(later)) == 1000
    # RFC 9562: 48 bits of milliseconds, then the version
    assert abs((uuid.UUID(first).int >> 80) / 1000 - time.time()) < 60
    assert uuid.UUID(first).version == 7
    assert uuid.UUID(first).variant == uuid.RFC_4122


def test_what_is_an_identifier() -> None:
    found = new_id()
    assert is_id(found)
    for other in (found.upper(), f"{{{found}}}", found.replace("-", ""), f"{found}\n", str(uuid.uuid4()), "", "../x"):
        assert is_id(other) == (other == found)


@given(st.text())
def test_no_text_is_an_identifier(text: str) -> None:
    assert not is_id(text)


def test_times_are_kept_in_utc(database: Database) -> None:
    at = datetime(2026, 3, 29, 2, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with database.write() as session:
        add_site(session).created_at = at
    with database.read() as session:
        found = session.scalars(select(Site.created_at)).one()
    assert found == at
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_a_mistake(database: Database) -> None:
    # Written when the transaction ends.
    with pytest.raises(StatementError, match="a time without a zone"), database.write() as session:
        session.add(Site(name="north", created_at=datetime(2026, 3, 29)))
