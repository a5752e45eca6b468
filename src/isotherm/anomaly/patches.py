"""Feature vectors of small patches of a picture: the common ground of PatchCore and PaDiM.

The feature maps of several depths of the network are brought to one grid of `GRID_STRIDE` pixels and joined, so that
each cell describes its place in fine texture and in wider context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from isotherm.anomaly.method import Images
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


def grid_side(size: int) -> int:
    """Return the number of cells along a side of an input of `size` pixels."""
    return size // GRID_STRIDE


def patch_node(images: ov.Node, size: int, strides: Sequence[int], *, average: int = 1) -> ov.Node:
    """Add joined features to a graph.

    Parameters
    ----------
    images
        A node (1 3 S S), pixels in 0..1.
    size
        S.
    strides
        Which feature maps.
    average
        Side of the square over which each map is averaged before joining (1: none), as PatchCore does.

    Returns
    -------
    Node
        (P D), the cells of the grid row by row.
    """
    maps = [
        _to_grid(node, stride, size, average) for node, stride in zip(backbone(images, strides), strides, strict=True)
    ]
    joined = ops.concat(maps, 1) if len(maps) > 1 else maps[0]
    cells_last = ops.transpose(joined, ops.constant(np.array([0, 2, 3, 1])))
    return ops.reshape(cells_last, ops.constant(np.array([-1, dimensions(strides)])), False)


def _to_grid(node: ov.Node, stride: int, size: int, average: int) -> ov.Node:
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
    side = np.full(2, grid_side(size))
    axes = ops.constant(np.array([2, 3]))
    return ops.interpolate(
        node, ops.constant(side), "linear_onnx", "sizes", coordinate_transformation_mode="half_pixel", axes=axes
    )


def parameter(size: int) -> ov.Node:
    """Return the input node (1 3 S S) of a graph."""
    return ops.parameter([1, 3, size, size], np.float32)


@lru_cache(maxsize=4)
def compile_patches(size: int, strides: tuple[int, ...], precision: Precision, *, average: int = 1) -> Compiled:
    """Compile the graph that gives the cells (P D) of one picture; the last few are kept for the next fold or model."""
    images = parameter(size)
    cells = patch_node(images, size, strides, average=average)
    # A leading axis of length 1, because the runtime takes one image a request.
    result = ops.unsqueeze(cells, ops.constant(np.array([0])))
    return Compiled(ov.Model([ops.result(result)], [images]), precision)


def input_size(images: Images) -> int:
    """Return the side S of the network inputs of a source."""
    return int(next(iter(images.batches(1))).shape[-1])


def pictures(images: Images) -> Iterator[Float32[np.ndarray, "3 S S"]]:
    """Yield the network inputs one by one."""
    for batch in images.batches(READ):
        yield from batch


def smoothing(side: int, sigma_px: float) -> Float32[np.ndarray, "G G"]:
    """Return the matrix K that blurs a map of the grid with a Gaussian of `sigma_px` input pixels: K @ map @ K.T.

    Weights beyond the border are dropped and the rest scaled to sum to one. Blurring the small map instead of the large
    one gives the same picture for a hundredth of the work.
    """
    places = np.arange(side, dtype=np.float64) * GRID_STRIDE
    if sigma_px <= 0:
        return np.eye(side, dtype=np.float32)
    kernel = np.exp(-0.5 * ((places[:, None] - places[None]) / sigma_px) ** 2)
    scaled: np.ndarray = kernel / kernel.sum(axis=1, keepdims=True)
    return scaled.astype(np.float32)
