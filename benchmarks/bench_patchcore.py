"""PatchCore: CPU-seconds and memory of training on 200 images of 256 px with a core set of 10 %, and scoring.

The literal greedy rule (one pass over all patches for each row that is taken, as in widely used libraries) is timed for
some steps in the same run and extrapolated, since all of it would take many minutes.
"""

from __future__ import annotations

import os
import resource
import sys
import time

import numpy as np

from isotherm.anomaly.coreset import greedy_coreset
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.patchcore import METHOD, STRIDES, PatchCoreConfig
from isotherm.anomaly.patches import choose_taps
from isotherm.core.processes import cores
from isotherm.core.progress import silent
from isotherm.testing.anomaly import BatchImages

IMAGES, SIZE, RATIO = 200, 256, 0.1
LITERAL_STEPS = 40
MAX_CPU_S, MAX_BYTES = 45.0, 2 * 1024**3


def main() -> int:
    pictures = textured(IMAGES)
    ready = peak_bytes()
    config = PatchCoreConfig(coreset_ratio=RATIO, max_rows=200_000)
    started = time.process_time()
    detector = METHOD.fit(BatchImages(Inputs(pictures)), config, 0, silent)
    trained = time.process_time() - started
    rows = len(detector.arrays()["bank"])
    memory = peak_bytes() - ready
    print(f"{IMAGES} images of {SIZE} px, core set {RATIO:.0%} = {rows} rows, {cores()} cores")
    print(f"  training        {trained:8.1f} CPU-s (wanted: at most {MAX_CPU_S:g})")
    print(f"  memory          {memory / 2**20:8.0f} MiB above the images (wanted: at most {MAX_BYTES / 2**20:.0f})")
    core_set(rows)
    for count in (2048, rows):
        for precision in ("f32", "bf16"):
            config = PatchCoreConfig(max_rows=count, precision=precision)
            scoring(Inputs(pictures[:32]), config, detector.arrays(), count)
    return int(trained > MAX_CPU_S or memory > MAX_BYTES)


def textured(count: int) -> np.ndarray:
    """Return pictures (N 3 S S) of a wavy surface with noise: their patches differ, as those of real pictures do."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    pictures = np.empty((count, 3, SIZE, SIZE), np.float32)
    for picture in pictures:
        row_wave, column_wave = rng.uniform(8, 14, 2)
        row_phase, column_phase = rng.uniform(0, 6, 2)
        wave = np.sin(rows / row_wave + row_phase) * np.cos(columns / column_wave + column_phase)
        picture[:] = 0.4 + 0.2 * wave + rng.normal(0, 0.03, (SIZE, SIZE))
    return pictures


def core_set(count: int) -> None:
    dimensions = choose_taps("efficientnet_lite0", STRIDES).dimensions
    points = np.random.default_rng(1).normal(0, 1, (IMAGES * (SIZE // 8) ** 2, dimensions)).astype(np.float32)
    started = time.process_time()
    greedy_coreset(points, count)
    fast = time.process_time() - started
    literal = literal_seconds(points) * count
    print(
        f"  core set alone  {fast:8.1f} CPU-s; literal rule {literal:.0f} CPU-s (extrapolated): {literal / fast:.0f} x"
    )


def literal_seconds(points: np.ndarray) -> float:
    """Return CPU-seconds of one step of the literal rule: the distance of every point to the row taken last."""
    distances, taken = np.full(len(points), np.inf, np.float32), 0
    started = time.process_time()
    for _ in range(LITERAL_STEPS):
        difference = points - points[taken]
        distances = np.minimum(distances, np.sqrt(np.einsum("nd,nd->n", difference, difference)))
        taken = int(distances.argmax())
    return (time.process_time() - started) / LITERAL_STEPS


def scoring(pictures: Inputs, config: PatchCoreConfig, arrays: dict[str, np.ndarray], rows: int) -> None:
    chosen = np.random.default_rng(0).permutation(len(arrays["bank"]))[:rows]
    part = {**arrays, "bank": arrays["bank"][chosen], "owners": arrays["owners"][chosen]}
    detector = METHOD.load(part, config)
    detector.predict(pictures)
    wall, cpu = time.perf_counter(), time.process_time()
    detector.predict(pictures)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rate, cost = len(pictures) / wall, 1000 * cpu / len(pictures)
    print(f"  scoring {rows:6d} rows {config.precision:4s} {rate:6.0f} images/s, {cost:5.1f} CPU-ms an image")


def peak_bytes() -> int:
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if os.uname().sysname == "Linux" else 1)


if __name__ == "__main__":
    sys.exit(main())
