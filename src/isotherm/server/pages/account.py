"""Who is who: login, tokens, and the trail of what was changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import ConfigError, IsothermError
from isotherm.server.pages.forms import UNTYPED, Typed, again, texts_of
from isotherm.server.pages.rendering import Visit, Visited, back_to, draw, own_path
from isotherm.server.problems import NotLoggedInError
from isotherm.server.security import log_in, log_out
from isotherm.store.tables import now
from isotherm.workflows.service.access import SCOPES
from isotherm.workflows.service.audit import list_audit, verify_audit
from isotherm.workflows.service.sites import list_sites
from isotherm.workflows.service.tokens import is_good, issue_token, list_tokens, revoke_token

LINES = 100
router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form()]


@router.get("/login")
def login(request: Request, next: str = "/") -> Response:  # noqa: A002 (the name in the address)
    """Show the form that a token is put in."""
    return draw(request, "login", next=own_path(next), wrong="")


@router.post("/login")
async def enter(request: Request, token: Text, next: Text = "/") -> Response:  # noqa: A002
    """Keep a token in the browser, for as long as a working day."""
    response = back_to(own_path(next))
    try:
        await log_in(request, response, token)
    except NotLoggedInError as error:
        return draw(request, "login", status=401, next=own_path(next), wrong=str(error))
    return response


@router.post("/logout")
def leave(request: Request) -> Response:
    """Have the browser forget its token."""
    response = back_to("/login")
    log_out(request, response)
    return response


@router.get("/tokens")
def tokens(visit: Visited) -> Response:
    """Show all tokens and the form for another."""
    return _tokens(visit)


def _tokens(visit: Visit, *, made: str = "", typed: Typed = UNTYPED) -> Response:
    return visit.show(
        "tokens",
        status=typed.status,
        typed=typed,
        tokens=[(token, is_good(token)) for token in list_tokens(visit.service, visit.actor)],
        sites=list_sites(visit.service, visit.actor, limit=200).items,
        scopes=SCOPES,
        made=made,
    )


@router.post("/tokens")
async def make_token(request: Request, visit: Visited) -> Response:
    """Make a token and show it, this once."""
    form = await texts_of(request, several=("scopes", "sites"))
    return await run_in_threadpool(_make_token, visit, form)


def _make_token(visit: Visit, form: Mapping[str, Any]) -> Response:
    try:
        days, name = form.get("days", ""), form.get("name", "").strip()
        if days and not (days.isascii() and days.isdecimal() and 0 < int(days[:6]) <= 3660):
            raise ConfigError(f"a token is good for 1 to 3660 days, not {days[:40]!r}")
        until = now() + timedelta(days=int(days)) if days else None
        sites = form["sites"] or None
        _, text = issue_token(visit.service, visit.actor, name, scopes=form["scopes"], sites=sites, expires_at=until)
    except IsothermError as error:
        return _tokens(visit, typed=again(visit.request, error, form))
    return _tokens(visit, made=text)


@router.post("/tokens/{token_id}/revoke")
def revoke(visit: Visited, token_id: str) -> Response:
    """Make a token worthless."""
    token = revoke_token(visit.service, visit.actor, token_id)
    return back_to("/tokens", f"The token {token.name} is no longer good.")


@router.get("/audit")
def audit(visit: Visited, action: str = "", after: int | None = None) -> Response:
    """Show who changed what, newest first."""
    lines = list_audit(visit.service, visit.actor, action=action, after=after, limit=LINES)
    more = lines[-1].number if len(lines) == LINES else None
    return visit.show("audit", lines=lines, more=more, action=action, after=after, flaws=None)


@router.post("/audit/verify")
async def verify(visit: Visited) -> Response:
    """Check the chain of the trail: whether a line was changed or removed."""
    flaws = await run_in_threadpool(verify_audit, visit.service, visit.actor)
    lines = await run_in_threadpool(list_audit, visit.service, visit.actor, limit=LINES)
    more = lines[-1].number if len(lines) == LINES else None
    return visit.show("audit", lines=lines, more=more, action="", after=None, flaws=flaws)
