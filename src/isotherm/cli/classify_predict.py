"""``isotherm classify predict``: put images into categories."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isotherm.cli.classify_evaluate import add_rejection, rejection_of
from isotherm.cli.flags import add_device, add_flags, add_overwrite, add_parquet, chosen, from_flags
from isotherm.cli.info_model import is_model
from isotherm.cli.progress import bar
from isotherm.cli.terminal import harmless
from isotherm.core.errors import OutputError, UsageError
from isotherm.core.progress import Progress, counted
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.workflows.classify_answers import Answer, write_answers
from isotherm.workflows.classify_model import Classified, TrainedClassifier, load_classifier
from isotherm.workflows.classify_predict import PredictSettings, predict
from isotherm.workflows.columns_output import open_tables
from isotherm.workflows.reading import Input, exit_status, list_inputs
from isotherm.workflows.remote_inputs import address_of, is_remote, path_of, settled
from isotherm.workflows.run_place import open_place
from isotherm.workflows.scaled import ScaleSettings
from isotherm.workflows.scaled_classify import ledger_of, predict_in_chunks


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the command's arguments."""
    parser.add_argument("--model", type=Path, metavar="MODEL_DIR", help="a model of `isotherm classify train`")
    if not chosen(list(argv), "--model", ""):
        parser.add_argument("first", type=Path, metavar="MODEL_DIR", help="the model, where --model names none")
    parser.add_argument("paths", type=path_of, nargs="+", metavar="PATH", help="images, folders, s3://bucket/prefix")
    parser.add_argument(
        "-o",
        "--output",
        type=path_of,
        metavar="CSV",
        help="table of all answers and probabilities, also s3://bucket/name",
    )
    add_overwrite(parser)
    add_parquet(parser)
    add_rejection(parser)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_device(parser)
    add_flags(parser, ScaleSettings, "many images, several processes or machines (with -o)")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each image; status 3 where some, 1 where all could not be judged."""
    _take_model(arguments)
    settings = PredictSettings(
        rejection_of(arguments),
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        jobs=arguments.jobs,
    )
    model, inputs = load_classifier(arguments.model), list_inputs(arguments.paths)
    _check_output(arguments, [item.path for item in inputs])
    out, scale = arguments.output, from_flags(ScaleSettings, arguments)
    if scale.asked and out is None:
        raise UsageError("--executor and --chunk need -o, beside which the ledger of the run is kept")
    begun = scale.asked and ledger_of(out, scale).begun() is not None
    tables = open_tables(arguments.parquet, overwrite=arguments.overwrite or begun)
    seen = _Seen(shown=out is None)
    with bar() as progress, _answers(arguments, model, inputs, settings, progress) as answers:
        write_answers(map(seen.see, answers), model.labels, table=out, tables=tables)
    if places := [place for place in (out and address_of(out), arguments.parquet) if place]:
        print(f"{', '.join(places)}: {seen.images} images, {seen.failures} could not be judged")
    return exit_status(seen.failures, seen.images)


def _take_model(arguments: argparse.Namespace) -> None:
    """Let ``model`` be the model's folder, however it was named; raises UsageError where there are two or none."""
    if arguments.model is None:
        arguments.model = arguments.first
        if arguments.model.is_file():
            raise UsageError(f"{arguments.model} is no model's folder; name the model with --model MODEL_DIR")
    elif not is_remote(arguments.paths[0]) and is_model(arguments.paths[0]):
        raise UsageError(
            f"two models are named, --model {arguments.model} and {arguments.paths[0]}; name one, then the images"
        )


@dataclass
class _Seen:
    """What has gone by; answers are printed where they are not written."""

    shown: bool
    images: int = 0
    failures: int = 0

    def see(self, found: Answer) -> Answer:
        self.images += 1
        self.failures += bool(found[1].error)
        if self.shown:
            print(harmless(_line(*found)))
        return found


@contextmanager
def _answers(
    arguments: argparse.Namespace,
    model: TrainedClassifier,
    inputs: Sequence[Input],
    settings: PredictSettings,
    progress: Progress,
) -> Iterator[Iterator[Answer]]:
    scale, out = from_flags(ScaleSettings, arguments), arguments.output
    if not scale.asked:
        yield counted(predict(model, inputs, settings), len(inputs), progress, "images")
        return
    with predict_in_chunks(arguments.model, inputs, settings, scale=scale, out=out, progress=progress) as answers:
        yield counted(answers, len(inputs), progress, "writing answers")


def _check_output(arguments: argparse.Namespace, inputs: Sequence[Path]) -> None:
    out = arguments.output
    if out is None:
        return
    place, shown = open_place(out.parent), address_of(out)
    if any(settled(path) == settled(out) for path in inputs):
        raise OutputError(f"{shown} is an input and is not overwritten; choose another -o")
    if not is_remote(out) and not out.parent.is_dir():
        raise OutputError(f"there is no folder {out.parent} for {out.name}")
    if place.taken(out.name) and not arguments.overwrite:
        raise OutputError(f"{shown} is there already; choose another -o, or replace it with --overwrite")
    place.try_writing()


def _line(name: str, answer: Classified) -> str:
    if answer.error:
        return f"{name}: failed: {answer.error}"
    if answer.rejected:
        return f"{name}: {answer.label}: {answer.reason}; nearest {answer.nearest}"
    return f"{name}: {answer.label} ({answer.confidence:.1%})"
