"""``isotherm classify train``: learn categories from images, or from their features."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isotherm.classification import CLASSIFIERS
from isotherm.classification.features import FeatureConfig
from isotherm.cli.features import DATA_HELP, add_reading, reading_of
from isotherm.cli.flags import add_device, add_flags, chosen, from_flags
from isotherm.cli.main import EXIT_SOME_FAILED
from isotherm.cli.progress import bar
from isotherm.core.config import settings_of
from isotherm.core.errors import UsageError
from isotherm.core.processes import is_first_process
from isotherm.workflows.classify import METHOD, ClassifySettings, TrainedClassifier, train_classifier
from isotherm.workflows.classify_data import LabelledPicture, labelled_folder
from isotherm.workflows.classify_features import read_features
from isotherm.workflows.classify_rows import LabelledRows

FLAGS_BY_METHOD = CLASSIFIERS


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the command's arguments, and the flags of the method that `argv` names."""
    method = CLASSIFIERS.get(_named(argv))
    text = f"{DATA_HELP}; or a file of `isotherm features`"
    parser.add_argument("data", type=Path, metavar="DATA", help=text)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL_DIR", help="folder for the model")
    names = ", ".join(CLASSIFIERS.names())
    parser.add_argument("--method", "--net", default=METHOD, metavar="NAME", help=f"one of {names} ({METHOD})")
    text = "images (or features) of categories that many sites share, learnt from too"
    parser.add_argument("--common", type=Path, metavar="DATA", help=text)
    add_device(parser)
    add_flags(parser, ClassifySettings, "training")
    add_flags(parser, method.config_type, f"method {method.name}")
    if method.wants == "features":
        add_flags(parser, FeatureConfig, "features (of images; a file of features says them itself)")
    add_reading(parser)


def _named(argv: Sequence[str]) -> str:
    return chosen(list(argv), "--method", chosen(list(argv), "--net", METHOD))


def run(arguments: argparse.Namespace) -> int:
    """Learn, write the model and say what came out; status 3 where some files could not be used."""
    method = CLASSIFIERS.get(arguments.method)
    features = from_flags(FeatureConfig, arguments) if method.wants == "features" else None
    reading = reading_of(arguments, features)
    with bar() as progress:
        pictures, notes = labelled(arguments)
        model = train_classifier(
            pictures,
            arguments.output,
            method=method.name,
            config=from_flags(method.config_type, arguments),
            settings=from_flags(ClassifySettings, arguments),
            reading=reading,
            progress=progress,
        )
    if is_first_process():
        _tell(model, arguments.output, notes)
    return EXIT_SOME_FAILED if model.manifest["data"]["skipped"] else 0


def labelled(
    arguments: argparse.Namespace,
) -> tuple[list[LabelledPicture] | LabelledRows, tuple[str, ...]]:
    """Return the pictures or features that are named, with those of the shared collection, and notes on them."""
    data, common = arguments.data, arguments.common
    if common is not None and common.is_dir() != data.is_dir():
        raise UsageError(f"{data} and {common} must both be folders of images, or both files of features")
    if data.is_dir():
        folder = labelled_folder(data, groups=arguments.groups)
        if common is None:
            return list(folder.pictures), folder.notes
        shared = labelled_folder(common, common=True)
        return [*folder.pictures, *shared.pictures], (*folder.notes, *shared.notes)
    _check_features_only(arguments)
    rows = read_features(data)
    return rows if common is None else rows.joined(read_features(common).as_common()), ()


def _check_features_only(arguments: argparse.Namespace) -> None:
    """Raise UsageError for flags that only a folder of images has a use for."""
    given = [item.name for item in settings_of(FeatureConfig) if getattr(arguments, item.name, None) is not None]
    given += ["groups"] if arguments.groups is not None else []
    if arguments.data.exists() and given:
        flags = ", ".join(f"--{name}" for name in given)
        raise UsageError(f"{flags}: only for a folder of images; {arguments.data} is a file that says it itself")


def _tell(model: TrainedClassifier, folder: Path, notes: Sequence[str]) -> None:
    data, metrics = model.manifest["data"], model.manifest["metrics"]
    for item in data["skipped"]:
        print(f"isotherm: skipped {item['name']}: {item['error']}", file=sys.stderr)
    print(f"{folder}: {model.method}, {len(model.labels)} categories, learnt from {data['images']} images")
    for label, counts in data["categories"].items():
        shared = f" ({counts['common']} shared)" if counts["common"] else ""
        print(f"  {label}: {counts['train']}{shared}")
    held = metrics["held_out"]
    if held["images"]:
        print(f"held out while learning: {held['accuracy']:.1%} of {held['images']} right")
    if metrics["test"] is not None:
        print(f"test: {tested(metrics['test'])}")
    print(f"no category below a confidence of {model.min_confidence:g}{_unknown(model)}")
    for note in [*notes, *model.manifest["notes"]]:
        print(f"note: {note}")


def tested(metrics: Mapping[str, Any]) -> str:
    """Return the accuracy of a test as words."""
    share = metrics["accuracy"]
    return (
        f"{share['hits']} of {share['count']} right, {share['value']:.1%} "
        f"[{share['low']:.1%} {share['high']:.1%}], balanced {metrics['balanced_accuracy']['value']:.1%}"
    )


def _unknown(model: TrainedClassifier) -> str:
    if model.open_set is None or not model.reject_unknown:
        return ""
    return f", or where it is unlike all that was learnt ({model.open_set.kind}, {model.open_set.held_out} held out)"
