"""Fluke IS2: a ZIP archive, read by the package fluke-thermal-reader in a process of its own.

That package (MIT, version 0.2, by its author's words tested with Ti300 and Ti480P) unpacks a file into a fixed folder
of the working directory and trusts it. So the archive is opened here, within bounds; the five members that are needed
are written into a private folder under names of our own; and the package runs there, in a process with limits of
time, memory and disk. It corrects emissivity by the fourth power of the temperature and knows no atmosphere: at 150
°C and emissivity 0.6 that alone costs some kelvin. The lowest and highest temperature that the camera recorded are
compared with the picture's, and a note says where they differ.
"""

from __future__ import annotations

import importlib.util
import io
import json
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from isotherm.core.capture import VisualPhoto
from isotherm.core.errors import FormatError, MissingExtraError
from isotherm.core.scratch import scratch_folder
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats.cursor import Cursor
from isotherm.formats.experimental import NOTE, extremes_note, plane, scene_of, to_k
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.formats.zip_members import SIGNATURE, Member, members, unpacked
from isotherm.radiometry.linear import stored_temperatures

_WHAT = "Fluke IS2"
_COUNTS, _CURVES, _PICTURE = "Images/Main/IR.data", "CalibrationData.gpbenc", "Images/Main/IRImageInfo.gpbenc"
_MOST_BYTES = {
    _COUNTS: 4_000_000,
    _CURVES: 1_000_000,
    _PICTURE: 1_000_000,
    "ImageProperties.json": 1_000_000,
    "CameraInfo.gpbenc": 1_000_000,
}
_NEEDED = (_COUNTS, _CURVES, _PICTURE)
_MOST_PHOTO_BYTES = 64_000_000
_CPU_SECONDS, _SECONDS, _MEMORY, _DISK = 4, 60, 2 << 30, 64 << 20
_STEP_C = 0.2
_FACTS = (
    "size", "Emissivity", "Transmission", "BackgroundTemp", "MinTemp", "MaxTemp", "CameraManufacturer", "CameraModel",
    "CameraSerial", "IRLenses", "CaptureDateTime",
)  # fmt: skip

# Run with the private folder as working directory. Limits first: what follows handles bytes that nobody checked.
_PROGRAM = f"""
import json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({_CPU_SECONDS}, {_CPU_SECONDS}))
    resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
    resource.setrlimit(resource.RLIMIT_FSIZE, ({_DISK}, {_DISK}))
except ImportError:
    pass
import numpy
from fluke_thermal_reader import read_is2
try:
    found = read_is2("picture.is2")
    celsius = numpy.asarray(found["data"], dtype="<f4")
except Exception as error:
    sys.exit(" ".join(str(error).split()) or type(error).__name__)
celsius.tofile("celsius.f4")
facts = {{name: found[name] for name in {_FACTS!r} if name in found}}
facts["size"] = list(celsius.shape)
print(json.dumps(facts))
"""


@dataclass(frozen=True, eq=False)
class _Read:
    """What the other process found: °C (H W), and facts of the picture by their names in the package."""

    celsius: Float32[np.ndarray, "H W"]
    facts: Mapping[str, Any] = field(default_factory=dict)


