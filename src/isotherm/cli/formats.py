"""``isotherm formats``: what can be read, and what each format supports."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from isotherm.core.errors import UnknownNameError
from isotherm.formats.reader import ALL_PARAMETERS, FormatCard
from isotherm.formats.reading import FORMATS
from isotherm.formats.sequences import SEQUENCES

_INDENT = 15
_WIDTH = 118
EVIDENCE = {
    "proven": "equal to what another program or the camera gives for real files",
    "documented": "written from a specification",
    "inferred": "found in real files; nothing was there to compare the temperatures with",
    "experimental": "known from other programs' source alone; never checked against a real file",
}
"""Evidence -> what it means."""


def cards() -> dict[str, FormatCard]:
    """Return the card of each format, in the order in which a file is offered to them; of sequences alone last."""
    found = {name: FORMATS.get(name).card for name in FORMATS.names()}
    return found | {name: SEQUENCES.get(name).card for name in SEQUENCES.names() if name not in found}


def changeable(card: FormatCard) -> str:
    """Return which parameters of the scene change temperatures, in words; empty for none."""
    if set(card.changeable) == set(ALL_PARAMETERS):
        return "all"
    return ", ".join(name.removesuffix("_k").removesuffix("_m").replace("_", " ") for name in card.changeable)


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001
    """Add the names of formats and ``--json``."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="formats to show (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what each format supports."""
    known = cards()
    for name in arguments.names:
        if name not in known:
            raise UnknownNameError("format", name, known)
    shown = {name: card for name, card in known.items() if name in arguments.names or not arguments.names}
    if arguments.json:
        print(json.dumps({name: asdict(card) for name, card in shown.items()}, ensure_ascii=False, indent=2))
        return 0
    for name, card in shown.items():
        print(f"{name:<{_INDENT}}{card.makers} ({card.suffixes})")
        for line in _lines(card, whole=bool(arguments.names)):
            print(textwrap.fill(line, _WIDTH, initial_indent=" " * _INDENT, subsequent_indent=" " * (_INDENT + 2)))
    return 0


def _lines(card: FormatCard, *, whole: bool) -> list[str]:
    """Return what follows the first line of a format; its source and evidence in words only where `whole`."""
    also = ["many frames"] * card.frames + list(card.extras)
    lines = [f"{card.numbers}; {card.evidence}"]
    lines += [f"changeable afterwards: {changeable(card)}"] * bool(card.changeable)
    lines += [f"also read: {', '.join(also)}"] * bool(also)
    lines += [f"needs: {card.needs}"] * bool(card.needs)
    if whole:
        lines += [f"{card.evidence}: {EVIDENCE[card.evidence]}", f"source: {card.source}"]
    return lines
