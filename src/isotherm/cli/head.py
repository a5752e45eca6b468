"""``isotherm head``: a model learns from labelled images which of the unusual is faulty."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.flags import add_device, add_flags, from_flags
from isotherm.cli.progress import bar
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.workflows.judging import LabelledSource
from isotherm.workflows.labelled_head import HeadSettings, add_head


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="a model of `isotherm train`")
    text = "folder of normal and faulty images, in a layout of `isotherm evaluate`; none of them may be judged later"
    parser.add_argument("labelled", type=Path, metavar="LABELLED_DIR", help=text)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the model with the head"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_device(parser)
    add_flags(parser, HeadSettings, "head")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def run(arguments: argparse.Namespace) -> int:
    """Learn the head, write the model and say what came out."""
    source = LabelledSource(
        root=arguments.labelled,
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        jobs=arguments.jobs,
    )
    settings = from_flags(HeadSettings, arguments)
    with bar() as progress:
        model = add_head(arguments.model, source, arguments.output, settings=settings, progress=progress)
    learnt = model.manifest["data"]["head"]
    counts = f"{learnt['normal']} normal and {learnt['faulty']} faulty images"
    print(f"{arguments.output}: {model.method} with a head, learnt from {counts}")
    print("  score     log-odds of a fault")
    print(f"  threshold {model.calibration.threshold:.6g}: {model.calibration.how}")
    return 0
