"""Templates and style of the pages that isotherm writes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup


@cache
def template(name: str) -> Template:
    """Return a template of the package; names and messages of strangers are escaped when it is rendered."""
    environment = Environment(
        loader=PackageLoader("isotherm.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


@cache
def style() -> Markup:
    """Return the style sheet of all pages."""
    # Our own file, no user's text: it may stand in the page as it is.
    return Markup((files("isotherm.reports") / "templates" / "style.css").read_text(encoding="utf-8"))  # noqa: S704
