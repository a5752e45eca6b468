"""Small labelled pictures that a classifier can tell apart in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (40, 56)
CATEGORIES = ("bar", "plain", "spot")


def drawn(category: str, rng: np.random.Generator) -> np.ndarray:
    """Return a grey picture (H W) uint8 of a hot bar, a hot spot, a hot ring, or of nothing, in noise."""
    height, width = SIZE
    rows, columns = np.mgrid[:height, :width]
    picture = rng.normal(80, 8, SIZE)
    row, column = int(rng.integers(12, height - 12)), int(rng.integers(12, width - 12))
    away = np.hypot(rows - row, columns - column)
    if category == "bar":
        picture[row - 3 : row + 3] += 110
    elif category == "spot":
        picture[away < 6] += 110
    elif category == "checks":
        picture[(rows // 4 + columns // 4) % 2 == 0] += 110
    return np.asarray(np.clip(picture, 0, 255).astype(np.uint8))


def write_pictures(
    root: Path, count: int, *, categories: Sequence[str] = CATEGORIES, seed: int = 0, parts: Sequence[str] = ("",)
) -> Path:
    """Write `count` pictures of each category into each part: ``<root>/<part>/<category>/<number>.png``."""
    rng = np.random.default_rng(seed)
    for part in parts:
        for category in categories:
            folder = root / part / category
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.fromarray(drawn(category, rng)).save(folder / f"{number}.png")
    return root
