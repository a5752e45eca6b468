"""What each segmentation network costs on one core: weights, a step of learning, a whole picture, the ONNX file.

python benchmarks/network_costs.py [NAME ...]

16 frames (or maps) at the default width. A step is two crops of 64 x 64 px (forward, backward, Adam), a picture 256 x
320 px in OpenVINO (float32); the least processor time of three.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable

import numpy as np
import openvino as ov
import torch
from torch import nn

from isotherm.segmentation import NETWORKS
from isotherm.segmentation.export import onnx_of
from isotherm.segmentation.losses import loss_named
from isotherm.segmentation.network import NetConfig

CHANNELS = 16
ONE_CORE = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def cpu_s(work: Callable[[], object]) -> float:
    """Return the least processor time of three runs [s], after one that does not count."""
    found = []
    for _ in range(4):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found[1:])


def step_s(module: nn.Module) -> float:
    """Return the time of a step of learning [s]."""
    inputs, truth = torch.randn(2, CHANNELS, 64, 64), torch.ones(2, 1, 64, 64)
    optimiser, loss = torch.optim.Adam(module.train().parameters()), loss_named("bce_dice")

    def step() -> None:
        loss(module(inputs), truth, truth).backward()
        optimiser.step()
        optimiser.zero_grad()

    return cpu_s(step)


def picture_s(graph: bytes) -> float:
    """Return the time of a whole picture without torch [s]."""
    core = ov.Core()
    compiled = core.compile_model(core.read_model(io.BytesIO(graph)), "CPU", ONE_CORE)
    picture = np.random.default_rng(0).normal(size=(1, CHANNELS, 256, 320)).astype(np.float32)
    return cpu_s(lambda: compiled([picture]))


def main(names: list[str]) -> None:
    """Print a Markdown table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| network | weights | step [s] | 256 x 320 px [s] | ONNX [MB] |\n|---|---|---|---|---|")
    for name in names or NETWORKS.names():
        module = NETWORKS.get(name).build(CHANNELS, NetConfig())
        weights, step = sum(weight.numel() for weight in module.parameters()), step_s(module)
        graph = onnx_of(module, CHANNELS)
        print(f"| `{name}` | {weights:,} | {step:.2f} | {picture_s(graph):.2f} | {len(graph) / 1e6:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
