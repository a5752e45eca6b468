"""A picture of any size through a network whose sides must be multiples of something, in windows where it is large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

Compute = Callable[[Float32[np.ndarray, "C h w"]], np.ndarray]
"""What the network does: (C h w) to (h w)."""


@dataclass(frozen=True)
class Windows:
    """How a picture is cut up and put together again.

    Parameters
    ----------
    multiple
        Height and width that are computed are multiples of this: filled up by repeating the rim, and cut back.
    side_px
        Larger pictures are computed in windows of this side, which overlap by a quarter or more and are joined with
        weights that fall towards their rim.

    Raises
    ------
    ValueError
        No window can be a multiple.
    """

    multiple: int
    side_px: int

    def __post_init__(self) -> None:
        if self.multiple < 1 or self.side_px < self.multiple:
            raise ValueError(f"windows of {self.side_px} px cannot be multiples of {self.multiple}")

    def run(self, values: Float32[np.ndarray, "C H W"], compute: Compute) -> Float32[np.ndarray, "H W"]:
        """Return what `compute` gives for one picture."""
        height, width = values.shape[1:]
        side = self.side_px // self.multiple * self.multiple
        if max(height, width) <= side:
            return self._filled(values, compute)
        total, weights = np.zeros((height, width)), np.zeros((height, width))
        for y in starts(height, side):
            for x in starts(width, side):
                part = (slice(y, y + side), slice(x, x + side))
                found = self._filled(np.ascontiguousarray(values[:, part[0], part[1]]), compute)
                weight = _weight(found.shape)
                total[part] += weight * found
                weights[part] += weight
        return (total / weights).astype(np.float32)

    def _filled(self, values: Float32[np.ndarray, "C h w"], compute: Compute) -> Float32[np.ndarray, "h w"]:
        height, width = values.shape[1:]
        more = [(0, 0), (0, -height % self.multiple), (0, -width % self.multiple)]
        return np.array(compute(np.pad(values, more, mode="edge"))[:height, :width], np.float32)


def starts(length: int, window: int) -> list[int]:
    """Return where windows begin: evenly, overlapping by a quarter or more, the last one ending at the end."""
    if length <= window:
        return [0]
    count = 1 + -(-(length - window) // (window * 3 // 4))
    found: list[int] = np.linspace(0, length - window, count).round().astype(int).tolist()
    return found


def _weight(size: tuple[int, ...]) -> Float64[np.ndarray, "h w"]:
    """Return a weight that falls from the middle of a window towards its rim, and is nowhere 0."""
    down, across = (np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)) for side in size)
    return np.asarray(np.outer(down, across), np.float64)
