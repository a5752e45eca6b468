"""Runs in chunks that die at some moment, for tests."""

from __future__ import annotations

from isotherm.scaleout.ledger import Held, Ledger
from isotherm.workflows import scaled_inspect
from isotherm.workflows.inspect import InspectRun
from isotherm.workflows.scaled import RunFile


class Killed(BaseException):
    """Stands for the end of the process."""


ENDS: dict[str, tuple[object, str]] = {
    "before the run is begun": (Ledger, "hold"),
    "before the first chunk": (Held, "commit"),
    "before the journal": (scaled_inspect, "write_journal"),
    "before the reports": (InspectRun, "report"),
    "before the run is forgotten": (RunFile, "remove_file"),
}
"""When it dies -> what it was about to do."""


def die(*_arguments: object, **_named: object) -> None:
    """Stand for what is never done."""
    raise Killed
