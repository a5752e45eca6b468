"""Severity tables: what a temperature difference means, as data with its source.

A table is a JSON or TOML file. The built-in ones stand beside this module in ``tables``; a user's own file has the same
form, here in TOML::

    id = "plant-7"
    edition = "2024"
    source = "maintenance handbook, p. 12"
    domain = "motors"
    comparison = "ambient"

    [[intervals]]
    interval = "[10, 20)"
    grade = "watch"
    action = "look again in a month"

    [[intervals]]
    interval = "[20, inf)"
    grade = "repair"
    action = "repair this week"

and, where wanted, ``title``, ``min_load_percent``, ``refuse_below_percent``, ``load_required``,
``min_irradiance_w_m2`` and ``notes``; see `SeverityTable`. The intervals [°C] rise without hole or overlap; ``[`` and
``]`` include an end, ``(`` and ``)`` leave it out; the last one ends with ``inf)``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast, get_args

from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.measurement.severity_table import Interval, SeverityTable, TableComparison

__all__ = ["SEVERITY_TABLES", "SeverityTable", "load_table", "table_from_json", "table_from_toml"]

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_INTERVAL = re.compile(rf"\s*([\[(])\s*({_NUMBER})\s*,\s*({_NUMBER}|inf)\s*([\])])\s*")
_MAX_FILE_BYTES = 1_000_000


def load_table(name_or_path: str | Path) -> SeverityTable:
    """Return a built-in table by its name, or read one from a JSON or TOML file (by its suffix ``.toml``).

    Raises
    ------
    UnknownNameError
        Neither a built-in table nor a file.
    ConfigError
        The file is no severity table; the message says which part is wrong.
    """
    name = str(name_or_path)
    if name in SEVERITY_TABLES:
        return SEVERITY_TABLES[name]
    read = table_from_toml if name.casefold().endswith(".toml") else table_from_json
    return read(_text(Path(name_or_path)), where=name)


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise UnknownNameError("severity table (or JSON or TOML file of one)", str(path), SEVERITY_TABLES)
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ConfigError(f"{path}: a severity table has at most {_MAX_FILE_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error


def table_from_json(text: str, where: str) -> SeverityTable:
    """Build a table from the text of its file; `where` names the file in messages. Raises ConfigError."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON: {error}") from error
    return _table(values, where)


def table_from_toml(text: str, where: str) -> SeverityTable:
    """Build a table from the text of a TOML file; `where` names the file in messages. Raises ConfigError."""
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not TOML: {error}") from error
    return _table(values, where)


def _table(values: object, where: str) -> SeverityTable:
    fields = _Fields(values, where)
    table = SeverityTable(
        id=fields.text("id"),
        title=fields.text("title", default=""),
        edition=fields.text("edition"),
        source=fields.text("source"),
        domain=fields.text("domain"),
        comparison=fields.comparison("comparison"),
        intervals=tuple(
            _interval(item, f"{where}: intervals[{i}]") for i, item in enumerate(fields.items("intervals"))
        ),
        min_load_percent=fields.number("min_load_percent"),
        refuse_below_percent=fields.number("refuse_below_percent"),
        load_required=fields.switch("load_required"),
        min_irradiance_w_m2=fields.number("min_irradiance_w_m2", high=2000),
        notes=tuple(_note(item, f"{where}: notes[{i}]") for i, item in enumerate(fields.items("notes", default=[]))),
    )
    fields.no_others()
    return table


class _Fields:
    """The members of one object, taken out one by one with a check of each."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where}: must be a JSON object or TOML table, not {type(values).__name__}")
        self._left = dict(values)
        self._where = where

    def _take(self, name: str, kind: type | tuple[type, ...], wanted: str, default: Any = None) -> Any:
        if name not in self._left:
            if default is None:
                raise ConfigError(f"{self._where}: {name!r} is missing; it must be {wanted}")
            return default
        value = self._left.pop(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{self._where}: {name!r} must be {wanted}, not {value!r}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value: str = self._take(name, str, "a text", default)
        if not value.strip() and default is None:
            raise ConfigError(f"{self._where}: {name!r} must not be empty")
        return value

    def comparison(self, name: str) -> TableComparison:
        value = self.text(name)
        known = get_args(TableComparison)
        if value in known:
            return cast(TableComparison, value)
        raise ConfigError(f"{self._where}: {name!r} must be one of {', '.join(known)}, not {value!r}")

    def number(self, name: str, high: float = 1000) -> float | None:
        if self._left.get(name) is None:
            self._left.pop(name, None)
            return None
        value: float = self._take(name, (int, float), "a number or null")
        if not 0 <= value <= high:
            raise ConfigError(f"{self._where}: {name!r} must be from 0 to {high:g}, not {value}")
        return float(value)

    def switch(self, name: str) -> bool:
        value: bool = self._take(name, bool, "true or false", default=False)
        return value

    def items(self, name: str, default: list[Any] | None = None) -> list[Any]:
        value: list[Any] = self._take(name, list, "a list", default)
        return value

    def no_others(self) -> None:
        if self._left:
            raise ConfigError(f"{self._where}: unknown {', '.join(map(repr, self._left))}")


def _note(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where}: must be a text, not {value!r}")
    return value


def _interval(value: object, where: str) -> Interval:
    fields = _Fields(value, where)
    written, grade, action = fields.text("interval"), fields.text("grade"), fields.text("action")
    fields.no_others()
    match = _INTERVAL.fullmatch(written)
    if match is None:
        raise ConfigError(f"{where}: an interval is written like '[4, 15]', '(15, 20)' or '(20, inf)', not {written!r}")
    opening, low, high, closing = match.groups()
    return Interval(float(low), float(high), opening == "[", closing == "]", grade, action)


def _built_in() -> dict[str, SeverityTable]:
    folder = files("isotherm.measurement") / "tables"
    tables = [
        table_from_json(item.read_text(encoding="utf-8"), where=item.name)
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".json")
    ]
    return {table.id: table for table in tables}


SEVERITY_TABLES: Mapping[str, SeverityTable] = _built_in()
"""The built-in tables by name."""
