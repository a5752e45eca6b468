"""``isotherm features``: what a frozen network says about each picture of a folder, as one HDF5 file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.classification.features import FeatureConfig
from isotherm.cli.flags import add_flags, add_overwrite, from_flags
from isotherm.cli.main import EXIT_SOME_FAILED
from isotherm.cli.progress import bar
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.workflows.classify_data import labelled_folder
from isotherm.workflows.classify_features import extract_features
from isotherm.workflows.classify_rows import LookSettings, Reading

DATA_HELP = (
    "folder of images, DIR/<category>/..., or DIR/train/<category>/... and DIR/test/<category>/..., or with a table "
    "labels.csv"
)


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument("data", type=Path, metavar="DIR", help=DATA_HELP)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="HDF5 file; an interrupted run of it goes on"
    )
    add_overwrite(parser)
    add_flags(parser, FeatureConfig, "features")
    add_flags(parser, LookSettings, "pictures")
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the flags of how labelled pictures are read."""
    text = "CSV table (file, group) of images that depend on each other, such as those of one item"
    parser.add_argument("--groups", type=Path, metavar="CSV", help=text)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def reading_of(arguments: argparse.Namespace, features: FeatureConfig | None = None) -> Reading:
    """Return what `add_reading` asked for."""
    return Reading(
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        jobs=arguments.jobs,
        features=features or FeatureConfig(),
    )


def run(arguments: argparse.Namespace) -> int:
    """Compute the features, write the file and say what came out; status 3 where some files could not be used."""
    folder = labelled_folder(arguments.data, groups=arguments.groups)
    with bar() as progress:
        report = extract_features(
            folder,
            arguments.output,
            settings=from_flags(LookSettings, arguments),
            reading=reading_of(arguments, from_flags(FeatureConfig, arguments)),
            overwrite=arguments.overwrite,
            progress=progress,
        )
    for item in report.skipped:
        print(f"isotherm: skipped {item.name}: {item.error}", file=sys.stderr)
    for note in folder.notes:
        print(f"note: {note}")
    earlier = f", {report.resumed} of an earlier run" if report.resumed else ""
    what = f"{report.features} features of {report.pictures} images in {len(report.categories)} categories"
    print(f"{arguments.output}: {what}{earlier}")
    return EXIT_SOME_FAILED if report.skipped else 0
