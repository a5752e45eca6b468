"""Stand-ins for what computes DJI's temperatures: a backend in this process, a program, and a library in C.

All read the tests' own layout (`drone_files.dji`) and use one made-up law, which is not DJI's:
``celsius = count / 100 - 20 - distance_m / 10 + reflected_c * (1 - emissivity)``.
"""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isotherm.formats import jpeg
from isotherm.formats.dji_backend import Conditions, Description, Measured, Unreadable, kelvin_of

CONDITIONS = Conditions(distance_m=5.0, humidity_percent=50.0, emissivity=0.95, reflected_c=25.0, ambient_c=25.0)
LIMITS = {
    "distance_m": (1.0, 25.0),
    "humidity_percent": (1.0, 100.0),
    "emissivity": (0.1, 1.0),
    "reflected_c": (-40.0, 100.0),
    "ambient_c": (-40.0, 80.0),
}


def celsius_of(counts: np.ndarray, conditions: Conditions) -> np.ndarray:
    reflected = conditions.reflected_c * (1 - conditions.emissivity)
    return (counts / 100 - 20 - conditions.distance_m / 10 + reflected).astype(np.float32)


@dataclass
class StubBackend:
    """Answers in this process, and counts how often it is asked."""

    description: Description | Unreadable = field(
        default_factory=lambda: Description(CONDITIONS, LIMITS, "iirp", 0x200)
    )
    asked: list[Conditions] = field(default_factory=list)
    name: str = "stub"

    def describe(self, data: bytes) -> Description | Unreadable:
        return self.description

    def measure(self, data: bytes, conditions: Conditions) -> Measured:
        self.asked.append(conditions)
        raw = b"".join(item.payload for item in jpeg.segments(data) if item.marker == jpeg.APP3)
        height, width = np.frombuffer(raw, "<u2", 2).tolist()
        counts = np.frombuffer(raw, "<u2", height * width, 4).reshape(height, width).astype(np.uint16)
        return Measured(counts, kelvin_of(celsius_of(counts, conditions)))


# The command line of dji-thermal-cli 1.4 as far as isotherm uses it; standard library only, so that it starts quickly.
_PROGRAM = r"""
import argparse, json, os, struct, sys, time
parser = argparse.ArgumentParser(allow_abbrev=False)
commands = parser.add_subparsers(dest="command")
listing = commands.add_parser("list")
listing.add_argument("--format"); listing.add_argument("--no-stats", action="store_true")
making = commands.add_parser("process")
making.add_argument("--output-dir"); making.add_argument("--output"); making.add_argument("--compression")
for name in ("distance", "humidity", "emissivity", "reflected-temp", "ambient-temp"):
    making.add_argument("--" + name, type=float)
for one in (listing, making):
    one.add_argument("--input-dir"); one.add_argument("--jobs")
arguments = parser.parse_args()
mode = os.environ.get("STUB", "")
if mode == "slow":
    time.sleep(60)
if mode == "crash":
    print("Traceback: the program fell over", file=sys.stderr)
    os._exit(9)
if mode == "seen":
    print("PYTHONPATH" in os.environ, sorted(os.listdir(".")), file=sys.stderr)
    os._exit(9)
if arguments.command == "list" and mode == "garbage":
    print("[{]")
    sys.exit(0)
if arguments.command == "list" and mode == "strange":
    print(json.dumps([{"thermal": {"plugin": "iirp"}}]))
    sys.exit(0)
if mode in ("unsupported", "damaged", "other"):
    reasons = {"unsupported": "R-JPEG plugin 'xirp' is not supported", "damaged": "thermal data damaged: short"}
    reason = reasons.get(mode)
    print("[]")
    if reason:
        print(f"[skip, {reason}] picture.jpg", file=sys.stderr)
    sys.exit(0)
if arguments.command == "list":
    fixed = mode == "fixed"
    given = {"distance": 5.0, "humidity": 50.0, "emissivity": 0.95, "reflection": 25.0, "ambient_temp": 25.0}
    ends = {"distance": [1.0, 25.0], "humidity": [1.0, 100.0], "emissivity": [0.1, 1.0], "reflection": [-40.0, 100.0],
            "ambient_temp": [-40.0, 80.0]}
    if fixed:
        given["ambient_temp"] = ends["ambient_temp"] = None
    print(json.dumps([{"thermal": {"plugin": "dirp" if fixed else "iirp", "measurement_params": given,
                                   "measurement_params_range": ends, "rjpeg_version": {"rjpeg": 0x10200}}}]))
    sys.exit(0)
if arguments.emissivity < 0.2:
    print("[skip, refused: no usable temperature range] picture.jpg")
    sys.exit(0)
data, raw, place = open(arguments.input_dir, "rb").read(), b"", 2
while data[place] == 0xFF and data[place + 1] != 0xDA:
    (length,) = struct.unpack_from(">H", data, place + 2)
    raw += data[place + 4:place + 2 + length] if data[place + 1] == 0xE3 else b""
    place += 2 + length
height, width = struct.unpack_from("<HH", raw)
counts = struct.unpack_from(f"<{height * width}H", raw, 4)
moved = -20 - arguments.distance / 10 + arguments.reflected_temp * (1 - arguments.emissivity)
celsius = [count / 100 + moved for count in counts]
if mode == "floor":
    celsius[0] = -273.15

def tiff(path, width, height, bits, kind, body):
    rows = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 0), (277, 3, 1),
            (278, 4, height), (279, 4, len(body)), (339, 3, kind)]
    start = 8 + 2 + 12 * len(rows) + 4
    head = struct.pack("<2sHIH", b"II", 42, 8, len(rows))
    head += b"".join(struct.pack("<HHII", tag, code, 1, start if tag == 273 else value) for tag, code, value in rows)
    open(path, "wb").write(head + bytes(4) + body)

os.makedirs(arguments.output_dir)
out = os.path.join(arguments.output_dir, "picture_")
shown = (30000, 30000) if mode == "bomb" else (width, height - 1) if mode == "short" else (width, height)
tiff(out + "temp_c.tiff", *shown, 32, 3, struct.pack(f"<{len(celsius)}f", *celsius))
if mode != "half":
    tiff(out + "raw.tiff", width, height, 16, 1, struct.pack(f"<{len(counts)}H", *counts))
print("[ok] picture.jpg")
"""

