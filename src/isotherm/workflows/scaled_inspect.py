"""An inspection in chunks, by many processes or machines; what is written at the end is that of `inspect`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.device import on_device, wanted
from isotherm.core.findings import ImageResult, Inspection
from isotherm.core.progress import Progress, counted, silent
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import HotspotSettings
from isotherm.measurement.severity import SeverityTable
from isotherm.reports.drawing import Span
from isotherm.reports.plain import dumps, from_plain
from isotherm.scaleout.driving import Task
from isotherm.scaleout.plan import OtherRunError
from isotherm.workflows.beside import Listing, Sidecars
from isotherm.workflows.inspect import InspectRun, InspectSettings
from isotherm.workflows.inspect_pictures import PictureWork
from isotherm.workflows.models import load_model
from isotherm.workflows.reading import printable
from isotherm.workflows.remote_inputs import settled
from isotherm.workflows.run_end import Taker
from isotherm.workflows.run_folder import (
    JOURNAL,
    LEDGER,
    PICTURES,
    claim,
    is_claimed,
    other_run,
    prepare_chunks,
    write_journal,
)
from isotherm.workflows.run_place import open_place
from isotherm.workflows.scaled import RunFile, ScaleSettings, begin, work_through
from isotherm.workflows.stored_results import stored_results

FUNCTION = f"{__name__}:inspect_chunk"


def inspect_in_chunks(
    path: Path,
    out: Path,
    *,
    scale: ScaleSettings,
    model: Path | None = None,
    settings: InspectSettings | None = None,
    progress: Progress = silent,
    look: Taker | None = None,
) -> Inspection:
    """Do what `isotherm.workflows.inspect.inspect` does, in chunks that an executor works through.

    A run that was begun is continued. All workers must find the pictures, the model and the folder of the run under
    the same paths.

    Parameters
    ----------
    scale
        Where the work is done.
    model
        The folder of the model that scores the pictures.

    Raises
    ------
    IsothermError
        As `inspect` does, and as `isotherm.workflows.scaled.work_through` does.
    """
    started, settings = time.perf_counter(), settings or InspectSettings()
    run = InspectRun.prepare(path, out, model=load_model(model) if model else None, settings=settings)
    file = RunFile(scale, run.place.local(LEDGER), known_as=run.place.known_as)
    begun = _begun(run, file)
    tables = run.open_tables(replace=begun or settings.existing == "overwrite")
    if settings.existing == "overwrite":
        # First, because it is refused while another process works on the run.
        file.forget()
    prepare_chunks(run.place, settings.existing, run.extra_files(), begun=begun)
    header, items = run.header(), items_of(run)
    identity, about = header["identity"], {"started_at": header["started_at"]}
    try:
        if run.place.claims and (not begun or settings.existing == "overwrite"):
            begin(file, file.plan(len(items), identity, about), partial(claim, run.place, header))
        task = Task(FUNCTION, _set_up(run, model, scale), items, _failed, "inspecting")
        with work_through(file, task, identity=identity, about=about, progress=progress) as held:
            run.place.remove_unfinished(PICTURES)
            header = {**held.plan.about, "identity": identity}
            rows = counted(held.rows(), held.plan.items, progress, "writing the journal")
            write_journal(run.place, header, rows)
            results = stored_results(held.rows, held.plan.items)
            inspection = run.inspection(results, header, time.perf_counter() - started)
            run.report(inspection, started=started, images=len(results), tables=tables, look=look, progress=progress)
    except OtherRunError as error:
        raise other_run(run.place, error.stored, json.loads(dumps(identity))) from error
    # The ledger has gone; the journal stays.
    return inspection if isinstance(results, tuple) else replace(inspection, results=run.results())


def _begun(run: InspectRun, file: RunFile) -> bool:
    """Say whether the run was begun, and its place is its own still.

    Who has emptied a bucket since then wants the run from the beginning; what another machine has begun there is not
    this run, whatever the ledger says.
    """
    plan = file.begun()
    if plan is None or is_claimed(run.place, {**plan.about, "identity": plan.identity}):
        return plan is not None
    if not run.place.has(JOURNAL):
        file.forget()
    return False


def items_of(run: InspectRun) -> list[str]:
    """Return each picture's path below the root, the name of what is written of it, and its sidecars, as JSON."""
    return [
        json.dumps([str(path.relative_to(run.root)), name, run.sidecars.of(path)])
        for path, name in zip(run.paths, run.names(), strict=True)
    ]


def _failed(item: str, why: str) -> str:
    return dumps(ImageResult(printable(Path(json.loads(item)[0])), "failed", error=why))


def _set_up(run: InspectRun, model: Path | None, scale: ScaleSettings) -> str:
    """Return what workers must know, as JSON."""
    settings = run.settings
    span, table = run.span(), settings.table
    return json.dumps(
        {
            "root": str(settled(run.root)),
            "out": str(settled(run.place.path)),
            "model": model and str(model.resolve()),
            "device": wanted(),
            "method": settings.method,
            "config": to_mapping(settings.hotspot_config()),
            "hotspots": to_mapping(settings.hotspots),
            "table": table and asdict(table),
            "edit": to_mapping(settings.edit),
            "hints": to_mapping(settings.hints),
            "pictures": {"panels": settings.panels, "maps": settings.maps, "palette": settings.palette},
            "span": span and [span.low, span.high],
            "jobs": scale.threads(settings.jobs),
        }
    )


def inspect_chunk(setup: str, items: Sequence[str]) -> list[str]:
    """Inspect pictures where the work is done; see `isotherm.scaleout.work.WorkFunction`."""
    said = json.loads(setup)
    with on_device(said["device"]):
        work = _work(setup)
        paths, names, sidecars = list[Path](), list[str](), dict[Path, str]()
        for path, name, beside in map(json.loads, items):
            paths.append(work.root / path)
            names.append(name)
            sidecars |= {paths[-1].with_name(other): version for other, version in beside}
        found = Listing(paths, Sidecars(sidecars))
        return [dumps(result) for batch in work.finished(found, names) for result in batch]


@lru_cache(maxsize=1)
def _work(setup: str) -> PictureWork:
    """Return what is done with each picture; kept, because a model takes time to load."""
    said: dict[str, Any] = json.loads(setup)
    settings = InspectSettings(
        method=said["method"],
        config=from_mapping(HOTSPOT_METHODS.get(said["method"]).config_type, said["config"]),
        hotspots=from_mapping(HotspotSettings, said["hotspots"]),
        table=said["table"] and from_plain(SeverityTable, said["table"]),
        edit=from_mapping(SceneEdit, said["edit"]),
        hints=from_mapping(ReadHints, said["hints"]),
        **said["pictures"],
        jobs=said["jobs"],
    )
    place = open_place(Path(said["out"]))
    settings.make_folders(place)
    model = load_model(Path(said["model"])) if said["model"] else None
    span = Span(*said["span"]) if said["span"] else None
    return settings.work(Path(said["root"]), place, model=model, span=span)
