"""Milliseconds from a FLIR file to temperatures: isotherm, exiftool with NumPy, and other readers, in the same run.

python benchmarks/bench_reading.py [--data FOLDER] [--rounds 20] [--peers /path/of/a/venv/bin/python]

FOLDER is that of the camera files (by default `camera_files` below ISOTHERM_DATA); without it nothing is measured.
Other readers (flyr, flirimageextractor) are measured where the Python given by --peers can import them, in that Python.
Rounds take turns. Printed are medians of the wall time and of the processor time, that of started programs included;
targets are judged by the processor time, because a busy machine disturbs it less.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image

FILES = {
    "raw 640x480": "thermimage/IR_2412.jpg",
    "PNG 640x480": "thermal_parser/FLIR_T640.jpg",
    "raw 640x512 (XT2)": "thermal_parser/DJI_XT2.jpg",
}
TARGETS_MS = {"raw 640x480": 3.0, "PNG 640x480": 50.0}
LEAST_RATIO = 20.0
TAGS = (
    "Emissivity", "ObjectDistance", "ReflectedApparentTemperature", "AtmosphericTemperature", "IRWindowTemperature",
    "IRWindowTransmission", "RelativeHumidity", "PlanckR1", "PlanckR2", "PlanckB", "PlanckF", "PlanckO",
    "AtmosphericTransAlpha1", "AtmosphericTransAlpha2", "AtmosphericTransBeta1", "AtmosphericTransBeta2",
    "AtmosphericTransX",
)  # fmt: skip
PEER_PROGRAM = """
import sys, time, json, resource
def busy():
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + started.ru_utime + started.ru_stime
name, path = sys.argv[1:]
if name == "flyr":
    import flyr
    def read(): return flyr.unpack(path).celsius
else:
    # Its constructor downloads DJI's library, which FLIR files do not need: it is left out, to its favour.
    import numpy
    from flirimageextractor.thermal import Thermal
    reader = object.__new__(Thermal)
    reader._filepath_exiftool, reader._dtype = "exiftool", numpy.float32
    reader._support_camera_model = set(Thermal.SUPPORTED_CAMERA_MODELS)
    def read(): return reader.parse(filepath_image=path)
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    start, work = time.perf_counter(), busy()
    try:
        highest, error = float(read().max()), ""
    except Exception as failure:
        highest, error = None, f"{type(failure).__name__}: {failure}"
    print(json.dumps([time.perf_counter() - start, busy() - work, highest, error]), flush=True)
"""


def with_isotherm(path: Path) -> float:
    """Read by isotherm; returns the highest temperature."""
    import isotherm

    return float(isotherm.read(path).celsius().max())


def with_exiftool(path: Path) -> float:
    """Read as many scripts do: exiftool for the numbers, exiftool for the pixels, NumPy for the formula."""
    command = ["exiftool", "-j", "-n", *(f"-FLIR:{tag}" for tag in TAGS), str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    of = {tag: float(told[tag]) for tag in TAGS}
    raw = subprocess.run(["exiftool", "-b", "-RawThermalImage", str(path)], capture_output=True, check=True).stdout
    counts = np.asarray(Image.open(io.BytesIO(raw))).astype(np.uint16)
    counts = counts.byteswap() if raw.startswith(b"\x89PNG") else counts
    return float(temperatures(counts.astype(np.float64), of).max())


def temperatures(counts: np.ndarray, of: dict[str, float]) -> np.ndarray:
    """Return °C of counts by FLIR's formula, pixel by pixel."""

    def at(celsius: float) -> float:
        return (
            of["PlanckR1"] / (of["PlanckR2"] * (np.exp(of["PlanckB"] / (celsius + 273.15)) - of["PlanckF"]))
            - of["PlanckO"]
        )

    air = of["AtmosphericTemperature"]
    humidity = of["RelativeHumidity"] / (100 if of["RelativeHumidity"] > 2 else 1)
    water = np.sqrt(humidity * np.exp(1.5587 + 0.06939 * air - 2.7816e-4 * air**2 + 6.8455e-7 * air**3))
    far = np.sqrt(of["ObjectDistance"])
    alpha, beta = ([of[f"AtmosphericTrans{name}{k}"] for k in (1, 2)] for name in ("Alpha", "Beta"))
    first, second = (np.exp(-far * (a + b * water)) for a, b in zip(alpha, beta, strict=True))
    tau = of["AtmosphericTransX"] * first + (1 - of["AtmosphericTransX"]) * second
    eps, window = of["Emissivity"], of["IRWindowTransmission"]
    seen = counts / (eps * tau * window) - (1 - eps) / eps * at(of["ReflectedApparentTemperature"])
    seen -= (1 - tau) / (eps * tau) * at(air)
    seen -= (1 - window) / (eps * tau * window) * at(of["IRWindowTemperature"])
    return of["PlanckB"] / np.log(of["PlanckR1"] / (of["PlanckR2"] * (seen + of["PlanckO"])) + of["PlanckF"]) - 273.15


