"""Learn to take coarse noise off normal pictures, so that a network with skip connections cannot just copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from isotherm.nn.augment import same_channels
from isotherm.nn.fitting import Task
from isotherm.nn.lessons import Lesson
from isotherm.nn.losses import squared_error
from isotherm.nn.noise import coarse_noise
from isotherm.nn.unet import UNet

CELLS_PX = (8, 16, 32)
"""Sizes of the noise's blobs: those of faults from a connector to a device, at 256 px."""


class Denoiser(UNet):
    """A U-Net that ends in a sigmoid: the redrawn picture never leaves 0..1."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the redrawn pictures (N 3 H W)."""
        return torch.sigmoid(super().forward(pictures))


def denoising(widths: Sequence[int], strength: float) -> Task[Denoiser]:
    """Return the task: see pictures under noise of a standard deviation of up to twice `strength`, draw them clean."""
    build = partial(Denoiser, 3, 3, widths, skips=True)
    return Task(build, _redrawing_error, partial(with_noise, strength))


def with_noise(strength: float, lesson: Lesson, generator: torch.Generator) -> Lesson:
    """Show the pictures under coarse noise, each under its own strength, within 0..1.

    The noise is the same in all channels of a grey picture, so that a channel cannot be cleaned by its neighbours; in
    a coloured one each channel has its own share of it.
    """
    count, size = len(lesson), (lesson.wanted.shape[2], lesson.wanted.shape[3])
    cell_px = CELLS_PX[int(torch.randint(0, len(CELLS_PX), (1,), generator=generator))]
    deviation = 2 * strength * torch.rand(count, 1, 1, 1, generator=generator)
    shares = 2 * torch.rand(count, 3, 1, 1, generator=generator) - 1
    shares = torch.where(same_channels(lesson.wanted)[:, None, None, None], torch.ones(1), shares)
    noise = deviation * shares * coarse_noise(count, size, cell_px, generator)
    return replace(lesson, shown=(lesson.wanted + noise).clamp(0, 1))


def _redrawing_error(drawn: torch.Tensor, lesson: Lesson) -> torch.Tensor:
    return squared_error(drawn, lesson.wanted, lesson.keep)
