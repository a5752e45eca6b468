"""``isotherm labels convert``: labels of LabelMe, COCO and PNG, each into any other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from isotherm.datasets.label_files import Kind, LabelRules
from isotherm.datasets.label_masks import Polarity
from isotherm.datasets.labelme import LabelMeRules
from isotherm.workflows.labels import convert_labels
from isotherm.workflows.reading import exit_status

_RULES = LabelMeRules()


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of the command."""
    parser.add_argument("path", type=Path, metavar="LABELS", help="a label file, or a folder of them")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument("--to", choices=get_args(Kind), required=True, help="what is written")
    add_rules(parser)
    parser.add_argument(
        "--write-polarity",
        choices=get_args(Polarity),
        default="bright",
        help="side of the defects in PNG of one class (default bright)",
    )


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add how label files are read."""
    parser.add_argument(
        "--polarity",
        choices=get_args(Polarity),
        help="side of the defects in grey masks; the rarer one where not given, and a note says so",
    )
    parser.add_argument("--classes", metavar="NAMES", help="classes by number, with commas between")
    parser.add_argument(
        "--line-px",
        type=int,
        default=_RULES.line_px,
        metavar="N",
        help=f"width of lines of LabelMe [px] (default {_RULES.line_px})",
    )
    parser.add_argument(
        "--point-px",
        type=int,
        default=_RULES.point_px,
        metavar="N",
        help=f"radius of points of LabelMe [px] (default {_RULES.point_px})",
    )


def rules_from(arguments: argparse.Namespace) -> LabelRules:
    """Return the rules that the flags describe."""
    classes = tuple(name.strip() for name in arguments.classes.split(",")) if arguments.classes else None
    return LabelRules(arguments.polarity, LabelMeRules(classes, arguments.line_px, arguments.point_px))


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say what was written; 3 where some files could not be read, 1 where none could."""
    failed = total = 0
    for done in convert_labels(
        arguments.path, arguments.output, arguments.to, rules=rules_from(arguments), polarity=arguments.write_polarity
    ):
        total += 1
        if done.error:
            failed += 1
            print(f"isotherm: {done.name}: {done.error}", file=sys.stderr)
            continue
        if done.targets:
            print(f"{done.name} -> {', '.join(map(str, done.targets))}")
        for note in done.notes:
            print(f"  note: {note}")
    return exit_status(failed, total)
