"""Functions that workers of the tests call: they double numbers, and some die of one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from isotherm.core.errors import DataError, FormatError, StorageFullError, UnknownNameError

ERRORS = {
    "disk": StorageFullError("no room left"),
    "format": FormatError("wrong bytes", 7),
    "name": UnknownNameError("method", "otso", ["otsu"]),
    "bug": ZeroDivisionError("a mistake"),
}


def double(setup: str, items: Sequence[str]) -> list[str]:
    """Return twice each number; ``setup`` says what goes wrong."""
    said = json.loads(setup)
    for item in items:
        if item == said.get("dies_of"):
            os.kill(os.getpid(), signal.SIGKILL)
        if item == said.get("raises_at"):
            raise ERRORS[said["error"]]
    if "begun" in said:
        Path(said["begun"]).touch()
    time.sleep(said.get("seconds", 0))
    if "calls" in said:
        with Path(said["calls"]).open("a") as stream:
            stream.write(f"{os.getpid()} {' '.join(items)}\n")
    return [str(2 * int(item)) for item in items]


def die_always(setup: str, items: Sequence[str]) -> list[str]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def forget_one(setup: str, items: Sequence[str]) -> list[str]:
    return list(items[1:])


def meet(setup: str, items: Sequence[str]) -> list[str]:
    """Say whether another process is at work at the same time: both leave a file and wait for that of the other."""
    folder = Path(json.loads(setup)["folder"])
    folder.joinpath(items[0]).touch()
    until = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > until:
            return ["waited in vain"]
        time.sleep(0.02)
    return ["met"]


def judge(setup: str, items: Sequence[str]) -> list[str]:
    raise DataError("nothing to judge")


def die_once(setup: str, items: Sequence[str]) -> list[str]:
    """Double numbers; kill this process at one of them, the first time."""
    said = json.loads(setup)
    if said.get("at") in items and not Path(said["marker"]).exists():
        Path(said["marker"]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return double(setup, items)
