"""The table and the plot of a benchmark: one row for each method on each data set, over its seeds."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isotherm.workflows.benchmark_config import Benchmark, Cell
from isotherm.workflows.evaluate import EvaluateSettings

TABLE_CSV, TABLE_MD, FIGURE = "benchmark.csv", "benchmark.md", "benchmark.png"
IMAGE = {"auroc": "AUROC", "average_precision": "AP", "f1": "F1", "f1_max": "F1-max\\*"}
PIXEL = {"pixel_auroc": "pixel AUROC", "aupro": "AUPRO", "aupimo": "AUPIMO", "iou": "IoU"}
TIMINGS = ("train_cpu_s", "images_per_s", "model_bytes")
Found = tuple[Cell, Mapping[str, Any] | None, str]


@dataclass(frozen=True)
class Spread:
    """A metric over seeds.

    Parameters
    ----------
    mean, deviation
        Over the seeds that gave a number; the deviation is NaN with one seed.
    low, high
        The 95 % bootstrap interval over pictures, its ends averaged over seeds; NaN where there is none.
    """

    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class TableRow:
    """One method on one data set."""

    data: str
    method: str
    protocol: str
    seeds: int
    failed: int
    normal: int
    anomalous: int
    metrics: Mapping[str, Spread | None]
    timings: Mapping[str, float]
    errors: tuple[str, ...]


def rows_of(benchmark: Benchmark, found: Sequence[Found]) -> list[TableRow]:
    """Return a row for each data set and method of which a cell has ended, in the benchmark's order."""
    rows = []
    for data in benchmark.data:
        for method in benchmark.methods:
            cells = [each for each in found if each[0].data is data and each[0].method is method]
            if cells:
                rows.append(_row(cells))
    return rows


def _row(cells: Sequence[Found]) -> TableRow:
    first = cells[0][0]
    good = [metrics for _, metrics, _ in cells if metrics is not None]
    counts = [metrics["pooled"]["counts"] for metrics in good]
    return TableRow(
        data=first.data.name,
        method=first.method.label,
        protocol=_protocol(first.data.settings),
        seeds=len(good),
        failed=len(cells) - len(good),
        normal=round(float(np.mean([each["normal"] for each in counts]))) if counts else 0,
        anomalous=round(float(np.mean([each["anomalous"] for each in counts]))) if counts else 0,
        metrics={
            name: _spread([metrics["pooled"][part][name] for metrics in good])
            for part, names in (("image", IMAGE), ("pixel", PIXEL))
            for name in names
        },
        timings={name: float(np.mean([each["timings"][name] for each in good])) for name in TIMINGS} if good else {},
        errors=tuple(f"seed {cell.seed}: {error}" for cell, _, error in cells if error),
    )


def _protocol(settings: EvaluateSettings) -> str:
    return f"{settings.folds} folds" if settings.protocol == "kfold" else settings.protocol


def _spread(measured: Sequence[Mapping[str, Any]]) -> Spread | None:
    known = [each for each in measured if each["value"] is not None]
    if not known:
        return None
    values = [each["value"] for each in known]
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    low, high = (_mean_end(known, end) for end in ("low", "high"))
    return Spread(float(np.mean(values)), deviation, low, high)


def _mean_end(known: Sequence[Mapping[str, Any]], end: str) -> float:
    ends = [each[end] for each in known if each.get(end) is not None]
    return float(np.mean(ends)) if len(ends) == len(known) else float("nan")


# --- CSV and Markdown -------------------------------------------------------------------------------------------------


def table_csv(rows: Sequence[TableRow]) -> str:
    """Return one line a row with every number in full; what is not defined is empty."""
    stream = io.StringIO()
    names = [f"{name}_{part}" for name in (*IMAGE, *PIXEL) for part in ("mean", "deviation", "low", "high")]
    head = ["data", "method", "protocol", "seeds", "failed", "normal", "anomalous"]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*head, *names, *TIMINGS, "errors"])
    for row in rows:
        numbers = [value for spread in row.metrics.values() for value in _four(spread)]
        texts = ["" if np.isnan(value) else repr(value) for value in numbers]
        timings = [repr(row.timings[name]) if row.timings else "" for name in TIMINGS]
        writer.writerow([*(getattr(row, name) for name in head), *texts, *timings, "; ".join(row.errors)])
    return stream.getvalue()


