"""Small changes that leave a normal picture normal: mirror, tilt, brightness and contrast."""

from __future__ import annotations

import torch
from torch.nn import functional

from isotherm.nn.lessons import Lesson

MAX_TILT_DEG = 15.0
BRIGHTNESS = 0.1
"""Largest shift, as a share of the span."""
CONTRAST = 0.1
"""Largest change of the distance from the picture's mean."""
KEPT_SHARE = 0.99
"""Where a turned pixel mixes in more than a hundredth of ignored ones it is ignored."""


def augmented(lesson: Lesson, generator: torch.Generator, *, mirror: bool = True) -> Lesson:
    """Return a lesson whose pictures are changed at random, within 0..1; what is to be ignored turns with them.

    Each is mirrored left to right with a chance of one half (unless `mirror` is off), turned by up to 15 degrees (the
    corners are filled by reflection), and given another brightness and contrast.
    """
    # Of grey pictures one channel is turned, and without anything to ignore no mask: turning is most of the work.
    grey, whole = bool(same_channels(lesson.wanted).all()), bool((lesson.keep > 0).all())
    colours = lesson.wanted[:, :1] if grey else lesson.wanted
    planes = colours if whole else torch.cat([colours, lesson.keep], 1)
    angle = torch.deg2rad(_uniform(len(lesson), MAX_TILT_DEG, generator))
    side = 1 - 2 * torch.randint(0, 2, (len(lesson),), generator=generator).float()
    turned = _turn(planes, angle, side if mirror else torch.ones_like(side))
    keep = lesson.keep if whole else (turned[:, -1:] > KEPT_SHARE).float()
    pictures = _exposed(turned[:, : colours.shape[1]], generator).expand(-1, 3, -1, -1)
    return Lesson(pictures, pictures, keep, lesson.truth)


def same_channels(pictures: torch.Tensor) -> torch.Tensor:
    """Say which pictures (N 3 H W) hold the same in all channels, as temperatures and grey pictures do (N)."""
    return (pictures == pictures[:, :1]).flatten(1).all(dim=1)


def _exposed(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    gain = 1 + _uniform(len(pictures), CONTRAST, generator).reshape(-1, 1, 1, 1)
    shift = _uniform(len(pictures), BRIGHTNESS, generator).reshape(-1, 1, 1, 1)
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return ((pictures - mean) * gain + mean + shift).clamp(0, 1)


def _uniform(count: int, limit: float, generator: torch.Generator) -> torch.Tensor:
    return (2 * torch.rand(count, generator=generator) - 1) * limit


def _turn(planes: torch.Tensor, angle: torch.Tensor, mirror: torch.Tensor) -> torch.Tensor:
    height, width = planes.shape[2:]
    cosine, sine = torch.cos(angle), torch.sin(angle)
    # Grid coordinates run from -1 to 1 along both sides, so a turn of an oblong picture needs its aspect.
    aspect = height / width
    zero = torch.zeros_like(angle)
    rows = [
        torch.stack([mirror * cosine, -sine * aspect, zero], 1),
        torch.stack([mirror * sine / aspect, cosine, zero], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
