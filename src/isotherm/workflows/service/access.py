"""Who asks, what they may do, and at which sites; what lies outside does not exist for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, false, or_, true
from sqlalchemy.orm import Session

from isotherm.core.errors import ChangedError, ConfigError, ForbiddenError, NotFoundError
from isotherm.store.ids import is_id
from isotherm.store.tables import Site

Scope = Literal["read", "predict", "write", "train", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "predict", "write", "train", "admin")
R = TypeVar("R", bound=Any)
LOCK = {"key_share": True}
"""FOR NO KEY UPDATE of PostgreSQL: others may still add rows that refer to the row.

Rows are locked in the order site, image, contents by their sha256, so that no two transactions wait for each other.
"""


@dataclass(frozen=True)
class Actor:
    """Somebody who asks for something.

    Parameters
    ----------
    name
        Shown in the audit trail and beside what they made.
    scopes
        Some of `SCOPES`; ``admin`` includes the others.
    sites
        The ids of the sites that they may know of; None for all of them and for what is common to all.
    token_id
        The token that proves it; empty for the local user.
    """

    name: str
    scopes: frozenset[str] = frozenset()
    sites: frozenset[str] | None = None
    token_id: str = ""

    def may(self, scope: Scope) -> bool:
        """Say whether a scope is theirs."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, site_id: str | None) -> bool:
        """Say whether they may know of a site; what is common to all sites (None) is seen by everybody."""
        return site_id is None or self.sites is None or site_id in self.sites


LOCAL = Actor("local", frozenset(SCOPES))
"""The user of this machine, where no login is asked for."""


def demand(actor: Actor, scope: Scope, site_id: str | None = None) -> None:
    """Raise unless somebody may do something at a site.

    Raises
    ------
    NotFoundError
        The site is not one of theirs.
    ForbiddenError
        They lack the scope.
    """
    if not actor.sees(site_id):
        raise NotFoundError("site", str(site_id))
    if not actor.may(scope):
        raise ForbiddenError(
            f"this needs the scope {scope!r}; {actor.name!r} has {', '.join(sorted(actor.scopes)) or 'none'}"
        )


def demand_everywhere(actor: Actor, scope: Scope) -> None:
    """Raise ForbiddenError unless somebody may do something that touches all sites."""
    demand(actor, scope)
    if actor.sites is not None:
        raise ForbiddenError(f"this touches all sites, and {actor.name!r} is for {len(actor.sites)} of them only")


def at_sites(actor: Actor, column: Any, site_id: str | None = None) -> ColumnElement[bool]:
    """Return the condition that keeps a query to one site, or to those that somebody may know of.

    Raises
    ------
    NotFoundError
        The site is not one of theirs.
    """
    if site_id is not None:
        demand(actor, "read", site_id)
        return column == site_id if is_id(site_id) else false()
    demand(actor, "read")
    return true() if actor.sites is None else or_(column.in_(sorted(actor.sites)), column.is_(None))


def fetch(
    session: Session, actor: Actor, table: type[R], row_id: object, scope: Scope = "read", *, lock: bool = False
) -> R:
    """Return a row with a ``site_id`` (or a site) that somebody may use.

    Parameters
    ----------
    session, actor
        The transaction; who asks.
    table, row_id
        What to look up.
    scope
        What it is wanted for. To change what is common to all sites they must be for all sites.
    lock
        Keep others from changing it until the end of the transaction.

    Raises
    ------
    NotFoundError, ForbiddenError
        There is none, or none for them; they may see but not change it.
    """
    kind = table.__tablename__.replace("_", " ")
    wait = LOCK if lock else None
    row = session.get(table, row_id, with_for_update=wait) if isinstance(row_id, str) and is_id(row_id) else None
    owner = row and (row.id if kind == "site" else row.site_id)
    if row is None or not actor.sees(owner):
        raise NotFoundError(kind, str(row_id)[:40])
    demand(actor, scope, owner)
    if owner is None and scope != "read":
        demand_everywhere(actor, scope)
    return row


def hold_site(session: Session, site_id: str | None) -> Site | None:
    """Lock a site's row until the end of the transaction, and return it; None where there is none."""
    return None if site_id is None else session.get(Site, site_id, with_for_update=LOCK)


def expect_version(row: Any, version: int | None) -> None:
    """Raise ChangedError where a row is not in the version that was read; count the new one."""
    if version is not None and row.version != version:
        raise ChangedError(f"it was version {version} when it was read and is {row.version} now; read it again")
    row.version += 1


def check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return scopes as a set; raises ConfigError for unknown ones or none."""
    wanted = frozenset(scopes)
    if not wanted or wanted - set(SCOPES):
        raise ConfigError(f"scopes must be some of {', '.join(SCOPES)}, not {', '.join(sorted(wanted)) or 'none'}")
    return wanted
