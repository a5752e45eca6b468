"""The seam of what computes DJI's temperatures: a program or a library, always in a process of its own.

Neither is part of isotherm: the one is under the AGPL, the other is DJI's. They are started, never imported, with a
private folder, a time limit and, where the system has them, limits on memory and file size.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt16

from isotherm.core.errors import FormatError
from isotherm.core.scratch import scratch_folder

TIME_LIMIT_S = 60.0
"""How long one start may take; the slowest camera (H20T) needs about 1 s, DJI's own library up to 3 s."""
_MEMORY_BYTES = 4 * 1024**3
_FILE_BYTES = 512 * 1024**2
_ANSWER_BYTES = 4 * 1024**2
_PICTURE = "picture.jpg"
# What our own interpreter was told must not reach another one.
_NOT_PASSED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")


@dataclass(frozen=True)
class Conditions:
    """The parameters of DJI's measurement, in its own units; ``ambient_c`` is None where the camera has none."""

    distance_m: float
    humidity_percent: float
    emissivity: float
    reflected_c: float
    ambient_c: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.values().items():
            if not math.isfinite(value):
                raise FormatError(f"DJI file: {name} is {value}")

    def values(self) -> dict[str, float]:
        """Return the parameters by name, without those that the camera does not have."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Description:
    """What a file says: its own conditions, the lowest and highest value of each, and the layout of its data.

    ``layout`` is DJI's word for a family of cameras (dirp, iirp, girp, hirp), ``version`` that of the layout.
    """

    conditions: Conditions
    limits: Mapping[str, tuple[float, float]]
    layout: str
    version: int


@dataclass(frozen=True)
class Unreadable:
    """A picture whose temperatures this backend does not read, and why; its file may be sound."""

    reason: str


@dataclass(frozen=True, eq=False)
class Measured:
    """Counts as recorded and their temperatures [K], both (H W); NaN where a pixel has none."""

    counts: UInt16[np.ndarray, "H W"]
    kelvin: Float32[np.ndarray, "H W"]


@runtime_checkable
class Backend(Protocol):
    """What computes temperatures from the bytes of a DJI file. Both raise FormatError where that fails."""

    @property
    def name(self) -> str:
        """The name shown to users."""
        ...

    def describe(self, data: bytes) -> Description | Unreadable:
        """Return what the file says."""
        ...

    def measure(self, data: bytes, conditions: Conditions) -> Measured:
        """Compute the temperatures under these conditions."""
        ...


@dataclass(frozen=True)
class Answer:
    """How a process ended, and the first mebibytes of what it printed."""

    code: int
    printed: str = field(repr=False)
    complaints: str = field(repr=False)


@contextmanager
def workplace(data: bytes) -> Iterator[tuple[Path, Path]]:
    """Yield a private folder and the picture in it; both are gone afterwards."""
    try:
        with scratch_folder() as folder:
            picture = folder / _PICTURE
            picture.write_bytes(data)
            yield folder, picture
    except OSError as error:
        raise FormatError(f"DJI reader: no temporary folder could be used: {error.strerror}") from error


def run(command: Sequence[str | Path], folder: Path) -> Answer:
    """Run a command in `folder` until it ends; raises FormatError where it cannot start or takes too long."""
    printed, complaints = folder / "stdout", folder / "stderr"
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
    try:
        with printed.open("xb") as out, complaints.open("xb") as err:
            process = subprocess.Popen(  # noqa: S603 (the user named or installed this program)
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
                start_new_session=True,
            )
    except OSError as error:
        raise FormatError(f"DJI reader {command[0]} cannot be started: {error.strerror}") from error
    try:
        _limit(process.pid)
        code = process.wait(TIME_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise FormatError(f"DJI reader {command[0]} took more than {TIME_LIMIT_S:g} s and was stopped") from error
    finally:
        _stop(process)
    answer = Answer(code, _text(printed), _text(complaints))
    printed.unlink()
    complaints.unlink()
    return answer


def _limit(pid: int) -> None:
    """Limit memory and file size of a process that has just started, where the system can."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        resource.prlimit(pid, resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it started, and wait for it."""
    if process.poll() is None:
        with suppress(OSError, AttributeError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_ANSWER_BYTES).decode("utf-8", "replace")


def small_file(path: Path, most_bytes: int, what: str) -> bytes:
    """Return the bytes of a file that a backend wrote; raises FormatError where it is missing or too large."""
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise FormatError(f"{what}: the DJI reader wrote {size} bytes; at most {most_bytes} were expected")
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"{what}: the DJI reader wrote none") from error


def kelvin_of(celsius: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return kelvin of a backend's °C; NaN where it writes absolute zero for "no temperature"."""
    kelvin = (celsius.astype(np.float64) + 273.15).astype(np.float32)
    kelvin[~(np.isfinite(kelvin) & (kelvin > 0.01))] = np.nan
    return kelvin
