"""Reports of inspections that were made before: their results are read back, their pictures are read again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any

from isotherm.core.errors import ConfigError, DataError, OutputError, TooLargeError, UsageError
from isotherm.core.findings import ImageResult, Inspection
from isotherm.core.processes import cores
from isotherm.core.progress import Progress, silent
from isotherm.radiometry.parameters import params_from_described
from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.building import DocumentSettings, build_document
from isotherm.reports.document.content import ReportSection
from isotherm.reports.document.faults import FaultPer
from isotherm.reports.document.layout import Layout, Rendered, Template
from isotherm.reports.document.particulars import Particulars, particulars_from_toml
from isotherm.reports.plain import from_plain
from isotherm.workflows.remote_inputs import address_of, is_remote
from isotherm.workflows.report_pictures import PictureSource, drawn_again
from isotherm.workflows.run_folder import JOURNAL, RUN, run_results
from isotherm.workflows.run_place import RunPlace, open_place

MOST_BYTES = 256_000_000
"""Of a results.json that is named: it is read as a whole, into several times that memory; a run is read by lines."""
MOST_RUN_BYTES = 1_000_000_000
"""Of a run.json, which names the inputs: those of some ten million."""
MOST_ABOUT_BYTES = 5_000_000
BRIEF_FAULTS = 1000
"""Faults that the brief template lists."""
MOST_JOBS, MOST_THREADS = 8, 256
"""More threads than the first wait for one another; more than the second cannot be asked for."""

_MEMBERS: Mapping[str, type | UnionType] = {
    "title": str, "started_at": str, "settings": dict, "model": dict | None, "severity_table": dict | None,
    "versions": dict, "timings_s": dict,
}  # fmt: skip
"""What is read of an inspection beside its results."""


@dataclass(frozen=True)
class ReportSettings:
    """How a report is made.

    Parameters
    ----------
    language, template, particulars, per
        See `DocumentSettings` and `Template`.
    worst
        How many of the faults are shown, the worst; None for all, see `isotherm.reports.document.building`.
    images
        The folder with the pictures, where it has moved.
    sections
        What others add.
    jobs
        Threads that read and draw pictures; one a core, at most `MOST_JOBS`, unless said.
    """

    language: str = "en"
    template: Template = field(default_factory=Template)
    particulars: Particulars = field(default_factory=Particulars)
    per: FaultPer = "picture"
    worst: int | None = None
    images: Path | None = None
    sections: tuple[ReportSection, ...] = ()
    jobs: int = field(default_factory=lambda: min(cores(), MOST_JOBS))

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MOST_THREADS:
            raise ConfigError(f"jobs must be from 1 to {MOST_THREADS}, not {self.jobs}")


@dataclass(frozen=True, eq=False)
class Stored:
    """An inspection that was written down.

    Parameters
    ----------
    inspection
        What was looked at and how, without results.
    results
        What was found in each picture, in input order; those of a folder are read one after the other, once.
    place
        Where its panels are.
    source
        The folder of the pictures; None where it is not known.
    """

    inspection: Inspection
    results: Iterable[ImageResult]
    place: RunPlace
    source: Path | None


def report(path: Path, form: str, settings: ReportSettings | None = None, *, progress: Progress = silent) -> Rendered:
    """Return the report of an inspection as a file.

    Parameters
    ----------
    path
        The folder of `isotherm inspect` or `isotherm hotspots`, or its ``results.json``; also in a bucket.
    form
        A name of `isotherm.reports.document.LAYOUTS`: pdf, html, docx, json or csv.

    Raises
    ------
    DataError
        There is no finished inspection at `path`, or it is damaged.
    TemplateError, ConfigError, UnknownNameError, MissingExtraError
        A setting is wrong, or an extra is missing.
    """
    settings = settings or ReportSettings()
    layout = LAYOUTS.get(form)
    check_template(layout, settings.template)
    stored = read_inspection(path)
    source = PictureSource(stored.inspection.settings, stored.place, settings.images or stored.source)
    pictures = partial(
        drawn_again, source, settings.language, live=form == "html", jobs=settings.jobs, progress=progress
    )
    document = build_document(
        stored.inspection,
        DocumentSettings(settings.language, settings.particulars, settings.per, _worst(form, settings)),
        pictures=pictures if _shows_pictures(form, settings.template) else None,
        sections=settings.sections,
        results=stored.results,
    )
    return layout.render(document, settings.template)


def _shows_pictures(form: str, template: Template) -> bool:
    return form in ("pdf", "html", "docx") and not template.is_brief


def _worst(form: str, settings: ReportSettings) -> int | None:
    """Return how many faults are shown: tables for programs have all, the short one for people those it can list."""
    brief = form in ("pdf", "html", "docx") and settings.template.is_brief
    return settings.worst or (BRIEF_FAULTS if brief else None)


def check_template(layout: Layout, template: Template) -> None:
    """Raise UsageError where a layout follows no template of this kind."""
    if template.path is None or template.path.suffix.lower() in layout.template_suffixes:
        return
    wanted = " or ".join(layout.template_suffixes)
    what = f"a template of a {layout.name} report ends in {wanted}" if wanted else f"{layout.name} follows no template"
    raise UsageError(f"--template {template.path}: {what}")


def form_of(path: Path) -> str:
    """Return the layout that a file's suffix asks for; raises UsageError for an unknown one."""
    form = path.suffix.lower().removeprefix(".")
    form = {"htm": "html"}.get(form, form)
    if form not in LAYOUTS.names():
        raise UsageError(f"-o {path}: the suffix says the kind of report: .{', .'.join(LAYOUTS.names())}")
    return form


