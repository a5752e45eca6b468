"""``isotherm classify predict``: put images into categories."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from isotherm.cli.classify_evaluate import add_rejection, rejection_of
from isotherm.cli.flags import add_device, add_flags, add_overwrite, from_flags
from isotherm.cli.progress import bar
from isotherm.core.errors import OutputError, UsageError
from isotherm.core.files import csv_of, write_whole
from isotherm.core.progress import Progress
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.workflows.classify_evaluate import ANSWER_COLUMNS, answer_row
from isotherm.workflows.classify_model import Classified, TrainedClassifier, load_classifier
from isotherm.workflows.classify_predict import PredictSettings, predict
from isotherm.workflows.reading import Input, exit_status, list_inputs
from isotherm.workflows.remote_inputs import refuse_output
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.scaled_classify import predict_in_chunks


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="a model of `isotherm classify train`")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="images, folders, s3://bucket/prefix")
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", help="table of all answers and probabilities")
    add_overwrite(parser)
    add_rejection(parser)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_device(parser)
    add_flags(parser, ScaleSettings, "many images, several processes or machines (with -o)")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each image; status 3 where some, 1 where all could not be judged."""
    settings = PredictSettings(
        rejection_of(arguments),
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        jobs=arguments.jobs,
    )
    model, inputs = load_classifier(arguments.model), list_inputs(arguments.paths)
    _check_output(arguments, [item.path for item in inputs])
    rows, failures = list[dict[str, object]](), 0
    with bar() as progress, _answers(arguments, model, inputs, settings, progress) as answers:
        for name, answer in answers:
            rows.append(answer_row(name, answer))
            failures += bool(answer.error)
            if arguments.output is None:
                print(_line(name, answer))
        if arguments.output is not None:
            columns = ["name", *ANSWER_COLUMNS, *(f"p {label}" for label in model.labels)]
            write_whole(arguments.output, csv_of(columns, rows))
            print(f"{arguments.output}: {len(rows)} images, {failures} could not be judged")
    return exit_status(failures, len(rows))


@contextmanager
def _answers(
    arguments: argparse.Namespace,
    model: TrainedClassifier,
    inputs: Sequence[Input],
    settings: PredictSettings,
    progress: Progress,
) -> Iterator[Iterator[tuple[str, Classified]]]:
    scale, out = from_flags(ScaleSettings, arguments), arguments.output
    if not scale.asked:
        yield _counted(predict(model, inputs, settings), len(inputs), progress)
        return
    if out is None:
        raise UsageError("--executor and --chunk need -o, beside which the ledger of the run is kept")
    with predict_in_chunks(arguments.model, inputs, settings, scale=scale, out=out, progress=progress) as answers:
        yield answers


def _counted(
    answers: Iterator[tuple[str, Classified]], total: int, progress: Progress
) -> Iterator[tuple[str, Classified]]:
    for number, answer in enumerate(answers, 1):
        progress(number, total, "images")
        yield answer


def _check_output(arguments: argparse.Namespace, inputs: Sequence[Path]) -> None:
    out = arguments.output
    if out is None:
        return
    refuse_output(out)
    if any(path.resolve() == out.resolve() for path in inputs):
        raise OutputError(f"{out} is an input and is not overwritten; choose another -o")
    if not out.parent.is_dir():
        raise OutputError(f"there is no folder {out.parent} for {out.name}")
    if out.exists() and not arguments.overwrite:
        raise OutputError(f"{out} is there already; choose another -o, or replace it with --overwrite")


def _line(name: str, answer: Classified) -> str:
    if answer.error:
        return f"{name}: failed: {answer.error}"
    if answer.rejected:
        return f"{name}: {answer.label}: {answer.reason}; nearest {answer.nearest}"
    return f"{name}: {answer.label} ({answer.confidence:.1%})"
