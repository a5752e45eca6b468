"""``results.json``: everything that was found, one line per input."""

from __future__ import annotations

from collections.abc import Iterator
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
        return b"".join(self.pieces(report))

    def pieces(self, report: Report) -> Iterator[bytes]:
        """Yield the object in pieces, one for each input; ``worst_first`` names what the report ranks."""
        frame = dumps(
            {
                "format_version": FORMAT_VERSION,
                "summary": {"totals": report.totals, "grades": report.grades, "limits": report.limits},
                "worst_first": [result.image for result in report.ranked],
                **{name: value for name, value in vars(report.inspection).items() if name != "results"},
            }
        ).removesuffix("}")
        before = f'{frame}, "results": ['
        for result in report.inspection.results:
            yield _encoded(f"{before}\n{dumps(_plain(result))}")
            before = ","
        yield _encoded("\n]}\n" if before == "," else f"{before}\n\n]}}\n")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _plain(result: ImageResult) -> dict[str, Any]:
    """Return a result's members, its scene in the names and units of the flags."""
    return vars(result) | {"scene": described(result.scene)}


WRITER = JsonWriter()
