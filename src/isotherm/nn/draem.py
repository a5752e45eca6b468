"""The two networks of DRAEM, the faults it learns from, and its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch import nn

from isotherm.nn.augment import same_channels
from isotherm.nn.fitting import Task
from isotherm.nn.folding import Array
from isotherm.nn.lessons import Lesson
from isotherm.nn.losses import focal_loss, squared_error, ssim_loss
from isotherm.nn.noise import perlin
from isotherm.nn.textures import heat, textures
from isotherm.nn.unet import Stage, UNet

RARE = 0.05
"""Probability of a fault that the untrained network begins with."""
STAIN = 0.5
"""Perlin noise above this becomes a fault."""
FAULTY = 0.5
"""Share of the pictures that get a fault."""
WARM = 0.5
"""Share of the faults that are patches of heat (or cold); the others are stains of foreign texture."""
MIN_OPACITY = 0.1
HEAT = (0.1, 0.6)
"""How much a patch of heat differs from what is under it, as a share of the span."""
VISIBLE = 0.3
"""Where a patch of heat has more than this share of its warmest place it counts as faulty."""


class Draem(nn.Module):
    """One network redraws the picture without its fault, the other sees both and says where the fault is."""

    def __init__(self, redraw: Sequence[int], judge: Sequence[int]) -> None:
        super().__init__()
        self.redraw = UNet(3, 3, redraw, skips=False)
        self.judge = UNet(6, 1, judge, skips=True)
        last = cast(Stage, self.judge.up[-1]).convolution
        # Faults are rare: the first passes need not unlearn an even chance everywhere (Lin et al., 2017, section 3.3).
        nn.init.constant_(cast(torch.Tensor, last.bias), -math.log((1 - RARE) / RARE))

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the redrawn pictures (N 3 H W) and the logit of each pixel's being faulty (N 1 H W)."""
        drawn = torch.sigmoid(self.redraw(pictures))
        logits: torch.Tensor = self.judge(torch.cat([pictures, drawn.to(pictures.dtype)], 1))
        return drawn, logits

    def arrays(self) -> dict[str, Array]:
        """Return the weights and biases of both, normalisation folded in."""
        return {**self.redraw.arrays("redraw"), **self.judge.arrays("judge")}


def finding_faults(redraw: Sequence[int], judge: Sequence[int]) -> Task[Draem]:
    """Return the task: redraw what was there before a simulated fault, and find the fault."""
    return Task(partial(Draem, redraw, judge), _loss, with_faults)


def _loss(answer: tuple[torch.Tensor, torch.Tensor], lesson: Lesson) -> torch.Tensor:
    drawn, logits = answer
    assert lesson.truth is not None
    redrawing = squared_error(drawn, lesson.wanted, lesson.keep) + ssim_loss(drawn, lesson.wanted, lesson.keep)
    return redrawing + focal_loss(logits, lesson.truth, lesson.keep)


def with_faults(lesson: Lesson, generator: torch.Generator) -> Lesson:
    """Show the pictures with a simulated fault in half of them; ``truth`` (N 1 H W) is 1 where it is."""
    shown, truth = lesson.wanted.clone(), torch.zeros_like(lesson.wanted[:, :1])
    is_faulty, is_warm = (torch.rand(len(lesson), generator=generator) < share for share in (FAULTY, WARM))
    for spoil, members in ((_stained, is_faulty & ~is_warm), (_warmed, is_faulty & is_warm)):
        if members.any():
            shown[members], truth[members] = spoil(lesson.wanted[members], generator)
    return replace(lesson, shown=shown.clamp(0, 1), truth=truth)


def _stained(pictures: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay a texture over the pictures where Perlin noise is high (section 3.3); returns it and where (N 1 H W)."""
    count, size = len(pictures), (pictures.shape[2], pictures.shape[3])
    where = (perlin(count, size, generator) > STAIN).float()
    opacity = MIN_OPACITY + (1 - MIN_OPACITY) * torch.rand(count, 1, 1, 1, generator=generator)
    low, high = (_levels(pictures, generator) for _ in range(2))
    texture = torch.lerp(low, high, textures(count, size, generator))
    return torch.lerp(pictures, texture, where * opacity), where


def _warmed(pictures: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Add a patch of heat, or take one away, alike in all channels; returns it and where (N 1 H W)."""
    count, size = len(pictures), (pictures.shape[2], pictures.shape[3])
    patch = heat(count, size, generator)
    amount = HEAT[0] + (HEAT[1] - HEAT[0]) * torch.rand(count, 1, 1, 1, generator=generator)
    sign = 2.0 * torch.randint(0, 2, (count, 1, 1, 1), generator=generator) - 1
    return pictures + sign * amount * patch, (patch > VISIBLE).float()


def _levels(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw a colour (N 3 1 1) for each picture, a grey for the grey ones."""
    colours = torch.rand(len(pictures), 3, 1, 1, generator=generator)
    return torch.where(same_channels(pictures)[:, None, None, None], colours[:, :1], colours)
