"""The convolutional autoencoder: five stride-2 stages down to 8 x 8 for 256 px, and the same way back."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from isotherm.nn.fitting import Task
from isotherm.nn.folding import Array, folded
from isotherm.nn.lessons import Lesson
from isotherm.nn.losses import squared_error

WIDTHS = (32, 64, 128, 256, 128)
"""Channels after each stage that halves the picture; the last is the bottleneck."""


class Autoencoder(nn.Module):
    """Redraws pictures (N 3 H W) of values 0..1; H and W are multiples of 32.

    Down: convolution 3 x 3, stride 2. Up: transposed convolution 4 x 4, stride 2, which covers each pixel equally often
    and so leaves no checkerboard (Odena et al., Distill 2016). Batch normalisation and ReLU follow each but the last,
    which ends in a sigmoid: the output never leaves 0..1.
    """

    def __init__(self) -> None:
        super().__init__()
        down, up = (3, *WIDTHS), (*WIDTHS[::-1], 3)
        self.encoder = nn.ModuleList(Halve(*widths) for widths in pairwise(down))
        self.decoder = nn.ModuleList(Double(*widths) for widths in pairwise(up))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the redrawn pictures, of the same shape."""
        features = pictures
        for stage in (*self.encoder, *self.decoder):
            features = stage(features)
        return torch.sigmoid(features)


class Halve(nn.Module):
    """One stage down: half the height and width."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N after H/2 W/2)."""
        return torch.relu(self.norm(self.convolution(features)))


class Double(nn.Module):
    """One stage up: twice the height and width; the last one (three channels) is bare."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        last = after == 3
        self.convolution = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=last)
        self.norm = None if last else nn.BatchNorm2d(after)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N after 2H 2W)."""
        raised: torch.Tensor = self.convolution(features)
        return raised if self.norm is None else torch.relu(self.norm(raised))


def folded_arrays(network: Autoencoder) -> dict[str, Array]:
    """Return weights and biases by stage, batch normalisation folded into the convolutions.

    Returns
    -------
    dict
        ``encoder.<i>.weight`` (out in 3 3), ``decoder.<i>.weight`` (in out 4 4), and ``.bias`` (out) for each.
    """
    named: dict[str, Array] = {}
    for part in ("encoder", "decoder"):
        for index, stage in enumerate(getattr(network, part)):
            weight, bias = folded(stage.convolution, stage.norm)
            named[f"{part}.{index}.weight"], named[f"{part}.{index}.bias"] = weight, bias
    return named


def _redrawing_error(drawn: torch.Tensor, lesson: Lesson) -> torch.Tensor:
    return squared_error(drawn, lesson.wanted, lesson.keep)


AUTOENCODER = Task(Autoencoder, _redrawing_error)
"""Redraw the picture; the narrow middle is all that keeps the network from copying."""
