"""``isotherm sequence segment``: defects of recordings, by a method or a taught network: where, how big, how deep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, add_parquet, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.cli.recording_flags import add_recordings
from isotherm.core.config import settings_of
from isotherm.core.errors import UsageError
from isotherm.sequences.defect_model import DefectModel, LearnedConfig, shipped_models
from isotherm.sequences.defects import Defect, DefectRules
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import SEGMENT_METHODS
from isotherm.workflows.reading import exit_status
from isotherm.workflows.recordings_output import SUMMARY, RecordingsOutput
from isotherm.workflows.remote_inputs import address_of
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.scaled_segment import segment_in_chunks
from isotherm.workflows.sequence_batch import Batch, SummaryRow, places_of, segment_recordings, summary_row
from isotherm.workflows.sequence_opening import PrepareSettings
from isotherm.workflows.sequence_segment import (
    METHOD,
    DepthSettings,
    SegmentSettings,
    segment_recording,
    write_segmentation,
)


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command, and the flags of the method that `argv` names."""
    method = SEGMENT_METHODS.get(chosen(list(argv), "--method", METHOD))
    add_recordings(parser, "results")
    parser.add_argument(
        "--method", metavar="NAME", help=f"one of {', '.join(SEGMENT_METHODS.names())} (default {METHOD})"
    )
    known = f", or one of {', '.join(shipped_models())}, which come with isotherm" if shipped_models() else ""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help=f"a taught network in place of a method: a folder of isotherm sequence train{known}",
    )
    add_parquet(parser)
    add_flags(parser, LearnedConfig, "the network (--model)")
    add_flags(parser, PrepareSettings, "the recording")
    add_flags(parser, FeaturesConfig, "maps (a network brings its own)", prefix="maps")
    add_flags(parser, method.config_type, f"method {method.name}", prefix=method.name)
    add_flags(parser, DefectRules, "defects")
    add_flags(parser, DepthSettings, "depth")
    add_flags(parser, ScaleSettings, "many recordings, several processes or machines")


def run(arguments: argparse.Namespace) -> int:
    """Find, measure, write, and say what was found; 3 where some of several recordings could not be used, 1 if all."""
    settings = _settings(arguments)
    places = places_of(arguments.paths)
    scale, out = from_flags(ScaleSettings, arguments), RecordingsOutput(arguments.output, arguments.parquet)
    if len(places) == 1 and places[0].named and not scale.asked:
        return _one(places[0].path, out, settings)
    with bar() as progress:
        if scale.asked:
            batch = segment_in_chunks(places, out, settings, scale=scale, model=arguments.model, progress=progress)
        else:
            batch = segment_recordings(places, out, settings, progress=progress)
    return _tell(batch, arguments.output)


def _settings(arguments: argparse.Namespace) -> SegmentSettings:
    _check_together(arguments)
    method = arguments.method or METHOD
    return SegmentSettings(
        method=method,
        config=from_flags(SEGMENT_METHODS.get(method).config_type, arguments, prefix=method),
        model=DefectModel.load(arguments.model) if arguments.model else None,
        learned=from_flags(LearnedConfig, arguments),
        features=from_flags(FeaturesConfig, arguments, prefix="maps"),
        prepare=from_flags(PrepareSettings, arguments),
        rules=from_flags(DefectRules, arguments),
        depth=from_flags(DepthSettings, arguments),
    )


def _check_together(arguments: argparse.Namespace) -> None:
    """Raise UsageError where flags of a method and of a network are mixed."""
    if arguments.model is None:
        given = _given(arguments, LearnedConfig, "")
        if given:
            raise UsageError(f"{given[0]} goes with --model")
        return
    if arguments.method is not None:
        raise UsageError("--method and --model: a network takes the place of a method; give one of them")
    given = _given(arguments, FeaturesConfig, "maps_") + _given(
        arguments, SEGMENT_METHODS.get(METHOD).config_type, f"{METHOD}_"
    )
    if given:
        raise UsageError(f"{given[0]} goes with --method; a network (--model) brings what it was taught with")


def _given(arguments: argparse.Namespace, config_type: type, prefix: str) -> list[str]:
    names = [prefix + item.name for item in settings_of(config_type)]
    return ["--" + name.replace("_", "-") for name in names if getattr(arguments, name) is not None]


def _one(path: Path, out: RecordingsOutput, settings: SegmentSettings) -> int:
    summary = out.open()
    with bar() as progress:
        result = segment_recording(path, settings, progress=progress)
    written = write_segmentation(result, out.folder, settings)
    summary.write_tables([summary_row(result.name, "", result)])
    print(f"{result.name}: {len(result.defects)} {'defect' if len(result.defects) == 1 else 'defects'}")
    for defect in result.defects:
        print(f"  {_line(defect)}")
    for note in result.notes:
        print(f"  note: {note}")
    print(f"written   {', '.join(map(address_of, written))}")
    return 0


def _tell(batch: Batch, folder: Path) -> int:
    for row in batch.rows:
        print(_summed(row), file=sys.stderr if row.status == "failed" else sys.stdout)
    for note in batch.notes:
        print(f"  note: {note}")
    print(f"written   {address_of(folder / SUMMARY)}")
    return exit_status(batch.failed, len(batch.rows))


def _summed(row: SummaryRow) -> str:
    if row.status == "failed":
        return f"isotherm: {row.recording}: {row.reason}"
    return f"{row.recording}: {row.defects} defects, {row.area_px} px" + (
        f", {row.rejected} rejected" if row.rejected else ""
    )


def _line(defect: Defect) -> str:
    box = defect.region.box
    size = f"{defect.diameter_px:.1f} px" if defect.diameter_mm is None else f"{defect.diameter_mm:.1f} mm"
    parts = [f"{defect.number:3}  at {box.x + box.width // 2}, {box.y + box.height // 2}", f"diameter {size}"]
    if defect.depth_mm is not None:
        sigma = "" if defect.depth_sigma_mm is None else f" ± {2 * defect.depth_sigma_mm:.2f}"
        parts.append(f"depth {defect.depth_mm:.2f}{sigma} mm (k = 2)")
    best = defect.best_map
    parts += [f"contrast to noise {abs(defect.cnr[best]):.0f} in {best}"] if best else []
    parts += [defect.depth_doubt] if defect.depth_doubt else []
    return ", ".join(parts)
