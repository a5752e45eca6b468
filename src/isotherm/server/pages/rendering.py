"""How every page is drawn: templates with escaping, the words and levels that they share, messages after a form."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, StrictUndefined

from isotherm import __version__
from isotherm.server.pages import assets
from isotherm.server.pages.template_files import TemplateFiles
from isotherm.server.security import CurrentActor
from isotherm.workflows.service.access import Actor
from isotherm.workflows.service.service import Service

THEMES = ("auto", "light", "dark")
THEME_COOKIE, SAID_COOKIE = "isotherm_theme", "isotherm_said"
LONGEST_MESSAGE = 600
_UNITS = frozenset({"a", "c", "deg", "k", "m"})
LEVELS = {-1: "open", 0: "none", 1: "low", 2: "mid"}
STATES = {
    "queued": "open",
    "running": "low",
    "succeeded": "none",
    "failed": "high",
    "dead": "high",
    "cancelled": "open",
}


async def served(request: Request) -> Service:
    """Return the service that this application serves."""
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(served)]


class Visit:
    """A request of somebody for a page; draws pages for them."""

    def __init__(self, request: Request, service: Service, actor: Actor) -> None:
        self.request, self.service, self.actor = request, service, actor

    def show(self, name: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page made of a template and what it shows."""
        return draw(self.request, name, status=status, actor=self.actor, **context)

    def wants_json(self) -> bool:
        """Say whether a script asks, which wants data and no page."""
        return "application/json" in self.request.headers.get("accept", "")


async def _visit(request: Request, service: Served, actor: CurrentActor) -> Visit:
    return Visit(request, service, actor)


Visited = Annotated[Visit, Depends(_visit)]


def draw(
    request: Request, name: str, *, status: int = 200, actor: Actor | None = None, here: str = "", **context: Any
) -> HTMLResponse:
    """Return a page made of a template; ``said`` is the message that the form before has left, shown once.

    ``here`` is where the page is found, where the request has another path.
    """
    theme = request.cookies.get(THEME_COOKIE, "")
    said = unquote(request.cookies.get(SAID_COOKIE, ""))[:LONGEST_MESSAGE]
    text = (
        templates()
        .get_template(f"{name}.html.j2")
        .render(
            actor=actor,
            said=said,
            theme=theme if theme in THEMES else "auto",
            here=here or request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            path=request.url.path,
            local=getattr(request.app.state.settings, "local", True),
            **context,
        )
    )
    response = HTMLResponse(text.encode("utf-8", "backslashreplace"), status, {"Cache-Control": "private, no-cache"})
    if said:
        response.delete_cookie(SAID_COOKIE, path="/")
    return response


def back_to(path: str, said: str = "") -> RedirectResponse:
    """Return the answer to a form: look there, where the message is shown."""
    response = RedirectResponse(path, status_code=303)
    if said:
        text = quote(said[:LONGEST_MESSAGE])
        response.set_cookie(SAID_COOKIE, text, max_age=60, httponly=True, samesite="lax", path="/")
    return response


def own_path(path: str, otherwise: str = "/") -> str:
    """Return a path that a form names, where it is one of this server's and no other's."""
    sound = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if sound and len(path) < 2000 else otherwise


def error_page(request: Request, status: int, title: str, detail: str) -> HTMLResponse | RedirectResponse:
    """Return the page that tells a person what went wrong; who must log in first is led there."""
    if status == 401 and request.url.path != "/login":
        return RedirectResponse("/login?" + urlencode({"next": own_path(request.url.path)}), status_code=303)
    return draw(request, "error", status=status, title=title, detail=detail)


@cache
def templates() -> Environment:
    """Return the templates; names and messages of strangers are escaped when they are drawn."""
    environment = Environment(
        loader=TemplateFiles(Path(__file__).parents[1] / "templates", made_by=Path(__file__)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(static=assets.url, installed=__version__, themes=THEMES, query=query)
    environment.filters.update(
        level=level, state_level=STATES.get, many=many, when=when, iso=iso, percent=percent, celsius=celsius,
        kelvin=kelvin, size=size, grade=grade, words=words,
    )  # fmt: skip
    environment.globals["parts"] = environment.get_template("parts.html.j2").module
    return environment


def compile_templates() -> None:
    """Have all templates ready before the first page is asked for."""
    for name in templates().list_templates(extensions=["j2"]):
        templates().get_template(name)


def level(rank: int | None) -> str:
    """Return the style of a rank of severity."""
    return LEVELS.get(-1 if rank is None else rank, "high")


def grade(text: str) -> str:
    """Return the grade of a severity table in words; most tables number their classes."""
    return f"class {text}" if text.isdigit() else text


def many(count: int, thing: str, things: str = "") -> str:
    """Return a count with its thing: 1 image, 2 images."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {things or thing + 's'}"


def when(moment: datetime | None) -> str:
    """Return a time [UTC] as people read it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else ""


def iso(moment: datetime | None) -> str:
    """Return a time as programs read it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share of one in percent."""
    return "" if share is None else f"{100 * share:.{digits}f} %"


def celsius(value: float | None) -> str:
    """Return a temperature [°C]."""
    return "" if value is None else f"{value:.1f} °C"


def kelvin(value: float | None) -> str:
    """Return a difference of temperatures [K]."""
    return "" if value is None else f"{value:+.1f} K"


def size(count: int) -> str:
    """Return a number of bytes."""
    return f"{count / 1024:.0f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"


def words(name: str) -> str:
    """Return the name of a setting as a label, without its unit, which stands in the text below."""
    kept, _, last = name.rpartition("_")
    return (kept if kept and last in _UNITS else name).replace("_", " ")


def query(**parts: Any) -> str:
    """Return the query of a link, without what is empty."""
    kept = {name: value for name, value in parts.items() if value not in ("", None, False)}
    return "?" + urlencode(kept) if kept else ""
