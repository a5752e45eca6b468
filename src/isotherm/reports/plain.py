"""Frozen dataclasses as JSON and back, for results that are written and read again."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from isotherm.core.findings import Contour

T = TypeVar("T")


def dumps(value: Any, *, indent: int | None = None) -> str:
    """Return dataclasses, tuples, mappings and scalars as JSON; ValueError for NaN, which JSON cannot hold."""
    return json.dumps(value, default=_members, ensure_ascii=False, allow_nan=False, indent=indent)


def _members(value: Any) -> dict[str, Any] | list[Any]:
    if isinstance(value, Contour):
        return list(value)
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return {item.name: getattr(value, item.name) for item in fields(value)}


def from_plain(kind: type[T], value: Any) -> T:
    """Rebuild a dataclass of type `kind` from parsed JSON.

    Raises
    ------
    TypeError, ValueError, KeyError
        The JSON is not what `dumps` writes for this type.
    """
    return _rebuilt(kind, value)  # type: ignore[no-any-return]


def _rebuilt(kind: Any, value: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        if value is None and NoneType in parts:
            return None
        (kind,) = (part for part in parts if part is not NoneType)
        return _rebuilt(kind, value)
    if origin is tuple:
        several = len(parts) == 2 and parts[1] is Ellipsis
        kinds = [parts[0]] * len(value) if several else parts
        return tuple(_rebuilt(part, item) for part, item in zip(kinds, value, strict=True))
    if origin is dict:
        return {name: _rebuilt(parts[1], item) for name, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _rebuilt(hints[name], item) for name, item in value.items()})
    # Literal, Any and the plain types stay as JSON gave them; float and enumerations are restored.
    return kind(value) if isinstance(kind, type) and kind is not bool else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
