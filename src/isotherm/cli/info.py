"""``isotherm info FILE...``: what thermal files hold, or the card of a model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isotherm.cli.flags import add_flags, from_flags
from isotherm.cli.info_model import card_lines, is_model, manifest_of
from isotherm.core.errors import ModelError
from isotherm.core.scene import SceneEdit
from isotherm.formats.reader import ReadHints
from isotherm.runtime.bundle import NETWORK
from isotherm.workflows.info import describe
from isotherm.workflows.reading import exit_status, list_inputs, read_inputs


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm info``."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="files, or folders that are read recursively; or one model folder",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON array with an object for each file")
    add_flags(parser, SceneEdit, "scene (in place of the files' own values)")
    add_flags(parser, ReadHints, "reading (what a file cannot say)")


def run(arguments: argparse.Namespace) -> int:
    """Print what the files hold; returns 0, 3 where some could not be read, 1 where none could."""
    if len(arguments.paths) == 1 and _may_be_model(arguments.paths[0]):
        from isotherm.sequences.defect_model import DefectModel, is_defect_model

        if is_defect_model(arguments.paths[0]):
            model = DefectModel.load(arguments.paths[0])
            return _print_card(model.name, model.manifest, model.card, as_json=arguments.json)
    if len(arguments.paths) == 1 and is_model(arguments.paths[0]):
        manifest = manifest_of(arguments.paths[0])
        lines = () if arguments.json else card_lines(manifest)
        return _print_card(str(arguments.paths[0]), manifest, lines, as_json=arguments.json)
    edit, hints = from_flags(SceneEdit, arguments), from_flags(ReadHints, arguments)
    inputs = list_inputs(arguments.paths)
    rows = map(describe, read_inputs(inputs, edit=edit, hints=hints, jobs=min(2, len(inputs))))
    failures = _print_json(rows) if arguments.json else _print_text(rows)
    return exit_status(failures, len(inputs))


def _may_be_model(path: Path) -> bool:
    """Say whether it is worth the import: a folder with a network in it, or the name of a model that is shipped."""
    return (path / NETWORK).is_file() or not path.exists()


def _print_card(name: str, manifest: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> int:
    if as_json:
        try:
            print(json.dumps(dict(manifest), indent=2, ensure_ascii=False, allow_nan=False))
        except ValueError as error:
            raise ModelError(f"its manifest holds what JSON cannot: {error}", Path(name)) from error
    else:
        print("\n".join((_printable(name), *(f"  {_printable(line.strip())}" for line in lines))))
    return 0


def _printable(text: str) -> str:
    """Return text that a terminal shows and does not obey: a model may be a stranger's."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _print_json(rows: Iterator[dict[str, Any]]) -> int:
    """Print one array with an object for each file; returns how many failed."""
    found = list(rows)
    print(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
    return sum(row["status"] == "failed" for row in found)


def _print_text(rows: Iterator[dict[str, Any]]) -> int:
    failures = 0
    for number, row in enumerate(rows):
        failures += row["status"] == "failed"
        print(("\n" if number else "") + "\n".join(text_of(row)))
    return failures


def text_of(row: dict[str, Any]) -> Iterator[str]:
    """Return the lines that show one file."""
    yield from head_of(row)
    if row["status"] == "failed":
        return
    yield from _temperatures(row)
    yield from _parameters(row)
    yield from _extras(row)
    for note in row["notes"]:
        yield f"  note: {note}"


def head_of(row: dict[str, Any]) -> Iterator[str]:
    """Return the first lines of a file: path, format and camera, or why it could not be read."""
    yield row["path"]
    if row["status"] == "failed":
        yield f"  failed       {row['error']}"
        return
    calibration = row["calibration"]["kind"] if row["calibration"] else "no temperatures"
    yield f"  format       {row['format']} ({calibration}), {row['width']} x {row['height']} px"
    yield from _camera(row)


def _parameters(row: dict[str, Any]) -> Iterator[str]:
    for name, param in row["parameters"].items():
        unit = "" if param["unit"] == "1" else " " + param["unit"]
        sigma = f"± {param['sigma']:g} (k = 1; {param['sigma_reason']})"
        yield f"  {name:<20} {param['value']:g}{unit} ({param['source']}), {sigma}"


def _extras(row: dict[str, Any]) -> Iterator[str]:
    if row["sensor_size"]:
        height, width = row["sensor_size"]
        yield f"  sensor       {width} x {height} px, enlarged to {row['width']} x {row['height']}"
    pose = row["pose"] or {}
    known = {name: value for name, value in pose.items() if value is not None}
    if known:
        yield "  pose         " + ", ".join(f"{name} {value:g}" for name, value in known.items())
    if row["photo"]:
        yield f"  photo        {row['photo']['origin']}, {row['photo']['bytes']} bytes"
    for region in row["regions"]:
        numbers = {name: value for name, value in region.items() if name not in ("label", "origin", "shape")}
        place = ", ".join(f"{name} {value}" for name, value in numbers.items())
        yield f"  {region['shape']:<12} {region['label']} ({region['origin']}): {place}"
    for annotation in row["annotations"]:
        label = f"{annotation['label']}: " if annotation["label"] else ""
        source = annotation["source"] + (", by the camera itself" if annotation["automatic"] else "")
        yield f"  text         {label}{annotation['text']} ({source})"


def _camera(row: dict[str, Any]) -> Iterator[str]:
    camera, position = row["camera"], row["position"]
    parts = [" ".join(filter(None, (camera["maker"], camera["model"])))]
    parts += [f"serial {camera['serial']}"] if camera["serial"] else []
    parts += [f"lens {camera['lens']}"] if camera["lens"] else []
    parts += [f"{camera['field_of_view_deg']:g} deg"] if camera["field_of_view_deg"] else []
    if any(parts):
        yield f"  camera       {', '.join(filter(None, parts))}"
    if camera["taken_at"]:
        yield f"  taken        {camera['taken_at']}"
    if position:
        height = "" if position["altitude_m"] is None else f", {position['altitude_m']:g} m"
        yield f"  position     {position['latitude_deg']:.6f}, {position['longitude_deg']:.6f}{height}"


def _temperatures(row: dict[str, Any]) -> Iterator[str]:
    found = row["temperatures"]
    if found is None:
        missing = "no pixel has one" if row["radiometric"] else "none: this picture holds only colours or grey levels"
        yield f"  temperatures {missing}"
        return
    (cold_x, cold_y), (hot_x, hot_y) = found["min_at"], found["max_at"]
    yield f"  minimum      {found['min_c']:.3f} °C at ({cold_x}, {cold_y})"
    yield f"  mean         {found['mean_c']:.3f} °C, standard deviation {found['std_c']:.3f} °C"
    yield f"  maximum      {found['max_c']:.3f} °C at ({hot_x}, {hot_y})"
    if found["missing_px"]:
        yield f"  missing      {found['missing_px']} px have no temperature"
    if row["camera_scale_c"]:
        low, high = (_degrees(end) for end in row["camera_scale_c"])
        moved = ", in this changed scene: the camera itself showed other ends" if row["camera_scale_edited"] else ""
        yield f"  camera scale {low} to {high} °C{moved}"


def _degrees(value: float | None) -> str:
    """Return a temperature with two decimals, ``?`` for one that is not known."""
    return "?" if value is None else f"{value:.2f}"
