"""What forms send, which is text, as the values of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isotherm.core.config import Scalar, Setting, settings_of
from isotherm.core.errors import ConfigError

WORDS = {"true": True, "false": False}


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
