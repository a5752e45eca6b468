"""The inspection report: its content, its languages, and its layouts as PDF, page, document, table and data."""

from __future__ import annotations

from isotherm.core.registry import Registry, Row
from isotherm.reports.document.layout import Layout

__all__ = ["LAYOUTS"]

_ROOM = "isotherm.reports.document"
LAYOUTS: Registry[Layout] = Registry(
    "report layout",
    Row("pdf", f"{_ROOM}.typst_layout:LAYOUT", "tagged PDF for people and archives", extra="pdf"),
    Row("html", f"{_ROOM}.html_layout:LAYOUT", "one page for any browser, with temperatures under the pointer"),
    Row("docx", f"{_ROOM}.docx_layout:LAYOUT", "a document to edit further", extra="docx"),
    Row("json", f"{_ROOM}.data_layouts:JSON", "the whole content, for programs"),
    Row("csv", f"{_ROOM}.data_layouts:CSV", "one row a fault"),
)
