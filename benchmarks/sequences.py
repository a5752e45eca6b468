"""Maps of a sequence of 640x512x1000 float32: isotherm against scipy, NumPy and scikit-learn, in the same run.

python benchmarks/sequences.py [--frames 1000] [--width 640] [--height 512] [--rounds 2] [--torch]

Printed are processor and wall seconds (the least of the rounds, which take turns) and the ratios of both; targets are
judged by the processor time, because a busy machine disturbs it less. On a busy machine set OMP_NUM_THREADS=1: threads
that wait for each other burn processor time on both sides. isotherm shares its work among threads and scipy.fft does
not, so that on free processors the ratio of wall times is the larger one.

Peak memory is that of processes of their own, which make one map each: of an array in memory, and of one mapped from a
file. Ends with status 1 where a target is missed. What NumPy's lstsq needs (8 GB at full size) must be free; where it
is not, both are given a quarter of the pixels, which is said.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from isotherm.sequences.moments import Moments, MomentsConfig
from isotherm.sequences.pct import Pct, PctConfig
from isotherm.sequences.ppt import Ppt, PptConfig
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr import Tsr, TsrConfig, fit

RATE_HZ = 40.0
NOISE_K = 0.025
COMPONENTS = 8
TARGETS = {"PPT, 8 frequencies": 8.0, "TSR, order 5, every frame": 10.0, "PCT, 8 components": 4.0}
COSINE = 0.999
MORE_MB, MAPPED_MB = 500.0, 1000.0
METHODS: dict[str, Callable[[ThermalSequence], object]] = {
    "ppt": lambda sequence: Ppt().maps(sequence, PptConfig(bins=8)),
    "tsr": lambda sequence: Tsr().maps(sequence, TsrConfig()),
    "pct": lambda sequence: Pct().maps(sequence, PctConfig(components=COMPONENTS)),
    "hos": lambda sequence: Moments().maps(sequence, MomentsConfig()),
}


def recording(frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return the cooling of a made-up plate: uneven heating, six defects that show at other times, noise."""
    rng = np.random.default_rng(seed)
    t = times_of(frames)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    maps = [1 - 0.5 * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)]
    curves = [3 / np.sqrt(t)]
    for place, late in enumerate(np.geomspace(0.1, 8, 6)):
        centre = (height * (0.25 + 0.5 * (place % 2)), width * (0.2 + 0.3 * (place // 2)))
        maps.append(np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * (width / 40) ** 2)))
        curves.append(0.5 * np.exp(-((np.log(t) - np.log(late)) ** 2) / 0.5) / np.sqrt(late))
    found = np.empty((frames, height * width), np.float32)
    flat = np.stack(maps).reshape(len(maps), -1)
    for frame, weights in enumerate(np.stack(curves, axis=1).astype(np.float32)):
        found[frame] = weights @ flat
        found[frame] += NOISE_K * rng.standard_normal(flat.shape[1], dtype=np.float32)
    return found.reshape(frames, height, width)


def times_of(frames: int) -> np.ndarray:
    """Return the times behind the flash [s]."""
    return (0.5 + np.arange(frames)) / RATE_HZ


def opened(source: np.ndarray | Path) -> ThermalSequence:
    """Open the recording."""
    count = source.shape[0] if isinstance(source, np.ndarray) else np.load(source, mmap_mode="r").shape[0]
    return ThermalSequence.open(source, times_s=times_of(count), order="THW")


def scipy_ppt(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return amplitude and phase as most scripts do: the whole transform, then the wanted bins."""
    import scipy.fft

    found = scipy.fft.rfft(numbers, axis=0)[1:9]
    return np.abs(found), np.angle(found)


def numpy_tsr(numbers: np.ndarray) -> np.ndarray:
    """Return the coefficients of ln T over ln t by least squares."""
    basis = np.vander(np.log(times_of(len(numbers))).astype(np.float32), 6)
    return np.linalg.lstsq(basis, np.log(np.maximum(numbers, 1e-3)).reshape(len(numbers), -1), rcond=None)[0]


def sklearn_pct(numbers: np.ndarray) -> np.ndarray:
    """Return the curves of scikit-learn's PCA with its default solver, pixels as samples."""
    from sklearn.decomposition import PCA

    model = PCA(COMPONENTS)
    model.fit_transform(numbers.reshape(len(numbers), -1).T)
    return model.components_


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Return processor seconds, wall seconds and the result."""
    wall, busy = time.perf_counter(), time.process_time()
    found = work()
    return time.process_time() - busy, time.perf_counter() - wall, found


def compared(name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, list]:
    """Print the least times of both and their ratios; return that of processor times and the last results."""
    best = np.full((2, 2), np.inf)
    results: list[object] = [None, None]
    for _ in range(rounds):
        for place, work in enumerate((ours, theirs)):
            results[place] = None
            busy, wall, results[place] = timed(work)
            best[place] = np.minimum(best[place], (busy, wall))
    ratios = best[1] / best[0]
    print(
        f"{name:28s} ours {best[0][0]:6.2f} CPU-s {best[0][1]:6.2f} s   peer {best[1][0]:6.2f} CPU-s "
        f"{best[1][1]:6.2f} s   {ratios[0]:5.1f} x by CPU {ratios[1]:5.1f} x by wall",
        flush=True,
    )
    return float(ratios[0]), results


def above_noise(spreads: np.ndarray, frames: int, pixels: int) -> int:
    """Return how many components have more than twice the variance that noise alone can have (Marchenko-Pastur)."""
    return int(np.count_nonzero(spreads**2 / pixels > 2 * NOISE_K**2 * (1 + np.sqrt(frames / pixels)) ** 2))


def memory_of(method: str, path: Path, mapped: bool) -> float:
    """Return the peak memory of a process that makes one map [MB], without what it holds before it opens the file."""
    made = subprocess.run(
        [sys.executable, __file__, "--one", method, str(path), str(int(mapped))], capture_output=True, check=True
    )
    return float(json.loads(made.stdout))


def one(method: str, path: Path, mapped: bool) -> None:
    """Make one map in this process and print how far its memory grew [MB]."""
    before = peak_mb()
    METHODS[method](opened(path if mapped else np.load(path)))
    print(json.dumps(peak_mb() - before))


def peak_mb() -> float:
    """Return the most memory that this process had; getrusage would count that of the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def free_gb() -> float:
    """Return the memory that is free [GB]."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) / 1e6


def with_torch(numbers: np.ndarray, rounds: int) -> None:
    """Print the product of 16 rows with the frames in NumPy and in torch: which the maps should use."""
    import torch

    rows = np.random.default_rng(1).standard_normal((16, len(numbers))).astype(np.float32)
    flat = numbers.reshape(len(numbers), -1)
    small, large = torch.from_numpy(rows), torch.from_numpy(flat)
    compared("16 rows times frames, torch", lambda: rows @ flat, lambda: small @ large, rounds)


def speeds(numbers: np.ndarray, rounds: int) -> list[str]:
    """Print the comparisons; return what was missed."""
    sequence, missed = opened(numbers), []
    frames, pixels = len(numbers), numbers[0].size
    name = "PPT, 8 frequencies"
    ratio, (ours, theirs) = compared(name, lambda: METHODS["ppt"](sequence), lambda: scipy_ppt(numbers), rounds)
    wrong = np.abs(np.angle(np.exp(1j * (ours.values[8:] - theirs[1]))))
    print(f"{'':28s} phases differ by {np.median(wrong):.1e} rad (median)")
    missed += [name] * (ratio < TARGETS[name])

    name = "PCT, 8 components"
    ratio, (ours, theirs) = compared(name, lambda: METHODS["pct"](sequence), lambda: sklearn_pct(numbers), rounds)
    clear = above_noise(ours.details["singular_value"], frames, pixels)
    cosines = np.abs((ours.details["curves"] * theirs).sum(axis=1))
    print(f"{'':28s} {clear} components above noise, cosines {', '.join(f'{each:.5f}' for each in cosines[:clear])}")
    missed += [name] * (ratio < TARGETS[name]) + ["PCT cosine"] * bool(cosines[:clear].min() < COSINE)

    name = "TSR, order 5, every frame"
    part = numbers if free_gb() > 10 * numbers.nbytes / 1.3e9 + 1 else numbers[:, : numbers.shape[1] // 4]
    times = numbers.shape[1] / part.shape[1]
    scaled = opened(part)
    ratio, (ours, theirs) = compared(
        name, lambda: fit(scaled, order=5, bins=0), lambda: numpy_tsr(np.ascontiguousarray(part)), 1
    )
    if times > 1:
        print(f"{'':28s} on 1/{times:g} of the pixels, for want of free memory")
    missed += [name] * (ratio < TARGETS[name])
    for name in ("tsr", "hos"):
        busy, wall, _ = timed(lambda name=name: METHODS[name](sequence))
        print(f"{name + ' as the command makes it':28s} ours {busy:6.2f} CPU-s {wall:6.2f} s")
    return missed


def memories(numbers: np.ndarray) -> list[str]:
    """Print peak memory; return what was missed."""
    missed, size = [], numbers.nbytes / 2**20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frames.npy")
        np.save(path, numbers)
        for method in METHODS:
            held, mapped = memory_of(method, path, False), memory_of(method, path, True)
            print(f"{method:28s} memory: data + {held - size:5.0f} MB in memory; {mapped:5.0f} MB from a mapped file")
            missed += [f"{method} memory"] * (held - size > MORE_MB or mapped > MAPPED_MB)
    return missed


def main() -> int:
    """Measure everything; returns 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("frames", 1000), ("height", 512), ("width", 640), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--torch", action="store_true", help="compare NumPy's products with torch's")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one[0], Path(asked.one[1]), asked.one[2] == "1")
        return 0
    numbers = recording(asked.frames, asked.height, asked.width)
    print(f"{asked.width}x{asked.height}x{asked.frames} float32, {numbers.nbytes / 1e9:.2f} GB", flush=True)
    if asked.torch:
        with_torch(numbers, asked.rounds)
    missed = speeds(numbers, asked.rounds) + memories(numbers)
    print("missed: " + ", ".join(missed) if missed else "all targets met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
