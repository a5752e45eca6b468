"""``isotherm labels view``: a picture with its labels over it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.labels_convert import add_rules, rules_from
from isotherm.core.files import write_whole
from isotherm.workflows.labels import draw_labels


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of the command."""
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="a picture of any readable format")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="its labels: LabelMe, COCO or PNG")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the picture to write (.png)")
    add_rules(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw and write."""
    write_whole(arguments.output, draw_labels(arguments.picture, arguments.labels, rules=rules_from(arguments)))
    print(f"written   {arguments.output}")
    return 0
