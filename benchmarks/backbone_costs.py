"""CPU-milliseconds a picture of every backbone at 256 px, with the feature maps that patch methods take by default.

Weights that are not part of an installation are random here: what a network costs does not depend on them.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.runtime.backbone import Backbone, LoadedBackbone
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled, Precision
from isotherm.runtime.weight_sources import Files
from isotherm.runtime.weights import Weights

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from random_weights import random_tensors

SIZE, IMAGES, ROUNDS = 256, 8, 3


def main() -> int:
    print(f"{'backbone':20s} {'maps':>8s} {'f32':>7s} {'bf16':>7s}  CPU-ms a picture of {SIZE} px, one core")
    for name in BACKBONES.names():
        backbone = BACKBONES.get(name)
        network = with_weights(backbone)
        costs = [cost(network, precision) for precision in ("f32", "bf16")]
        print(f"{name:20s} {','.join(map(str, backbone.strides)):>8s} {costs[0]:7.1f} {costs[1]:7.1f}")
    return 0


def with_weights(backbone: Backbone) -> LoadedBackbone:
    if isinstance(backbone.source, Files):
        return LoadedBackbone(backbone, Weights(random_tensors(backbone.name), "0" * 64))
    return backbone.loaded()


def cost(network: LoadedBackbone, precision: Precision) -> float:
    pixels = ops.parameter([1, 3, SIZE, SIZE], np.float32)
    maps = network.graph(pixels, network.backbone.strides)
    compiled = Compiled(ov.Model([ops.result(node) for node in maps], [pixels]), precision, threads=1)
    pictures = np.random.default_rng(0).uniform(0, 1, (IMAGES, 3, SIZE, SIZE)).astype(np.float32)
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in compiled.run(pictures):
            pass
        seconds.append(time.process_time() - started)
    # The first round warms up.
    return 1000 * min(seconds[1:]) / IMAGES


if __name__ == "__main__":
    sys.exit(main())
