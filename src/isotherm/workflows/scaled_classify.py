"""Answers of a classifier in chunks, by many processes or machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.device import on_device, wanted
from isotherm.core.errors import OutputError
from isotherm.core.progress import Progress, silent
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.reports.plain import dumps, from_plain
from isotherm.scaleout.driving import Task
from isotherm.scaleout.plan import OtherRunError
from isotherm.workflows.classify_model import Classified, Rejection, TrainedClassifier, load_classifier
from isotherm.workflows.classify_predict import PredictSettings, predict
from isotherm.workflows.reading import Input, fingerprint
from isotherm.workflows.remote_inputs import address_of, settled
from isotherm.workflows.run_place import open_place
from isotherm.workflows.scaled import RunFile, ScaleSettings, work_through

FUNCTION = f"{__name__}:classify_chunk"


@contextmanager
def predict_in_chunks(
    folder: Path,
    inputs: Sequence[Input],
    settings: PredictSettings,
    *,
    scale: ScaleSettings,
    out: Path,
    progress: Progress = silent,
) -> Iterator[Iterator[tuple[str, Classified]]]:
    """Give each input's name and answer, in order, to the block; the run is forgotten when that ends well.

    Parameters
    ----------
    folder
        The classifier's.
    inputs, settings
        As `predict` takes them; all workers must find the files under the same paths.
    scale
        Where the work is done.
    out
        The file that the block writes; the ledger lies beside it.

    Raises
    ------
    OutputError
        The same file was begun with other inputs, model or settings.
    IsothermError
        As `isotherm.workflows.scaled.work_through` does.
    """
    described = _described(folder, settings)
    setup = json.dumps({**described, "device": wanted(), "jobs": scale.threads(settings.jobs)})
    identity = {
        **described,
        "model_sha256": load_classifier(folder).manifest.get("manifest_sha256", ""),
        "input_files": fingerprint(_read_from(inputs)),
        "isotherm": version("isotherm"),
    }
    items = [json.dumps([str(settled(item.path)), item.name, item.error, item.beside]) for item in inputs]
    run = ledger_of(out, scale)
    task = Task(FUNCTION, setup, items, _failed, "images")
    try:
        with work_through(run, task, identity=identity, about={}, progress=progress) as held:
            yield (_named(row) for row in held.rows())
    except OtherRunError as error:
        raise OutputError(
            f"{address_of(out)} was begun with other images, model or settings; choose another -o"
        ) from error


def ledger_of(out: Path, scale: ScaleSettings) -> RunFile:
    """Return the ledger of a run that writes the file `out`; it lies beside it where that is on this machine."""
    place = open_place(out.parent)
    known_as = f"{out.name} in {place.known_as}" if place.known_as else None
    return RunFile(scale, place.local(f"{out.name}.ledger.sqlite"), known_as=known_as)


def _read_from(inputs: Iterable[Input]) -> Iterator[tuple[str, Path]]:
    """Yield the names and places of what decides what is read: pictures and their sidecars."""
    for item in inputs:
        yield item.name, item.path
        sidecars = (name for name, _ in item.beside if name != item.path.name)
        yield from ((f"{item.name} {name}", item.path.with_name(name)) for name in sidecars)


def _described(folder: Path, settings: PredictSettings) -> dict[str, Any]:
    return {
        "model": str(folder.resolve()),
        "rejection": asdict(settings.rejection),
        "edit": to_mapping(settings.edit),
        "hints": to_mapping(settings.hints),
    }


def _named(row: str) -> tuple[str, Classified]:
    name, answer = json.loads(row)
    return name, from_plain(Classified, answer)


def _failed(item: str, why: str) -> str:
    return dumps([json.loads(item)[1], Classified.failed(why)])


def classify_chunk(setup: str, items: Sequence[str]) -> list[str]:
    """Classify pictures where the work is done; see `isotherm.scaleout.work.WorkFunction`."""
    said = json.loads(setup)
    told = map(json.loads, items)
    inputs = [Input(Path(path), name, error, tuple(map(tuple, beside))) for path, name, error, beside in told]
    with on_device(said["device"]):
        answers = predict(_model(said["model"]), inputs, _settings(said))
        return [dumps([name, answer]) for name, answer in answers]


def _settings(said: Mapping[str, Any]) -> PredictSettings:
    return PredictSettings(
        Rejection(**said["rejection"]),
        from_mapping(SceneEdit, said["edit"]),
        from_mapping(ReadHints, said["hints"]),
        said["jobs"],
    )


@lru_cache(maxsize=1)
def _model(folder: str) -> TrainedClassifier:
    return load_classifier(Path(folder))
