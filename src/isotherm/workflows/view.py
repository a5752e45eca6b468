"""Thermal pictures as pages to look at and to measure in, or with the edges of the photo over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from isotherm.core.errors import IsothermError, UsageError, one_line
from isotherm.core.files import make_folder
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import ReadHints
from isotherm.reports import palette
from isotherm.reports.drawing import Span
from isotherm.reports.edge_picture import draw_edges
from isotherm.reports.photos import Nudge
from isotherm.reports.png import with_source
from isotherm.reports.view_data import Looks, Unit, own_span
from isotherm.reports.view_page import render_page
from isotherm.workflows.output_files import FILE_SUFFIXES, write_output
from isotherm.workflows.output_names import output_names
from isotherm.workflows.reading import Input, Outcome, read_inputs
from isotherm.workflows.sidecar import plain, sidecar_notes
from isotherm.workflows.spans import SpanChoice, fixed_span
from isotherm.workflows.visual import photo_of, required_photo

MIXED = "these temperatures are estimated and share their span with measured ones: equal colours are not equally sure"


@dataclass(frozen=True)
class ViewSettings:
    """How pictures are shown.

    Parameters
    ----------
    palette, span, unit
        See `isotherm.reports.view_data.Looks` and `isotherm.workflows.spans`.
    edges
        Write the picture with the photo's edges (PNG) in place of the page.
    photo, nudge
        A photo that the user names, and how it is moved.
    edit, hints
        As for every command that reads files.
    overwrite
        Replace files that are there and were not made from the same picture.
    """

    palette: str = "iron"
    span: SpanChoice = field(default_factory=SpanChoice)
    unit: Unit = "c"
    edges: bool = False
    photo: Path | None = None
    nudge: Nudge | None = None
    edit: SceneEdit = field(default_factory=SceneEdit)
    hints: ReadHints = field(default_factory=ReadHints)
    overwrite: bool = False


@dataclass(frozen=True)
class Viewed:
    """What became of one file: the path written, or the reason why none was."""

    name: str
    target: Path | None
    error: str = ""
    notes: tuple[str, ...] = ()


def targets(inputs: Sequence[Input], output: Path | None, *, edges: bool) -> list[Path]:
    """Return the file that is written for each input.

    Without `output` it lies in the working folder and is called as the picture (``IR_1.html``, ``IR_1-edges.png``). For
    one picture `output` is that file, where its suffix says so, else a folder.

    Raises
    ------
    UsageError
        `output` is called like a file of another kind, or like one file for several pictures.
    """
    suffix = ".png" if edges else ".html"
    folder = Path() if output is None else output
    if not folder.is_dir() and folder.suffix.lower() == suffix:
        if len(inputs) == 1:
            return [folder]
        raise UsageError(f"-o {folder} is one file for {len(inputs)} pictures; name a folder")
    if not folder.is_dir() and folder.suffix.lower() in FILE_SUFFIXES:
        raise UsageError(f"-o {folder}: {'a picture with edges' if edges else 'a page'} ends in {suffix}")
    ending = "-edges.png" if edges else ".html"
    return [folder / f"{name}{ending}" for name in output_names([item.name for item in inputs])]


def view(inputs: Sequence[Input], files: Sequence[Path], settings: ViewSettings) -> Iterator[Viewed]:
    """Write one page, or one picture with edges, for each input, in order; a bad file stops nothing.

    Raises
    ------
    UnknownNameError
        There is no such palette.
    OutputError
        A folder cannot be made.
    """
    palette.check_for_temperatures(settings.palette, others=["camera"])
    for folder in {file.parent for file in files}:
        make_folder(folder)
    kinds: set[bool] = set()
    read = _readable(inputs, settings, kinds) if settings.span.kind == "set" else iter(())
    span = fixed_span(settings.span, read)
    taken = {item.path.resolve() for item in inputs}
    for outcome, file in zip(_outcomes(inputs, settings), files, strict=True):
        done = _viewed(outcome, file, settings, span, protected=taken)
        estimated = outcome.thermogram is not None and outcome.thermogram.estimated
        yield replace(done, notes=(*done.notes, MIXED)) if estimated and done.target and len(kinds) > 1 else done


def _outcomes(inputs: Sequence[Input], settings: ViewSettings) -> Iterator[Outcome]:
    return read_inputs(inputs, edit=settings.edit, hints=settings.hints, jobs=min(2, len(inputs)))


def _readable(inputs: Sequence[Input], settings: ViewSettings, kinds: set[bool]) -> Iterator[Thermogram]:
    """Yield what can be read; `kinds` gets whether temperatures are estimated, of each kind that there is."""
    for outcome in _outcomes(inputs, settings):
        if outcome.thermogram is not None:
            kinds |= {outcome.thermogram.estimated} if outcome.thermogram.radiometric else set()
            yield outcome.thermogram


def _viewed(outcome: Outcome, file: Path, settings: ViewSettings, span: Span | None, *, protected: set[Path]) -> Viewed:
    thermogram = outcome.thermogram
    if thermogram is None:
        return Viewed(outcome.name, None, outcome.error)
    try:
        draw = _edge_picture if settings.edges else _page
        data, notes = draw(outcome, thermogram, settings, span)
        write_output(file, data, digest=thermogram.digest, inputs=protected, overwrite=settings.overwrite)
    except IsothermError as error:
        return Viewed(outcome.name, None, one_line(error))
    return Viewed(outcome.name, file, notes=(*sidecar_notes(thermogram.notes), *notes))


def _page(
    outcome: Outcome, thermogram: Thermogram, settings: ViewSettings, span: Span | None
) -> tuple[bytes, tuple[str, ...]]:
    photo, note = photo_of(thermogram, outcome.path, chosen=settings.photo, nudge=settings.nudge)
    looks = Looks(
        palette=settings.palette if thermogram.radiometric else "grey",
        span=span if thermogram.radiometric else None,
        unit=settings.unit,
        photo=photo,
        sidecar={} if outcome.sidecar is None else plain(outcome.sidecar),
    )
    return render_page(outcome.path.name, thermogram, looks), (note,) if note else ()


def _edge_picture(
    outcome: Outcome, thermogram: Thermogram, settings: ViewSettings, span: Span | None
) -> tuple[bytes, tuple[str, ...]]:
    photo = required_photo(thermogram, outcome.path, chosen=settings.photo, nudge=settings.nudge)
    values, radiometric = thermogram.values(), thermogram.radiometric
    shown = (span if radiometric else None) or own_span(values, radiometric=radiometric)
    table = settings.palette if settings.palette != "camera" and radiometric else "grey" if not radiometric else "iron"
    picture = draw_edges(outcome.path.name, values, shown, table=table, photo=photo)
    return with_source(picture, f"isotherm view of sha256 {thermogram.digest}"), ()
