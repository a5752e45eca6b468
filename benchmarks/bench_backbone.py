"""Images a second of the backbone's features: the runtime against the same network in plain torch.

Both compute the feature maps at strides 8 and 16 of 256 px pictures on all cores; torch runs eagerly in float32, in
batches of 32 and of 1. The engines take turns, so that a busy machine slows all of them; the medians are compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops

from isotherm.anomaly.patches import parameter
from isotherm.core.processes import cores
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled, Precision

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "runtime"))
import lite_torch

SIZE, IMAGES, ROUNDS = 256, 32, 7
STRIDES = (8, 16)
TARGET = 8.0


def main() -> int:
    pictures = np.random.default_rng(0).uniform(0, 1, (IMAGES, 3, SIZE, SIZE)).astype(np.float32)
    torch.set_num_threads(cores())
    engines = {
        "torch eager f32, batch 32": in_torch(pictures, 32),
        "torch eager f32, batch 1": in_torch(pictures, 1),
        "runtime f32": in_runtime(pictures, "f32"),
        "runtime bf16": in_runtime(pictures, "bf16"),
    }
    rates = measure(engines)
    base = rates["torch eager f32, batch 32"]
    print(f"{IMAGES} pictures of {SIZE} px, features at strides {STRIDES}, {cores()} cores, median of {ROUNDS} rounds")
    for name, rate in rates.items():
        print(f"  {name:28s}{rate:8.1f} images/s {rate / base:8.1f} x")
    reached = rates["runtime f32"] / base
    print(f"default (f32) {reached:.1f} x torch in batches of 32; wanted {TARGET:g} x")
    return int(reached < TARGET)


def in_torch(pictures: np.ndarray, batch: int) -> Callable[[], object]:
    network, tensor = lite_torch.load(0), torch.from_numpy(pictures)

    def run() -> None:
        with torch.inference_mode():
            for start in range(0, IMAGES, batch):
                network.features(tensor[start : start + batch], STRIDES)

    return run


def in_runtime(pictures: np.ndarray, precision: Precision) -> Callable[[], object]:
    images = parameter((SIZE, SIZE))
    maps = BACKBONES.get("efficientnet_lite0").loaded().graph(images, STRIDES)
    compiled = Compiled(ov.Model([ops.result(node) for node in maps], [images]), precision)
    return lambda: [None for _ in compiled.run(pictures)]


def measure(engines: dict[str, Callable[[], object]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(ROUNDS + 1):
        for name, run in engines.items():
            started = time.perf_counter()
            run()
            if turn:  # The first turn warms up.
                seconds[name].append(time.perf_counter() - started)
    return {name: IMAGES / median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
