"""What of a run is done: a small database of its own, in which a chunk and its rows appear together or not at all.

The rules:

- A run has a name, and an identity (what its rows depend on). It is held by one driver at a time, by a **lease** with
  a number (the fence) that grows each time it is taken. The lease ends by the database's clock and is renewed each
  third of its time; that of a process of this machine that has died can be taken at once, and so can one that ends
  later than any lease can: it was taken before the clock jumped back, and a holder that lives renews it soon.
- A chunk is committed in one transaction that first changes the run's row as its holder, and then adds the chunk with
  all its rows. A driver that has lost its lease cannot change that row, so it adds nothing. The key of a chunk is its
  run and its number, so that no chunk can stand there twice, whoever errs.
- What is not committed has not happened: after any death the same command goes on with the chunks that are missing.

SQLite or PostgreSQL, by the same statements. The tables are no part of a server's schema.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from isotherm.core.errors import BusyError, OutputError
from isotherm.scaleout.owners import has_died, this_process
from isotherm.scaleout.plan import LeaseLostError, OtherRunError, Plan
from isotherm.store.database import Database

LEASE_S = 30.0
"""How long a lease lasts without being renewed [s]."""
LEVEL = 3
"""How hard rows are packed: three to ten times smaller, at a few milliseconds a chunk."""
_MAKING = 0x69736F74
"""Any number will do: who makes the tables on PostgreSQL holds this lock."""

_METADATA = MetaData()
RUNS = Table(
    "scaleout_runs",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("identity", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("owner", Text),
    Column("fence", BigInteger, nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
)
CHUNKS = Table(
    "scaleout_chunks",
    _METADATA,
    Column("run", Text, ForeignKey("scaleout_runs.name"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("rows", LargeBinary, nullable=False),
)


class Ledger:
    """An open ledger; see the module for its rules.

    Parameters
    ----------
    database
        Where it lies; the tables are made where they are missing.
    lease_s
        How long a lease lasts [s].
    """

    def __init__(self, database: Database, lease_s: float = LEASE_S) -> None:
        self._database, self.lease_s = database, lease_s
        with database.change_schema() as connection:
            if database.dialect == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MAKING})"))
            _METADATA.create_all(connection)

    @classmethod
    def open(cls, url: str, lease_s: float = LEASE_S) -> Ledger:
        """Open ``sqlite:///FILE`` (made where it is absent) or ``postgresql://...``; see `Database.open` for errors."""
        return cls(Database.open(url), lease_s)

    def plan_of(self, name: str) -> Plan | None:
        """Return what a run of this name was begun with; None where none was, or where it was removed."""
        with self._database.read() as session:
            row = session.execute(select(RUNS).where(RUNS.c.name == name)).first()
        return None if row is None else _planned(name, json.loads(row.identity), row)

    def hold(self, plan: Plan) -> Held:
        """Begin a run, or go on with it.

        Raises
        ------
        OtherRunError
            It was begun with another identity.
        BusyError
            Another process works on it.
        """
        me = this_process()
        with self._database.write() as session:
            row = session.execute(select(RUNS).where(RUNS.c.name == plan.name).with_for_update()).first()
            now_ms = self._database.now_ms(session)
            if row is None:
                _begin(session, plan)
            else:
                _check_same(row, plan)
                self._check_free(row, now_ms)
            fence = 1 if row is None else row.fence + 1
            lease = {"owner": me, "fence": fence, "lease_until_ms": now_ms + int(self.lease_s * 1000)}
            session.execute(update(RUNS).where(RUNS.c.name == plan.name).values(**lease))
        if row is not None:
            plan = _planned(plan.name, plan.identity, row)
        return Held(self._database, plan, me, fence, self.lease_s)

    def remove(self, name: str) -> None:
        """Forget a run that nobody works on; raises BusyError where somebody does."""
        with self._database.write() as session:
            row = session.execute(select(RUNS).where(RUNS.c.name == name).with_for_update()).first()
            if row is not None:
                self._check_free(row, self._database.now_ms(session))
                _remove(session, name)

    def _check_free(self, row: Any, now_ms: int) -> None:
        """Raise BusyError while somebody holds the run."""
        lasts_ms = row.lease_until_ms - now_ms
        if row.owner is None or not 0 < lasts_ms <= 2000 * self.lease_s or has_died(row.owner):
            return
        wait_s = -(-lasts_ms // 1000)
        raise BusyError("another process works on this run, or died a moment ago on another machine", wait_s)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _planned(name: str, identity: Mapping[str, Any], row: Any) -> Plan:
    return Plan(name, identity, json.loads(row.about), row.items, row.chunk)


def _begin(session: Session, plan: Plan) -> None:
    session.execute(
        insert(RUNS).values(
            name=plan.name,
            identity=json.dumps(plan.identity),
            about=json.dumps(plan.about),
            items=plan.items,
            chunk=plan.chunk,
            fence=0,
            lease_until_ms=0,
        )
    )


def _check_same(row: Any, plan: Plan) -> None:
    stored = json.loads(row.identity)
    if stored != json.loads(json.dumps(plan.identity)) or row.items != plan.items:
        raise OtherRunError(stored)


def _remove(session: Session, name: str) -> None:
    session.execute(delete(CHUNKS).where(CHUNKS.c.run == name))
    session.execute(delete(RUNS).where(RUNS.c.name == name))


@dataclass(frozen=True)
class Held:
    """A run that this process holds.

    Every change raises `LeaseLostError` where another process has taken the run meanwhile.
    """

    database: Database
    plan: Plan
    owner: str
    fence: int
    lease_s: float

    def done(self) -> dict[int, int]:
        """Return the chunks that are committed, each with how many rows it has."""
        wanted = select(CHUNKS.c.number, CHUNKS.c.count).where(CHUNKS.c.run == self.plan.name)
        with self.database.read() as session:
            return {row[0]: row[1] for row in session.execute(wanted)}

    def commit(self, number: int, rows: Sequence[str]) -> None:
        """Add a chunk with its rows; they are on the disk when this returns.

        Raises
        ------
        ValueError
            A row holds an end of line.
        """
        if any("\n" in row for row in rows):
            raise ValueError("a row is one line")
        packed = zlib.compress("\n".join(rows).encode("utf-8", "surrogatepass"), LEVEL)
        with self.database.write() as session:
            self._fenced(session)
            values = {"run": self.plan.name, "number": number, "count": len(rows), "rows": packed}
            session.execute(insert(CHUNKS).values(**values))

    def renew(self) -> None:
        """Let the lease last for its whole time from now."""
        with self.database.write() as session:
            self._fenced(session)

    def _fenced(self, session: Session) -> None:
        """Renew the lease, and hold the run's row until the transaction ends."""
        until_ms = self.database.now_ms(session) + int(self.lease_s * 1000)
        mine = (RUNS.c.name == self.plan.name, RUNS.c.owner == self.owner, RUNS.c.fence == self.fence)
        changed = update(RUNS).where(*mine).values(lease_until_ms=until_ms).returning(RUNS.c.name)
        if session.execute(changed).first() is None:
            raise LeaseLostError(
                "another process has taken this run over; nothing is lost or doubled, it goes on there"
            )

    def rows(self) -> Iterator[str]:
        """Yield the rows of all committed chunks in the order of the items, one chunk in memory at a time.

        Raises
        ------
        OutputError
            A chunk of the ledger is damaged.
        """
        for number in sorted(self.done()):
            wanted = select(CHUNKS.c.rows).where(CHUNKS.c.run == self.plan.name, CHUNKS.c.number == number)
            with self.database.read() as session:
                packed = session.execute(wanted).scalar_one()
            try:
                yield from zlib.decompress(packed).decode("utf-8", "surrogatepass").split("\n")
            except (zlib.error, UnicodeDecodeError) as error:
                raise OutputError(f"chunk {number} of the ledger is damaged: {error}") from error

    def release(self) -> None:
        """Let others go on with the run."""
        with self.database.write() as session:
            self._fenced(session)
            session.execute(update(RUNS).where(RUNS.c.name == self.plan.name).values(owner=None, lease_until_ms=0))

    def remove(self) -> None:
        """Forget the run: what it found is kept elsewhere."""
        with self.database.write() as session:
            self._fenced(session)
            _remove(session, self.plan.name)
