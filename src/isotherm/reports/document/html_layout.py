"""``report.html``: one page that needs nothing else, with the temperature under the pointer in each thermal picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateSyntaxError,
)
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from isotherm.reports.document.content import Document, Figure
from isotherm.reports.document.layout import (
    Rendered,
    Template,
    TemplateError,
    check_built_in,
    template_text,
    units_kept,
)
from isotherm.reports.document.plain_document import plain
from isotherm.reports.pages import joined, script_policy, style

_ROOM = "isotherm.reports.document"
_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class HtmlLayout:
    """The page."""

    name: str = "html"
    media_type: str = "text/html; charset=utf-8"
    template_suffixes: Sequence[str] = (".html", ".htm")

    def template_files(self, name: str) -> Mapping[str, bytes]:
        """Return the template and the parts that it shares with the other."""
        return {part: _own(part).encode() for part in (f"{check_built_in(name)}.html", "parts.html")}

    def render(self, document: Document, template: Template) -> Rendered:
        """Return the page; names and texts of strangers are escaped by the template engine."""
        values = {
            "report": plain(document, _figure, units_kept),
            "style": _style(),
            "script": Markup(live_script()),  # noqa: S704 (our own files, no user's text)
            "policy": policy(),
            "as_data": _as_data,
        }
        if template.path is None:
            page = _built_in().get_template(f"{check_built_in(template.name)}.html").render(values)
        else:
            page = _follow(template.path, values)
        return Rendered(page.encode("utf-8", "backslashreplace"))


def policy() -> str:
    """Return the source of a content policy that allows the page's script alone."""
    return script_policy(live_script())


@cache
def live_script() -> str:
    """Return the script that tells temperatures under the pointer."""
    plane = files("isotherm.reports") / "assets" / "plane.js"
    return joined([plane, files(_ROOM) / "templates" / "live.js"])


@cache
def _style() -> Markup:
    return style() + Markup(_own("report.css"))  # noqa: S704 (our own file)


def _own(name: str) -> str:
    return (files(_ROOM) / "templates" / name).read_text(encoding="utf-8")


@cache
def _built_in() -> Environment:
    return _environment(PackageLoader(_ROOM))


def _environment(loader: BaseLoader) -> Environment:
    return ImmutableSandboxedEnvironment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _figure(figure: Figure) -> dict[str, str]:
    source = f"data:{_TYPES[figure.kind]};base64,{base64.b64encode(figure.data).decode()}"
    return {"src": source, "alt": figure.alt, "caption": figure.caption}


def _as_data(value: Any) -> Markup:
    """Return values as JSON that cannot end its script element."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704


def _follow(path: Path, values: Mapping[str, Any]) -> str:
    """Return the page by a user's template; parts beside it are found, then ours."""
    template_text(path)
    environment = _environment(ChoiceLoader([FileSystemLoader(path.parent), PackageLoader(_ROOM)]))
    try:
        return environment.get_template(path.name).render(values)
    except TemplateSyntaxError as error:
        at = path if error.name in (None, path.name) else path.with_name(str(error.name))
        raise TemplateError(at, error.message or "wrong", error.lineno) from error
    except TemplateNotFound as error:
        raise TemplateError(path, f"it includes {error.name}, which is not beside it") from error
    except (JinjaError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise TemplateError(path, str(error), _line_of(error, path)) from error


def _line_of(error: BaseException, path: Path) -> int | None:
    """Return the line of a template at which rendering failed."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(path.name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


LAYOUT = HtmlLayout()
