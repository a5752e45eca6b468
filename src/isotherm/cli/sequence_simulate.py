"""``isotherm sequence simulate``: a recording of a heated plate with known defects."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, from_flags
from isotherm.cli.progress import bar
from isotherm.core.errors import ConfigError, OutputError
from isotherm.datasets.plate_camera import PlateCamera
from isotherm.datasets.plate_heating import Heating, LockIn, Pulse
from isotherm.datasets.plate_materials import PLATE_MATERIALS, plate_material
from isotherm.datasets.plate_sequence import Experiment, Recording, simulate_plate, write_sequence
from isotherm.datasets.plate_text import parse_defect
from isotherm.datasets.plates import Defect, Layer, Plate

LAYERS = "cfrp:4"
_PULSE, _LOCK_IN = "10000,0.005", "1000,0.1"
_WANTED = {"hole": "X,Y,D,Z [mm]", "delamination": "X,Y,D,Z,GAP [mm]", "inclusion": "X,Y,D,Z,T,MATERIAL"}


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of the command."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the recording, .npz")
    plate = parser.add_argument_group("plate")
    plate.add_argument(
        "--layers",
        default=LAYERS,
        metavar="TEXT",
        help=f"MATERIAL:MM with commas between, front first (default {LAYERS}); known: {', '.join(PLATE_MATERIALS)}",
    )
    plate.add_argument(
        "--size", default="128,160", metavar="H,W", help="height and width of the picture [px] (default 128,160)"
    )
    plate.add_argument(
        "--pixel-mm", type=float, default=0.5, metavar="X", help="side of a pixel on the plate [mm] (default 0.5)"
    )
    plate.add_argument(
        "--hole",
        action="append",
        default=[],
        metavar="X,Y,D,Z",
        help="flat-bottom hole: place, diameter and depth [mm]; several",
    )
    plate.add_argument(
        "--delamination",
        action="append",
        default=[],
        metavar="X,Y,D,Z,GAP",
        help="gap of still air: place, diameter, depth and thickness of the gap [mm]; several",
    )
    plate.add_argument(
        "--inclusion",
        action="append",
        default=[],
        metavar="X,Y,D,Z,T,MATERIAL",
        help="foreign material: place, diameter, depth and thickness [mm], and what it is; several",
    )
    heat = parser.add_mutually_exclusive_group()
    heat.add_argument("--pulse", metavar="J,S", help=f"energy [J/m²] and duration [s] (default {_PULSE})")
    heat.add_argument("--lock-in", metavar="W,HZ", help=f"largest power [W/m²] and frequency [Hz], such as {_LOCK_IN}")
    parser.add_argument(
        "--edge",
        type=float,
        default=1.0,
        metavar="X",
        help="heating in the corners over that in the middle (default 1)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="decides the camera's noise and patterns (default 0)"
    )
    add_flags(parser, Recording, "recording")
    add_flags(parser, PlateCamera, "camera")


def run(arguments: argparse.Namespace) -> int:
    """Simulate, write, and say what the plate holds."""
    plate = _plate(arguments)
    experiment = Experiment(
        heating=_heating(arguments),
        recording=from_flags(Recording, arguments),
        camera=from_flags(PlateCamera, arguments),
        edge=arguments.edge,
    )
    _check_output(arguments.output)
    with bar() as progress:
        made = simulate_plate(plate, experiment, seed=arguments.seed, progress=progress)
    write_sequence(arguments.output, made)
    frames, height, width = made.counts.shape
    print(f"{frames} frames of {width} x {height} px, {plate.thickness_mm:g} mm, {len(plate.defects)} defects")
    for number, defect in enumerate(plate.defects, start=1):
        ratio = defect.patch.diameter_mm / defect.depth_mm
        print(f"  {number}  {defect.kind:<12} depth {defect.depth_mm:g} mm, diameter over depth {ratio:.1f}")
    print(f"written   {arguments.output}")
    return 0


def _check_output(path: Path) -> None:
    """Raise before the heat flow is worked out where its result could not be written."""
    if path.suffix.lower() != ".npz":
        raise ConfigError(f"{path}: -o must end with .npz")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")


def _plate(arguments: argparse.Namespace) -> Plate:
    height, width = (int(number) for number in _numbers(arguments.size, 2, "--size is H,W [px]"))
    return Plate(
        tuple(_layer(text) for text in arguments.layers.split(",")),
        tuple(_defects(arguments)),
        (height, width),
        arguments.pixel_mm,
    )


def _layer(text: str) -> Layer:
    name, _, thickness = text.strip().rpartition(":")
    (thickness_mm,) = _numbers(thickness, 1, "--layers is MATERIAL:MM with commas between")
    return Layer(plate_material(name), thickness_mm)


def _defects(arguments: argparse.Namespace) -> Iterator[Defect]:
    for kind in _WANTED:
        for text in getattr(arguments, kind):
            yield _defect(kind, text)


def _defect(kind: str, text: str) -> Defect:
    numbers = text.rpartition(",")[0] if kind == "inclusion" else text
    refused = ConfigError(f"--{kind} is {_WANTED[kind]}; not {numbers!r}")
    # A diameter is one number here; `parse_defect` takes WxH too.
    if any("x" in diameter.lower() for diameter in numbers.split(",")[2:3]):
        raise refused
    try:
        return parse_defect(kind, text)
    except ConfigError:
        raise refused from None


def _heating(arguments: argparse.Namespace) -> Heating:
    if arguments.lock_in:
        return LockIn(*_numbers(arguments.lock_in, 2, "--lock-in is W,HZ: largest power [W/m²], frequency [Hz]"))
    return Pulse(*_numbers(arguments.pulse or _PULSE, 2, "--pulse is J,S: energy [J/m²], duration [s]"))


def _numbers(text: str, count: int, wanted: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise ConfigError(f"{wanted}; not {text!r}")
    return found
