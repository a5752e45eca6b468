"""Severity tables: what a temperature difference means, as data with its source.

A table is a JSON file. The built-in ones stand beside this module in ``tables``; a user's own file has the same form::

    {"id": "plant-7", "edition": "2024", "source": "maintenance handbook, p. 12", "domain": "motors",
     "comparison": "ambient",
     "intervals": [{"interval": "[10, 20)", "grade": "watch", "action": "look again in a month"},
                   {"interval": "[20, inf)", "grade": "repair", "action": "repair this week"}]}

and, where wanted, ``title``, ``min_load_percent``, ``load_required`` and ``notes``. The intervals [°C] rise without
hole or overlap; ``[`` and ``]`` include an end, ``(`` and ``)`` leave it out; the last one ends with ``inf)``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.core.findings import Verdict
from isotherm.measurement.reference import Comparison

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_INTERVAL = re.compile(rf"\s*([\[(])\s*({_NUMBER})\s*,\s*({_NUMBER}|inf)\s*([\])])\s*")
_MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class Interval:
    """One row of a table: an interval [°C], each end in it or not, with the table's grade and action."""

    low_c: float
    high_c: float
    low_closed: bool
    high_closed: bool
    grade: str
    action: str

    def holds(self, delta_t_c: float) -> bool:
        """Say whether a difference lies in this interval."""
        above = delta_t_c >= self.low_c if self.low_closed else delta_t_c > self.low_c
        return above and (delta_t_c <= self.high_c if self.high_closed else delta_t_c < self.high_c)

    def __str__(self) -> str:
        return f"{'(['[self.low_closed]}{self.low_c:g}, {self.high_c:g}{')]'[self.high_closed]}"


@dataclass(frozen=True)
class SeverityTable:
    """Which temperature differences matter, how much, and who says so.

    Parameters
    ----------
    id, title, edition, source, domain
        Name, and where the numbers come from and what equipment they are for.
    comparison
        What the difference is over: a similar component under similar load, or the ambient air.
    intervals
        Rising, without hole or overlap, the last one without an upper end.
    min_load_percent
        The load that the table asks for [% of rating]; None where it asks for none.
    load_required
        Whether nothing is judged where the load is unknown.
    notes
        What a reader should know about the table.
    """

    id: str
    title: str
    edition: str
    source: str
    domain: str
    comparison: Comparison
    intervals: tuple[Interval, ...]
    min_load_percent: float | None = None
    load_required: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_intervals(self.id, self.intervals)

    def judge(self, delta_t_c: float, *, load_percent: float | None = None) -> Verdict:
        """Say what the table says about a difference over the table's own comparison.

        Where the load is unknown the difference is still judged, with the table's condition in the reason, unless the
        table requires the load: a picture file hardly ever tells the load, and at a smaller load the difference is
        smaller, so the grade can be too mild but is no false alarm. At a known load below the table's least the
        difference says too little, and nothing is judged.

        Parameters
        ----------
        delta_t_c
            The difference [°C].
        load_percent
            Load of the equipment [% of its rating]; None where it is not known.

        Returns
        -------
        Verdict
            ``rank`` is the interval's place, 1 for the lowest; 0 with the action "no action" below the first one.
        """
        if not math.isfinite(delta_t_c):
            return self.not_applicable("no temperature difference is known")
        obstacle, caveat = self._load(load_percent)
        if obstacle:
            return self.not_applicable(obstacle)
        for rank, interval in enumerate(self.intervals, start=1):
            if interval.holds(delta_t_c):
                return Verdict(self.id, interval.grade, rank, interval.action, caveat)
        first = self.intervals[0]
        return Verdict(self.id, None, 0, "no action", _sentence(f"below the table's first interval {first} °C", caveat))

    def not_applicable(self, why: str) -> Verdict:
        """Return the verdict that this table cannot judge: no grade, no action, and the reason."""
        return Verdict(self.id, None, 0, "", f"criterion not applicable: {why}")

    def _load(self, load_percent: float | None) -> tuple[str, str]:
        """Return what forbids a verdict and, where nothing does, what to say beside it."""
        least = self.min_load_percent
        if load_percent is None:
            if self.load_required:
                return "load unknown", ""
            return "", "" if least is None else f"load unknown: the table asks for at least {least:g} % of rating"
        if least is not None and load_percent < least:
            return f"the load, {load_percent:g} % of rating, is below the {least:g} % that the table asks for", ""
        return "", ""

    def describe(self) -> dict[str, Any]:
        """Return the table as plain values, in the form of its file."""
        return {
            "id": self.id,
            "title": self.title,
            "edition": self.edition,
            "source": self.source,
            "domain": self.domain,
            "comparison": self.comparison,
            "min_load_percent": self.min_load_percent,
            "load_required": self.load_required,
            "notes": list(self.notes),
            "intervals": [
                {"interval": str(item), "grade": item.grade, "action": item.action} for item in self.intervals
            ],
        }


def _sentence(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def load_table(name_or_path: str | Path) -> SeverityTable:
    """Return a built-in table by its name, or read one from a JSON file.

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
    return table_from_json(_text(Path(name_or_path)), where=name)


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise UnknownNameError("severity table (or JSON file of one)", str(path), SEVERITY_TABLES)
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
        load_required=fields.switch("load_required"),
        notes=tuple(_note(item, f"{where}: notes[{i}]") for i, item in enumerate(fields.items("notes", default=[]))),
    )
    fields.no_others()
    return table


class _Fields:
    """The members of one JSON object, taken out one by one with a check of each."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where}: must be a JSON object, not {type(values).__name__}")
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

    def comparison(self, name: str) -> Comparison:
        value = self.text(name)
        if value in get_args(Comparison):
            return cast(Comparison, value)
        raise ConfigError(f"{self._where}: {name!r} must be 'similar' or 'ambient', not {value!r}")

    def number(self, name: str) -> float | None:
        if self._left.get(name) is None:
            self._left.pop(name, None)
            return None
        value: float = self._take(name, (int, float), "a number or null")
        if not 0 <= value <= 1000:
            raise ConfigError(f"{self._where}: {name!r} must be from 0 to 1000, not {value}")
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


def _check_intervals(table: str, intervals: tuple[Interval, ...]) -> None:
    if not intervals:
        raise ConfigError(f"severity table {table}: at least one interval is needed")
    for item in intervals:
        if not item.low_c < item.high_c:
            raise ConfigError(f"severity table {table}: the interval {item} must end above its start")
    for lower, upper in pairwise(intervals):
        if lower.high_c != upper.low_c or lower.high_closed == upper.low_closed:
            raise ConfigError(
                f"severity table {table}: {lower} and {upper} leave a hole or overlap; each must begin where the one "
                "before ends, and exactly one of the two must include that end"
            )
    if not math.isinf(intervals[-1].high_c) or intervals[-1].high_closed:
        raise ConfigError(f"severity table {table}: the last interval must end with 'inf)', not {intervals[-1]}")


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
