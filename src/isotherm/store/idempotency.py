"""Answers to creating requests, kept for a day under the key that the client chose, for each client apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from isotherm.store.tables import Idempotency, now

KEPT = timedelta(hours=24)
LOST = timedelta(minutes=10)
"""How old a claim without an answer must be to count as that of a server that was killed."""


@dataclass(frozen=True)
class Answer:
    """What a request was answered; status 0 where the answer is still being worked out."""

    request_sha256: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


def claim(session: Session, client: str, key: str, request_sha256: str) -> Answer | None:
    """Take a key for a request and return None, or return what was kept under it."""
    session.execute(delete(Idempotency).where(Idempotency.created_at < now() - KEPT))
    found = session.get(Idempotency, (client, key), with_for_update=True)
    if found is not None and found.status == 0 and found.created_at < now() - LOST:
        session.delete(found)
        session.flush()
        found = None
    if found is not None:
        return Answer(found.request_sha256, found.status, found.headers, found.body)
    session.add(Idempotency(token_id=client, key=key, request_sha256=request_sha256))
    session.flush()
    return None


def keep(session: Session, client: str, key: str, answer: Answer) -> None:
    """Write down the answer to the request that has claimed a key."""
    found = session.get(Idempotency, (client, key), with_for_update=True)
    if found is not None:
        found.status, found.headers, found.body = answer.status, dict(answer.headers), answer.body


def release(session: Session, client: str, key: str) -> None:
    """Give a key free again whose request has failed."""
    session.execute(
        delete(Idempotency).where(Idempotency.token_id == client, Idempotency.key == key, Idempotency.status == 0)
    )
