"""``isotherm train``: learn what normal looks like from a folder of images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.inputs import InputSpec
from isotherm.anomaly.tiles import Frame
from isotherm.cli.flags import add_device, add_flags, chosen, from_flags
from isotherm.cli.main import EXIT_SOME_FAILED
from isotherm.cli.progress import bar
from isotherm.core.config import settings_of
from isotherm.core.errors import UsageError
from isotherm.core.processes import is_first_process
from isotherm.core.scene import SceneEdit
from isotherm.evaluation.cost import Costs
from isotherm.formats import ReadHints
from isotherm.workflows.judging import LabelledSource
from isotherm.workflows.train import FolderImages, LabelledChoice, TrainedModel, TrainSettings, train

METHOD = "patchcore"
FLAGS_BY_METHOD = ANOMALY_METHODS


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the command's arguments, and the flags of the method that `argv` names."""
    method = ANOMALY_METHODS.get(chosen(list(argv), "--method", METHOD))
    parser.add_argument("normals", type=Path, metavar="NORMAL_DIR", help="folder of normal images, any readable format")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL_DIR", help="folder for the model")
    parser.add_argument(
        "--method", default=METHOD, metavar="NAME", help=f"one of {', '.join(ANOMALY_METHODS.names())} ({METHOD})"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_device(parser)
    add_flags(parser, TrainSettings, "training")
    add_labelled(parser)
    add_flags(parser, method.config_type, f"method {method.name}")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a threshold that is chosen on labelled images."""
    group = parser.add_argument_group("labelled images to choose the threshold on (--threshold labels)")
    text = "folder of normal and faulty images, in a layout of `isotherm evaluate`; none of them may be judged later"
    group.add_argument("--labelled", type=Path, metavar="DIR", help=text)
    text = "folder of their defect masks, for the pixel threshold"
    group.add_argument("--labelled-masks", type=Path, metavar="DIR", help=text)
    add_flags(parser, Costs, "costs (--threshold labels takes the least cost where one is given, else the highest F1)")


def labelled_choice(arguments: argparse.Namespace) -> LabelledChoice | None:
    """Return what `add_labelled` asked for; None without a folder."""
    if arguments.labelled is None:
        if arguments.labelled_masks is not None:
            raise UsageError("--labelled-masks needs --labelled")
        return None
    source = LabelledSource(
        root=arguments.labelled,
        masks=arguments.labelled_masks,
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        jobs=arguments.jobs,
    )
    return LabelledChoice(source, from_flags(Costs, arguments) if _costs_given(arguments) else None)


def _costs_given(arguments: argparse.Namespace) -> bool:
    return any(getattr(arguments, item.name) is not None for item in settings_of(Costs))


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model and say what came out; status 3 where some files could not be used."""
    method = ANOMALY_METHODS.get(arguments.method)
    if arguments.labelled is None and _costs_given(arguments):
        raise UsageError("costs choose a threshold on labelled images: give --threshold labels --labelled DIR too")
    source = FolderImages(
        arguments.normals,
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        jobs=arguments.jobs,
    )
    with bar() as progress:
        model = train(
            source,
            arguments.output,
            method_name=method.name,
            config=from_flags(method.config_type, arguments),
            settings=from_flags(TrainSettings, arguments),
            labelled=labelled_choice(arguments),
            progress=progress,
        )
    if is_first_process():
        _tell(model, arguments.output)
    return EXIT_SOME_FAILED if model.manifest["data"]["skipped"] else 0


def _tell(model: TrainedModel, folder: Path) -> None:
    data, inputs = model.manifest["data"], model.inputs
    for item in data["skipped"]:
        print(f"isotherm: skipped {item['name']}: {item['error']}", file=sys.stderr)
    print(f"{folder}: {model.method}, learnt from {data['fitted_on']} of {data['images']} images")
    print(f"  span      {_span(inputs)}, {_sizes(inputs.frame)}")
    if inputs.overlays is not None:
        print("  overlays  what is drawn into images is left out")
    print(f"  threshold {model.calibration.threshold:.6g}: {model.calibration.how}")
    print(f"  promise   false alarms on {model.calibration.false_alarms()} like these")
    if labelled := data.get("labelled"):
        print(
            f"  labelled  {labelled['misses']} of {labelled['anomalous']} faulty missed, {labelled['false_alarms']} of "
            f"{labelled['normal']} normal called, on the images the threshold was chosen on: no promise"
        )


def _span(inputs: InputSpec) -> str:
    if inputs.span == "image":
        return "of each image itself"
    if inputs.span == "site":
        return f"of each site ({', '.join(sorted(inputs.sites)) or 'none'}), of the image itself elsewhere"
    unit = "°C" if inputs.celsius else "grey levels"
    return f"{inputs.low:.4g} .. {inputs.high:.4g} {unit}"


def _sizes(frame: Frame) -> str:
    height, width = frame.size
    text = f"{width} x {height} px"
    if frame.canvas == frame.size:
        return text
    return f"{len(frame.tiles)} tiles of {text} on {frame.canvas[1]} x {frame.canvas[0]} px"
