"""``isotherm benchmark``: evaluate methods on data sets with several seeds, into one table and one plot."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_device
from isotherm.cli.main import EXIT_FAILED, EXIT_SOME_FAILED
from isotherm.cli.progress import bar
from isotherm.workflows.benchmark import CellResult, run_benchmark
from isotherm.workflows.benchmark_config import read_benchmark
from isotherm.workflows.benchmark_table import FIGURE, TABLE_CSV, TABLE_MD


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 - no flag depends on another
    """Add the command's arguments."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="TOML file: seeds, [[data]] and [[method]] tables")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--resume", action="store_true", help="go on with a benchmark that was interrupted")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark; status 3 where some cells failed, 1 where all did."""
    benchmark = read_benchmark(arguments.config, jobs=arguments.jobs)
    with bar() as progress:
        results = run_benchmark(benchmark, arguments.output, resume=arguments.resume, progress=progress, told=_tell)
    print((arguments.output / TABLE_MD).read_text(encoding="utf-8"))
    print(f"{arguments.output}: {TABLE_CSV}, {TABLE_MD}, {FIGURE}")
    failed = sum(bool(result.error) for result in results)
    return 0 if not failed else EXIT_FAILED if failed == len(results) else EXIT_SOME_FAILED


def _tell(place: int, total: int, result: CellResult) -> None:
    if result.metrics is None:
        said = f"failed: {result.error}"
    else:
        auroc = result.metrics["pooled"]["image"]["auroc"]["value"]
        said = "AUROC not defined" if auroc is None else f"AUROC {auroc:.3f}"
    print(f"{place}/{total} {result.cell.name}: {said} ({result.wall_s:.0f} s)", flush=True)
