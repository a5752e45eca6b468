"""Starts a program of this package that must not outlive its parent; asks for that before anything slow is imported.

``python -m isotherm.jobs.leashed PARENT NAME [ARGUMENTS]`` runs ``main(ARGUMENTS)`` of ``isotherm.jobs.NAME``.
"""

from __future__ import annotations

import sys
from importlib import import_module

from isotherm.core.memory import loading_for_good
from isotherm.jobs.limited_walls import die_with


def command(parent: int, name: str, *arguments: str) -> list[str]:
    """Return the command line for a child of a process."""
    return [sys.executable, "-m", "isotherm.jobs.leashed", str(parent), name, *arguments]


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    with loading_for_good():
        program = import_module(f"isotherm.jobs.{sys.argv[2]}")
    sys.exit(program.main(sys.argv[3:]))
