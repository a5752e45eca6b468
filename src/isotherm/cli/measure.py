"""``isotherm measure FILE...``: regions, differences and isotherms, each with its uncertainty."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.cli.flags import add_flags, add_overwrite, from_flags
from isotherm.cli.measure_text import text_of
from isotherm.core.errors import ConfigError, DataError, UsageError
from isotherm.core.files import make_folder
from isotherm.core.regions import Mask
from isotherm.core.scene import SceneEdit
from isotherm.formats.reader import ReadHints
from isotherm.formats.reading import read
from isotherm.measurement.isotherms import parse_isotherm
from isotherm.measurement.materials import find_material, materials
from isotherm.measurement.operation import Operation
from isotherm.measurement.severity import SEVERITY_TABLES, load_table
from isotherm.measurement.shapes import PARSERS, checked_label, free_label
from isotherm.radiometry.uncertainty import UncertaintySettings
from isotherm.reports.png import with_source
from isotherm.workflows.info import describe
from isotherm.workflows.measure import Measurement, MeasureRequest, measure, plain
from isotherm.workflows.measure_edits import MeasureEdits, parse_region_edits, parse_sigmas
from isotherm.workflows.measure_figure import draw
from isotherm.workflows.output_files import check_folder, write_output
from isotherm.workflows.reading import Outcome, exit_status, list_inputs, read_inputs
from isotherm.workflows.sidecar import Sidecar, write_sidecar

_SHAPES = {
    "spot": ("X,Y[,SIZE]", "a spot of SIZE x SIZE px (3 where not given)"),
    "box": ("X,Y,W,H", "a box: upper left corner, width, height [px]"),
    "ellipse": ("X,Y,RX,RY", "an ellipse: centre and two half axes [px]"),
    "line": ("X0,Y0,X1,Y1", "a line with its profile"),
    "polygon": ("'X,Y X,Y X,Y'", "a polygon of three or more corners"),
}


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm measure``."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="FILE", help="files, or folders that are read recursively"
    )
    regions = parser.add_argument_group(
        "regions (each may be given several times, and as LABEL=... with its own label)"
    )
    for kind, (form, text) in _SHAPES.items():
        regions.add_argument(f"--{kind}", action=_Shape, metavar=form, help=text)
    regions.add_argument(
        "--mask",
        action="append",
        default=[],
        metavar="FILE",
        help="what is not black in a picture of the same size, or what an isotherm finds: --mask hot='>60'",
    )
    _add_region_edits(regions)
    compare = parser.add_argument_group("differences and isotherms (each may be given several times)")
    compare.add_argument(
        "--delta",
        action="append",
        default=[],
        metavar="A-B",
        help="a.max-b.max, a-ambient, a-21.5, a-median(b,c,d), left-right(a), phases(a,b,c); "
        "image stands for the whole picture",
    )
    compare.add_argument(
        "--isotherm",
        action="append",
        default=[],
        metavar="TEXT",
        help="'>60', '<10', 20..30, dewpoint, humidity:80, insulation:0.7,21,-2; with ' in LABEL' inside a region",
    )
    tables = ", ".join(SEVERITY_TABLES)
    compare.add_argument(
        "--severity", metavar="TABLE", help=f"judge differences: {tables}, or a JSON or TOML file of your own"
    )
    _add_results(parser)
    add_flags(parser, SceneEdit, "scene (in place of the files' own values)")
    add_flags(parser, Operation, "operation of the equipment, for severity tables")
    add_flags(parser, UncertaintySettings, "uncertainty")
    add_flags(parser, ReadHints, "reading (what a file cannot say)")


def _add_region_edits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--region-emissivity", action="append", default=[], metavar="LABEL=X", help="emissivity inside one region"
    )
    group.add_argument(
        "--region-material", action="append", default=[], metavar="LABEL=NAME", help="the same, from the table"
    )
    group.add_argument(
        "--region-set", action="append", default=[], metavar="LABEL.NAME=X", help="any parameter inside one region"
    )
    group.add_argument("--material", metavar="NAME", help="emissivity from the table of materials")
    group.add_argument("--materials", action="store_true", help="list the table of materials and end")
    group.add_argument(
        "--sigma", action="append", default=[], metavar="NAME=X", help="standard uncertainty of a parameter"
    )


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON array with an object for each file")
    parser.add_argument("--budget", action="store_true", help="print every line of each uncertainty budget")
    parser.add_argument(
        "--sidecar", action="store_true", help="keep regions and edits in FILE.isotherm.json; FILE is never written"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write a figure (PNG) and the numbers (JSON) of each file"
    )
    add_overwrite(parser)


class _Shape(argparse.Action):
    """Keeps shapes of all kinds in the order in which they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 (argparse's signature)
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        kind = (option_string or "").removeprefix("--")
        kind = next(name for name in PARSERS if name.startswith(kind))
        namespace.shapes = (*getattr(namespace, "shapes", ()), (kind, values))


@dataclass(frozen=True)
class _Task:
    """What is done with each file."""

    edits: MeasureEdits
    request: MeasureRequest
    sidecar: bool
    output: Path | None
    inputs: frozenset[Path]
    overwrite: bool

    @property
    def several(self) -> bool:
        """Whether more than one file is measured."""
        return len(self.inputs) > 1

    def run(self, outcome: Outcome) -> tuple[dict[str, Any], Measurement | None]:
        """Return the row of one file, and what was measured; a file that fails is a row with its reason."""
        row = describe(outcome)
        if outcome.thermogram is None:
            return row, None
        try:
            found = self._measure(outcome)
        except (ConfigError, DataError) as error:
            if not self.several and isinstance(error, UsageError):
                raise
            return row | {"status": "failed", "error": str(error)}, None
        return describe(replace(outcome, thermogram=found.thermogram)) | plain(found), found

    def _measure(self, outcome: Outcome) -> Measurement:
        assert outcome.thermogram is not None
        thermogram, sidecar = self.edits.for_picture(outcome.thermogram, outcome.sidecar or Sidecar())
        found = measure(thermogram, replace(self.request, deltas=sidecar.deltas, isotherms=sidecar.isotherms))
        if self.sidecar:
            # Written only after everything in it was understood.
            write_sidecar(outcome.path, replace(sidecar, image=outcome.path.name, image_sha256=thermogram.digest))
        return found

    def write(self, row: dict[str, Any], found: Measurement, name: str) -> None:
        """Write the figure and the numbers of one file."""
        if self.output is None:
            return
        picture, numbers = (self.output / f"{name}{suffix}" for suffix in (".measured.png", ".measured.json"))
        make_folder(picture.parent)
        digest = found.thermogram.digest
        figure = with_source(draw(found, name), f"isotherm measure of sha256 {digest}")
        text = json.dumps({"made_by": "isotherm measure"} | row, indent=1, ensure_ascii=False, allow_nan=False)
        for path, data in ((picture, figure), (numbers, text.encode("utf-8"))):
            write_output(path, data, digest=digest, inputs=self.inputs, overwrite=self.overwrite)


def run(arguments: argparse.Namespace) -> int:
    """Measure the files; returns 0, 3 where some failed, 1 where all did."""
    if arguments.materials:
        _list_materials()
        return 0
    if not arguments.paths:
        raise UsageError("measure needs a FILE (or --materials)")
    if arguments.output is not None:
        check_folder(arguments.output)
    inputs = list_inputs(arguments.paths)
    task = _task(arguments, frozenset(item.path.resolve() for item in inputs))
    outcomes = read_inputs(
        inputs, edit=task.edits.edit, hints=from_flags(ReadHints, arguments), jobs=min(2, len(inputs))
    )
    rows = _rows(task, outcomes, arguments)
    if arguments.json:
        found = list(rows)
        print(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
        return exit_status(sum(row["status"] == "failed" for row in found), len(inputs))
    return exit_status(sum(row["status"] == "failed" for row in rows), len(inputs))


def _rows(task: _Task, outcomes: Iterator[Outcome], arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for number, outcome in enumerate(outcomes):
        row, found = task.run(outcome)
        if not arguments.json:
            print(("\n" if number else "") + "\n".join(text_of(row, budget=arguments.budget)))
        if found is not None:
            task.write(row, found, outcome.name)
        yield row


def _task(arguments: argparse.Namespace, inputs: frozenset[Path]) -> _Task:
    edit, sigma, material = from_flags(SceneEdit, arguments), parse_sigmas(arguments.sigma), ""
    if arguments.material is not None:
        if edit.emissivity is not None:
            raise UsageError("--material and --emissivity say the same thing; give one of them")
        row = find_material(arguments.material)
        edit, material = replace(edit, emissivity=row.emissivity), row.name
        sigma = {"emissivity": row.sigma} | sigma
    shapes = getattr(arguments, "shapes", ())
    edits = MeasureEdits(
        shapes=shapes,
        regions=parse_region_edits(arguments.region_emissivity, arguments.region_material, arguments.region_set),
        edit=edit,
        sigma=sigma,
        material=material,
        deltas=tuple(arguments.delta),
        isotherms=tuple(arguments.isotherm),
    )
    masks, thresholds = _masks(arguments.mask)
    request = MeasureRequest(
        masks=masks,
        thresholds=thresholds,
        settings=from_flags(UncertaintySettings, arguments),
        table=load_table(arguments.severity) if arguments.severity else None,
        operation=from_flags(Operation, arguments),
    )
    return _Task(edits, request, arguments.sidecar, arguments.output, inputs, arguments.overwrite)


def _masks(texts: Sequence[str]) -> tuple[dict[str, Mask], dict[str, str]]:
    """Return masks and thresholds by label, written as a file or an isotherm, with ``LABEL=`` before it or without."""
    masks: dict[str, Mask] = {}
    thresholds: dict[str, str] = {}
    for text in texts:
        taken = {*masks, *thresholds}
        label, equals, what = text.partition("=")
        if not equals or Path(text).exists() or label in ("<", ">"):
            label, what = free_label("mask", taken), text
        label = checked_label(label.strip(), taken)
        if Path(what).exists():
            masks[label] = _drawn_mask(what)
        else:
            thresholds[label] = _threshold(what)
    return masks, thresholds


def _drawn_mask(path: str) -> Mask:
    """Return what is not black in a picture; a thermal one is no drawing, and hardly any count of it is 0."""
    picture = read(path)
    if picture.radiometric:
        raise UsageError(
            f"the mask {path!r} is a thermal picture; a mask is a drawing, black where nothing is meant, or an "
            "isotherm such as '>60'"
        )
    return np.asarray(picture.counts > 0)


def _threshold(text: str) -> str:
    try:
        parse_isotherm(text)
    except ConfigError as error:
        # The isotherm's message ends with the text that is named here already.
        why = str(error).removesuffix(f"; not {text!r}")
        raise ConfigError(f"a mask is a picture file or an isotherm; {text!r} is no file, and {why}") from error
    return text


def _list_materials() -> None:
    rows = materials().values()
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.name:<{width}}  {row.emissivity:<6g} ± {row.sigma:<5g} {row.at}, {row.band}")
    print("\nsources")
    for source in dict.fromkeys(row.source.partition(" (reference")[0] for row in rows):
        print(f"  {source}")
