"""``isotherm formats``: what can be read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from isotherm.formats.reading import FORMATS


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add nothing: the command has no arguments."""


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 (every command's form)
    """Print the table of formats, in the order in which a file is offered to them."""
    rows = FORMATS.rows()
    width = max(len(row.name) for row in rows)
    for row in rows:
        extra = f" (extra {row.extra!r})" if row.extra else ""
        print(f"{row.name:<{width}}  {row.summary}{extra}")
    return 0
