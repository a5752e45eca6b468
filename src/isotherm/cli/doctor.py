"""``isotherm doctor``: what is installed, what is missing for what, what the machine can do, whether it works."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from isotherm.cli.progress import bar
from isotherm.cli.serve import add_data

if TYPE_CHECKING:
    from isotherm.workflows.doctor import Diagnosis
    from isotherm.workflows.doctor_features import Need, Part

_WIDTH = 110


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm doctor``."""
    add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--test",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="read, find, score, report and serve made pictures, about ten seconds (default yes)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; returns 1 where something that should work does not."""
    from isotherm.workflows.doctor import diagnose

    with bar() as progress:
        found = diagnose(arguments.data, arguments.database, test=arguments.test, progress=progress)
    print(json.dumps(found.plain(), indent=2, ensure_ascii=False) if arguments.json else "\n".join(_lines(found)))
    return 1 if found.problems else 0


def _lines(found: Diagnosis) -> Iterator[str]:
    yield f"isotherm {found.isotherm}, Python {found.python}, {found.system}"
    for title, lines in (
        ("machine", _machine(found)),
        ("installed", _installed(found)),
        ("missing", _missing(found)),
        ("server data", (f"{_mark(each.sound)} {each.name}: {each.says}" for each in found.data)),
        ("self-test", _trials(found)),
    ):
        shown = [line for text in lines for line in _wrapped(text)]
        if shown:
            yield from ("", title, *shown)
    yield ""
    yield from [f"problem: {each}" for each in found.problems] or ["no problems found"]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_long_words=False)


def _mark(sound: bool) -> str:
    return "ok    " if sound else "FAILED"


def _machine(found: Diagnosis) -> Iterator[str]:
    cpu, memory = found.processor, found.memory
    yield f"processor  {cpu['model']}, {cpu['cores']} cores, {cpu['usable_cores']:g} to use"
    abilities = [f"{name} ({use})" for name, use in cpu["abilities"].items()]
    yield f"abilities  {', '.join(abilities) or 'not told by this system'}"
    if cpu["openvino"]:
        devices, precisions = (", ".join(cpu["openvino"][name]) for name in ("devices", "precisions"))
        yield f"OpenVINO   on {devices}; on the processor {precisions}"
    if memory:
        yield f"memory     {memory['total_mb'] / 1000:.1f} GB, {memory['available_mb'] / 1000:.1f} GB free"
    yield from _graphics(found)
    for disk in found.disks:
        flush = "may not be written" if disk.flush_ms is None else f"a flush takes {disk.flush_ms:.2f} ms"
        room = f"{disk.free_bytes / 1e9:.1f} of {disk.size_bytes / 1e9:.1f} GB free"
        yield f"disk       {disk.purpose}, {disk.path}: {room}, {flush}"


def _graphics(found: Diagnosis) -> Iterator[str]:
    graphics = found.graphics
    for card in graphics["cards"]:
        yield f"graphics   {card['name']}, {card['memory_mib']} MiB, driver {card['driver']}"
    if not graphics["cards"]:
        yield "graphics   no card that CUDA could use"
    torch = graphics["torch"]
    if "error" in torch:
        yield f"torch      cannot be imported: {torch['error']}"
    elif torch:
        built = f"CUDA {torch['cuda']}" if torch["cuda"] else "the processor alone"
        yield f"torch      {torch['version']} for {built}; computes on {', '.join(torch['devices']) or 'the processor'}"
    if graphics["cards"] and torch and not torch.get("devices"):
        yield "           torch does not use the card: install the torch of the card's CUDA version"
    if graphics["cards"] and "CUDAExecutionProvider" not in graphics["onnxruntime"]:
        yield "           models are run on the processor: pip install onnxruntime-gpu in place of onnxruntime"


def _installed(found: Diagnosis) -> Iterator[str]:
    for part in found.parts:
        if part.state == "installed":
            versions = ", ".join(f"{need.package} {need.here}" for need in part.needs)
            yield f"{part.name or 'base':<10} {part.purpose}: {versions}"
    for program in found.programs:
        if program.path:
            yield f"{program.name:<10} {program.purpose}: {program.path}"
    here = [weights.name for weights in found.weights if weights.here]
    yield f"{'weights':<10} {', '.join(here) or 'none'}"


def _missing(found: Diagnosis) -> Iterator[str]:
    for part in found.parts:
        if part.state == "unknown":
            yield f"{part.name:<10} {part.purpose}: this installation's records are older than its code; install anew"
        elif part.state != "installed":
            wanted = ", ".join(
                f"{each.package} {'>= ' + each.least if each.here else ''}".strip() for each in _open(part)
            )
            yield f"{part.name or 'base':<10} {part.purpose}: {wanted}; {part.install}"
    for program in found.programs:
        if not program.path:
            yield f"{program.name:<10} {program.purpose}: {program.install}"
    absent = [weights.name for weights in found.weights if not weights.here]
    if absent:
        yield f"{'weights':<10} {', '.join(absent)}: isotherm backbones says how to get them"


def _open(part: Part) -> list[Need]:
    return [need for need in part.needs if not need.met]


def _trials(found: Diagnosis) -> Iterator[str]:
    for trial in found.trials:
        yield f"{_mark(trial.passed)} {trial.name} ({trial.seconds:.1f} s): {trial.says}"
    if found.trials:
        yield f"{sum(trial.seconds for trial in found.trials):.1f} s together"
