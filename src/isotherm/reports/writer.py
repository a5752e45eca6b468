"""The seam of reports: content in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from isotherm.reports.content import Report


@runtime_checkable
class ReportWriter(Protocol):
    """Lays out a report in one file format; it decides nothing about the content."""

    name: str
    filename: str
    """What the file is called in the folder of a run."""

    def render(self, report: Report) -> bytes:
        """Return the whole file; the same report gives the same bytes."""
        ...


@runtime_checkable
class PiecewiseWriter(ReportWriter, Protocol):
    """A writer whose file is as long as the results, and need not be in memory as a whole.

    A report holds at most some thousand pictures, but ``report.inspection.results`` may be millions: they are read
    again each time that they are gone through.
    """

    def pieces(self, report: Report) -> Iterator[bytes]:
        """Yield what `render` returns, piece by piece."""
        ...
