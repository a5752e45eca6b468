"""Tables of Parquet below an address (a folder or a bucket), in parts that are written one after the other.

::

    ADDRESS/results/part-00000.parquet   one row an input; part n of every table is about the same inputs
    ADDRESS/findings/part-00000.parquet
    ADDRESS/_isotherm.json               what was written, last; before that, that it is being written

Programs that read a folder of Parquet (pyarrow, DuckDB, Spark, polars) pass over names with ``_`` in front.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from isotherm.core.errors import NotFoundError, OutputError
from isotherm.core.files import sha256
from isotherm.core.findings import ImageResult
from isotherm.reports.columns import TABLES, Cells, Column, Packed, encode, finding_rows, result_row
from isotherm.reports.plain import dumps
from isotherm.store.objects import Objects, open_objects

MARKER = "_isotherm.json"
FORMAT = "isotherm tables"
ROWS_PER_PART = 65_536
"""Inputs of one part: a few megabytes, and the most rows that are held at once, packed."""
_MARKER_BYTES = 256 * 2**20
_PART = re.compile(r"[a-z_]+/part-\d{5,}\.parquet")
Tables = Mapping[str, Sequence[Column]]
Rows = Iterator[tuple[str, Cells]]
"""Rows, each with the name of its table."""


@dataclass(frozen=True)
class ColumnsTarget:
    """An address that tables may be written to."""

    objects: Objects

    @classmethod
    def open(cls, url: str | Path, *, overwrite: bool | None = False) -> ColumnsTarget:
        """Open an address before the work begins, so that nobody waits for what cannot be written.

        Parameters
        ----------
        url
            A folder, which is made where it is missing, or ``s3://bucket/prefix``.
        overwrite
            Replace tables that an earlier run has finished; what an interrupted one left is always replaced. None: they
            are not replaced, and nobody can ask for that.

        Raises
        ------
        OutputError
            There are tables already, or something else.
        UsageError, UnreachableError, ForbiddenError, MissingExtraError
            The address cannot be used.
        """
        encode((), ())
        objects = open_objects(url, create=True)
        _refuse_others(objects, overwrite=overwrite)
        target = cls(objects)
        if not _complete(objects):
            # Shows whether that is allowed. Finished tables stay so until they are replaced.
            target._mark(complete=False)
        return target

    def write(self, results: Iterable[ImageResult], *, rows_per_part: int = ROWS_PER_PART) -> None:
        """Write the tables of an inspection; `results` is gone through once.

        Raises
        ------
        OutputError, ForbiddenError, UnreachableError
            A part cannot be written; the tables are then marked as unfinished.
        """
        self._write(TABLES, map(_rows_of, results), rows_per_part)

    def write_table(
        self, name: str, columns: Sequence[Column], rows: Iterable[Cells], *, rows_per_part: int = ROWS_PER_PART
    ) -> None:
        """Write one table of any columns; raises as `write` does."""
        self._write({name: columns}, (iter([(name, row)]) for row in rows), rows_per_part)

    def _write(self, tables: Tables, inputs: Iterator[Rows], inputs_per_part: int) -> None:
        before = [entry.name for entry in self.objects.entries() if entry.name != MARKER]
        if _complete(self.objects) is not False:
            self._mark(complete=False)
        for name in before:
            self.objects.remove(name)
        written: dict[str, Any] = {}
        for number, part in enumerate(_parts(tables, inputs, inputs_per_part)):
            for name, packed in part.items():
                data = packed.encode()
                path = f"{name}/part-{number:05d}.parquet"
                self.objects.write(path, data)
                written[path] = {"rows": len(packed), "sha256": sha256(data)}
        self._mark(complete=True, parts=written)

    def _mark(self, **state: Any) -> None:
        text = dumps({"format": FORMAT, "version": 1, **state}, indent=1)
        self.objects.write(MARKER, text.encode() + b"\n")


def open_tables(url: str | None, *, overwrite: bool | None = False) -> ColumnsTarget | None:
    """Open the place for tables where one is asked for; see `ColumnsTarget.open`."""
    return None if url is None else ColumnsTarget.open(url, overwrite=overwrite)


def _rows_of(result: ImageResult) -> Rows:
    yield "results", result_row(result)
    for row in finding_rows(result):
        yield "findings", row


def _parts(tables: Tables, inputs: Iterator[Rows], size: int) -> Iterator[Mapping[str, Packed]]:
    """Yield parts of so many inputs; one empty part where there is no input, so that the columns are told anyway."""
    first = True
    while (batch := list(islice(inputs, 1))) or first:
        part = {name: Packed(columns) for name, columns in tables.items()}
        for rows in chain(batch, islice(inputs, size - 1)):
            for name, row in rows:
                part[name].add(row)
        yield part
        first = False


def _refuse_others(objects: Objects, *, overwrite: bool | None) -> None:
    names = [entry.name for entry in objects.entries()]
    strange = [name for name in names if name != MARKER and not _PART.fullmatch(name)]
    complete = _complete(objects)
    if strange or (names and complete is None):
        shown = ", ".join((strange or names)[:3])
        raise OutputError(f"{objects.url} holds other things than tables of isotherm ({shown}); name another place")
    if complete and not overwrite:
        way = "remove them" if overwrite is None else "replace them (--overwrite)"
        raise OutputError(f"{objects.url} holds tables already: {way}, or name another place")


def _complete(objects: Objects) -> bool | None:
    """Say whether finished tables are there; None where no marker of ours is."""
    try:
        found = json.loads(objects.read(MARKER, _MARKER_BYTES))
    except (NotFoundError, ValueError):
        return None
    ours = isinstance(found, dict) and found.get("format") == FORMAT
    return bool(found.get("complete")) if ours else None
