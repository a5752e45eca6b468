"""Lists of any length, a page at a time: the next page begins after the last row's key, so that none comes twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from isotherm.core.errors import ConfigError
from isotherm.store.ids import is_id

T = TypeVar("T")
Key = tuple[str | int | float, ...]
MOST = 200
USUAL = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and the key to ask for those after them (None: there are no more)."""

    items: tuple[T, ...]
    next: Key | None = None


def read_page(
    session: Session,
    query: Select[Any],
    columns: Sequence[InstrumentedAttribute[Any]],
    *,
    after: Sequence[object] | None,
    limit: int,
    ascending: bool = False,
) -> Page[Any]:
    """Return one page of a query over whole rows, ordered by `columns`, of which the last is an id.

    The condition is a row value, ``(severity_rank, id) < (?, ?)``: databases walk an index with it and skip nothing.

    Raises
    ------
    ConfigError
        `after` is no key of this list, or `limit` lies outside 1 .. 200.
    """
    if not 1 <= limit <= MOST:
        raise ConfigError(f"limit must be from 1 to {MOST}, not {limit}")
    if after is not None:
        start = _checked(after, columns)
        place = tuple_(*columns)
        query = query.where(place > start if ascending else place < start)
    order = [column.asc() if ascending else column.desc() for column in columns]
    rows = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    shown = tuple(rows[:limit])
    key = tuple(getattr(shown[-1], column.key) for column in columns) if len(rows) > limit else None
    return Page(shown, key)


def _checked(after: Sequence[object], columns: Sequence[InstrumentedAttribute[Any]]) -> Key:
    kinds = [column.type.python_type for column in columns]
    sound = len(after) == len(kinds) and all(type(value) is kind for value, kind in zip(after, kinds, strict=True))
    if not sound or not is_id(str(after[-1])):
        raise ConfigError("this is no place in this list; ask for its first page")
    return tuple(after)  # type: ignore[arg-type]


def id_at(moment: datetime) -> str:
    """Return the least identifier that `isotherm.store.ids.new_id` can have made at a time.

    Rows are made when their id is, so a span of time is a span of ids, and needs no index of its own.
    """
    stamp = max(0, int(moment.astimezone(UTC).timestamp() * 1000)) & (1 << 48) - 1
    digits = f"{stamp:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
