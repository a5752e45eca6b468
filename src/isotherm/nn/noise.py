"""Fields of noise: Perlin's, whose thresholds look like stains, and coarse noise, whose blobs look like warm spots."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

MAX_OCTAVE = 6
"""The finest lattice of `perlin` cuts the shorter side into 2 ** 6 cells (DRAEM, section 3.3: 0 to 6)."""


def perlin(count: int, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """Return Perlin noise (N 1 H W) within -1..1, each picture and each axis on a lattice of its own fineness.

    The number of cells along the shorter side is 2 ** k with k drawn from 0..6 for each axis. All pictures are made at
    once: each looks up its gradients in one table of the finest lattice.

    Source: K. Perlin, Improving noise, SIGGRAPH 2002 (fade curve 6 t^5 - 15 t^4 + 10 t^3); DRAEM, section 3.3.
    """
    octaves = torch.randint(0, MAX_OCTAVE + 1, (count, 2), generator=generator)
    cells = 2.0**octaves / min(size)
    rows = (torch.arange(size[0]) + 0.5) * cells[:, :1]
    columns = (torch.arange(size[1]) + 0.5) * cells[:, 1:]
    lattice = (int(rows.max()) + 2, int(columns.max()) + 2)
    angles = 2 * math.pi * torch.rand(count, *lattice, generator=generator)
    (row, down), (column, right) = _cells(rows), _cells(columns)
    corners = []
    for below in (0, 1):
        for beside in (0, 1):
            angle = _gather(angles, row + below, column + beside)
            across, along = (right - beside)[:, None, :], (down - below)[:, :, None]
            corners.append(torch.cos(angle) * across + torch.sin(angle) * along)
    fade_down, fade_right = _fade(down)[:, :, None], _fade(right)[:, None, :]
    upper = torch.lerp(corners[0], corners[1], fade_right)
    lower = torch.lerp(corners[2], corners[3], fade_right)
    # The largest value of gradient noise of unit gradients in two dimensions is the root of one half.
    return (math.sqrt(2) * torch.lerp(upper, lower, fade_down))[:, None]


def _cells(places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    whole = places.floor()
    return whole.long(), places - whole


def _gather(table: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    picture = torch.arange(len(table))[:, None, None]
    return table[picture, rows[:, :, None], columns[:, None, :]]


def _fade(t: torch.Tensor) -> torch.Tensor:
    return t**3 * (t * (6 * t - 15) + 10)


def coarse_noise(count: int, size: tuple[int, int], cell_px: int, generator: torch.Generator) -> torch.Tensor:
    """Return smooth noise (N 1 H W) of mean 0 and standard deviation about 1 whose blobs are some `cell_px` wide.

    White noise on a grid of cells, drawn larger bilinearly and moved by a random part of a cell, so that no pixel lies
    on the grid more often than another (after A. Kascenas et al., MIDL 2022).
    """
    rows, columns = (math.ceil(side / cell_px) + 1 for side in size)
    small = torch.randn(count, 1, rows, columns, generator=generator)
    large = functional.interpolate(small, scale_factor=cell_px, mode="bilinear", align_corners=False)
    top, left = torch.randint(0, cell_px, (2,), generator=generator).tolist()
    # Bilinear weights take two thirds of the standard deviation away, on average over a cell.
    return 1.5 * large[:, :, top : top + size[0], left : left + size[1]]
