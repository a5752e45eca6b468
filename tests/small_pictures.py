"""Small thermal pictures of three kinds that even a quick classifier tells apart, as CSV files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HEIGHT, WIDTH = 48, 64


def picture(kind: str, seed: int) -> np.ndarray:
    """Return temperatures (H W) [°C] of a plain plate, a plate with a hot joint, or one with hot stripes."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    values = 25 + 0.2 * random.standard_normal((HEIGHT, WIDTH))
    if kind == "joint":
        values += 50 * np.exp(-(((x - random.integers(24, 40)) ** 2 + (y - random.integers(18, 30)) ** 2) / 30))
    elif kind == "stripes":
        values += 25 * ((x + random.integers(8)) // 4 % 2)
    return values


def csv(kind: str, seed: int) -> bytes:
    """Return a picture as a CSV file."""
    rows = (",".join(f"{value:.2f}" for value in row) for row in picture(kind, seed))
    return "\n".join(rows).encode()


def write(folder: Path, kind: str, seeds: range) -> list[Path]:
    """Write pictures of one kind; returns their paths."""
    paths = [folder / f"{kind} {seed}.csv" for seed in seeds]
    for path, seed in zip(paths, seeds, strict=True):
        path.write_bytes(csv(kind, seed))
    return paths


def hot_csv(peak_c: float = 80.0, *, seed: int = 0) -> bytes:
    """Return a picture of temperatures with one hot spot, as text."""
    values = 20 + np.random.default_rng(seed).random((24, 24)) * 0.2
    values[10:14, 10:14] = peak_c
    return "\n".join(",".join(f"{value:.2f}" for value in row) for row in values).encode()
