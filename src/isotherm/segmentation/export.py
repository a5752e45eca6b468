"""A network as an ONNX model, which runs without torch."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

INPUT, OUTPUT = "maps", "probability"
OPSET = 17
TRACED_PX = 64


class _Probability(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.module(maps))


def onnx_of(module: nn.Module, channels: int) -> bytes:
    """Return the ONNX model of a network: ``maps`` (N C H W) to ``probability`` (N 1 H W), any N, H and W.

    H and W are multiples of what the network asks for. By torch's exporter that traces one call: the newer one needs
    one package more (onnxscript).
    """
    # Not square, so that height and width cannot be taken for one another.
    example = torch.zeros(1, channels, TRACED_PX, TRACED_PX * 2)
    axes = {0: "N", 2: "H", 3: "W"}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            _Probability(module).eval(),
            (example,),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: axes, OUTPUT: axes},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