def target_of(path: Path, *, overwrite: bool) -> RunPlace:
    """Return where a report will be written; raises OutputError where a file is there already."""
    place = open_place(path.parent)
    if place.taken(path.name) and not overwrite:
        raise OutputError(f"{address_of(path)} is there already: name another file, or replace it with --overwrite")
    return place


def write_report(path: Path, rendered: Rendered, *, overwrite: bool) -> None:
    """Write a report whole or not at all; raises OutputError where a file is there already."""
    target_of(path, overwrite=overwrite).write(path.name, rendered.data)


def write_template(path: Path, name: str, *, overwrite: bool) -> list[Path]:
    """Write a built-in template to start from, with the parts that it needs, and return what was written.

    Raises
    ------
    UsageError
        No template is called like this file.
    OutputError
        A file is there already.
    """
    layouts = map(LAYOUTS.get, LAYOUTS.names())
    layout = next((layout for layout in layouts if path.suffix.lower() in layout.template_suffixes), None)
    if layout is None:
        raise UsageError(f"{path}: a template is .typ for PDF, .html or .docx")
    files = layout.template_files(name)
    written = []
    for part, data in files.items():
        target = path if part == next(iter(files)) else path.with_name(part)
        write_report(target, Rendered(data), overwrite=overwrite)
        written.append(target)
    return written


def read_particulars(path: Path) -> Particulars:
    """Read the particulars of a TOML file; raises ConfigError where it is wrong."""
    try:
        if path.stat().st_size > MOST_ABOUT_BYTES:
            raise ConfigError(f"{path}: has more than {MOST_ABOUT_BYTES} bytes")
        return particulars_from_toml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error


_AGAIN = "name the folder of a run that is whole, or make the inspection again"
_WANTED = "name the folder that isotherm inspect or hotspots has written"


def read_inspection(path: Path) -> Stored:
    """Read an inspection back: the folder of a run, or its ``results.json``.

    Raises
    ------
    DataError
        There is none, it was not finished, or it is damaged.
    """
    if path.suffix == ".json" and (path.is_file() or is_remote(path)):
        return _of_json(open_place(path.parent), path.name)
    if path.is_dir() or is_remote(path):
        return _of_place(open_place(path))
    if path.is_file():
        raise DataError(f"{path} is no inspection: {_WANTED}")
    raise DataError(f"{path}: no such file or folder")


def _of_place(place: RunPlace) -> Stored:
    if not place.has(JOURNAL):
        raise DataError(f"{place} holds no inspection: {_WANTED}")
    if not place.has(RUN):
        raise DataError(f"{place}: this inspection was not finished; continue it with --resume")
    run = _parsed(place, RUN, MOST_RUN_BYTES)
    return Stored(_inspection(run, f"{place}/{RUN}"), run_results(place), place, _source(run))


def _of_json(place: RunPlace, name: str) -> Stored:
    try:
        found, path = _parsed(place, name, MOST_BYTES), f"{place}/{name}"
    except TooLargeError as error:
        wanted = "name the folder of the run instead, whose journal is read line by line"
        raise DataError(f"{error.reason}; {wanted}") from error
    try:
        results = tuple(_result(row) for row in found["results"])
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is no results.json of an inspection: {type(error).__name__} {error}") from error
    beside = _parsed(place, RUN, MOST_RUN_BYTES) if place.has(RUN) else {}
    return Stored(_inspection(found, path), results, place, _source(beside))


def _result(row: Mapping[str, Any]) -> ImageResult:
    return from_plain(ImageResult, {**row, "scene": params_from_described(row["scene"])})


def _parsed(place: RunPlace, name: str, most_bytes: int) -> dict[str, Any]:
    path = f"{place}/{name}"
    try:
        found = json.loads(place.read(name, most_bytes).decode("utf-8"))
    except OutputError as error:
        raise DataError(str(error)) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is damaged: no UTF-8 text (byte {error.start}); {_AGAIN}") from error
    except RecursionError as error:
        raise DataError(f"{path} is damaged: it is nested too deeply; {_AGAIN}") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}; {_AGAIN}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is damaged: it must be an object; {_AGAIN}")
    return found


def _inspection(run: Mapping[str, Any], path: str) -> Inspection:
    # Three dots stand for one that is missing: null is a value.
    if wrong := [name for name, kind in _MEMBERS.items() if not isinstance(run.get(name, ...), kind)]:
        raise DataError(f"{path} is damaged: {', '.join(wrong)} missing or of a wrong type")
    return Inspection(results=(), **{name: run[name] for name in _MEMBERS})


def _source(run: Mapping[str, Any]) -> Path | None:
    return Path(run["source"]) if isinstance(run.get("source"), str) else None
