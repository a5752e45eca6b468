"""Rows as Parquet, for tables that a spreadsheet no longer opens: typed columns with the unit in the name.

The extra ``scale`` brings what is needed. An inspection is two tables: ``results`` has one row for each input, with the
columns of ``results.csv``; ``findings`` has one for each finding, by `image` and `number`. What is not known is null.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from isotherm.core.errors import MissingExtraError
from isotherm.core.findings import Finding, ImageResult, TemperatureStats
from isotherm.reports.content import foremost, verdict_label

Kind = Literal["text", "whole", "number", "flag"]
Cells = Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """A column: its name, with the unit in it, and what its cells are; every cell may be null."""

    name: str
    kind: Kind


def columns_of(rows: type) -> tuple[Column, ...]:
    """Return the columns for rows that are dataclasses of texts, numbers and flags, each of which may be missing."""
    hints = get_type_hints(rows)
    return tuple(Column(item.name, _kind_of(hints[item.name])) for item in fields(rows))


def _kind_of(hint: Any) -> Kind:
    known: dict[Any, Kind] = {str: "text", int: "whole", float: "number", bool: "flag"}
    (kind,) = (known[part] for part in get_args(hint) or (hint,) if part in known)
    return kind


def cells_of(row: Any) -> Cells:
    """Return the cells of a dataclass for `columns_of`; an empty text is none."""
    return {item.name: None if (value := getattr(row, item.name)) == "" else value for item in fields(row)}


def _columns(**kinds: Kind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


RESULTS = _columns(
    image="text", status="text", error="text", sha256="text", height_px="whole", width_px="whole",
    score="number", percentile="number", threshold="number", prediction="text", anomaly_area_px="whole",
    min_c="number", max_c="number", mean_c="number", std_c="number",
    hotspot_count="whole", hotspot_area_px="whole", hottest_x="whole", hottest_y="whole",
    delta_t_c="number", severity="text", severity_rank="whole", severity_table="text",
    radiometric="flag", estimated="flag", uncertainty_k="number",
)  # fmt: skip
FINDINGS = _columns(
    image="text", number="whole", kind="text", origin="text",
    area_px="whole", area_mm2="number", left_px="whole", top_px="whole", width_px="whole", height_px="whole",
    peak_x="whole", peak_y="whole",
    min_c="number", max_c="number", mean_c="number", std_c="number", uncertainty_k="number",
    delta_t_c="number", delta_t_uncertainty_k="number", reference="text", reference_c="number",
    severity="text", severity_rank="whole", severity_table="text", action="text", score="number",
)  # fmt: skip
TABLES: Mapping[str, tuple[Column, ...]] = {"results": RESULTS, "findings": FINDINGS}
"""The tables of an inspection."""
_LOOSE_ROWS = 1024
"""How many rows are held as objects."""
GROUP_ROWS = 16 * _LOOSE_ROWS
"""How many rows are held as columns, and make a group of the file."""


class Packed:
    """Rows of one table, packed into a Parquet file while they come: a few bytes a cell in place of objects.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        pyarrow, parquet = _pyarrow()
        types = {
            "text": pyarrow.string(),
            "whole": pyarrow.int64(),
            "number": pyarrow.float64(),
            "flag": pyarrow.bool_(),
        }
        self._pyarrow = pyarrow
        self._schema = pyarrow.schema([(column.name, types[column.kind]) for column in columns])
        self._stream = io.BytesIO()
        self._writer = parquet.ParquetWriter(self._stream, self._schema, compression="zstd")
        self._loose: list[dict[str, object]] = []
        self._columns: list[Any] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Cells) -> None:
        """Add a row; a cell that it does not have is null."""
        self._loose.append(dict(row))
        self._count += 1
        if self._count % _LOOSE_ROWS == 0:
            self._columns.append(self._pyarrow.RecordBatch.from_pylist(self._loose, schema=self._schema))
            self._loose = []
        if self._count % GROUP_ROWS == 0:
            self._write_group()

    def _write_group(self) -> None:
        rest = self._pyarrow.RecordBatch.from_pylist(self._loose, schema=self._schema)
        # In one piece, so that the file does not tell how the rows came.
        table = self._pyarrow.Table.from_batches([*self._columns, rest], schema=self._schema).combine_chunks()
        self._writer.write_table(table)
        self._loose, self._columns = [], []

    def encode(self) -> bytes:
        """Return the rows as one Parquet file, and take no more."""
        if self._loose or self._columns or not self._count:
            self._write_group()
        self._writer.close()
        return self._stream.getvalue()


