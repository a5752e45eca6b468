"""``isotherm``: one parser a command, imported only when that command runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Protocol, cast

from isotherm import __version__
from isotherm.cli.parser import CommandParser
from isotherm.core.device import on_device
from isotherm.core.errors import IsothermError, UsageError

COMMANDS = {
    "demo": "simulate an inspection, learn, inspect, and show the result",
    "doctor": "tell what is installed, what is missing for what, and whether it works",
    "info": "show what thermal files hold: camera, parameters, temperatures",
    "view": "write a page that tells the temperature under the pointer and measures regions",
    "measure": "read spots, boxes, lines and differences, each with its uncertainty",
    "sequence maps": "turn a sequence of frames of a heated part into maps of its depth",
    "sequence curve": "draw the temperature of places of a sequence over time",
    "sequence segment": "find the defects of a heated part, with size, depth and contrast",
    "sequence train": "teach a network what defects look like, from labelled recordings",
    "sequence evaluate": "judge how well defects of labelled recordings are found",
    "sequence simulate": "simulate the recording of a heated plate with defects",
    "sequence dataset": "simulate many random plates, to learn from and to judge by",
    "labels convert": "turn labels of LabelMe, COCO or PNG into one another",
    "labels view": "draw labels over the picture that they belong to",
    "convert": "write temperatures as TIFF, PNG, CSV or NPZ",
    "formats": "list the file formats that can be read",
    "trend": "tell how the temperatures of one asset change from picture to picture",
    "hotspots": "find hot regions, measure them and judge their severity",
    "train": "learn what normal looks like from a folder of images",
    "head": "let a model learn from labelled images which of the unusual is faulty",
    "inspect": "score, mask, measure and report images",
    "report": "turn an inspection into a report to hand over: PDF, page, document, table",
    "evaluate": "measure a method or a model on labelled images",
    "benchmark": "evaluate methods on data sets with several seeds, into one table and one plot",
    "features": "compute what a frozen network says about each image of a folder",
    "classify train": "learn categories from images, or from their features",
    "classify evaluate": "measure a classifier on labelled images",
    "classify predict": "put images into categories",
    "backbones": "list the networks that give features, add or fetch their weights",
    "serve": "offer all of this to browsers and programs: the pages and the HTTP API",
    "worker": "run the jobs of a server in processes apart from it",
    "token issue": "make a token for somebody who shall use a server",
    "token list": "list the tokens of a server, without their secrets",
    "token revoke": "end a token at once",
    "export": "write a model as one ONNX or OpenVINO graph, and compare both",
    "db upgrade": "make or renew the tables of a server's database",
    "db check": "tell whether a database has the tables of this version of isotherm",
    "backup": "copy all that a server keeps to a folder, while it goes on",
    "restore": "make a data folder from a backup",
    "verify": "check that all that a server keeps is whole: database, files, audit trail",
    "client save-data": "send labelled pictures to a per-site classifier API",
    "client make-model": "have a server make a site's classifier, and wait for it",
    "client predict": "have a server name the categories of pictures",
    "client import-model": "give a site of a server an anomaly model that was trained elsewhere",
    "client export-model": "get an anomaly model of a server as a folder",
    "compat make-config": "make the folders of the per-site classifier API, and the file that names them",
    "compat serve": "serve the per-site classifier API over the folders of a configuration file",
}
"""Command, of one word or two, -> one line of help; its module is ``isotherm.cli.<command>`` with ``_``
for a blank and a dash."""

EXIT_FAILED, EXIT_USAGE, EXIT_SOME_FAILED = 1, 2, 3


class Command(Protocol):
    """What each command's module offers; where ``--method`` decides flags, ``FLAGS_BY_METHOD`` is its registry."""

    def add_arguments(self, parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
        """Add the command's arguments; `argv` lets flags depend on an earlier choice (``--method``)."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the work and return the exit status: 0, 1 (failed) or 3 (some inputs failed)."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 1 failed, 2 bad usage, 3 some inputs failed)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv
    try:
        return _dispatch([argument for argument in argv if argument != "--debug"])
    except IsothermError as error:
        if debug:
            raise
        print(f"isotherm: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    except KeyboardInterrupt:
        print("isotherm: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; that is no failure of ours.
        sys.stderr.close()
        return 0


def _dispatch(argv: list[str]) -> int:
    name = command_of(argv)
    if not name:
        # Prints help or version, or exits 2 with the known commands.
        overview, argv = _overview(argv)
        _refuse_unknown(argv, overview.prog)
        overview.parse_args(argv or ["--help"])
    rest = argv[len(name.split()) :]
    command = cast(Command, import_module(module_of(name)))
    methods = getattr(command, "FLAGS_BY_METHOD", None)
    parser = CommandParser(methods=methods, prog=f"isotherm {name}", description=COMMANDS[name])
    command.add_arguments(parser, rest)
    arguments = parser.read(rest)
    with on_device(getattr(arguments, "device", "auto")):
        return command.run(arguments)


def command_of(argv: Sequence[str]) -> str:
    """Return the command, of one word or two, that arguments begin with; empty where they begin with none."""
    return next((name for name in COMMANDS if list(argv[: len(name.split())]) == name.split()), "")


def module_of(name: str) -> str:
    """Return the module of a command; those of two words stand in a module with ``_`` between, and for a dash."""
    return f"isotherm.cli.{name.replace(' ', '_').replace('-', '_')}"


def _refuse_unknown(argv: list[str], program: str) -> None:
    """Refuse a command that there is not, and say which one may have been meant, not all of them."""
    if not argv or argv[0].startswith("-"):
        return
    asked = " ".join([*program.split()[1:], argv[0]])
    close = get_close_matches(asked, COMMANDS, n=2)
    hint = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
    raise UsageError(f"there is no command {asked!r}{hint}; {program} --help lists them")


def _overview(argv: list[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """Return the parser that lists what can be asked for, and the arguments for it.

    A first word alone (``isotherm sequence``) lists the commands that begin with it.
    """
    group = argv[0] if argv and any(name.startswith(f"{argv[0]} ") for name in COMMANDS) else ""
    known = {name.removeprefix(f"{group} "): text for name, text in COMMANDS.items() if name.startswith(group)}
    program = f"isotherm {group}".strip()
    parser = argparse.ArgumentParser(
        prog=program,
        description="Thermal images in, findings that people can act on out.",
        epilog=f"{program} COMMAND --help explains one command. --debug shows the traceback of an error.",
    )
    parser.add_argument("--version", action="version", version=f"isotherm {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, text in known.items():
        commands.add_parser(name, help=text)
    return parser, argv[1:] if group else argv


if __name__ == "__main__":
    sys.exit(main())