class FlukeReader:
    """°C with the emissivity, background temperature and transmission of the file, which are kept in the scene."""

    name = "fluke"
    card = FormatCard(
        makers="Fluke",
        suffixes=".is2",
        numbers="°C",
        evidence="experimental",
        extras=("photo",),
        needs="extra formats (fluke-thermal-reader)",
        source="the package fluke-thermal-reader",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether this is a ZIP archive with the members of an IS2 file."""
        try:
            return data.startswith(SIGNATURE) and _members(data).keys() >= {*_NEEDED[:2]}
        except FormatError:
            return False

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's form)
        """Decode the temperatures in a process of its own; the photo is taken from the archive directly."""
        if not data.startswith(SIGNATURE):
            raise FormatError(f"{_WHAT}: no ZIP archive", 0)
        found = _members(data)
        read = _read(_needed(data, found))
        scene, notes = scene_of(_scene(read.facts))
        recorded_c = _number(read.facts, "MinTemp"), _number(read.facts, "MaxTemp")
        return Thermogram(
            counts=read.celsius,
            calibration=stored_temperatures("c"),
            scene=scene,
            format=self.name,
            camera=_camera(read.facts),
            notes=(NOTE, *notes, *extremes_note(read.celsius, recorded_c, step_c=_STEP_C)),
            visual=_photo(data, found),
        )


def _members(data: bytes) -> dict[str, Member]:
    """Return the archive's members by name, with ``/`` between folders."""
    return {member.name.replace("\\", "/"): member for member in members(data, _WHAT)}


def _needed(data: bytes, found: Mapping[str, Member]) -> bytes:
    """Return a new archive of the needed members, each within its bounds and with a right check sum."""
    absent = [name for name in _NEEDED if name not in found]
    if absent:
        raise FormatError(f"{_WHAT}: without {', '.join(absent)}")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, most in _MOST_BYTES.items():
            if name in found:
                archive.writestr(zipfile.ZipInfo(name), unpacked(data, found[name], _WHAT, most))
    return stream.getvalue()


@lru_cache(maxsize=4)
def _read(archive: bytes) -> _Read:
    """Have the package read an archive; the last ones are kept, because starting Python takes longer than the rest."""
    if importlib.util.find_spec("fluke_thermal_reader") is None:
        raise FormatError(str(MissingExtraError(f"reading {_WHAT}", "formats")))
    with scratch_folder() as folder:
        (folder / "picture.is2").write_bytes(archive)
        facts = _facts(_run(folder))
        numbers = folder / "celsius.f4"
        raw = numbers.read_bytes() if numbers.is_file() else b""
    size = facts.get("size")
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size)):
        raise FormatError(f"{_WHAT}: the reader gave no picture")
    celsius = plane(Cursor(raw, "<", _WHAT), 0, (size[0], size[1]), "<f4")
    celsius.setflags(write=False)
    return _Read(celsius, facts)


def _run(folder: Path) -> str:
    command = [sys.executable, "-I", "-c", _PROGRAM]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(  # noqa: S603 (our own program; no shell)
            command, cwd=folder, env=environment, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FormatError(f"{_WHAT}: reading took longer than {_SECONDS} s") from error
    except OSError as error:
        raise FormatError(f"{_WHAT}: the reader's process did not start ({error.strerror})") from error
    if done.returncode < 0:
        raise FormatError(f"{_WHAT}: reading needed more than {_CPU_SECONDS} s or too much memory")
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").split("\n")[-2:]
        raise FormatError(f"{_WHAT}: fluke-thermal-reader could not read it ({_clean(' '.join(words))})")
    return done.stdout.decode("utf-8", "replace")


def _facts(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise FormatError(f"{_WHAT}: the reader gave no facts") from error
    return facts if isinstance(facts, dict) else {}


def _clean(text: object) -> str:
    letters = (letter for letter in str(text)[:200] if letter.isprintable())
    return " ".join("".join(letters).split())


def _number(facts: Mapping[str, Any], name: str) -> float:
    value = facts.get(name)
    # Where the file records no extremes the package says 0 for both.
    absent = facts.get("MinTemp") == facts.get("MaxTemp") and name in ("MinTemp", "MaxTemp")
    return float(value) if isinstance(value, int | float) and not absent else math.nan


def _scene(facts: Mapping[str, Any]) -> dict[str, float]:
    values = {
        "emissivity": _number(facts, "Emissivity"),
        "reflected_k": to_k(_number(facts, "BackgroundTemp")),
        "window_transmission": _number(facts, "Transmission"),
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _camera(facts: Mapping[str, Any]) -> Camera:
    maker, model, serial, lens = (
        _clean(facts.get(name, "")) for name in ("CameraManufacturer", "CameraModel", "CameraSerial", "IRLenses")
    )
    return Camera(maker=maker or "Fluke", model=model, serial=serial, lens=lens, taken_at=_taken_at(facts))


def _taken_at(facts: Mapping[str, Any]) -> str:
    try:
        return datetime.fromisoformat(_clean(facts.get("CaptureDateTime", ""))).isoformat()
    except ValueError:
        return ""


def _photo(data: bytes, found: Mapping[str, Member]) -> VisualPhoto | None:
    """Return the largest JPEG beside the thermal picture, which is the whole photo; a damaged one is left out."""
    pictures = [member for name, member in found.items() if name.startswith("Images/Main/") and _is_jpeg(name)]
    if not pictures:
        return None
    largest = max(pictures, key=lambda member: member.size)
    try:
        return VisualPhoto(unpacked(data, largest, _WHAT, _MOST_PHOTO_BYTES))
    except FormatError:
        return None


def _is_jpeg(name: str) -> bool:
    return name.lower().endswith((".jpg", ".jpeg"))


READER = FlukeReader()
