"""Run a benchmark: one evaluation a cell, written as it ends, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotherm.core.errors import IsothermError, OutputError
from isotherm.core.files import make_folder, write_whole
from isotherm.core.progress import Progress, silent
from isotherm.workflows.benchmark_config import Benchmark, Cell
from isotherm.workflows.benchmark_table import (
    FIGURE,
    TABLE_CSV,
    TABLE_MD,
    TableRow,
    plot,
    rows_of,
    table_csv,
    table_markdown,
)
from isotherm.workflows.evaluate import evaluate
from isotherm.workflows.evaluation_result import Evaluation, write_evaluation

JOURNAL, CELLS = "journal.jsonl", "cells"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class CellResult:
    """One finished cell.

    Parameters
    ----------
    error
        Why it failed; empty where it did not.
    metrics
        What `isotherm evaluate` found (``pooled``, ``timings`` and ``decisions`` of its metrics); None where it failed.
    """

    cell: Cell
    error: str
    metrics: Mapping[str, Any] | None
    wall_s: float


Told = Callable[[int, int, CellResult], None]


def run_benchmark(
    benchmark: Benchmark,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress = silent,
    told: Told = lambda *_: None,
) -> list[CellResult]:
    """Evaluate every cell; write the table after each and the plot after the last.

    Parameters
    ----------
    out
        The folder: journal, table (CSV, Markdown), plot, and a folder of each cell's files.
    resume
        Take finished cells of the same settings from the journal; failed ones are tried again.
    progress
        Of the cell at work.
    told
        Called after each cell that was run, with its place from 1 on, the number of all, and its result.

    Returns
    -------
    list
        A result for each cell, in the benchmark's order; a failed cell stops nothing.

    Raises
    ------
    OutputError
        The folder cannot be written, or holds a benchmark and `resume` is not asked for.
    """
    journal = make_folder(out) / JOURNAL
    stored = _stored(journal) if resume else _begun(journal)
    results = [_from_stored(cell, stored) for cell in benchmark.cells]
    for place, cell in enumerate(benchmark.cells):
        if results[place] is None:
            results[place] = result = _run(cell, out, progress)
            _append(journal, result)
            _write_table(benchmark, results, out)
            told(place + 1, len(benchmark.cells), result)
    write_whole(out / FIGURE, plot(_write_table(benchmark, results, out)))
    return [result for result in results if result is not None]


def _run(cell: Cell, out: Path, progress: Progress) -> CellResult:
    start = time.perf_counter()

    def report(done: int, total: int, message: str) -> None:
        progress(done, total, f"{cell.name}: {message}")

    try:
        evaluation = evaluate(
            cell.data.source,
            cell.subject(),
            settings=cell.data.settings,
            costs=cell.data.costs,
            seed=cell.seed,
            progress=report,
        )
        write_evaluation(evaluation, out / CELLS / cell.folder)
    except OutputError:
        # The rest could not be written either.
        raise
    except Exception as error:  # noqa: BLE001 - a benchmark is a worker: whatever breaks in one cell is that cell's result
        known = isinstance(error, IsothermError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        return CellResult(cell, reason, None, time.perf_counter() - start)
    return CellResult(cell, "", _kept(evaluation), time.perf_counter() - start)


def _kept(evaluation: Evaluation) -> dict[str, Any]:
    kept = {name: evaluation.metrics[name] for name in ("created_at", "isotherm", "protocol", "pooled", "timings")}
    return kept | {"cost": evaluation.metrics["decisions"]["cost"]}


# --- the journal ------------------------------------------------------------------------------------------------------


def _begun(journal: Path) -> list[dict[str, Any]]:
    if journal.exists():
        raise OutputError(f"{journal.parent} holds a benchmark already: go on with --resume, or name another folder")
    write_whole(journal, (json.dumps({"isotherm_benchmark": FORMAT_VERSION}) + "\n").encode())
    return []


def _stored(journal: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal; a last one without its end was cut off when the run was killed, and is dropped."""
    if not journal.exists():
        return _begun(journal)
    try:
        data = journal.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        head, *lines = [json.loads(line) for line in whole.splitlines()] or [{}]
        if head.get("isotherm_benchmark") != FORMAT_VERSION:
            raise OutputError(f"{journal} is not of this version of isotherm; name another folder")
        if whole != data:
            write_whole(journal, whole)
    except (OSError, ValueError, AttributeError) as error:
        raise OutputError(f"{journal} is damaged ({error}); name another folder") from error
    return lines


def _from_stored(cell: Cell, lines: Sequence[Mapping[str, Any]]) -> CellResult | None:
    identity = json.loads(json.dumps(cell.identity()))
    same = [line for line in lines if line.get("identity") == identity and not line.get("error")]
    return CellResult(cell, "", same[-1]["metrics"], same[-1]["wall_s"]) if same else None


def _append(journal: Path, result: CellResult) -> None:
    line = {
        "cell": result.cell.name,
        "identity": result.cell.identity(),
        "error": result.error,
        "metrics": result.metrics,
        "wall_s": result.wall_s,
    }
    try:
        with journal.open("ab") as stream:
            stream.write(
                (json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
            )
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {journal}: {error.strerror}") from error


def _write_table(benchmark: Benchmark, results: Sequence[CellResult | None], out: Path) -> list[TableRow]:
    found = [(each.cell, each.metrics, each.error) for each in results if each]
    rows = rows_of(benchmark, found)
    write_whole(out / TABLE_CSV, table_csv(rows).encode("utf-8", "backslashreplace"))
    write_whole(out / TABLE_MD, table_markdown(rows, benchmark).encode("utf-8", "backslashreplace"))
    return rows
