"""``isotherm trend FILE...``: how the temperatures of one asset have changed from picture to picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, from_flags
from isotherm.cli.main import EXIT_SOME_FAILED
from isotherm.core.scene import SceneEdit
from isotherm.measurement.asset_trend import Row
from isotherm.measurement.trend import Change, Sample, Series, TrendSettings
from isotherm.workflows.output_files import check_folder
from isotherm.workflows.trend import OTHER_VIEW, FileTrend, file_trend, parse_loads, write_trend


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of the command."""
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="pictures of one asset, or folders of them")
    parser.add_argument(
        "--load", action="append", default=[], metavar="NAME=PERCENT",
        help="load of the asset in the file of that name [%% of its rated current]; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--rated-rise-k",
        type=float,
        metavar="K",
        help="rise over the air that the maker allows at the rated current [K]",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder for trend.json, trend.csv and a drawing a quantity"
    )
    add_flags(parser, TrendSettings, "how inspections are compared")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")


def run(arguments: argparse.Namespace) -> int:
    """Tell the trend, its alarms, and whether the pictures show one view."""
    if arguments.output is not None:
        check_folder(arguments.output)
    found = file_trend(
        arguments.paths,
        loads=parse_loads(arguments.load),
        rated_rise_k=arguments.rated_rise_k,
        settings=from_flags(TrendSettings, arguments),
        edit=from_flags(SceneEdit, arguments),
    )
    _tell(found)
    if arguments.output is not None:
        for path in write_trend(found, arguments.output):
            print(f"written   {path}")
    return EXIT_SOME_FAILED if found.failed else 0


def _tell(found: FileTrend) -> None:
    for row in found.trend.rows:
        print(_line(row, found))
    for series in found.trend.series:
        if series.last is not None and series.first is not None:
            changes = dict.fromkeys((_change(series.last, series), _change(series.first, series)))
            print(f"{series.name:<16}{'; '.join(changes)}")
    for series in found.trend.alarms:
        print(f"ALARM     {series.name} has risen beyond its uncertainty")
    if found.trend.above_allowed:
        print("ALARM     hotter than the rating allows at this load")
    if not found.trend.alarms and not found.trend.above_allowed:
        print("no alarm")
    if strange := sum(view.startswith(OTHER_VIEW) for view in found.views.values()):
        print(f"caution   {strange} not in the view of the newest picture: their hottest point may be of another thing")
    for outcome in found.failed:
        print(f"{outcome.name}: {outcome.error}", file=sys.stderr)


def _line(row: Row, found: FileTrend) -> str:
    load = "load not known" if row.look.load_percent is None else f"load {row.look.load_percent:g} %"
    parts = [f"max {_value(row.max_c, '°C')}", f"delta-T {_value(row.delta_t_k, 'K')}", load]
    if row.rated_delta_t_k is not None:
        parts.append(f"at the rated load {_value(row.rated_delta_t_k, 'K')}")
    view = found.views.get(row.look.key, "the newest")
    return f"{row.look.at:%Y-%m-%d %H:%M}  {row.look.key}: {', '.join(parts)}; {view}"


def _value(sample: Sample | None, unit: str) -> str:
    if sample is None:
        return "none"
    bar = "" if sample.uncertainty is None else f" ± {2 * sample.uncertainty:.1f}"
    return f"{sample.value:.1f}{bar} {unit}"


def _change(change: Change, series: Series) -> str:
    unit = "K" if series.unit == "°C" else series.unit
    bar = "no uncertainty" if change.expanded is None else f"± {change.expanded:.1f}"
    return f"{change.difference:+.1f} {unit} ({bar}) since {change.since:%Y-%m-%d %H:%M}"
