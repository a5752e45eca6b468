"""Feature vectors of small patches of a picture: the common ground of the methods that rest on a frozen network.

The feature maps of several depths of the network are brought to one grid and joined, so that each cell describes its
place in fine texture and in wider context. The grid is that of the finest map, but not finer than `GRID_STRIDE` pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import openvino as ov
from jaxtyping import Bool, Float32
from openvino import opset13 as ops

from isotherm.anomaly.graphs import IGNORED_SHARE
from isotherm.anomaly.method import Arrays, Images, Inputs
from isotherm.anomaly.stored import stored
from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled, Precision
from isotherm.runtime.layers import integers, resized

BACKBONE = "efficientnet_lite0"
BACKBONE_HELP = "network that gives the features; `isotherm backbones` lists them"
STRIDES_HELP = "its feature maps that are joined, by their distance of two cells in px, such as 8,16; empty: {}"
GRID_STRIDE = 8
"""Smallest distance of two cells of the grid [input px]."""
READ = 16
"""How many images are taken from the source at once."""
Cells = Float32[np.ndarray, "P D"]


@dataclass(frozen=True)
class Taps:
    """Feature maps of a network with certain weights.

    Parameters
    ----------
    backbone
        Its name.
    digest
        The sha256 of its weights.
    strides
        Which feature maps [input px].
    """

    backbone: str
    digest: str
    strides: tuple[int, ...]

    @property
    def dimensions(self) -> int:
        """Return the length D of the joined feature vectors."""
        return BACKBONES.get(self.backbone).dimensions(self.strides)

    @property
    def grid_stride(self) -> int:
        """Return the distance of two cells of the grid [input px]."""
        return max(GRID_STRIDE, min(self.strides))

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the cells (h w) along the sides of an input of `size` (H W) pixels."""
        return BACKBONES.get(self.backbone).grid(size, self.grid_stride)

    def feature_maps(self, pixels: ov.Node) -> list[ov.Node]:
        """Add the network to a graph; returns (N D h w) for each stride, each of its own size."""
        return BACKBONES.get(self.backbone).loaded(self.digest).graph(pixels, self.strides)

    def arrays(self) -> Arrays:
        """Return what a model keeps to find the same weights again."""
        return {"backbone_digest": np.frombuffer(bytes.fromhex(self.digest), np.uint8)}


def choose_taps(backbone: str, strides: Sequence[int]) -> Taps:
    """Return feature maps to learn from, of the weights that are here.

    Raises
    ------
    ModelError
        There are no weights of this network here; says how to get them.
    MissingExtraError
        They are part of an extra that is not installed.
    """
    return Taps(backbone, BACKBONES.get(backbone).chosen(), tuple(strides))


def stored_taps(arrays: Arrays, backbone: str, strides: Sequence[int]) -> Taps:
    """Return the feature maps that a model was trained on; raises ModelError where those weights are not here."""
    digest = stored(arrays, "backbone_digest", np.uint8, 32).tobytes().hex()
    return Taps(backbone, BACKBONES.get(backbone).chosen(digest), tuple(strides))


@dataclass(frozen=True)
class TapsConfig:
    """Which feature maps of which network; a method's configuration adds its own settings."""

    default_strides: ClassVar[tuple[int, ...]] = ()
    """The maps that an empty `strides` stands for; empty for the network's own."""

    backbone: str = setting(BACKBONE, BACKBONE_HELP)
    strides: str = setting("", STRIDES_HELP.format("8,16 or the network's own"))

    def __post_init__(self) -> None:
        validate(self)
        self.tapped()

    def tapped(self) -> tuple[int, ...]:
        """Return the strides of the feature maps."""
        return strides_of(self.backbone, self.strides, self.default_strides)

    def check_weights(self) -> None:
        """Raise an error where the weights of the network are not here."""
        self.taps()

    def taps(self) -> Taps:
        """Return the feature maps to learn from (`choose_taps`)."""
        return choose_taps(self.backbone, self.tapped())

    def stored_taps(self, arrays: Arrays) -> Taps:
        """Return the feature maps that a model was trained on (`stored_taps`)."""
        return stored_taps(arrays, self.backbone, self.tapped())


