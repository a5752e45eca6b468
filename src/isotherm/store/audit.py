"""The chain of the audit trail: each row holds the sha256 of itself and of the row before it.

Who changes, adds or removes a row afterwards breaks every hash that follows. What the chain cannot show is that its
newest rows are missing; therefore `head` is printed by ``isotherm verify`` and kept in every backup.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from isotherm.store.tables import Audit, now

# Any number, used for nothing else; see `isotherm.store.migrate` for the other one.
_CHAIN_LOCK = 0x150_7E12_0001
_ROWS_AT_ONCE = 1000
_NEWEST = select(Audit.number, Audit.digest).order_by(Audit.number.desc()).limit(1)


def append(session: Session, actor: str, action: str, subject: str, details: Mapping[str, Any]) -> Audit:
    """Add a row to the end of the chain; until the transaction ends, others who want to wait.

    Parameters
    ----------
    session
        A writing transaction.
    actor, action, subject
        Who did what to what.
    details
        Plain values (what JSON can hold; no NaN).
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    number, previous = head(session)
    row = Audit(
        number=number + 1,
        at=now(),
        actor=actor,
        action=action,
        subject=subject,
        details=dict(details),
        previous=previous,
    )
    row.digest = digest_of(row)
    session.add(row)
    session.flush()
    return row


def head(session: Session) -> tuple[int, str]:
    """Return the number and the hash of the newest row; 0 and an empty text where there is none."""
    newest = session.execute(_NEWEST).first()
    return (0, "") if newest is None else (newest.number, newest.digest)


def verify(session: Session) -> Iterator[str]:
    """Give one sentence for each row that does not fit; none where the chain is whole."""
    number, previous = 0, ""
    rows = session.scalars(select(Audit).order_by(Audit.number).execution_options(yield_per=_ROWS_AT_ONCE))
    for row in rows:
        if row.number != number + 1:
            yield f"audit rows {number + 1} to {row.number - 1} are missing"
        elif row.previous != previous:
            yield f"audit row {row.number} does not follow the row before it"
        if row.digest != digest_of(row):
            yield f"audit row {row.number} was changed"
        number, previous = row.number, row.digest
        session.expunge(row)


def digest_of(row: Audit) -> str:
    """Return the sha256 that a row must have, in hexadecimal."""
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    content = [row.number, at, row.actor, row.action, row.subject, _canonical(row.details), row.previous]
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode("ascii")).hexdigest()


def _canonical(value: Any) -> Any:
    """Return plain values as every database gives them back: PostgreSQL knows no difference between 1e3 and 1000."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(entry) for entry in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Adding 0 makes -0.0 to 0.0.
        return float(value) + 0.0
    return value
