"""Feature vectors of small patches of a picture: the common ground of PatchCore and PaDiM.

The feature maps of several depths of the network are brought to one grid of `GRID_STRIDE` pixels and joined, so that
each cell describes its place in fine texture and in wider context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import openvino as ov
from jaxtyping import Bool, Float32
from openvino import opset13 as ops

from isotherm.anomaly.graphs import IGNORED_SHARE
from isotherm.anomaly.method import Images, Inputs
from isotherm.runtime.backbone import CHANNELS, backbone
from isotherm.runtime.compiled import Compiled, Precision

GRID_STRIDE = 8
"""Distance of two cells of the grid [input px]."""
READ = 16
"""How many images are taken from the source at once."""
Cells = Float32[np.ndarray, "P D"]


def dimensions(strides: Sequence[int]) -> int:
    """Return the length D of the joined feature vectors."""
    return sum(CHANNELS[stride] for stride in strides)


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    """Return the cells (h w) along the sides of an input of `size` pixels."""
    return size[0] // GRID_STRIDE, size[1] // GRID_STRIDE


def patch_node(images: ov.Node, size: tuple[int, int], strides: Sequence[int], *, average: int = 1) -> ov.Node:
    """Add joined features to a graph.

    Parameters
    ----------
    images
        A node (N 3 H W), pixels in 0..1.
    size
        H and W.
    strides
        Which feature maps.
    average
        Side of the square over which each map is averaged before joining (1: none), as PatchCore does.

    Returns
    -------
    Node
        (N P D), the cells of each picture's grid row by row.
    """
    maps = [
        _to_grid(node, stride, size, average) for node, stride in zip(backbone(images, strides), strides, strict=True)
    ]
    joined = ops.concat(maps, 1) if len(maps) > 1 else maps[0]
    cells_last = ops.transpose(joined, ops.constant(np.array([0, 2, 3, 1])))
    height, width = grid_of(size)
    return ops.reshape(cells_last, ops.constant(np.array([-1, height * width, dimensions(strides)])), False)


def _to_grid(node: ov.Node, stride: int, size: tuple[int, int], average: int) -> ov.Node:
    if average > 1:
        # Zeros beyond the border count, as in the authors' code (unfolding with zero padding): the cells at the border,
        # whose features rest on padding themselves, weigh less.
        half = average // 2
        node = ops.avg_pool(node, [1, 1], [half, half], [half, half], [average, average], False)
    if stride < GRID_STRIDE:
        step = GRID_STRIDE // stride
        return ops.avg_pool(node, [step, step], [0, 0], [0, 0], [step, step], True)
    if stride == GRID_STRIDE:
        return node
    side = np.array(grid_of(size))
    axes = ops.constant(np.array([2, 3]))
    return ops.interpolate(
        node, ops.constant(side), "linear_onnx", "sizes", coordinate_transformation_mode="half_pixel", axes=axes
    )


def parameter(size: tuple[int, int]) -> ov.Node:
    """Return the input node (N 3 H W) of a graph."""
    return ops.parameter(ov.PartialShape([-1, 3, *size]), np.float32)


@lru_cache(maxsize=4)
def compile_patches(
    size: tuple[int, int], strides: tuple[int, ...], precision: Precision, *, average: int = 1
) -> Compiled:
    """Compile the graph that gives the cells (P D) of one picture; the last few are kept for the next fold or model."""
    images = parameter(size)
    return Compiled(ov.Model([ops.result(patch_node(images, size, strides, average=average))], [images]), precision)


def inputs_one_by_one(images: Images) -> Iterator[Inputs]:
    """Yield the network inputs one by one (N = 1)."""
    for batch in images.batches(READ):
        for place in range(len(batch)):
            yield batch[place : place + 1]


def kept_cells(inputs: Inputs, grid: tuple[int, int]) -> Bool[np.ndarray, "N P"]:
    """Say which cells of the grid (h w), row by row, are part of the scene and may be learnt from.

    A cell is left out where more than `IGNORED_SHARE` of its pixels is to be ignored; a picture of which nothing would
    be left keeps all of its cells.
    """
    if inputs.ignore is None:
        return np.ones((len(inputs), grid[0] * grid[1]), np.bool_)
    rows, columns = (side // cells for side, cells in zip(inputs.size, grid, strict=True))
    blocks = inputs.ignore.reshape(len(inputs), grid[0], rows, grid[1], columns)
    kept: np.ndarray = blocks.mean(axis=(2, 4)).reshape(len(inputs), -1) <= IGNORED_SHARE
    kept[~kept.any(axis=1)] = True
    return kept
