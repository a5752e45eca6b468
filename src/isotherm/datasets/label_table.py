"""``labels.csv``: which pictures are normal, which are not, and what else is known of each, in one table.

=========  ============================================================================================
column     what
=========  ============================================================================================
file       path of the picture from the table's folder on
label      ``normal`` or ``good``; ``faulty``, ``bad``, ``anomaly`` or ``defect``
kind       kind of defect (may be absent, as all that follow)
site       where it is from
group      pictures that depend on one another (one item, one asset) share a group
order      a number: when it was taken among those of its group
mask       path of its defect mask from the table's folder on
=========  ============================================================================================
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from isotherm.core.errors import DataError

TABLE = "labels.csv"
NORMAL_NAMES = ("normal", "good")
FAULTY_NAMES = ("faulty", "bad", "anomaly", "defect")
COLUMNS = ("file", "label", "kind", "site", "group", "order", "mask")
NAMED = 5
"""How many names a message lists before it only counts."""


@dataclass(frozen=True)
class LabelRow:
    """One row of the table; empty texts and None where it says nothing."""

    path: Path
    anomalous: bool
    kind: str
    site: str
    group: str
    order: float | None
    mask: Path | None


def read_labels(table: Path) -> list[LabelRow]:
    """Read the table.

    Raises
    ------
    DataError
        It cannot be read, has other columns, an unknown label, a picture twice, or names files that do not exist.
    """
    rows = _rows(table)
    twice = [name for name, count in Counter(row["file"] for row in rows).items() if count > 1]
    if twice:
        raise DataError(f"{table}: names {some(twice)} more than once")
    absent = [row[key] for key in ("file", "mask") for row in rows if row.get(key) and not _found(table, row[key])]
    if absent:
        raise DataError(f"{table}: names files that {table.parent} does not hold: {some(absent)}")
    return [_row(table, row) for row in rows]


def read_table(table: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the names of the columns of a CSV file, and its rows; raises DataError where it cannot be read."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names, rows = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read: {error}") from error
    return names, rows


def _rows(table: Path) -> list[dict[str, str]]:
    names, rows = read_table(table)
    wrong = [name for name in names if name not in COLUMNS]
    if wrong or "file" not in names or "label" not in names:
        unknown = f"unknown column {wrong[0]}; " if wrong else ""
        raise DataError(f"{table}: {unknown}expected file, label, and perhaps {', '.join(COLUMNS[2:])}")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values() or not row["file"]:
            raise DataError(f"{table}: picture {number} has too few or too many columns, or no name")
    return rows


def _found(table: Path, name: str) -> bool:
    return (table.parent / name).is_file()


def _row(table: Path, row: Mapping[str, str]) -> LabelRow:
    label = row["label"].strip().casefold()
    if label not in (*NORMAL_NAMES, *FAULTY_NAMES):
        known = ", ".join((*NORMAL_NAMES, *FAULTY_NAMES))
        raise DataError(f"{table}: {row['file']} has the unknown label {row['label']!r}; known: {known}")
    faulty = label in FAULTY_NAMES
    mask = row.get("mask")
    return LabelRow(
        path=table.parent / row["file"],
        anomalous=faulty,
        kind=row.get("kind", "") if faulty else "",
        site=row.get("site", ""),
        group=row.get("group", ""),
        order=order_of(table, row),
        mask=table.parent / mask if mask and faulty else None,
    )


def order_of(table: Path, row: Mapping[str, str]) -> float | None:
    """Return the number in a row's column ``order``, None without one; raises DataError where it is none."""
    text = row.get("order")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{table}: the order of {row['file']} is {text!r}, not a number")
    return value


def some(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    every = list(names)
    return ", ".join(every[:NAMED]) + (f" and {len(every) - NAMED} more" if len(every) > NAMED else "")