# DJI's public header as far as isotherm uses it, with the same made-up law.
_LIBRARY = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
typedef struct { const uint8_t *raw; int32_t height, width; float params[5]; } state;
int32_t dirp_create_from_rjpeg(const uint8_t *data, int32_t size, void **handle) {
    for (int32_t i = 2; i + 8 < size && data[i] == 0xFF; i += 2 + (data[i + 2] << 8 | data[i + 3])) {
        if (data[i + 1] != 0xE3) continue;
        state *s = malloc(sizeof *s);
        float given[5] = {5.0f, 50.0f, 0.95f, 25.0f, 25.0f};
        s->raw = data + i + 4;
        s->height = s->raw[0] | s->raw[1] << 8;
        s->width = s->raw[2] | s->raw[3] << 8;
        memcpy(s->params, given, sizeof given);
        if (s->height == 666) abort();
        *handle = s;
        return s->height == 7 ? -7 : 0;
    }
    return -5;
}
int32_t dirp_destroy(void *handle) { free(handle); return 0; }
int32_t dirp_get_rjpeg_resolution(void *handle, int32_t *size) {
    size[0] = ((state *)handle)->width; size[1] = ((state *)handle)->height; return 0;
}
int32_t dirp_get_rjpeg_version(void *handle, uint32_t *version) {
    version[0] = 0x300; version[1] = 1; version[2] = 1; return 0;
}
int32_t dirp_get_measurement_params(void *handle, float *params) {
    memcpy(params, ((state *)handle)->params, 20); return 0;
}
int32_t dirp_set_measurement_params(void *handle, const float *params) {
    if (params[2] < 0.2f) return -16;
    memcpy(((state *)handle)->params, params, 20); return 0;
}
int32_t dirp_get_measurement_params_range(void *handle, float *ends) {
    float found[10] = {1, 25, 1, 100, 0.1f, 1, -40, 100, -40, 80};
    memcpy(ends, found, sizeof found); return 0;
}
int32_t dirp_get_original_raw(void *handle, uint16_t *plane, int32_t size) {
    state *s = handle;
    if (size != 2 * s->height * s->width) return -8;
    memcpy(plane, s->raw + 4, size); return 0;
}
int32_t dirp_measure_ex(void *handle, float *plane, int32_t size) {
    state *s = handle;
    if (size != 4 * s->height * s->width) return -8;
    for (int32_t i = 0; i < s->height * s->width; i++) {
        int32_t count = s->raw[4 + 2 * i] | s->raw[5 + 2 * i] << 8;
        plane[i] = count / 100.0f - 20 - s->params[0] / 10 + s->params[3] * (1 - s->params[2]);
    }
    return 0;
}
"""


def program(folder: Path) -> Path:
    """Write the program into a folder and return its path."""
    path = folder / "dji-thermal-cli"
    path.write_text(f"#!{sys.executable} -IS\n{_PROGRAM}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def library(folder: Path) -> Path | None:
    """Compile the library into a folder and return its path; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, path = folder / "dirp.c", folder / "libdirp.so"
    source.write_text(_LIBRARY)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, source], check=True)
    return path
