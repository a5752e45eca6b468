"""What forms send, which is text, as the values of settings; and forms that are drawn again when they are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from isotherm.core.config import Scalar, Setting, settings_of
from isotherm.core.errors import ChangedError, ConfigError, IsothermError
from isotherm.core.messages import clean
from isotherm.server.problems import kind_of

WORDS = {"true": True, "false": False}
MOST_FIELDS = 60
AGAIN = frozenset({400, 409, 412, 413, 422, 429})
"""Statuses of refusals that another value, or another try, may help; with others there is no form to be drawn."""
CHANGED = (
    "somebody else has changed this since you loaded it; what you typed is below, and Keep puts it in place of theirs"
)


@dataclass(frozen=True)
class Typed:
    """What was typed into a form that was refused, and why; nothing where a form is drawn for the first time.

    Parameters
    ----------
    values
        The texts by the names of the fields; of boxes that may be ticked several times, all of them.
    error, status
        Why it was refused, and the HTTP status that says so.
    of
        Which form of the page it was, where there are several.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    status: int = 200
    of: str = ""

    def get(self, name: str, otherwise: Any = "") -> Any:
        """Return what stands in a field: what was typed, else what it usually holds."""
        return self.values.get(name, otherwise) if self.error else otherwise

    def wrong(self, name: str) -> bool:
        """Say whether the error speaks of a setting."""
        return bool(re.search(rf"\b{re.escape(name)}\b", self.error))

    def settings(self, config_type: type, known: object, of: str = "") -> list[tuple[Setting, Any]]:
        """Return the fields of a configuration with what stands in them, for the form that is called `of`.

        Parameters
        ----------
        known
            The configuration that the form usually shows.
        """
        mine = self if of == self.of else UNTYPED
        return [(item, _shown(item, mine, getattr(known, item.name))) for item in settings_of(config_type)]


UNTYPED = Typed()
_CLASS = re.compile(r"^[A-Z][A-Za-z]+: ")
"""Errors of settings begin with the name of a class, which says nothing to a person."""


def _shown(item: Setting, typed: Typed, usual: Any) -> Any:
    text = typed.get(item.name, None)
    if text is None:
        return usual
    return WORDS.get(text, False) if item.kind is bool else text


def again(request: Request, error: IsothermError, values: Mapping[str, Any], of: str = "") -> Typed:
    """Return what a form is drawn again with; raises the error where no other value could help, or a program asks."""
    status = kind_of(error).status
    if status not in AGAIN or "text/html" not in request.headers.get("accept", ""):
        raise error
    told = CHANGED if isinstance(error, ChangedError) else _CLASS.sub("", clean(str(error)))
    return Typed(values, told, status, of)


async def texts_of(request: Request, *, several: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a form without files; of those named in `several`, lists."""
    form = await request.form(max_files=0, max_fields=MOST_FIELDS)
    found: dict[str, Any] = {name: str(value) for name, value in form.items()}
    return found | {name: [str(value) for value in form.getlist(name)] for name in several}


def read_settings(config_type: type, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of a configuration that a form holds, each of its type.

    Raises
    ------
    ConfigError
        A field cannot be read as its type; the message names it.
    """
    return {item.name: _read(item, form[item.name].strip()) for item in settings_of(config_type) if item.name in form}


def _read(item: Setting, text: str) -> Scalar:
    if not text and item.optional:
        return None
    if item.kind is bool:
        return WORDS.get(text, False)
    if item.kind is str:
        return text
    try:
        value: Scalar = item.kind(text)
    except ValueError as error:
        raise ConfigError(f"{item.name} must be a number, not {text[:40]!r}") from error
    return value


def version_in(form: Mapping[str, str]) -> int:
    """Return which version of a row a form was made from; raises ConfigError where it does not say."""
    text = form.get("version", "")
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise ConfigError("the form does not say which version it was made from; load it again")
    return int(text)