class Reading(NamedTuple):
    """One reading: wall time, processor time, highest temperature, and what went wrong."""

    wall_s: float
    busy_s: float
    highest_c: float | None
    error: str = ""


class Peer:
    """Another reader in a Python of its own, which is started once and then asked for reading after reading."""

    def __init__(self, python: str, name: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [python, "-c", PEER_PROGRAM, name, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.ready = self.answer() == "ready"

    def answer(self) -> object:
        """Return the next answer that is JSON; None where the process has ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except ValueError:
                continue
        return None

    def once(self) -> Reading:
        """Read once."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        found = self.answer()
        return Reading(*found) if isinstance(found, list) else Reading(0.0, 0.0, None, "it stopped")

    def stop(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def busy_s() -> float:
    """Return the processor time of this process and of the programs that it started."""
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + started.ru_utime + started.ru_stime


def timed(read: Callable[[Path], float], path: Path) -> Callable[[], Reading]:
    """Return a function that reads once, with its times."""

    def once() -> Reading:
        start, work = time.perf_counter(), busy_s()
        highest = read(path)
        return Reading(time.perf_counter() - start, busy_s() - work, highest)

    return once


def measure(path: Path, rounds: int, slow_rounds: int, python: str | None) -> dict[str, list[Reading]]:
    """Return the readings of each program; those that start programs get fewer rounds."""
    peers = {name: Peer(python, name, path) for name in ("flyr", "flirimageextractor")} if python else {}
    slow = {"exiftool and NumPy": timed(with_exiftool, path)} | {
        name: peer.once for name, peer in peers.items() if peer.ready
    }
    fast = timed(with_isotherm, path)
    fast()
    found: dict[str, list[Reading]] = {"isotherm": [], **{name: [] for name in slow}}
    for number in range(max(rounds, slow_rounds)):
        found["isotherm"] += [fast() for _ in range(3)] if number < rounds else []
        for name, once in slow.items():
            found[name] += [once()] if number < slow_rounds else []
    for peer in peers.values():
        peer.stop()
    return found


def show(title: str, found: dict[str, list[Reading]]) -> bool:
    """Print a file's table; returns whether the time is within its target."""
    ours_s = median(reading.busy_s for reading in found["isotherm"])
    print(title)
    met = 1000 * ours_s <= TARGETS_MS.get(title, 1e9)
    for name, readings in found.items():
        if readings[-1].error:
            print(f"  {name:20} {readings[-1].error[:90]}")
            continue
        wall_ms, busy_ms = (1000 * median(each) for each in zip(*(reading[:2] for reading in readings), strict=True))
        ratio = busy_ms / 1000 / ours_s
        print(f"  {name:20} {wall_ms:8.2f} ms, processor {busy_ms:8.2f} ms ({ratio:6.1f} x), ", end="")
        slow = name.startswith(("exiftool", "flirimage")) and ratio < LEAST_RATIO
        print(f"max {readings[-1].highest_c:.3f} °C" + (f"; {LEAST_RATIO:.0f} x was wanted" if slow else ""))
    return met


def main() -> int:
    """Measure, print, and exit with 1 where a time is above its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("ISOTHERM_DATA", "../shared/data"), "camera_files")
    parser.add_argument("--data", type=Path, default=data, help=f"the folder of the camera files (default {data})")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of three readings by isotherm (default 20)")
    parser.add_argument("--slow-rounds", type=int, default=5, help="rounds of the others (default 5)")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has flyr and flirimageextractor")
    arguments = parser.parse_args()
    if not arguments.data.is_dir() or shutil.which("exiftool") is None:
        print(f"nothing measured: it needs exiftool and the camera files ({arguments.data} is no folder)")
        return 0
    met = True
    for title, name in FILES.items():
        found = measure(arguments.data / name, arguments.rounds, arguments.slow_rounds, arguments.peers)
        met &= show(title, found)
    print("all times within their targets" if met else "a time is above its target")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
