"""Starts a program of this package that must not outlive its parent; asks for that before anything slow is imported.

``python -m isotherm.jobs.leashed PARENT NAME [ARGUMENTS]`` runs ``main(ARGUMENTS)`` of ``isotherm.jobs.NAME``.
"""

from __future__ import annotations

import sys
from importlib import import_module

from isotherm.jobs.limited_walls import die_with


def command(parent: int, name: str, *arguments: str) -> list[str]:
    """Return the command line for a child of a process."""
    return [sys.executable, "-m", "isotherm.jobs.leashed", str(parent), name, *arguments]


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    sys.exit(import_module(f"isotherm.jobs.{sys.argv[2]}").main(sys.argv[3:]))
