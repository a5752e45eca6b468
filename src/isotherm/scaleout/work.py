"""What crosses from the driver to a worker and back: JSON, so that nothing is ever unpickled."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from isotherm.core import errors
from isotherm.core.errors import ConfigError, IsothermError

WorkFunction = Callable[[str, Sequence[str]], Sequence[str]]
"""``function(setup, items)`` returns one row (a line of text) for each item, in their order. It may be called again for
items that it was called for before, and must then write the same files: by a whole write under a name that follows from
the item."""


@dataclass(frozen=True)
class Work:
    """Items for one call of a function.

    Parameters
    ----------
    chunk, first
        Which chunk they belong to, and the place of the first one in it.
    function
        ``package.module:function``; see `WorkFunction`.
    setup
        What is the same for all items, as JSON.
    """

    chunk: int
    first: int
    function: str
    setup: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """Work that has ended: with its rows, or because the process that did it died (``lost`` says how)."""

    work: Work
    rows: tuple[str, ...] = ()
    lost: str = ""


class WorkerError(RuntimeError):
    """A mistake in the function itself; the text is the worker's traceback."""


def call(function: str, setup: str, items: Sequence[str]) -> tuple[str, ...]:
    """Import and call a function; raises ConfigError where it does not give one row an item."""
    module, _, name = function.partition(":")
    rows = tuple(getattr(import_module(module), name)(setup, items))
    if len(rows) != len(items):
        raise ConfigError(f"{function} gave {len(rows)} rows for {len(items)} items")
    return rows


def answer(function: str, setup: str, items: Sequence[str]) -> str:
    """Call a function where it runs and return as JSON what it gave or what went wrong."""
    try:
        return json.dumps({"rows": call(function, setup, items)})
    except IsothermError as error:
        return told(error)
    except Exception:  # noqa: BLE001 (it is told where the command runs, in whole)
        return json.dumps({"trace": traceback.format_exc()})


def told(error: IsothermError) -> str:
    """Return an error as an `answer`."""
    return json.dumps({"error": type(error).__name__, "message": str(error)})


def rows_of(text: str) -> tuple[str, ...]:
    """Return the rows of an `answer`, or raise what went wrong there.

    Raises
    ------
    IsothermError
        Of the same kind and with the same message as in the worker.
    WorkerError
        A mistake in the function.
    """
    found: dict[str, Any] = json.loads(text)
    if "trace" in found:
        raise WorkerError(found["trace"])
    if "error" in found:
        raise _same_kind(found["error"], found["message"])
    return tuple(found["rows"])


def _same_kind(name: str, message: str) -> IsothermError:
    kind = getattr(errors, name, None)
    if not isinstance(kind, type) or not issubclass(kind, IsothermError):
        kind = IsothermError
    # Some kinds build their message from parts; it is whole here.
    error: IsothermError = kind.__new__(kind)
    error.args = (message,)
    return error
