"""Textures that no normal picture has, made here: fields, stripes, blobs, speckle, warped gradients, patches of heat.

The paper of DRAEM takes them from a collection of photographs (DTD); these need no download and no licence, and some
of them look as temperatures do.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from isotherm.nn.noise import coarse_noise, perlin

Size = tuple[int, int]


def fields(count: int, size: Size, generator: torch.Generator) -> torch.Tensor:
    """Return (N 1 H W) clouds: Perlin noise of two scales."""
    return 0.5 + 0.3 * perlin(count, size, generator) + 0.2 * perlin(count, size, generator)


def stripes(count: int, size: Size, generator: torch.Generator) -> torch.Tensor:
    """Return (N 1 H W) waves of any direction, 4 to 40 px long, from smooth to almost sharp."""
    angle, length, phase, sharpness = (_drawn(count, generator) for _ in range(4))
    rows, columns = _places(size)
    across = torch.cos(math.pi * angle) * columns + torch.sin(math.pi * angle) * rows
    wave = torch.sin(2 * math.pi * (across / (4 * 10**length) + phase))
    return 0.5 + 0.5 * torch.tanh(wave * 10**sharpness) / torch.tanh(10**sharpness)


def blobs(count: int, size: Size, generator: torch.Generator) -> torch.Tensor:
    """Return (N 1 H W) spots of 4 to 16 px with edges from soft to sharp."""
    cell_px = int(torch.randint(4, 17, (1,), generator=generator))
    return torch.sigmoid(10 ** (2 * _drawn(count, generator)) * coarse_noise(count, size, cell_px, generator))


def speckle(count: int, size: Size, generator: torch.Generator) -> torch.Tensor:
    """Return (N 1 H W) grains of 1 to 4 px."""
    grain = int(torch.randint(1, 5, (1,), generator=generator))
    small = torch.rand(count, 1, *(math.ceil(side / grain) for side in size), generator=generator)
    return functional.interpolate(small, scale_factor=grain)[:, :, : size[0], : size[1]]


def gradients(count: int, size: Size, generator: torch.Generator) -> torch.Tensor:
    """Return (N 1 H W) slopes of any direction, warped, that fold back between 0 and 1 up to three times."""
    angle, folds = _drawn(count, generator), _drawn(count, generator)
    rows, columns = _places(size)
    across = (torch.cos(math.pi * angle) * columns + torch.sin(math.pi * angle) * rows) / max(size)
    warped = across + 0.2 * perlin(count, size, generator)
    return 0.5 - 0.5 * torch.cos(math.pi * (1 + 2 * folds) * warped)


FAMILIES: tuple[Callable[[int, Size, torch.Generator], torch.Tensor], ...] = (
    fields,
    stripes,
    blobs,
    speckle,
    gradients,
)


def textures(count: int, size: Size, generator: torch.Generator) -> torch.Tensor:
    """Return textures (N 1 H W) within 0..1, each of a family drawn at random."""
    chosen = torch.randint(0, len(FAMILIES), (count,), generator=generator)
    made = torch.empty(count, 1, *size)
    for index, family in enumerate(FAMILIES):
        members = chosen == index
        if members.any():
            made[members] = family(int(members.sum()), size, generator)
    return made.clamp(0, 1)


def heat(count: int, size: Size, generator: torch.Generator) -> torch.Tensor:
    """Return one warm patch (N 1 H W) in each picture, 1 at its warmest and 0 far away.

    An ellipse of 2 to 15 % of the shorter side about any place, its outline warped, its profile between that of heat
    that spreads (a Gaussian) and that of a device that is warm as a whole (a plateau).
    """
    rows, columns = _places(size)
    down, beside, angle, radius, aspect, plateau = (_drawn(count, generator) for _ in range(6))
    cosine, sine = torch.cos(math.pi * angle), torch.sin(math.pi * angle)
    dy, dx = rows - down * size[0], columns - beside * size[1]
    long = min(size) * 0.02 * 7.5**radius
    short = long * (0.3 + 0.7 * aspect)
    distance = torch.sqrt(((cosine * dx + sine * dy) / long) ** 2 + ((cosine * dy - sine * dx) / short) ** 2)
    distance = (distance * (1 + 0.3 * perlin(count, size, generator))).clamp_min(0)
    # The exponent turns a Gaussian (2) into a plateau with steep sides (10).
    return torch.exp(-0.5 * distance ** (2 + 8 * plateau))


def _drawn(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator)


def _places(size: Size) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(size[0], dtype=torch.float32)[:, None], torch.arange(size[1], dtype=torch.float32)[None]
