"""PatchCore: the distance of each patch to the nearest of a core set of normal patches.

References
----------
K. Roth et al., Towards total recall in industrial anomaly detection, CVPR 2022: locally aware patch features
(section 3.1), greedy coreset (3.2), distance and re-weighting (3.3, equations 6 and 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.graphs import GraphDetector, blurred, finished, graph_inputs, keep_out, largest
from isotherm.anomaly.memory import Bank, Share, learn_bank, nearest_squares, products, stored_bank, votes
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.patches import (
    Cells,
    TapsConfig,
    compile_patches,
    patch_node,
)
from isotherm.core.config import setting
from isotherm.core.progress import Progress
from isotherm.runtime.layers import constant, integers

STRIDES = (8, 16)
"""The paper's choice: the middle of the network."""
AVERAGE = 3


@dataclass(frozen=True)
class PatchCoreConfig(TapsConfig):
    """Settings of PatchCore."""

    default_strides = STRIDES

    coreset_ratio: float = setting(0.1, "share of the normal patches that is kept", low=0.0001, high=1.0)
    max_rows: int = setting(
        2048, "most patches that are kept, whatever the share; inspection time grows with it", low=16, high=200_000
    )
    neighbours: int = setting(
        1, "neighbours that re-weight the score (1: the plain distance; the paper: 9)", low=1, high=64
    )
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)
    precision: Literal["f32", "bf16"] = setting("f32", "arithmetic of the network: exact, or faster and coarser")


def _detector(bank: Bank, config: PatchCoreConfig) -> GraphDetector:
    return GraphDetector(bank.arrays(), lambda: search_model(bank, config), config.precision, bank.thumbnails)


def search_model(bank: Bank, config: PatchCoreConfig) -> ov.Model:
    """Build one graph from pictures to maps, scores and the normal pictures that they resemble.

    The score is the distance of the cell that is farthest from all rows of the bank, re-weighted where `neighbours` is
    more than one; the map is blurred after that.
    """
    size, grid = bank.size, bank.taps.grid(bank.size)
    pixels, ignore = graph_inputs(size)
    cells = ops.subtract(patch_node(bank.taps, pixels, size, average=AVERAGE), constant(bank.mean[None, None]))
    maps = ops.reshape(ops.sqrt(nearest_squares(cells, bank.rows)), integers(-1, *grid), False)
    maps = keep_out(maps, ignore, size, grid)
    scores = largest(maps)
    if config.neighbours > 1:
        scores = ops.multiply(scores, _weights(cells, maps, bank.rows, config.neighbours))
    return finished(
        (pixels, ignore),
        maps=blurred(maps, size, grid, config.blur_px),
        scores=scores,
        resembles=votes(cells, grid, bank),
    )


def _weights(cells: ov.Node, maps: ov.Node, rows: Cells, neighbours: int) -> ov.Node:
    """Return the paper's equation 7 (N): near 0 where the nearest normal patch has neighbours as near as itself."""
    flat = ops.reshape(maps, integers(0, -1), True)
    farthest = ops.topk(flat, ops.constant(np.int32(1)), 1, "max", "value")
    worst = ops.gather(cells, farthest.output(1), integers(1), 1)
    nearest = ops.topk(products(worst, rows), ops.constant(np.int32(1)), 2, "min", "value").output(1)
    row = ops.gather(constant(rows), ops.squeeze(nearest, integers(2)), integers(0))
    around = ops.topk(products(row, rows), ops.constant(np.int32(min(neighbours, len(rows)))), 2, "min", "value")
    others = ops.gather(constant(rows), ops.squeeze(around.output(1), integers(1)), integers(0))
    apart = ops.sqrt(_squares(ops.subtract(others, worst)))
    raised = ops.reduce_sum(ops.exp(ops.subtract(apart, farthest.output(0))), integers(1), False)
    return ops.subtract(constant(1.0), ops.divide(constant(1.0), raised))


def _squares(vectors: ov.Node) -> ov.Node:
    return ops.reduce_sum(ops.multiply(vectors, vectors), integers(2), False)


class PatchCore:
    """The method's pair of functions."""

    name = "patchcore"
    config_type = PatchCoreConfig

    def fit(self, images: Images, config: PatchCoreConfig, seed: int, progress: Progress) -> GraphDetector:
        """Choose the core set of the normal patches (`isotherm.anomaly.memory.learn_bank`)."""
        taps = config.taps()
        compiled = compile_patches(taps, images.size, config.precision, average=AVERAGE)
        share = Share(config.coreset_ratio, config.max_rows, seed)
        return _detector(learn_bank(images, taps, compiled, share, progress), config)

    def load(self, arrays: Arrays, config: PatchCoreConfig) -> GraphDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together, or the network is another."""
        taps = config.stored_taps(arrays)
        return _detector(stored_bank(arrays, taps), config)


METHOD = PatchCore()
