"""Tokens: ``isotherm_<id>_<secret>``, shown once; what is kept is the sha256 of a 256-bit random secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update

from isotherm.core.errors import BusyError, ConfigError, ForbiddenError, NotFoundError, OutputError
from isotherm.store.ids import is_id
from isotherm.store.tables import Site, Token, now
from isotherm.workflows.service.access import LOCK, Actor, check_scopes, demand_everywhere
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.names import check_name
from isotherm.workflows.service.service import Service

PREFIX = "isotherm"
SEEN_EVERY = timedelta(minutes=1)
"""The time of last use is written at most so often."""


def issue_token(
    service: Service,
    actor: Actor,
    name: str,
    *,
    scopes: Iterable[str],
    sites: Iterable[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """Make a token and return it with its text, which nobody can read again; needs the scope admin for all sites.

    Raises
    ------
    ConfigError, NotFoundError
        Unknown scopes, or a time that is over; a site that does not exist.
    """
    demand_everywhere(actor, "admin")
    if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now()):
        raise ConfigError("the time when a token expires must lie ahead, and have a time zone")
    secret = secrets.token_hex(32)
    token = Token(
        name=check_name("token", name),
        secret_sha256=_hash(secret),
        scopes=sorted(check_scopes(scopes)),
        sites=None if sites is None else sorted(set(sites)),
        expires_at=expires_at,
    )
    with service.database.write() as session:
        for site_id in token.sites or ():
            if not is_id(site_id) or session.get(Site, site_id) is None:
                raise NotFoundError("site", str(site_id)[:40])
        if (session.scalar(select(func.count()).select_from(Token)) or 0) >= service.limits.tokens:
            raise BusyError(f"there are {service.limits.tokens} tokens already", retry_after_s=3600)
        session.add(token)
        session.flush()
        record(session, actor, "token.issued", token.id, {"name": name, "scopes": token.scopes, "sites": token.sites})
    return token, f"{PREFIX}_{token.id}_{secret}"


def actor_of(service: Service, text: str) -> Actor:
    """Return who a token stands for.

    Raises
    ------
    ForbiddenError
        It is no token, not known, revoked or expired; the message does not say which.
    """
    parts = text.split("_")
    if len(parts) != 3 or parts[0] != PREFIX or not is_id(parts[1]):
        raise _unknown()
    with service.database.read() as session:
        token = session.get(Token, parts[1])
    kept = token.secret_sha256 if token else "0" * 64
    if not hmac.compare_digest(kept, _hash(parts[2])) or token is None or not is_good(token):
        raise _unknown()
    _seen(service, token)
    sites = None if token.sites is None else frozenset(token.sites)
    return Actor(token.name, frozenset(token.scopes), sites, token.id)


def is_good(token: Token) -> bool:
    """Say whether a token is neither revoked nor expired."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now())


def list_tokens(service: Service, actor: Actor) -> Sequence[Token]:
    """Return all tokens, newest first; needs the scope admin for all sites."""
    demand_everywhere(actor, "admin")
    with service.database.read() as session:
        return session.scalars(select(Token).order_by(Token.id.desc())).all()


def revoke_token(service: Service, actor: Actor, token_id: str) -> Token:
    """Make a token worthless at once; needs the scope admin for all sites."""
    demand_everywhere(actor, "admin")
    with service.database.write() as session:
        token = session.get(Token, token_id, with_for_update=LOCK) if is_id(token_id) else None
        if token is None:
            raise NotFoundError("token", str(token_id)[:40])
        token.revoked_at = token.revoked_at or now()
        session.flush()
        record(session, actor, "token.revoked", token.id, {"name": token.name})
    return token


def any_token(service: Service) -> bool:
    """Say whether a good token exists; without one a server beyond this machine lets nobody in."""
    good = Token.revoked_at.is_(None) & or_(Token.expires_at.is_(None), Token.expires_at > now())
    with service.database.read() as session:
        return session.scalar(select(Token.id).where(good).limit(1)) is not None


def _seen(service: Service, token: Token) -> None:
    if token.last_used_at is not None and now() - token.last_used_at < SEEN_EVERY:
        return
    # A full disk or a busy database must not keep anybody from reading.
    with suppress(OutputError, BusyError), service.database.write() as session:
        session.execute(update(Token).where(Token.id == token.id).values(last_used_at=now()))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _unknown() -> ForbiddenError:
    return ForbiddenError("this token is not known, or no longer good")
