"""Report content and its writers."""

from __future__ import annotations

from isotherm.core.registry import Registry, Row
from isotherm.reports.writer import ReportWriter

__all__ = ["REPORT_WRITERS", "ReportWriter"]

REPORT_WRITERS: Registry[ReportWriter] = Registry(
    "report",
    Row(
        "html", "isotherm.reports.html_writer:WRITER", "one self-contained page for people: worst first, with pictures"
    ),
    Row("csv", "isotherm.reports.csv_writer:WRITER", "results.csv: one row per input, in input order"),
    Row("json", "isotherm.reports.json_writer:WRITER", "everything that was found, for programs"),
)