def _four(spread: Spread | None) -> tuple[float, float, float, float]:
    nothing = float("nan")
    return (spread.mean, spread.deviation, spread.low, spread.high) if spread else (nothing,) * 4


def table_markdown(rows: Sequence[TableRow], benchmark: Benchmark) -> str:
    """Return one table, the best mean of each data set in bold, then what the numbers mean, then what failed."""
    shown = [name for name in (*IMAGE, *PIXEL) if any(row.metrics[name] for row in rows)]
    titles = {**IMAGE, **PIXEL}
    head = ["data", "protocol", "method", "normal", "anomalous", *(titles[name] for name in shown)]
    lines = [[*head, "train [CPU s]", "images/s", "model [MB]"]]
    lines.append(["---"] * 3 + ["---:"] * (len(lines[0]) - 3))
    for row in rows:
        cells = [_cell(row, name, best=_is_best(row, name, rows)) for name in shown]
        counts = [str(row.normal), str(row.anomalous)] if row.seeds else ["", ""]
        lines.append([row.data, row.protocol, row.method, *counts, *cells, *_speeds(row)])
    text = "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)
    return f"{text}\n\n{_legend(rows, benchmark)}"


def _is_best(row: TableRow, name: str, rows: Sequence[TableRow]) -> bool:
    spreads = [each.metrics[name] for each in rows if each.data == row.data]
    means = [round(spread.mean, 3) for spread in spreads if spread]
    own = row.metrics[name]
    return own is not None and len(means) > 1 and round(own.mean, 3) == max(means)


def _cell(row: TableRow, name: str, *, best: bool) -> str:
    spread = row.metrics[name]
    if spread is None:
        return "failed" if not row.seeds else "–"
    text = f"**{spread.mean:.3f}**" if best else f"{spread.mean:.3f}"
    text += "" if np.isnan(spread.deviation) else f" ± {spread.deviation:.3f}"
    return text if np.isnan(spread.low) else f"{text} [{spread.low:.3f}, {spread.high:.3f}]"


def _speeds(row: TableRow) -> list[str]:
    if not row.timings:
        return ["", "", ""]
    seconds, speed, size = (row.timings[name] for name in TIMINGS)
    return [_round(seconds), _round(speed), _round(size / 1e6)]


def _round(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _legend(rows: Sequence[TableRow], benchmark: Benchmark) -> str:
    seeds = ", ".join(map(str, benchmark.seeds))
    lines = [
        f"Mean ± standard deviation over the seeds {seeds} (of splits and training) [95 % bootstrap interval over "
        "pictures, its ends averaged over seeds]. Bold: the best mean of a data set; differences within the intervals "
        "mean little. – not defined for these data. \\* fitted on the judged labels: an upper bound, no promise. "
        "Training: CPU seconds of all folds together. images/s: from files to scores.",
    ]
    failed = [(row, error) for row in rows for error in row.errors]
    if failed:
        lines += ["", "Failed:", "", *(f"- {row.data}, {row.method}, {_escaped(error)}" for row, error in failed)]
    return "\n".join(lines) + "\n"


# --- the plot ---------------------------------------------------------------------------------------------------------


def plot(rows: Sequence[TableRow]) -> bytes:
    """Draw AUROC against images/s, a panel for each data set; returns a PNG."""
    # matplotlib takes half a second to import; nothing else here needs it.
    from isotherm.reports.figures_benchmark import Point, speed_and_accuracy

    panels: dict[str, list[Point]] = {}
    for row in rows:
        points = panels.setdefault(row.data, [])
        spread = row.metrics["auroc"]
        if spread is not None:
            points.append(Point(row.method, row.timings["images_per_s"], spread.mean, spread.low, spread.high))
    return speed_and_accuracy(panels)
