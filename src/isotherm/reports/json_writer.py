"""``results.json``: everything that was found, one line per input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isotherm.core.findings import ImageResult
from isotherm.radiometry.parameters import described
from isotherm.reports.content import Report
from isotherm.reports.plain import dumps

FORMAT_VERSION = 1


@dataclass(frozen=True)
class JsonWriter:
    """The inspection with its summary; `isotherm.core.findings` describes the fields."""

    name: str = "json"
    filename: str = "results.json"

    def render(self, report: Report) -> bytes:
        """Return one JSON object: summary, settings, model, severity table, and ``results`` in input order."""
        frame = dumps(
            {
                "format_version": FORMAT_VERSION,
                "summary": {"totals": report.totals, "grades": report.grades, "limits": report.limits},
                "worst_first": [result.image for result in report.ranked],
                **{name: value for name, value in vars(report.inspection).items() if name != "results"},
            }
        ).removesuffix("}")
        results = ",\n".join(dumps(_plain(result)) for result in report.inspection.results)
        return f'{frame}, "results": [\n{results}\n]}}\n'.encode("utf-8", "backslashreplace")


def _plain(result: ImageResult) -> dict[str, Any]:
    """Return a result's members, its scene in the names and units of the flags."""
    return vars(result) | {"scene": described(result.scene)}


WRITER = JsonWriter()
