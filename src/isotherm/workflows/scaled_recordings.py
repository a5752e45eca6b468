"""Recordings in chunks, whatever is done with each: what a worker is told of one, and the run as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from isotherm.core.errors import OutputError
from isotherm.core.progress import Progress
from isotherm.scaleout.driving import Task
from isotherm.scaleout.plan import OtherRunError
from isotherm.workflows.reading import fingerprint
from isotherm.workflows.recordings_output import RecordingsOutput, Summary
from isotherm.workflows.remote_inputs import settled
from isotherm.workflows.run_folder import LEDGER
from isotherm.workflows.run_place import open_place
from isotherm.workflows.scaled import RunFile, ScaleSettings, work_through
from isotherm.workflows.sequence_batch import Place, named

CHUNK = 1
"""A recording is long work by itself."""


def items_of(places: Sequence[Place]) -> list[str]:
    """Return what a worker is told of each recording, as JSON."""
    return [json.dumps([str(settled(place.path)), place.name, place.named, name]) for place, name in named(places)]


def place_of(item: str) -> tuple[Place, str]:
    """Return a recording and the name of its folder among the results, as `items_of` told them."""
    path, shown, by_name, name = json.loads(item)
    return Place(Path(path), shown, by_name), name


@contextmanager
def work_through_recordings(
    task: Task,
    places: Sequence[Place],
    out: RecordingsOutput,
    *,
    settings: Mapping[str, Any],
    scale: ScaleSettings,
    progress: Progress,
) -> Iterator[tuple[list[Any], Summary]]:
    """Do what is missing of a run, and give its rows, read from JSON, and where to sum them up to the block.

    Parameters
    ----------
    task
        Its items are those of `items_of`.
    out
        Where the results go; the ledger lies in its folder.
    settings
        What rows depend on beside the recordings, as plain values.

    Raises
    ------
    OutputError
        The folder cannot be written, there are tables already, or it holds a run that was begun with other recordings
        or settings.
    IsothermError
        As `isotherm.workflows.scaled.work_through` does.
    """
    identity = {
        "settings": settings,
        "recordings": fingerprint((place.name, place.path) for place in places),
        "isotherm": version("isotherm"),
    }
    folder = open_place(out.folder)
    folder.prepare()
    run = RunFile(scale, folder.local(LEDGER), known_as=folder.known_as, chunk=CHUNK)
    if folder.claims and next(folder.names(""), None) is None:
        # Who has emptied a bucket since a run was begun there wants it from the beginning.
        run.forget()
    summary = out.open(begun=run.begun() is not None)
    try:
        with work_through(run, task, identity=identity, about={}, progress=progress) as held:
            folder.remove_unfinished(name for _, name in named(places))
            yield [json.loads(row) for row in held.rows()], summary
    except OtherRunError as error:
        raise OutputError(f"{folder} was begun with other recordings or settings; name another folder") from error
