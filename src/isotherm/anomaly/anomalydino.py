"""AnomalyDINO: cosine distance of each patch to the nearest normal patch, in the features of a DINO transformer.

Nothing is trained. The weights of the transformer are not part of isotherm; `isotherm backbones` says how to get them.
Three things differ from the paper: the bank keeps a core set of at most ``max_rows`` patches in place of all (a few
normal pictures lose none, many are not searched for minutes); normal pictures are not turned, because a thermal camera
sees its objects upright; and what is left out of scoring is what the picture's own mask names, not a guess of the
background.

Reference: S. Damm et al., AnomalyDINO: boosting patch-based few-shot anomaly detection with DINOv2, WACV 2025, section
3 (equation 2: the distance; equation 3: the score, a mean over the most anomalous 1 % of the patches).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.graphs import GraphDetector, blurred, finished, graph_inputs, keep_out
from isotherm.anomaly.memory import Bank, Share, learn_bank, nearest_squares, stored_bank, votes
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.patches import (
    BACKBONE_HELP,
    STRIDES_HELP,
    Taps,
    TapsConfig,
    parameter,
    patch_node,
)
from isotherm.core.config import setting
from isotherm.core.progress import Progress
from isotherm.runtime.compiled import Compiled, Precision
from isotherm.runtime.layers import constant, integers

LEAST_SQUARE = 1e-12
"""Added to the square of a vector's length, so that a vector of zeros stays one."""


@dataclass(frozen=True)
class AnomalyDinoConfig(TapsConfig):
    """Settings of AnomalyDINO."""

    backbone: str = setting("dinov2_vits14", BACKBONE_HELP)
    strides: str = setting("", STRIDES_HELP.format("the network's own"))
    max_rows: int = setting(
        8192, "most patches that are kept of all normal ones; inspection time grows with it", low=16, high=200_000
    )
    worst_share: float = setting(
        0.01, "share of the patches, the most anomalous ones, whose mean is the score", low=0.0, high=1.0
    )
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)
    precision: Literal["f32", "bf16"] = setting("f32", "arithmetic of the network: exact, or faster and coarser")


def _detector(bank: Bank, config: AnomalyDinoConfig) -> GraphDetector:
    return GraphDetector(bank.arrays(), lambda: search_model(bank, config), config.precision, bank.thumbnails)


def search_model(bank: Bank, config: AnomalyDinoConfig) -> ov.Model:
    """Build one graph from pictures to maps, scores and the normal pictures that they resemble."""
    size, grid = bank.size, bank.taps.grid(bank.size)
    pixels, ignore = graph_inputs(size)
    # Of vectors of length 1, half the squared distance is one less the cosine, with or without their mean.
    cells = ops.subtract(_directions(bank.taps, pixels, size), constant(bank.mean[None, None]))
    apart = ops.multiply(nearest_squares(cells, bank.rows), constant(0.5))
    maps = keep_out(ops.reshape(apart, integers(-1, *grid), False), ignore, size, grid)
    return finished(
        (pixels, ignore),
        maps=blurred(maps, size, grid, config.blur_px),
        scores=_worst(maps, max(1, round(config.worst_share * grid[0] * grid[1]))),
        resembles=votes(cells, grid, bank),
    )


def _directions(taps: Taps, pixels: ov.Node, size: tuple[int, int]) -> ov.Node:
    """Return the cells (N P D), each of length 1."""
    cells = patch_node(taps, pixels, size)
    squares = ops.reduce_sum(ops.multiply(cells, cells), integers(2), True)
    return ops.divide(cells, ops.sqrt(ops.add(squares, constant(LEAST_SQUARE))))


def _worst(maps: ov.Node, count: int) -> ov.Node:
    """Return the mean (N) of the largest values of each map (N h w)."""
    flat = ops.reshape(maps, integers(0, -1), True)
    largest = ops.topk(flat, ops.constant(np.int32(count)), 1, "max", "value")
    return ops.reduce_mean(largest.output(0), integers(1), False)


@lru_cache(maxsize=2)
def _compile(taps: Taps, size: tuple[int, int], precision: Precision) -> Compiled:
    pixels = parameter(size)
    return Compiled(ov.Model([ops.result(_directions(taps, pixels, size))], [pixels]), precision)


class AnomalyDino:
    """The method's pair of functions."""

    name = "anomalydino"
    config_type = AnomalyDinoConfig

    def fit(self, images: Images, config: AnomalyDinoConfig, seed: int, progress: Progress) -> GraphDetector:
        """Gather the normal patches.

        Raises
        ------
        ModelError
            The weights of the transformer are not here; says how to get them.
        """
        taps = config.taps()
        compiled = _compile(taps, images.size, config.precision)
        return _detector(learn_bank(images, taps, compiled, Share(1.0, config.max_rows, seed), progress), config)

    def load(self, arrays: Arrays, config: AnomalyDinoConfig) -> GraphDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together, or the network is another."""
        taps = config.stored_taps(arrays)
        return _detector(stored_bank(arrays, taps), config)


METHOD = AnomalyDino()
