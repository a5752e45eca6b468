"""A database whose clock can be set."""

from __future__ import annotations

from sqlalchemy.orm import Session

from isotherm.store.database import Database


class ClockedDatabase(Database):
    """Tells the time that `now` says [ms]; None: the database's own."""

    now: int | None = None

    def now_ms(self, session: Session) -> int:
        return super().now_ms(session) if self.now is None else self.now
