"""Small labelled radiometric scenes on disk: a warm bar, and a hot square where something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 48


def scene(rng: np.random.Generator, *, offset_c: float = 0.0) -> np.ndarray:
    """Return a normal scene (H W) in °C."""
    across = np.exp(-((np.linspace(-1, 1, WIDTH) / 0.4) ** 2))
    return (20 + offset_c + 10 * across + rng.normal(0, 0.2, (HEIGHT, WIDTH))).astype(np.float32)


def write(path: Path, values: np.ndarray) -> None:
    """Write one scene as NPY."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def write_site(root: Path, site: str, *, normal: int = 12, faulty: int = 4, rise_c: float = 8.0, seed: int = 0) -> None:
    """Write `<site>/normal`, `<site>/faulty` and the masks of the faulty ones."""
    rng = np.random.default_rng([seed, sum(site.encode())])
    for index in range(normal):
        write(root / site / "normal" / f"{index}.npy", scene(rng))
    for index in range(faulty):
        values = scene(rng)
        top, left = rng.integers(2, 28, 2)
        values[top : top + 8, left : left + 8] += rise_c
        write(root / site / "faulty" / f"{index}.npy", values)
        mask = np.zeros(values.shape, dtype=np.uint8)
        mask[top : top + 8, left : left + 8] = 255
        path = root / "masks" / site / "faulty" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
