"""Answers to creating requests, kept for a day under the key that the client chose, for each client apart.

An answer is written in the transaction of what it tells of: either both are there or neither. Who writes the second
answer under one key is refused, and with it all that his transaction has done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, or_, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from isotherm.core.errors import ConflictError
from isotherm.store.database import Database
from isotherm.store.tables import Idempotency, now

KEPT = timedelta(hours=24)
_AT_ONCE = 1000


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    request_sha256: str
    status: int
    headers: Mapping[str, str]
    body: str


def known(session: Session, client: str, key: str) -> Answer | None:
    """Return what is kept under a key; None where nothing is."""
    found = session.get(Idempotency, (client, key))
    # Earlier versions wrote status 0 before the work; where it stands still, that work was never done.
    if found is None or found.status == 0 or found.created_at < now() - KEPT:
        return None
    return Answer(found.request_sha256, found.status, found.headers, found.body)


def keep(session: Session, client: str, key: str, answer: Answer) -> None:
    """Write an answer down within the transaction of its work, in place of one that is too old.

    Raises
    ------
    ConflictError
        Another request with this key has been answered meanwhile.
    """
    void = or_(Idempotency.created_at < now() - KEPT, Idempotency.status == 0)
    session.execute(delete(Idempotency).where(_under(client, [key]), void))
    session.add(
        Idempotency(
            token_id=client,
            key=key,
            request_sha256=answer.request_sha256,
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body,
        )
    )
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(
            "another request with this Idempotency-Key has just been answered; send it again"
        ) from error


def forget(session: Session, client: str, keys: Iterable[str]) -> None:
    """Remove answers."""
    session.execute(delete(Idempotency).where(_under(client, keys)))


def forget_old(database: Database) -> int:
    """Remove the answers that are too old, some at a time so that others may write between; returns how many."""
    place = (Idempotency.token_id, Idempotency.key)
    some = select(*place).where(Idempotency.created_at < now() - KEPT).limit(_AT_ONCE)
    forgotten, last = 0, _AT_ONCE
    while last == _AT_ONCE:
        with database.write() as session:
            last = int(session.execute(delete(Idempotency).where(tuple_(*place).in_(some))).rowcount)  # type: ignore[attr-defined]
        forgotten += last
    return forgotten


def _under(client: str, keys: Iterable[str]) -> ColumnElement[bool]:
    return (Idempotency.token_id == client) & Idempotency.key.in_(list(keys))
