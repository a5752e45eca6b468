"""Answers of a classifier as tables, CSV and Parquet, written while they come: there may be more than memory holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from isotherm.core.files import csv_encoder
from isotherm.reports.columns import Cells, Column
from isotherm.workflows.classify_evaluate import ANSWER_COLUMNS, answer_row
from isotherm.workflows.classify_model import Classified
from isotherm.workflows.columns_output import ColumnsTarget
from isotherm.workflows.run_place import open_place

Answer = tuple[str, Classified]
TABLE = "answers"


def write_answers(
    answers: Iterable[Answer], labels: Sequence[str], *, table: Path | None = None, tables: ColumnsTarget | None = None
) -> None:
    """Write answers, each with its input's name, in the order in which they come.

    Parameters
    ----------
    labels
        The categories of the classifier.
    table
        A CSV file, also in a bucket; None for none.
    tables
        A place for Parquet; None for none.

    Raises
    ------
    IsothermError
        A table cannot be written; then the file is not there, and those of Parquet are marked as unfinished.
    """
    names = ["name", *ANSWER_COLUMNS, *(f"p {label}" for label in labels)]
    line = csv_encoder(names)
    with open_place(table.parent).opened(table.name) if table else nullcontext() as stream:

        def written() -> Iterator[Answer]:
            if stream is not None:
                stream.write(line(dict(zip(names, names, strict=True))))
            for name, answer in answers:
                if stream is not None:
                    stream.write(line(answer_row(name, answer)))
                yield name, answer

        if tables is not None:
            tables.write_table(TABLE, answer_columns(labels), (answer_cells(*each) for each in written()))
        else:
            for _ in written():
                pass


def answer_columns(labels: Sequence[str]) -> list[Column]:
    """Return the columns of Parquet: those of the CSV file, typed, with a probability for each category."""
    kinds = [Column("confidence", "number"), Column("nearest", "text"), Column("distance", "number")]
    before = [Column("name", "text"), Column("answer", "text"), *kinds, Column("rejected", "flag")]
    probabilities = [Column(f"p {label}", "number") for label in labels]
    return [*before, Column("reason", "text"), Column("error", "text"), *probabilities]


def answer_cells(name: str, answer: Classified) -> Cells:
    """Return an answer as cells of `answer_columns`; one that could not be given has nothing but its name and why."""
    if answer.error:
        return {"name": name, "error": answer.error}
    return {
        "name": name,
        "answer": answer.label,
        "confidence": answer.confidence,
        "nearest": answer.nearest,
        "distance": answer.distance,
        "rejected": answer.rejected,
        "reason": answer.reason or None,
        **{f"p {label}": value for label, value in answer.probabilities.items()},
    }
