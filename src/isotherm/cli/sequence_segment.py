"""``isotherm sequence segment``: defects of a recording, without learning: where, how big, how deep."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.sequences.defects import Defect, DefectRules
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import SEGMENT_METHODS
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
    parser.add_argument("path", type=Path, metavar="FILE", help="a recording: a file, or a folder of frames")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument(
        "--method",
        default=METHOD,
        metavar="NAME",
        help=f"one of {', '.join(SEGMENT_METHODS.names())} (default {METHOD})",
    )
    add_flags(parser, PrepareSettings, "the recording")
    add_flags(parser, FeaturesConfig, "maps", prefix="maps")
    add_flags(parser, method.config_type, f"method {method.name}", prefix=method.name)
    add_flags(parser, DefectRules, "defects")
    add_flags(parser, DepthSettings, "depth")


def run(arguments: argparse.Namespace) -> int:
    """Find, measure, write, and say what was found."""
    config_type = SEGMENT_METHODS.get(arguments.method).config_type
    settings = SegmentSettings(
        method=arguments.method,
        config=from_flags(config_type, arguments, prefix=arguments.method),
        features=from_flags(FeaturesConfig, arguments, prefix="maps"),
        prepare=from_flags(PrepareSettings, arguments),
        rules=from_flags(DefectRules, arguments),
        depth=from_flags(DepthSettings, arguments),
    )
    with bar() as progress:
        result = segment_recording(arguments.path, settings, progress=progress)
    written = write_segmentation(result, arguments.output, settings)
    print(f"{result.name}: {len(result.defects)} defects")
    for defect in result.defects:
        print(f"  {_line(defect)}")
    for note in result.notes:
        print(f"  note: {note}")
    print(f"written   {', '.join(map(str, written))}")
    return 0


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
