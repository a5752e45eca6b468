"""A method's frozen dataclass is its configuration; here it becomes JSON and back, with checks.

Fields are of type bool, int, float, str, ``Literal[...]`` or one of these ``| None``, all with defaults. Metadata:
``help`` (one line, with the unit), and ``low`` / ``high`` (inclusive bounds).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from isotherm.core.errors import ConfigError

C = TypeVar("C")
Scalar = bool | int | float | str | None


def setting(default: Any, text: str, *, low: float | None = None, high: float | None = None) -> Any:
    """Declare one field of a configuration: its default, its help line, and its inclusive bounds."""
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True)
class Setting:
    """One field of a configuration, described for flags, documentation and checks."""

    name: str
    kind: type
    default: Scalar
    text: str
    choices: tuple[str, ...] = ()
    optional: bool = False
    low: float | None = None
    high: float | None = None


def settings_of(config_type: type) -> list[Setting]:
    """Describe the fields of a configuration dataclass, in their order."""
    # Classes are hashable, whatever mypy makes of their instances.
    return list(_described(cast(Hashable, config_type)))


@cache
def _described(config_type: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(config_type)
    return tuple(_describe(item.name, hints[item.name], item.default, item.metadata) for item in fields(config_type))


def _describe(name: str, hint: Any, default: Any, metadata: Mapping[str, Any]) -> Setting:
    optional = get_origin(hint) in (UnionType, Union)
    if optional:
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    return Setting(
        name=name,
        kind=str if choices else hint,
        default=default,
        text=metadata.get("help", ""),
        choices=choices,
        optional=optional,
        low=metadata.get("low"),
        high=metadata.get("high"),
    )


def check(called: str, item: Setting, value: object) -> Scalar:
    """Return `value` as the setting's type, or raise ConfigError that says what would be right.

    Parameters
    ----------
    called
        What the message calls the setting: ``SceneEdit: emissivity``, or ``--emissivity`` where it was a flag.
    item, value
        The setting and what it shall be.
    """
    if value is None and item.optional:
        return None
    if item.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not item.kind:
        raise ConfigError(f"{called} must be {item.kind.__name__}, not {value!r}")
    if item.choices and value not in item.choices:
        raise ConfigError(f"{called} must be one of {', '.join(item.choices)}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{called} must be a finite number, not {value!r}")
    if isinstance(value, (int, float)):
        _check_bounds(called, item, value)
    return value  # type: ignore[return-value]


def _check_bounds(called: str, item: Setting, value: float) -> None:
    if item.low is not None and value < item.low:
        raise ConfigError(f"{called} must be at least {item.low:g}, not {value:g}")
    if item.high is not None and value > item.high:
        raise ConfigError(f"{called} must be at most {item.high:g}, not {value:g}")


def from_mapping(config_type: type[C], values: Mapping[str, object]) -> C:
    """Build a configuration from JSON or flags; unknown and ill-typed settings raise ConfigError."""
    known = {item.name: item for item in settings_of(config_type)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{config_type.__name__}: unknown {', '.join(unknown)}; known: {', '.join(known)}")
    owner = config_type.__name__
    return config_type(**{name: check(f"{owner}: {name}", known[name], value) for name, value in values.items()})


def validate(config: object) -> None:
    """Check every setting of a configuration built by hand; call it from ``__post_init__``.

    Raises
    ------
    ConfigError
        A setting has a wrong type or lies outside its bounds.
    """
    for item in settings_of(type(config)):
        check(f"{type(config).__name__}: {item.name}", item, getattr(config, item.name))


def to_mapping(config: object) -> dict[str, Scalar]:
    """Return a configuration's settings as plain values, ready for JSON."""
    return {item.name: getattr(config, item.name) for item in fields(config)}  # type: ignore[arg-type]
