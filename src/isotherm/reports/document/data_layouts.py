"""``report.json`` and ``report.csv``: the report for programs; numbers as numbers, without pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isotherm.core.files import csv_of
from isotherm.reports.document.content import Document, Figure
from isotherm.reports.document.layout import Rendered, Template
from isotherm.reports.document.plain_document import plain
from isotherm.reports.plain import dumps

FORMAT_VERSION = 1
COLUMNS = (
    "number", "image", "place", "kind", "severity", "severity_rank", "severity_table", "max_c", "max_uncertainty_k",
    "delta_t_c", "delta_t_uncertainty_k", "reference_c", "load_percent", "score", "threshold", "area_px", "x", "y",
    "estimated", "sha256", "action", "cause",
)  # fmt: skip


class _Data:
    """Data follow no template."""

    template_suffixes: Sequence[str] = ()

    def template_files(self, name: str) -> Mapping[str, bytes]:  # noqa: ARG002 (the seam's)
        """Return nothing."""
        return {}


@dataclass(frozen=True)
class JsonLayout(_Data):
    """The whole content; texts in the report's language, ``numbers`` of each fault in none."""

    name: str = "json"
    media_type: str = "application/json"

    def render(self, document: Document, template: Template) -> Rendered:  # noqa: ARG002 (the seam's)
        """Return one JSON object."""
        found = plain(document, _described)
        del found["words"]
        for fault in found["faults"]:
            del fault["pictures"]["plane"]
        whole = dumps({"format_version": FORMAT_VERSION, **found}, indent=1)
        return Rendered(whole.encode("utf-8", "backslashreplace") + b"\n")


def _described(figure: Figure) -> dict[str, str]:
    return {"alt": figure.alt, "caption": figure.caption}


@dataclass(frozen=True)
class CsvLayout(_Data):
    """One row a fault."""

    name: str = "csv"
    media_type: str = "text/csv; charset=utf-8"

    def render(self, document: Document, template: Template) -> Rendered:  # noqa: ARG002 (the seam's)
        """Return a table; what is not known is empty."""
        rows = ({**fault.numbers, "action": fault.action, "cause": fault.cause} for fault in document.faults)
        return Rendered(csv_of(COLUMNS, rows))


JSON, CSV = JsonLayout(), CsvLayout()
