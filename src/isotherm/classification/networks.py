"""Networks that classify pictures, in torch."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from isotherm.classification.stored_network import OUTPUTS

OPSET = 17
MOST_CELLS = 16
"""Rows and columns of feature maps that the dense layers see at most; larger ones are averaged down."""


class Net(nn.Module):
    """A network in two parts: `features` (N 3 H W) -> (N E), and `last` (N E) -> logits (N C)."""

    features: nn.Module
    last: nn.Linear

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits (N C) for pictures (N 3 H W)."""
        logits: torch.Tensor = self.last(self.features(pixels))
        return logits

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Return the parameters that learn, and their step sizes."""
        return [{"params": self.parameters(), "lr": rate}]


class SmallCnn(Net):
    """Two blocks of convolution, pooling and dropout, and three dense layers.

    Parameters
    ----------
    size
        H and W of the pictures [px], at least 4.
    classes
        C.
    filters, dense
        Filters of the first block (the second has twice as many), and units of the first dense layer (the second has
        half of them).
    dropout
        Share of values left out after each block while learning.
    """

    def __init__(self, size: tuple[int, int], classes: int, *, filters: int, dense: int, dropout: float) -> None:
        super().__init__()
        cells = [side // 4 for side in size]
        shrink = [-(-cell // MOST_CELLS) for cell in cells]
        left = [-(-cell // by) for cell, by in zip(cells, shrink, strict=True)]
        self.features = nn.Sequential(
            *_block(3, filters, dropout),
            *_block(filters, 2 * filters, dropout),
            nn.AvgPool2d((shrink[0], shrink[1]), ceil_mode=True, count_include_pad=False),
            nn.Flatten(),
            nn.Linear(2 * filters * left[0] * left[1], dense),
            nn.ReLU(),
            nn.Linear(dense, dense // 2),
            nn.ReLU(),
        )
        self.last = nn.Linear(dense // 2, classes)


def _block(channels: int, filters: int, dropout: float) -> list[nn.Module]:
    return [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout)]


class _WithEmbedding(nn.Module):
    def __init__(self, network: Net) -> None:
        super().__init__()
        self.features, self.last = network.features, network.last

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.features(pixels)
        return self.last(embedding), embedding


def onnx_of(network: Net, size: tuple[int, int]) -> bytes:
    """Return the ONNX graph of a network for pictures of H x W; see `StoredNetwork`."""
    axes = {name: {0: "N"} for name in ("pixels", *OUTPUTS)}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # By torch's exporter that traces one call, which warns that there is a newer one (it needs onnxscript).
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            _WithEmbedding(network).eval(),
            (torch.zeros(1, 3, *size),),
            path,
            input_names=["pixels"],
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
