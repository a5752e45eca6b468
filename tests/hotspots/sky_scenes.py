"""Scenes with a cold sky, made up, with the truth about them: a warm tower and wires, with or without a hot joint."""

from __future__ import annotations

import numpy as np

SKY_C, TOWER_C = -40.0, -5.0
HEIGHT, WIDTH = 144, 192


def tower(seed: int = 0) -> np.ndarray:
    """Return a lattice tower and two wires before a sky with a slope, in °C (H W) float32, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    celsius = SKY_C + 0.05 * y + np.zeros((HEIGHT, WIDTH))
    legs = (np.abs(x - 70 - 0.1 * y) < 5) | (np.abs(x - 115 + 0.1 * y) < 5)
    braces = (np.abs((x - y) % 40) < 3) & (x > 70) & (x < 115)
    wires = (np.abs(y - 30 - 0.05 * x) < 2) | (np.abs(y - 70 + 0.05 * x) < 2)
    celsius[legs | braces] = TOWER_C
    celsius[wires] = TOWER_C - 2
    return (celsius + rng.normal(0, 0.3, celsius.shape)).astype(np.float32)


def hot_joint(rise_c: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the tower with a joint `rise_c` hotter than the tower on a wire, and its mask (H W)."""
    celsius = tower(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    joint = (x - 40) ** 2 + (y - 32) ** 2 <= 4**2
    celsius[joint] = TOWER_C + rise_c
    return celsius, joint