def encode(columns: Sequence[Column], rows: Iterable[Cells]) -> bytes:
    """Return rows as one Parquet file; a cell that a row does not have is null. The same rows give the same bytes.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    """
    packed = Packed(columns)
    for row in rows:
        packed.add(row)
    return packed.encode()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("writing Parquet", "scale") from error
    return pyarrow, pyarrow.parquet


def result_row(result: ImageResult) -> Cells:
    """Return the cells of one input in ``results``."""
    known: dict[str, object] = {"image": result.image, "status": result.status}
    if result.status == "failed":
        return known | {"error": result.error}
    return (
        known
        | {"sha256": result.digest or None, "height_px": result.height, "width_px": result.width}
        | _anomaly(result)
        | _temperatures(result.temperatures)
        | {"radiometric": result.radiometric, "estimated": result.estimated, "uncertainty_k": result.uncertainty_k}
        | _hotspots(result)
    )


def finding_rows(result: ImageResult) -> Iterator[Cells]:
    """Give the cells of an input's findings in ``findings``, numbered from 1 in their order."""
    for number, finding in enumerate(result.findings, 1):
        yield {"image": result.image, "number": number} | _finding(finding)


def _anomaly(result: ImageResult) -> dict[str, object]:
    found = result.anomaly
    if found is None:
        return {}
    return {
        "score": found.score,
        "percentile": found.percentile,
        "threshold": found.threshold,
        "prediction": found.prediction,
        "anomaly_area_px": found.area_px,
    }


def _temperatures(stats: TemperatureStats | None) -> dict[str, object]:
    if stats is None:
        return {}
    return {"min_c": stats.min_c, "max_c": stats.max_c, "mean_c": stats.mean_c, "std_c": stats.std_c}


def _hotspots(result: ImageResult) -> dict[str, object]:
    hotspots, finding = result.hotspots, foremost(result)
    known: dict[str, object] = {
        "hotspot_count": len(hotspots),
        "hotspot_area_px": sum(hotspot.region.area_px for hotspot in hotspots),
    }
    if finding is None:
        return known
    x, y = finding.region.peak
    return known | {"hottest_x": x, "hottest_y": y, "delta_t_c": finding.delta_t_c} | _severity(finding)


def _severity(finding: Finding) -> dict[str, object]:
    verdict = finding.severity
    if verdict is None:
        return {}
    return {"severity": verdict_label(verdict), "severity_rank": verdict.rank, "severity_table": verdict.table}


def _finding(finding: Finding) -> dict[str, object]:
    region = finding.region
    return (
        {
            "kind": finding.kind,
            "origin": finding.origin,
            "area_px": region.area_px,
            "area_mm2": region.area_mm2,
            "left_px": region.box.x,
            "top_px": region.box.y,
            "width_px": region.box.width,
            "height_px": region.box.height,
            "peak_x": region.peak[0],
            "peak_y": region.peak[1],
            "uncertainty_k": finding.uncertainty_k,
            "delta_t_c": finding.delta_t_c,
            "delta_t_uncertainty_k": finding.delta_t_uncertainty_k,
            "reference": finding.reference or None,
            "reference_c": finding.reference_c,
            "action": (finding.severity.action or None) if finding.severity else None,
            "score": finding.score,
        }
        | _temperatures(finding.temperatures)
        | _severity(finding)
    )
