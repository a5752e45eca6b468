"""A U-Net whose first stage halves the picture already: the stages at full size, the dearest ones, are left out.

A picture of 3 channels has 12 numbers in each square of 2 x 2 pixels, which is less than the first stage keeps, so that
nothing sharp is lost by it.

Source: O. Ronneberger et al., U-Net, MICCAI 2015; changed: strided convolutions in place of pooling, batch
normalisation, padding, and one convolution in place of two on the way up.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from isotherm.nn.folding import Array, Convolution, folded


class Stage(nn.Module):
    """A convolution, batch normalisation and ReLU; the last stage of a network (`bare`) is the convolution alone."""

    def __init__(self, convolution: Convolution, *, bare: bool = False) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = None if bare else nn.BatchNorm2d(convolution.out_channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features of the next stage."""
        features = self.convolution(features)
        return features if self.norm is None else torch.relu(self.norm(features))


def convolve(before: int, after: int, *, stride: int = 1) -> Stage:
    """Return a stage 3 x 3."""
    return Stage(nn.Conv2d(before, after, 3, stride, 1, bias=False))


def double(before: int, after: int, *, bare: bool = False) -> Stage:
    """Return a stage that doubles the sides: 4 x 4, which covers each pixel equally often."""
    return Stage(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bare), bare=bare)


class UNet(nn.Module):
    """Down by 2 for each of `widths`, and up again.

    Parameters
    ----------
    before, after
        Channels of the input and of the output.
    widths
        Channels at 1/2, 1/4, ... of the sides.
    skips
        Whether a stage up also sees the features of the same size from the way down.
    """

    def __init__(self, before: int, after: int, widths: Sequence[int], *, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.down = nn.ModuleList(convolve(a, b, stride=2) for a, b in zip((before, *widths[:-1]), widths, strict=True))
        self.refine = nn.ModuleList(convolve(width, width) for width in widths)
        ups = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList([*(double(a, b) for a, b in ups), double(widths[0], after, bare=True)])
        self.merge = nn.ModuleList(convolve(2 * b if skips else b, b) for _, b in ups)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return (N after H W) of pictures (N before H W); H and W are multiples of 2 ** len(widths)."""
        kept, features = [], pictures
        for halve, refine in zip(self.down, self.refine, strict=True):
            features = refine(halve(features))
            kept.append(features)
        for raise_, merge, beside in zip(self.up, self.merge, kept[-2::-1], strict=False):
            features = raise_(features)
            features = merge(torch.cat([features, beside], 1) if self.skips else features)
        last: torch.Tensor = self.up[-1](features)
        return last

    def arrays(self, prefix: str) -> dict[str, Array]:
        """Return weights and biases with the normalisation folded in: ``<prefix>.down.0.weight`` and so on."""
        named: dict[str, Array] = {}
        for part in ("down", "refine", "up", "merge"):
            for index, stage in enumerate(getattr(self, part)):
                weight, bias = folded(stage.convolution, stage.norm)
                named[f"{prefix}.{part}.{index}.weight"], named[f"{prefix}.{part}.{index}.bias"] = weight, bias
        return named
