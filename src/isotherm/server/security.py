"""Who sends a request, and whether a page of somebody else has sent it in their name.

Three ways in: ``Authorization: Bearer <token>``; the login cookie of the pages, which holds a token; and none at all,
which is the local user where the server listens on this machine only. A token that is sent is always checked.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from isotherm.core.errors import ConfigError, ForbiddenError, NotFoundError
from isotherm.server.problems import NotLoggedInError, WrongHostError, WrongOriginError
from isotherm.server.settings import ServerSettings, netloc_of
from isotherm.workflows.service.access import LOCAL, Actor
from isotherm.workflows.service.tokens import actor_of

LOGIN_S = 12 * 3600
"""How long a login of the pages lasts [s]."""
LONGEST_TOKEN = 200
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_COOKIE = "isotherm_login"


def cookie_name(settings: ServerSettings) -> str:
    """Return the name of the login cookie; ``__Host-`` binds it to this host, and browsers want https for that."""
    return f"__Host-{_COOKIE}" if settings.https else _COOKIE


async def actor_of_request(request: Request) -> Actor:
    """Return who sends a request.

    Raises
    ------
    NotLoggedInError
        There is no token, or none that is good.
    """
    known = getattr(request.state, "actor", None)
    if isinstance(known, Actor):
        return known
    settings: ServerSettings = request.app.state.settings
    text, by_cookie = _token_in(request, settings)
    if text is None:
        if not settings.local:
            raise NotLoggedInError("this server wants a token: Authorization: Bearer isotherm_...")
        actor = LOCAL
    else:
        actor = await _actor_by(request, text)
    request.state.actor, request.state.by_cookie = actor, by_cookie
    if by_cookie:
        _check_cookie_use(request)
    return actor


CurrentActor = Annotated[Actor, Depends(actor_of_request)]
"""The actor as a parameter of a route."""


def _token_in(request: Request, settings: ServerSettings) -> tuple[str | None, bool]:
    """Return the token that a request carries, None without, and whether it is the login cookie's."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise NotLoggedInError("Authorization must be: Bearer isotherm_...")
        return text.strip(), False
    cookie = request.cookies.get(cookie_name(settings))
    if cookie and settings.local and request.url.path in ("/login", "/logout"):
        return None, False
    return (cookie, True) if cookie else (None, False)


async def _actor_by(request: Request, text: str) -> Actor:
    if not text or len(text) > LONGEST_TOKEN or not text.isascii():
        raise NotLoggedInError("this is no token; they look like isotherm_...")
    try:
        return await run_in_threadpool(actor_of, request.app.state.service, text)
    except (NotFoundError, ForbiddenError, ConfigError) as error:
        raise NotLoggedInError("the token is unknown, revoked or has run out") from error


def _check_cookie_use(request: Request) -> None:
    """Refuse a change by cookie from a client that does not say where it comes from, as every browser does."""
    says = "origin" in request.headers or "sec-fetch-site" in request.headers
    if request.method not in SAFE and not says:
        raise WrongOriginError("a change by login cookie needs the header Origin")


async def log_in(request: Request, response: Response, token: str) -> Actor:
    """Keep a token in a cookie of the browser; returns whose it is.

    Raises
    ------
    NotLoggedInError
        The token is not good.
    """
    settings: ServerSettings = request.app.state.settings
    actor = await _actor_by(request, token.strip())
    response.set_cookie(
        cookie_name(settings), token.strip(), max_age=LOGIN_S, httponly=True, samesite="lax", secure=settings.https
    )
    return actor


def log_out(request: Request, response: Response) -> None:
    """Have the browser forget its token."""
    settings: ServerSettings = request.app.state.settings
    response.delete_cookie(cookie_name(settings), httponly=True, samesite="lax", secure=settings.https)


def check_source(method: str, headers: Headers, settings: ServerSettings) -> None:
    """Refuse requests that are addressed to another name, or that a page of another server has made.

    Parameters
    ----------
    method, headers, settings
        Of the request; of the server.

    Raises
    ------
    WrongHostError
        The ``Host`` is not this server's: a name that somebody has made point here (DNS rebinding).
    WrongOriginError
        A browser says that the change comes from elsewhere (cross-site request forgery), or the local user's server
        is reached through a proxy.
    """
    host = headers.get("host", "")
    if not settings.admits(host):
        raise WrongHostError("the request is addressed to a host that is not this server (--public-url names another)")
    if settings.local and settings.hosts is not None and any(name in headers for name in _FORWARDED):
        raise WrongOriginError("a server without login must not be behind a proxy; start it with --public-url")
    if method in SAFE:
        return
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise WrongOriginError("the request was made by a page of another server")
    origin = headers.get("origin")
    if origin is not None and not _same(origin, host, settings):
        raise WrongOriginError("the request was made by a page of another server")


def _same(origin: str, host: str, settings: ServerSettings) -> bool:
    try:
        netloc = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return bool(netloc) and netloc in {host.lower(), netloc_of(settings.public_url).lower()}


PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""What a page may load (Content Security Policy)."""
FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""What a file that a user has sent may load, should a browser ever show it: nothing."""
REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
"""What a report in one file may load: its own pictures and style, no script."""


def safety_headers(settings: ServerSettings) -> dict[str, str]:
    """Return the headers of every answer that does not set them itself."""
    found = {
        "content-security-policy": PAGE_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "cache-control": "no-store",
    }
    if settings.https:
        found["strict-transport-security"] = "max-age=31536000"
    return found


def may_see_metrics(actor: Actor) -> None:
    """Raise ForbiddenError where somebody may not read figures about all sites."""
    if not actor.may("read") or actor.sites is not None:
        raise ForbiddenError("figures of the server need the scope 'read' for all sites")