def strides_of(backbone: str, text: str, default: Sequence[int]) -> tuple[int, ...]:
    """Return the strides that a setting names.

    Parameters
    ----------
    text
        Such as ``8,16``; empty for `default` or, where that is empty or the network lacks such maps, for its own.

    Raises
    ------
    UnknownNameError
        There is no such network.
    ConfigError
        The network has no such feature map; says which it has.
    """
    network = BACKBONES.get(backbone)
    if not text.strip():
        return tuple(default) if default and set(default) <= set(network.channels) else network.strides
    known = ", ".join(map(str, network.channels))
    wanted = [part.strip() for part in text.split(",")]
    if len(set(wanted)) < len(wanted) or any(part not in map(str, network.channels) for part in wanted):
        raise ConfigError(f"strides must be some of {known} ({backbone}), each once, with commas, not {text!r}")
    return tuple(sorted(map(int, wanted)))


def patch_node(taps: Taps, pixels: ov.Node, size: tuple[int, int], *, average: int = 1) -> ov.Node:
    """Add joined features to a graph.

    Parameters
    ----------
    pixels
        A node (N 3 H W), pixels in 0..1.
    size
        H and W.
    average
        Side of the square over which each map is averaged before joining (1: none), as PatchCore does.

    Returns
    -------
    Node
        (N P D), the cells of each picture's grid row by row.
    """
    grid = taps.grid(size)
    maps = [
        to_grid(node, stride, taps.grid_stride, grid, average)
        for node, stride in zip(taps.feature_maps(pixels), taps.strides, strict=True)
    ]
    joined = ops.concat(maps, 1) if len(maps) > 1 else maps[0]
    cells_last = ops.transpose(joined, integers(0, 2, 3, 1))
    return ops.reshape(cells_last, integers(-1, grid[0] * grid[1], taps.dimensions), False)


def to_grid(node: ov.Node, stride: int, grid_stride: int, grid: tuple[int, int], average: int = 1) -> ov.Node:
    """Bring a feature map (N D h w) of one stride to the grid of another, averaged over squares before (1: not)."""
    if average > 1:
        # Zeros beyond the border count, as in the authors' code (unfolding with zero padding): the cells at the border,
        # whose features rest on padding themselves, weigh less.
        half = average // 2
        node = ops.avg_pool(node, [1, 1], [half, half], [half, half], [average, average], False)
    if stride < grid_stride:
        step = grid_stride // stride
        return ops.avg_pool(node, [step, step], [0, 0], [0, 0], [step, step], True)
    if stride == grid_stride:
        return node
    return resized(node, grid)


def parameter(size: tuple[int, int]) -> ov.Node:
    """Return the input node (N 3 H W) of a graph."""
    return ops.parameter(ov.PartialShape([-1, 3, *size]), np.float32)


@lru_cache(maxsize=4)
def compile_patches(taps: Taps, size: tuple[int, int], precision: Precision, *, average: int = 1) -> Compiled:
    """Compile the graph that gives the cells (P D) of one picture; the last few are kept for the next fold or model."""
    pixels = parameter(size)
    return Compiled(ov.Model([ops.result(patch_node(taps, pixels, size, average=average))], [pixels]), precision)


def inputs_one_by_one(images: Images) -> Iterator[Inputs]:
    """Yield the network inputs one by one (N = 1)."""
    for batch in images.batches(READ):
        for place in range(len(batch)):
            yield batch[place : place + 1]


def kept_cells(inputs: Inputs, grid: tuple[int, int]) -> Bool[np.ndarray, "N P"]:
    """Say which cells of the grid (h w), row by row, may be learnt from.

    That is those of the scene; a picture of which nothing would be left keeps all of its cells.
    """
    kept = scene_cells(inputs, grid).reshape(len(inputs), -1)
    kept[~kept.any(axis=1)] = True
    return kept


def scene_cells(inputs: Inputs, grid: tuple[int, int]) -> Bool[np.ndarray, "N h w"]:
    """Say which cells of the grid (h w) are part of the scene.

    A cell is not where more than `IGNORED_SHARE` of its pixels is to be ignored or, where cells and pixels do not match
    (a stride of 14), the one in its middle.
    """
    if inputs.ignore is None:
        return np.ones((len(inputs), *grid), np.bool_)
    if any(side % cells for side, cells in zip(inputs.size, grid, strict=True)):
        rows, columns = (_middles(side, cells) for side, cells in zip(inputs.size, grid, strict=True))
        return ~inputs.ignore[:, rows[:, None], columns]
    down, across = (side // cells for side, cells in zip(inputs.size, grid, strict=True))
    blocks = inputs.ignore.reshape(len(inputs), grid[0], down, grid[1], across)
    kept: np.ndarray = blocks.mean(axis=(2, 4)) <= IGNORED_SHARE
    return kept


def _middles(side: int, cells: int) -> np.ndarray:
    middles: np.ndarray = ((np.arange(cells) + 0.5) * side / cells).astype(np.int64)
    return middles
