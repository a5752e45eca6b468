"""Inspect a folder of pictures: read, score, measure, draw, report.

Pictures that cannot be read or judged are rows with their reason. What is finished is written down batch by batch, so
that an interrupted run can be continued.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from isotherm.core.config import to_mapping
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.files import sha256
from isotherm.core.findings import ImageResult, Inspection
from isotherm.core.progress import Progress, silent
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import HotspotSettings
from isotherm.measurement.severity import SeverityTable, load_table
from isotherm.reports import REPORT_WRITERS
from isotherm.reports.drawing import Span
from isotherm.reports.palette import check_for_temperatures
from isotherm.reports.plain import dumps
from isotherm.workflows.beside import Listing, Sidecars
from isotherm.workflows.columns_output import ColumnsTarget
from isotherm.workflows.examine import Examiner, PictureFiles
from isotherm.workflows.going_on import telling_how
from isotherm.workflows.inspect_pictures import PictureWork
from isotherm.workflows.models import TrainedModel
from isotherm.workflows.output_names import output_names
from isotherm.workflows.reading import find_images, fingerprint, inputs_of, read_inputs
from isotherm.workflows.remote_inputs import is_remote, settled
from isotherm.workflows.run_end import RunEnd, Taker
from isotherm.workflows.run_folder import JOURNAL, PICTURES, Existing, Journal, journal_lines, open_run
from isotherm.workflows.run_place import RunPlace, open_place
from isotherm.workflows.spans import SpanChoice, fixed_span
from isotherm.workflows.stored_results import stored_results
from isotherm.workflows.versions import installed

SEVERITY = "neta-similar"


@dataclass(frozen=True)
class InspectSettings:
    """Everything about a run that is not its input, its model or its folder.

    Parameters
    ----------
    method, config
        A name of `HOTSPOT_METHODS` and its configuration (None: the defaults).
    hotspots, table
        Clean-up and reference of delta-T; the severity table, or None for no verdicts.
    edit, hints
        Scene parameters in place of the files'; unit and scale where files cannot say them.
    reports
        Names of `REPORT_WRITERS`; ``results.csv`` is always written.
    panels, maps
        Whether to draw the panels, and to store maps and temperatures as NPZ.
    span, palette
        Ends and colours of temperatures in the panels.
    jobs
        Threads that read, and threads that measure and draw.
    existing
        What to do where the folder holds an inspection already.
    tables
        A folder or ``s3://bucket/prefix`` for the rows as Parquet files; None for none.
    """

    method: str = "region_growing"
    config: Any = None
    hotspots: HotspotSettings = field(default_factory=HotspotSettings)
    table: SeverityTable | None = field(default_factory=lambda: load_table(SEVERITY))
    edit: SceneEdit = field(default_factory=SceneEdit)
    hints: ReadHints = field(default_factory=ReadHints)
    reports: tuple[str, ...] = ("html", "csv")
    panels: bool = True
    maps: bool = False
    span: SpanChoice = field(default_factory=SpanChoice)
    palette: str = "iron"
    jobs: int = 2
    existing: Existing = "refuse"
    tables: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= 256:
            raise ConfigError(f"jobs must be from 1 to 256, not {self.jobs}")
        for name in self.reports:
            REPORT_WRITERS.row(name)
        HOTSPOT_METHODS.row(self.method)
        check_for_temperatures(self.palette)

    def hotspot_config(self) -> Any:
        """Return the configuration of the hotspot method."""
        return self.config if self.config is not None else HOTSPOT_METHODS.get(self.method).config_type()

    def work(self, root: Path, place: RunPlace, *, model: TrainedModel | None, span: Span | None) -> PictureWork:
        """Return what is done with each picture below `root`."""
        files = PictureFiles(place, self.panels, self.maps, span=span, palette=self.palette)
        examiner = Examiner(
            method=HOTSPOT_METHODS.get(self.method),
            config=self.hotspot_config(),
            hotspots=self.hotspots,
            table=self.table,
            model=model,
        )
        return PictureWork(root, files, examiner, edit=self.edit, hints=self.hints, jobs=self.jobs)

    def make_folders(self, place: RunPlace) -> None:
        """Make the folders that pictures are written to."""
        place.prepare(folder for folder in PICTURES if folder == "masks" or getattr(self, folder))

    def described(self) -> dict[str, Any]:
        """Return what results depend on, as plain values in groups."""
        return {
            "hotspot_method": {"name": self.method, **to_mapping(self.hotspot_config())},
            "hotspots": to_mapping(self.hotspots),
            "scene": to_mapping(self.edit),
            "reading": to_mapping(self.hints),
            "pictures": {
                "panels": self.panels,
                "maps": self.maps,
                "span": str(self.span),
                "palette": self.palette,
            },
        }


def inspect(
    path: Path,
    out: Path,
    *,
    model: TrainedModel | None = None,
    settings: InspectSettings | None = None,
    progress: Progress = silent,
    look: Taker | None = None,
) -> Inspection:
    """Inspect a file or a folder and write results, pictures and reports below `out`.

    Parameters
    ----------
    path
        A picture, or a folder with all pictures below it.
    out
        The folder of this run, or a path that begins with ``s3:``.
    model
        What scores the pictures; without one only hotspots are looked for.
    look
        Is shown each result once, in input order, when all are there: going through many of them again takes time.

    Raises
    ------
    DataError
        `path` does not exist or is empty.
    OutputError
        `out` cannot be written or holds something else.
    ConfigError, UnknownNameError
        A setting is wrong.
    """
    started = time.perf_counter()
    settings = settings or InspectSettings()
    run = InspectRun.prepare(path, out, model=model, settings=settings)
    tables = run.open_tables(replace=settings.existing != "refuse")
    journal = run.open_journal(progress)
    with telling_how("the same command goes on with --resume"):
        with closing(journal):
            images = run.work(journal, progress)
        run.place.deliver(JOURNAL)
        inspection = run.inspection(run.results(), journal.header, time.perf_counter() - started)
        run.report(inspection, started=started, images=images, tables=tables, look=look, progress=progress)
    return inspection


@dataclass(frozen=True, eq=False)
class InspectRun:
    """One run: its input, its place, and what is done at its beginning and its end."""

    root: Path
    paths: list[Path]
    place: RunPlace
    model: TrainedModel | None
    settings: InspectSettings
    sidecars: Sidecars = field(default_factory=Sidecars)

    @classmethod
    def prepare(cls, path: Path, out: Path, *, model: TrainedModel | None, settings: InspectSettings) -> InspectRun:
        """List the pictures; raises DataError where there is none."""
        below, found = settled(out), find_images(path)
        # A run writes below `out`, which may lie in the folder that is inspected.
        paths = [image for image in found.pictures if not settled(image).is_relative_to(below)]
        if not paths:
            raise DataError(f"{path}: the folder holds no file")
        root = path if path.is_dir() or (is_remote(path) and paths != [path]) else path.parent
        return cls(root, paths, open_place(out), model, settings, found.sidecars)

    def open_journal(self, progress: Progress = silent) -> Journal:
        """Begin the run's place, or go on with it."""
        existing, total = self.settings.existing, len(self.paths)
        return open_run(self.place, self.header(), existing, self.extra_files(), progress=progress, total=total)

    def open_tables(self, *, replace: bool) -> ColumnsTarget | None:
        """Open the place for tables before the work begins; finished ones that are there may be replaced, or not."""
        wanted = self.settings.tables
        return None if wanted is None else ColumnsTarget.open(wanted, overwrite=replace)

    def extra_files(self) -> list[str]:
        """Return the names of the reports."""
        return [REPORT_WRITERS.get(name).filename for name in self.settings.reports]

    def header(self) -> dict[str, Any]:
        """Return what the journal begins with."""
        return {"started_at": datetime.now(UTC).isoformat(timespec="seconds"), "identity": self._identity()}

    def _identity(self) -> dict[str, Any]:
        table = self.settings.table
        return {
            **self.settings.described(),
            "severity_table": table and table.describe(),
            "model": self.model and model_card(self.model)["sha256"],
            "input_files": fingerprint((str(path.relative_to(self.root)), path) for path in self._read_from()),
            "isotherm": version("isotherm"),
        }

    def _read_from(self) -> Iterator[Path]:
        """Yield what decides what is read: the pictures, and what lies beside them."""
        yield from self.paths
        yield from self.sidecars.of_all(self.paths)

    def names(self) -> list[str]:
        """Return what the pictures of each input are called."""
        return output_names([path.relative_to(self.root).as_posix() for path in self.paths])

    def work(self, journal: Journal, progress: Progress) -> int:
        """Do what the journal does not hold yet, and return how many pictures that were."""
        self.settings.make_folders(self.place)
        total, done = len(self.paths), journal.done
        names = self.names()[done:]
        if names:
            work = self.settings.work(self.root, self.place, model=self.model, span=self.span())
            for batch in work.finished(Listing(self.paths[done:], self.sidecars), names):
                journal.append(batch)
                done += len(batch)
                progress(done, total, "inspecting")
        return len(names)

    def results(self) -> Sequence[ImageResult]:
        """Return what the journal of the finished run holds; many results are read again whenever they are wanted."""
        return stored_results(partial(journal_lines, self.place), len(self.paths), f"{self.place}/{JOURNAL}")

    def span(self) -> Span | None:
        """Return the span of the colours in all panels, None for each its own; reads all pictures where asked."""
        settings = self.settings
        if not settings.panels:
            return None
        inputs = inputs_of(Listing(self.paths, self.sidecars), self.root)
        outcomes = read_inputs(inputs, edit=settings.edit, hints=settings.hints, jobs=settings.jobs)
        return fixed_span(settings.span, (outcome.thermogram for outcome in outcomes if outcome.thermogram))

    def inspection(self, results: Sequence[ImageResult], header: Mapping[str, Any], seconds: float) -> Inspection:
        """Return the results with what is needed to judge them."""
        table = self.settings.table
        return Inspection(
            results=results,
            title=settled(self.root).name if len(self.paths) > 1 else self.paths[0].name,
            started_at=header["started_at"],
            settings=self.settings.described(),
            model=model_card(self.model) if self.model else None,
            severity_table=table.describe() if table else None,
            versions=versions(),
            timings_s={"inspect": seconds},
        )

    def report(
        self,
        inspection: Inspection,
        *,
        started: float,
        images: int,
        tables: ColumnsTarget | None = None,
        look: Taker | None = None,
        progress: Progress = silent,
    ) -> None:
        """Write tables, reports and ``run.json``; `look` is shown each result."""
        seconds = inspection.timings_s["inspect"]

        def work() -> dict[str, Any]:
            return {
                # A report reads the pictures once more.
                "source": str(settled(self.root)),
                "timings_s": {**inspection.timings_s, "total": time.perf_counter() - started},
                "images": images,
                "images_per_s": images / seconds,
            }

        RunEnd(self.place, inspection, self.settings.reports, tables, look, progress).write(work)


def model_card(model: TrainedModel) -> dict[str, Any]:
    """Return what a report says about a model, as plain values; ``sha256`` identifies it."""
    calibration = model.calibration
    card = {
        "method": model.method,
        "config": to_mapping(model.config),
        "inputs": model.inputs.to_mapping(),
        "calibration": {
            "percentile": calibration.percentile,
            "threshold": calibration.threshold,
            "pixel_threshold": calibration.pixel_threshold,
            "how": calibration.how,
            "scores": len(calibration.scores),
        },
        **model.manifest,
    }
    return {**card, "sha256": model.manifest.get("manifest_sha256") or sha256(dumps(card).encode())}


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    return {
        **installed("isotherm"),
        "python": platform.python_version(),
        **installed("numpy", "pillow", "openvino"),
    }
