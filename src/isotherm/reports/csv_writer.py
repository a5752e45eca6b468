"""``results.csv``: one row per input, in input order (RFC 4180, UTF-8, CRLF).

Names stand as they are, also those that begin with ``=``, ``+``, ``-`` or ``@``: programs join on them, and a changed
name would match no file. Import the column ``image`` as text into a spreadsheet if strangers may have named the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isotherm.core.files import csv_lines
from isotherm.core.findings import ImageResult
from isotherm.reports.content import Report, foremost, verdict_label

COLUMNS = (
    "image", "status", "error", "score", "percentile", "threshold", "prediction", "anomaly_area_px",
    "max_c", "mean_c", "std_c", "hotspot_count", "hotspot_area_px", "hottest_x", "hottest_y",
    "delta_t_c", "severity", "severity_table", "radiometric",
    "estimated", "uncertainty_k",
)  # fmt: skip


@dataclass(frozen=True)
class CsvWriter:
    """The results table."""

    name: str = "csv"
    filename: str = "results.csv"

    def render(self, report: Report) -> bytes:
        """Return the table; temperatures are empty where a picture holds none."""
        return b"".join(self.pieces(report))

    def pieces(self, report: Report) -> Iterator[bytes]:
        """Yield the table line by line."""
        return csv_lines(COLUMNS, (row(result) for result in report.inspection.results))


def row(result: ImageResult) -> dict[str, str]:
    """Return the filled columns of one input."""
    known = {"image": result.image, "status": result.status, "error": result.error}
    if result.status == "failed":
        return known
    return known | _anomaly(result) | _temperatures(result) | _hotspots(result)


def _anomaly(result: ImageResult) -> dict[str, str]:
    found = result.anomaly
    if found is None:
        return {}
    return {
        # Nine digits hold a float32 exactly.
        "score": f"{found.score:.9g}",
        "percentile": f"{found.percentile:.6g}",
        "threshold": f"{found.threshold:.9g}",
        "prediction": found.prediction,
        "anomaly_area_px": str(found.area_px),
    }


def _temperatures(result: ImageResult) -> dict[str, str]:
    radiometric = {name: "true" if getattr(result, name) else "false" for name in ("radiometric", "estimated")}
    stats = result.temperatures
    if stats is None:
        return radiometric
    numbers = {"max_c": stats.max_c, "mean_c": stats.mean_c, "std_c": stats.std_c}
    if result.uncertainty_k is not None:
        numbers["uncertainty_k"] = result.uncertainty_k
    return radiometric | {name: f"{value:.3f}" for name, value in numbers.items()}


def _hotspots(result: ImageResult) -> dict[str, str]:
    hotspots, finding = result.hotspots, foremost(result)
    known = {
        "hotspot_count": str(len(hotspots)),
        "hotspot_area_px": str(sum(finding.region.area_px for finding in hotspots)),
    }
    if finding is None:
        return known
    known["hottest_x"], known["hottest_y"] = map(str, finding.region.peak)
    if finding.delta_t_c is not None:
        known["delta_t_c"] = f"{finding.delta_t_c:.3f}"
    if finding.severity is not None:
        known |= {"severity": verdict_label(finding.severity), "severity_table": finding.severity.table}
    return known


WRITER = CsvWriter()
