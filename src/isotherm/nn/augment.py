"""Small changes that leave a normal picture normal: mirror, tilt, brightness and contrast."""

from __future__ import annotations

import torch
from torch.nn import functional

MAX_TILT_DEG = 15.0
BRIGHTNESS = 0.1
"""Largest shift, as a share of the span."""
CONTRAST = 0.1
"""Largest change of the distance from the picture's mean."""


def augment(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return pictures (N 3 H W) changed at random, within 0..1.

    Each is mirrored left to right with a chance of one half, turned by up to 15 degrees (the corners are filled by
    reflection), and given another brightness and contrast.
    """
    count = len(pictures)
    angle = torch.deg2rad(_uniform(count, MAX_TILT_DEG, generator))
    mirror = 1 - 2 * torch.randint(0, 2, (count,), generator=generator).float()
    turned = _turn(pictures, angle, mirror)
    gain = 1 + _uniform(count, CONTRAST, generator).reshape(-1, 1, 1, 1)
    shift = _uniform(count, BRIGHTNESS, generator).reshape(-1, 1, 1, 1)
    mean = turned.mean(dim=(1, 2, 3), keepdim=True)
    return ((turned - mean) * gain + mean + shift).clamp(0, 1)


def _uniform(count: int, limit: float, generator: torch.Generator) -> torch.Tensor:
    return (2 * torch.rand(count, generator=generator) - 1) * limit


def _turn(pictures: torch.Tensor, angle: torch.Tensor, mirror: torch.Tensor) -> torch.Tensor:
    height, width = pictures.shape[2:]
    cosine, sine = torch.cos(angle), torch.sin(angle)
    # Grid coordinates run from -1 to 1 along both sides, so a turn of an oblong picture needs its aspect.
    aspect = height / width
    zero = torch.zeros_like(angle)
    rows = [
        torch.stack([mirror * cosine, -sine * aspect, zero], 1),
        torch.stack([mirror * sine / aspect, cosine, zero], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
