"""What is written of several recordings beside the results of each: a row for each, as CSV and as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from isotherm.core.files import csv_of
from isotherm.reports.columns import cells_of, columns_of
from isotherm.workflows.columns_output import ColumnsTarget, open_tables
from isotherm.workflows.run_place import open_place
from isotherm.workflows.sequence_segment import short

SUMMARY = "summary.csv"
TABLE = "recordings"


@dataclass(frozen=True)
class RecordingsOutput:
    """Where the results of recordings go.

    Parameters
    ----------
    folder
        The folder, or a path that begins with ``s3:``, that gets a folder for each recording, and ``summary.csv``.
    tables
        A folder or ``s3://bucket/prefix`` for the rows as Parquet; None for none.
    """

    folder: Path
    tables: str | None = None

    def open(self, *, begun: bool = False) -> Summary:
        """Open the place for tables before the work begins.

        Parameters
        ----------
        begun
            Whether this run was begun before: then tables that it has finished may be replaced.

        Raises
        ------
        IsothermError
            As `isotherm.workflows.columns_output.ColumnsTarget.open` does.
        """
        open_place(self.folder).try_writing()
        tables = open_tables(self.tables, overwrite=True if begun else None)
        return Summary(self.folder, tables)


@dataclass(frozen=True)
class Summary:
    """An open `RecordingsOutput`."""

    folder: Path
    tables: ColumnsTarget | None

    def write(self, rows: Sequence[Any]) -> None:
        """Write the rows, dataclasses of one kind; there is at least one."""
        names = [item.name for item in fields(rows[0])]
        place = open_place(self.folder)
        place.prepare()
        place.write(SUMMARY, csv_of(names, (short(asdict(row)) for row in rows)))
        self.write_tables(rows)

    def write_tables(self, rows: Sequence[Any]) -> None:
        """Write the rows as Parquet alone, where that is asked for."""
        if self.tables is not None:
            self.tables.write_table(TABLE, columns_of(type(rows[0])), map(cells_of, rows))
