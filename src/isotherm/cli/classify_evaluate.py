"""``isotherm classify evaluate``: measure a classifier on labelled images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isotherm.cli.classify_train import tested
from isotherm.cli.features import DATA_HELP, add_reading, reading_of
from isotherm.cli.flags import add_device
from isotherm.cli.main import EXIT_SOME_FAILED
from isotherm.cli.progress import bar
from isotherm.core.files import make_folder
from isotherm.workflows.classify_data import LabelledPicture, labelled_folder
from isotherm.workflows.classify_evaluate import FILES, evaluate_classifier, write_class_evaluation
from isotherm.workflows.classify_features import read_features
from isotherm.workflows.classify_model import Rejection, load_classifier
from isotherm.workflows.classify_rows import LabelledRows


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="a model of `isotherm classify train`")
    text = f"{DATA_HELP}; or a file of `isotherm features`; where there is a part test, that alone is judged"
    parser.add_argument("data", type=Path, metavar="DATA", help=text)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    add_rejection(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the intervals (default 0)")
    add_device(parser)
    add_reading(parser)


def add_rejection(parser: argparse.ArgumentParser) -> None:
    """Add the flags of when there is no category."""
    text = "least probability of an answer, in place of the model's own"
    parser.add_argument("--min-confidence", type=float, metavar="X", help=text)
    parser.add_argument(
        "--reject-unknown",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="no category for images unlike all that was learnt (default: as the model says)",
    )


def rejection_of(arguments: argparse.Namespace) -> Rejection:
    """Return what `add_rejection` asked for."""
    return Rejection(arguments.min_confidence, arguments.reject_unknown)


def run(arguments: argparse.Namespace) -> int:
    """Judge the images, write the files and print the table; status 3 where some files could not be used."""
    rejection, model = rejection_of(arguments), load_classifier(arguments.model)
    make_folder(arguments.output)
    pictures: list[LabelledPicture] | LabelledRows
    if arguments.data.is_dir():
        pictures = list(labelled_folder(arguments.data, groups=arguments.groups).pictures)
    else:
        pictures = read_features(arguments.data)
    with bar() as progress:
        found = evaluate_classifier(
            model, pictures, rejection=rejection, reading=reading_of(arguments), progress=progress
        )
    write_class_evaluation(found, arguments.output, seed=arguments.seed)
    for item in found.skipped:
        print(f"isotherm: skipped {item.name}: {item.error}", file=sys.stderr)
    print("\n".join(_lines(found.metrics(seed=arguments.seed))))
    print(f"{arguments.output}: {', '.join(FILES)}")
    return EXIT_SOME_FAILED if found.skipped else 0


def _lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    width = max(len(label) for label in [*metrics["categories"], "category"])
    yield f"{'category':{width}}  precision  recall     F1  images"
    for label, found in metrics["categories"].items():
        cells = "  ".join(f"{_cell(found[name]):>{size}}" for name, size in _COLUMNS.items())
        yield f"{label:{width}}  {cells}  {found['support']:6d}"
    yield ""
    yield tested(metrics)
    error, rejected = metrics["expected_calibration_error"], metrics["rejected"]
    yield f"expected calibration error {_cell(error)}"
    answered = metrics["accuracy_of_answers"]
    yield f"no category for {rejected['hits']} of {rejected['count']}; of the answers {_percent(answered)} are right"
    unknown = metrics["unknown"]["rejected"]
    if unknown["count"]:
        yield f"of unknown categories {unknown['hits']} of {unknown['count']} got no category"
    yield from (f"note: {note}" for note in metrics["notes"])


_COLUMNS = {"precision": 9, "recall": 6, "f1": 5}


def _cell(measured: Mapping[str, Any]) -> str:
    return "-" if measured["value"] is None else f"{measured['value']:.3f}"


def _percent(measured: Mapping[str, Any]) -> str:
    return "none" if measured["value"] is None else f"{measured['value']:.1%}"
