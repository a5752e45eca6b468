"""Frozen dataclasses as JSON and back, for results that are written and read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from isotherm.core.findings import Contour

T = TypeVar("T")
Builder = Callable[[Any], Any]


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
    # Classes are hashable, whatever mypy makes of their instances.
    return _builder(cast(Hashable, kind))(value)  # type: ignore[no-any-return]


@cache
def _builder(kind: Any) -> Builder:
    """Return what rebuilds values of a type; made once, because a run has many rows of many members."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        return _of_union(parts)
    if origin is tuple:
        return _of_tuple(parts)
    if origin is dict:
        rebuilt = _builder(parts[1])
        return lambda value: {name: rebuilt(item) for name, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return lambda value: kind(**{name: _members_of(kind)[name](item) for name, item in value.items()})
    # Literal, Any and the plain types stay as JSON gave them; float and enumerations are restored.
    return kind if isinstance(kind, type) and kind is not bool else lambda value: value


def _of_union(parts: tuple[Any, ...]) -> Builder:
    (kind,) = (part for part in parts if part is not NoneType)
    rebuilt, optional = _builder(kind), NoneType in parts
    return lambda value: None if value is None and optional else rebuilt(value)


def _of_tuple(parts: tuple[Any, ...]) -> Builder:
    if len(parts) == 2 and parts[1] is Ellipsis:
        rebuilt = _builder(parts[0])
        return lambda value: tuple(rebuilt(item) for item in value)
    each = [_builder(part) for part in parts]
    return lambda value: tuple(build(item) for build, item in zip(each, value, strict=True))


@cache
def _members_of(kind: type) -> dict[str, Builder]:
    return {name: _builder(hint) for name, hint in get_type_hints(kind).items()}
