"""Tables of lazily imported rows: knowing the names costs no import of what they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from isotherm.core.errors import MissingExtraError, UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One thing that can be asked for by name.

    Parameters
    ----------
    name
        What the user types: the literature's lower-case name.
    target
        ``package.module:attribute``, imported when the row is first used.
    summary
        One line for ``--help`` and the documentation.
    extra
        The optional dependency group it needs, or None for the base install.
    """

    name: str
    target: str
    summary: str
    extra: str | None = None


class Registry(Generic[T]):
    """Rows of one kind (format, anomaly method, hotspot method, report ...), and those of plug-ins.

    A plug-in is another package with an entry point in the group ``isotherm.<kind>`` (spaces as ``_``); built-in rows
    win over plug-ins of the same name.
    """

    def __init__(self, kind: str, *rows: Row) -> None:
        self.kind = kind
        self._own = {row.name: row for row in rows}
        self._loaded: dict[str, T] = {}

    @cached_property
    def _rows(self) -> dict[str, Row]:
        group = "isotherm." + self.kind.replace(" ", "_")
        plugins = {
            entry.name: Row(entry.name, entry.value, f"plug-in from {entry.dist.name if entry.dist else entry.value}")
            for entry in entry_points(group=group)
        }
        return plugins | self._own

    def names(self) -> list[str]:
        """Return all names, built-in first in their table's order, then plug-ins."""
        return [*self._own, *(name for name in self._rows if name not in self._own)]

    def rows(self) -> list[Row]:
        """Return the rows in the order of `names`."""
        return [self._rows[name] for name in self.names()]

    def row(self, name: str) -> Row:
        """Return the row called `name`; raises UnknownNameError that lists the known names."""
        found = self._own.get(name) or self._rows.get(name)
        if found is None:
            raise UnknownNameError(self.kind, name, self._rows)
        return found

    def get(self, name: str) -> T:
        """Import and return what `name` stands for.

        Raises
        ------
        UnknownNameError
            No row has this name.
        MissingExtraError
            The row needs an optional dependency that is not installed.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(self.row(name))
        return self._loaded[name]

    def _load(self, row: Row) -> T:
        module, _, attribute = row.target.partition(":")
        try:
            loaded: T = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if row.extra is None or (error.name or "").startswith("isotherm"):
                raise
            raise MissingExtraError(f"{self.kind} {row.name!r}", row.extra) from error
        return loaded

    def __iter__(self) -> Iterator[T]:
        return (self.get(name) for name in self.names())
