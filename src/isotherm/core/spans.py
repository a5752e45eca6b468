"""Pieces of work that may be traced; where nobody traces (the usual case), naming them costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

Value = str | int | float | bool
Recorder = Callable[[str, Mapping[str, Value]], AbstractContextManager[object]]
"""Begins a span of a name with attributes; it ends with the ``with`` block."""
_NOTHING = nullcontext()
_recorder: Recorder | None = None


def span(name: str, **attributes: Value) -> AbstractContextManager[object]:
    """Return what is around a piece of work; it ends up as a span of the trace that this thread is part of.

    Parameters
    ----------
    name
        What is done, in small letters; the same for all of its kind.
    attributes
        What tells one from another: numbers and short words, nothing that a user would not like others to read.
    """
    return _NOTHING if _recorder is None else _recorder(name, attributes)


def record_with(recorder: Recorder | None) -> None:
    """Have spans recorded from now on, or (None) no more; for `isotherm.jobs.traces` and tests."""
    global _recorder  # noqa: PLW0603 (tracing belongs to the process, as in OpenTelemetry itself)
    _recorder = recorder
