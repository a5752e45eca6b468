"""Where a picture lies in the network inputs: its aspect ratio is kept, and a large picture is cut into tiles.

A picture is scaled into a *canvas* whose aspect is the training set's; what it does not fill is added border and
ignored. Where the canvas is larger than the network input, overlapping tiles of the input's size cover it. Their maps
are blended with weights that fall to zero towards the tile's edge, where another tile sees further, so that no seam
shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float32
from PIL import Image

STEP = 32
"""Sides and places of inputs are multiples of it [px]: the networks halve their input five times."""
MIN_OVERLAP = 0.25
"""Least overlap of neighbouring tiles, as a share of their side."""
MAX_ASPECT = 4.0
"""Longer or higher pictures than this are bordered, so that no side of the input gets too short."""
STRETCH = 1.1
"""Aspect ratios that differ by less than this factor count as the same: the picture is stretched, not bordered."""
Size = tuple[int, int]


def fitting_size(area_side: int, aspect: float) -> Size:
    """Return H and W, multiples of `STEP`, of about `area_side`² pixels and of about the `aspect` H/W.

    A distortion counts twice as much as a deviation of the area.
    """
    aspect = min(max(aspect, 1 / MAX_ASPECT), MAX_ASPECT)
    heights, widths = (
        [max(STEP, int(side // STEP + more) * STEP) for more in (0, 1)]
        for side in (area_side * aspect**0.5, area_side / aspect**0.5)
    )

    def misfit(size: Size) -> float:
        distortion = abs(np.log(size[0] / size[1] / aspect))
        return float(2 * distortion + abs(np.log(size[0] * size[1] / area_side**2)))

    return min(product(heights, widths), key=misfit)


@dataclass(frozen=True)
class Frame:
    """The canvas that pictures are scaled into, and the network input that tiles it.

    Parameters
    ----------
    canvas
        Height and width [px] that pictures are brought to, multiples of `STEP`.
    size
        H and W of the network input; at most the canvas's.
    """

    canvas: Size
    size: Size

    @classmethod
    def fit(cls, aspect: float, input_side: int, canvas_side: int) -> Frame:
        """Choose the sizes for pictures of the `aspect` H/W.

        Parameters
        ----------
        input_side, canvas_side
            Sides of squares with as many pixels as the network input and the canvas; where the canvas is not the larger
            one, there is one tile.
        """
        if canvas_side <= input_side:
            size = fitting_size(input_side, aspect)
            return cls(size, size)
        canvas = fitting_size(canvas_side, aspect)
        return cls(canvas, (min(input_side, canvas[0]), min(input_side, canvas[1])))

    def place(self, picture: Size) -> tuple[int, int, int, int]:
        """Return top, left, height and width [px] of a picture of this size in the canvas; as large as fits."""
        height, width = self.canvas
        scale = (height / picture[0], width / picture[1])
        if max(scale) / min(scale) <= STRETCH:
            return 0, 0, height, width
        inner = [max(1, round(side * min(scale))) for side in picture]
        return (height - inner[0]) // 2, (width - inner[1]) // 2, inner[0], inner[1]

    @property
    def tiles(self) -> list[tuple[int, int]]:
        """Top and left [px] of each tile in the canvas, row by row."""
        return list(product(starts(self.canvas[0], self.size[0]), starts(self.canvas[1], self.size[1])))

    def cut(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the tiles of something of the canvas's size (... Hc Wc)."""
        for top, left in self.tiles:
            yield values[..., top : top + self.size[0], left : left + self.size[1]]

    def join(self, maps: Sequence[Float32[np.ndarray, "h w"]]) -> Float32[np.ndarray, "hc wc"]:
        """Blend the maps of the tiles into one of the canvas."""
        if len(maps) == 1:
            return maps[0]
        grid = self._grid(maps[0].shape)
        steps = [side // cells for side, cells in zip(self.size, grid, strict=True)]
        total = np.zeros((self.canvas[0] // steps[0], self.canvas[1] // steps[1]), np.float32)
        weights = np.zeros_like(total)
        for (top, left), values in zip(self.tiles, maps, strict=True):
            down = ramp(self.canvas[0], self.size[0], top, grid[0])
            across = ramp(self.canvas[1], self.size[1], left, grid[1])
            weight = down[:, None] * across
            rows, columns = (
                slice(at // step, at // step + cells) for at, step, cells in zip((top, left), steps, grid, strict=True)
            )
            total[rows, columns] += weight * resize(values, grid)
            weights[rows, columns] += weight
        return total / weights

    def _grid(self, found: tuple[int, ...]) -> Size:
        """Return the cells of a tile's map such that the tiles' places are whole cells."""
        if all(side % cells == 0 and STEP % (side // cells) == 0 for side, cells in zip(self.size, found, strict=True)):
            return found[0], found[1]
        return self.size[0] // 8, self.size[1] // 8

    def uncover(self, values: Float32[np.ndarray, "h w"], picture: Size) -> Float32[np.ndarray, "r c"]:
        """Cut the part that shows a picture of this size out of a map of the canvas, at about the map's resolution."""
        top, left, height, width = self.place(picture)
        if (height, width) == self.canvas:
            return values
        scale = (values.shape[0] / self.canvas[0], values.shape[1] / self.canvas[1])
        box = (left * scale[1], top * scale[0], (left + width) * scale[1], (top + height) * scale[0])
        size = (max(1, round(height * scale[0])), max(1, round(width * scale[1])))
        return resize(values, size, box=box)


def starts(whole: int, part: int) -> list[int]:
    """Return where tiles of `part` px begin that cover `whole` px, evenly, overlapping and at multiples of `STEP`."""
    steps = max(0, whole - part) // STEP
    furthest = max(1, int(part * (1 - MIN_OVERLAP)) // STEP)
    gaps = -(-steps // furthest)
    return [round(gap * steps / gaps) * STEP for gap in range(gaps + 1)] if gaps else [0]


def ramp(whole: int, part: int, start: int, cells: int) -> Float32[np.ndarray, " h"]:
    """Return the weights along one side of a tile: one in the middle, falling to zero at edges inside the canvas."""
    places = (np.arange(cells) + 0.5) * part / cells
    reach = part * MIN_OVERLAP
    before = places / reach if start > 0 else np.ones(cells)
    after = (part - places) / reach if start + part < whole else np.ones(cells)
    return np.clip(np.minimum(before, after), 0, 1).astype(np.float32)


def resize(
    values: Float32[np.ndarray, "h w"], size: Size, *, box: tuple[float, float, float, float] | None = None
) -> Float32[np.ndarray, "H W"]:
    """Resize bilinearly to `size` (height, width); what gets smaller is averaged, not skipped.

    `box` is the part to take: left, top, right and bottom in pixels of `values`.
    """
    if values.shape == size and box is None:
        return values
    picture = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box))
