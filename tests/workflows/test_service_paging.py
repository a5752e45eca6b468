"""Lists come page by page: no row twice, none missing, whatever is added meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from isotherm.core.errors import ConfigError
from isotherm.store.database import Database
from isotherm.store.ids import is_id, new_id
from isotherm.store.tables import Blob, Image
from isotherm.workflows.service.paging import id_at, read_page


def add_images(database: Database, ranks: list[int]) -> set[str]:
    rows = [Image(id=new_id(), digest="0" * 64, name="x", size=1, severity_rank=rank) for rank in ranks]
    with database.write() as session:
        session.merge(Blob(digest="0" * 64, size=1))
        session.add_all(rows)
    return {row.id for row in rows}


def walk(database: Database, *, limit: int, by_rank: bool, between: list[list[int]]) -> list[str]:
    columns = [Image.severity_rank, Image.id] if by_rank else [Image.id]
    found: list[str] = []
    after = None
    while True:
        with database.read() as session:
            page = read_page(session, select(Image), columns, after=after, limit=limit)
        found += [row.id for row in page.items]
        if page.next is None:
            return found
        after = page.next
        if between:
            add_images(database, between.pop())


RANKS = st.lists(st.integers(-1, 3), max_size=12)


@pytest.mark.parametrize("by_rank", [True, False])
def test_every_row_comes_once_while_others_are_added(database: Database, by_rank: bool) -> None:
    @settings(max_examples=12)
    @given(start=RANKS, between=st.lists(RANKS, max_size=4), limit=st.integers(1, 5))
    def check(start: list[int], between: list[list[int]], limit: int) -> None:
        with database.write() as session:
            session.execute(delete(Image))
        there = add_images(database, start)
        found = walk(database, limit=limit, by_rank=by_rank, between=between)
        assert len(found) == len(set(found))
        assert there <= set(found)

    check()


def test_worst_first_then_newest(database: Database) -> None:
    add_images(database, [0, 3, 1, 3])
    with database.read() as session:
        rows = read_page(session, select(Image), [Image.severity_rank, Image.id], after=None, limit=10).items
    assert [row.severity_rank for row in rows] == [3, 3, 1, 0]
    assert rows[0].id > rows[1].id


@pytest.mark.parametrize("after", [[], ["x"], [1], [new_id(), new_id()], [None], ["'; DROP TABLE image --"]])
def test_a_place_that_is_none(database: Database, after: list[object]) -> None:
    with database.read() as session, pytest.raises(ConfigError, match="no place in this list"):
        read_page(session, select(Image), [Image.id], after=after, limit=10)


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_limits_of_a_page(database: Database, limit: int) -> None:
    with database.read() as session, pytest.raises(ConfigError, match="1 to 200"):
        read_page(session, select(Image), [Image.id], after=None, limit=limit)


def test_a_time_as_an_identifier() -> None:
    made = datetime.now(UTC)
    first = new_id()
    assert is_id(id_at(made))
    assert id_at(made - timedelta(milliseconds=1)) < first < id_at(made + timedelta(seconds=10))
