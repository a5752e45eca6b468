"""Templates and style of the pages that isotherm writes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


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


def joined(modules: Iterable[Traversable]) -> str:
    """Return the modules of a page as one script, each after those that it imports."""
    texts = (module.read_text(encoding="utf-8") for module in modules)
    return "\n" + "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


def script_policy(script: str) -> str:
    """Return the source of a content policy that allows this script alone."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
