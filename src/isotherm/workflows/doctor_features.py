"""Which optional parts are installed, by what this installation's own records ask for; nothing is imported."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Literal

PURPOSES = {
    "train": "teach networks (autoencoder, DRAEM, flows, segmentation), export students",
    "backbones": "EfficientNet-Lite1 and 2, features in HDF5",
    "classify": "isotherm features and classify",
    "client": "isotherm client, the Python client",
    "export": "isotherm export, ONNX models",
    "formats": "files of Telops (.hcc) and Fluke (.is2)",
    "ocr": "colour scales with --scale auto, printed tags of assets",
    "serve": "isotherm serve: pages, HTTP API, jobs",
    "postgres": "PostgreSQL in place of SQLite",
    "s3": "files in S3 buckets",
    "scale": "runs over chunks with a ledger, rows as Parquet",
    "ray": "runs over a Ray cluster",
    "pdf": "reports as PDF",
    "docx": "reports as DOCX",
    "tags": "assets by QR codes and other tags in pictures",
    "trace": "traces by OpenTelemetry",
}
"""What each optional part is for. Left out are those without a feature of their own (all, dev), and dji, which installs
a program (`isotherm.workflows.doctor.Program`)."""
BASE = ""
"""What the base installation is called among the parts."""
State = Literal["installed", "partly", "missing", "unknown"]
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([<>=!~][^;]*)?(?:;\s*(.*))?")
_EXTRA = re.compile(r"extra == ['\"]([^'\"]+)['\"]")
_PYTHON = re.compile(r"python_version >= ['\"](\d+)\.(\d+)['\"]")
_AT_LEAST = re.compile(r"(?:>=|==)\s*([0-9][0-9.]*)")


@dataclass(frozen=True)
class Need:
    """A package that a part needs: its least version, and the one that is here (empty: none)."""

    package: str
    least: str
    here: str

    @property
    def met(self) -> bool:
        """Whether it is here and new enough."""
        return bool(self.here) and _numbers(self.here) >= _numbers(self.least)


@dataclass(frozen=True)
class Part:
    """An optional part: its name (`BASE` for the base), what it is for, its packages, how to install what is missing.

    ``unknown`` is one that the records of this installation do not name: they are older than its code.
    """

    name: str
    purpose: str
    state: State
    needs: tuple[Need, ...]
    install: str


def parts(records: Iterable[str] | None = None) -> list[Part]:
    """Return the base and all optional parts.

    Parameters
    ----------
    records
        Requirements as packages declare them (``fastapi>=0.120; extra == 'serve'``); None for this installation's.
    """
    declared = [*_needs(distribution("isotherm").requires or () if records is None else records)]
    names = (BASE, *PURPOSES)
    return [_part(name, [need for extra, need in declared if extra == name]) for name in names]


def _needs(records: Iterable[str]) -> Iterator[tuple[str, Need]]:
    """Yield the part and the need of each requirement that concerns this version of Python."""
    for record in records:
        found = _REQUIREMENT.fullmatch(record.strip())
        if found is None:
            continue
        marker = found[3] or ""
        python, extra = _PYTHON.search(marker), _EXTRA.search(marker)
        if python is None or sys.version_info[:2] >= (int(python[1]), int(python[2])):
            least = _AT_LEAST.search(found[2] or "")
            yield extra[1] if extra else BASE, Need(found[1], least[1] if least else "", _version(found[1]))


def _part(name: str, needs: list[Need]) -> Part:
    if name == BASE:
        purpose, install = "read, measure, find, score, report", "pip install --force-reinstall isotherm"
    else:
        purpose, install = PURPOSES[name], f"pip install 'isotherm[{name}]'"
    met = [need.met for need in needs]
    state: State = "unknown" if not met else "installed" if all(met) else "partly" if any(met) else "missing"
    return Part(name, purpose, state, tuple(needs), "" if state == "installed" else install)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with, without zeros at the end: 2.13.0+cpu -> (2, 13)."""
    found = re.match(r"[0-9.]*", re.sub(r"(\.0+)+(?![0-9.])", "", text))
    return tuple(int(number) for number in found[0].split(".") if number) if found else ()
