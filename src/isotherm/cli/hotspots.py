"""``isotherm hotspots``: find hot regions, measure them and judge their severity, without a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, add_parquet, add_results, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.cli.terminal import harmless
from isotherm.core.findings import ImageResult, Inspection
from isotherm.core.memory import keep_freed_memory
from isotherm.core.progress import Progress
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import HotspotSettings
from isotherm.measurement.severity import SEVERITY_TABLES, load_table
from isotherm.reports import REPORT_WRITERS, palette
from isotherm.reports.content import Gathering, cautions, facts
from isotherm.workflows.inspect import SEVERITY, InspectSettings, inspect
from isotherm.workflows.models import load_model
from isotherm.workflows.reading import exit_status
from isotherm.workflows.remote_inputs import address_of, path_of
from isotherm.workflows.run_end import Taker
from isotherm.workflows.run_folder import Existing
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.scaled_inspect import inspect_in_chunks
from isotherm.workflows.sidecar import sidecar_notes
from isotherm.workflows.spans import SPAN_HELP, parse_span

METHOD, REPORTS = "region_growing", "html,csv"
FLAGS_BY_METHOD = HOTSPOT_METHODS
WORST = 5
TOLD = 10
"""How many failed files are named on standard error; the results have them all."""


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of a run, and the flags of the hotspot method that `argv` names."""
    method = HOTSPOT_METHODS.get(chosen(list(argv), "--method", METHOD))
    methods, tables = ", ".join(HOTSPOT_METHODS.names()), ", ".join(SEVERITY_TABLES)
    parser.add_argument(
        "path", type=path_of, metavar="PATH", help="a picture, or a folder or s3://bucket/prefix of pictures"
    )
    add_results(parser, "the results")
    parser.add_argument(
        "--method", default=METHOD, metavar="NAME", help=f"hotspot method, one of {methods} (default {METHOD})"
    )
    parser.add_argument(
        "--severity",
        default=SEVERITY,
        metavar="TABLE",
        help=f"severity table: {tables}, a JSON or TOML file of your own, or none (default {SEVERITY})",
    )
    parser.add_argument(
        "--report",
        default=REPORTS,
        metavar="NAMES",
        help=f"reports, with commas between: {', '.join(REPORT_WRITERS.names())} (default {REPORTS}; csv always)",
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that read and that draw (default 2)")
    parser.add_argument("--no-panels", action="store_true", help="draw no panels (faster; the page has no pictures)")
    parser.add_argument("--span", default="auto", metavar="SPAN", help=f"in the panels: {SPAN_HELP}")
    parser.add_argument(
        "--palette",
        default="iron",
        metavar="NAME",
        help=f"colours of temperatures in the panels: {', '.join(palette.FOR_TEMPERATURES)} (default iron)",
    )
    parser.add_argument("--maps", action="store_true", help="store anomaly maps and temperatures as NPZ")
    add_parquet(parser)
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="continue an interrupted run in OUT")
    existing.add_argument("--overwrite", action="store_true", help="replace an earlier inspection in OUT")
    add_flags(parser, ScaleSettings, "many pictures, several processes or machines")
    add_flags(parser, method.config_type, f"hotspot method {method.name}")
    add_flags(parser, HotspotSettings, "hotspots of every method")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def run(arguments: argparse.Namespace) -> int:
    """Find, measure, judge and report hotspots."""
    return run_inspection(arguments)


def run_inspection(arguments: argparse.Namespace, model: Path | None = None) -> int:
    """Run the inspection that the arguments describe, say what came out, and return the exit status."""
    settings, scale = settings_from(arguments), from_flags(ScaleSettings, arguments)
    keep_freed_memory()
    seen = _Seen()
    with bar() as progress:
        inspection = _inspected(arguments, settings, scale, model, progress, seen.add)
    _tell(inspection, seen, arguments.output, settings)
    totals = seen.gathering.totals
    return exit_status(totals.failed, totals.images)


class _Seen:
    """What is told of the results, which go by once."""

    def __init__(self) -> None:
        self.gathering = Gathering(None, most=TOLD)
        self.sidecars: list[tuple[str, str]] = []
        self.more_sidecars = 0

    def add(self, result: ImageResult) -> None:
        self.gathering.add(result)
        notes = [(result.image, note) for note in sidecar_notes(result.notes)]
        room = TOLD - len(self.sidecars)
        self.sidecars += notes[:room]
        self.more_sidecars += len(notes[room:])


def _inspected(
    arguments: argparse.Namespace,
    settings: InspectSettings,
    scale: ScaleSettings,
    model: Path | None,
    progress: Progress,
    look: Taker,
) -> Inspection:
    path, out = arguments.path, arguments.output
    if scale.asked:
        return inspect_in_chunks(path, out, scale=scale, model=model, settings=settings, progress=progress, look=look)
    learnt = load_model(model) if model else None
    return inspect(path, out, model=learnt, settings=settings, progress=progress, look=look)


def settings_from(arguments: argparse.Namespace) -> InspectSettings:
    """Return the settings that the flags describe; raises UsageError for a wrong value."""
    config_type = HOTSPOT_METHODS.get(arguments.method).config_type
    return InspectSettings(
        method=arguments.method,
        config=from_flags(config_type, arguments),
        hotspots=from_flags(HotspotSettings, arguments),
        table=None if arguments.severity == "none" else load_table(arguments.severity),
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        reports=tuple(name.strip() for name in arguments.report.split(",") if name.strip()),
        panels=not arguments.no_panels,
        maps=arguments.maps,
        span=parse_span(arguments.span),
        palette=arguments.palette,
        jobs=arguments.jobs,
        existing=_existing(arguments),
        tables=arguments.parquet,
    )


def _existing(arguments: argparse.Namespace) -> Existing:
    if arguments.resume:
        return "resume"
    return "overwrite" if arguments.overwrite else "refuse"


def _tell(inspection: Inspection, seen: _Seen, out: Path, settings: InspectSettings) -> None:
    totals, worst = seen.gathering.totals, seen.gathering.ranked[:WORST]
    for result in seen.gathering.failed:
        print(f"isotherm: {harmless(result.image)}: {harmless(result.error)}", file=sys.stderr)
    if totals.failed > TOLD:
        print(f"isotherm: {totals.failed - TOLD} more files failed; {out}/results.csv has all reasons", file=sys.stderr)
    print(f"{totals.read} of {totals.images} pictures inspected")
    if totals.without_temperatures:
        print(f"  without temperatures {totals.without_temperatures}: no degrees, no severity (isotherm info says why)")
    if inspection.model is not None:
        threshold = inspection.model["calibration"]["threshold"]
        print(f"  anomalies {totals.anomalies} (score above {threshold:.4g})")
    print(f"  hotspots  {totals.hotspots}")
    _tell_sidecars(seen)
    if worst:
        print("worst first")
    for result in worst:
        print(f"  {harmless(result.image)}  {facts(result)}")
        for caution in cautions(result):
            print(f"    {harmless(caution)}")
    names = [REPORT_WRITERS.get(name).filename for name in dict.fromkeys((*settings.reports, "csv"))]
    places = [address_of(out / name) for name in names] + ([settings.tables] if settings.tables else [])
    print(f"written   {', '.join(places)}")


def _tell_sidecars(seen: _Seen) -> None:
    """Say which pictures were changed by a file beside them: their temperatures are not what the camera's file says."""
    for image, note in seen.sidecars:
        print(f"note: {harmless(image)}: {harmless(note)}")
    if seen.more_sidecars:
        print(f"note: {seen.more_sidecars} more sidecars; results.json has them all")
