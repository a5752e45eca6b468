"""The seam of reports: content in, bytes out."""

from __future__ import annotations

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
