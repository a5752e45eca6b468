"""The last part that the graphs of all methods share, and the detector that is one graph.

A graph takes any number of images: reshapes leave the first axis open (-1). Predicting compiles it for one image a
request (`isotherm.runtime.compiled`), exporting writes it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import openvino as ov
from jaxtyping import Float32, Int
from openvino import opset13 as ops

from isotherm.anomaly.method import AnomalyMaps, Arrays, Inputs
from isotherm.anomaly.smoothing import smoothing
from isotherm.anomaly.thumbnails import Thumbnails
from isotherm.runtime.compiled import Precision
from isotherm.runtime.engines import Engine, engine
from isotherm.runtime.layers import constant, integers, resized

IGNORED_SHARE = 0.25
"""A cell of a map is left out where more than this share of its pixels is to be ignored."""
OUTPUTS = ("maps", "scores", "references", "resembles")


@dataclass(frozen=True, eq=False)
class GraphDetector:
    """A detector that is one graph.

    Parameters
    ----------
    kept
        What `AnomalyMethod.load` needs to build it again.
    model
        Builds the graph (`isotherm.anomaly.method.Exportable.graph`).
    precision
        Arithmetic inside it.
    thumbnails
        The normal pictures that the output ``resembles`` votes for; without that output the first is shown.
    """

    kept: Arrays
    model: Callable[[], ov.Model]
    precision: Precision = "f32"
    thumbnails: Thumbnails | None = None

    def predict(self, inputs: Inputs) -> AnomalyMaps:
        """Score N images of the size that the detector was fitted on."""
        results = list(self._compiled.run(_requests(inputs)))
        maps, scores, *more = (np.stack([result[place] for result in results]) for place in range(len(results[0])))
        if self.thumbnails is None:
            return AnomalyMaps(maps, scores, more[0] if more else None)
        resembled = [_most_voted(votes) for votes in more[0]] if more else [0] * len(inputs)
        return AnomalyMaps(maps, scores, self.thumbnails.pictures(resembled))

    def arrays(self) -> Arrays:
        """Return the arrays it was built from."""
        return self.kept

    def graph(self) -> ov.Model:
        """Return the graph for any number of images."""
        return self.model()

    @cached_property
    def _compiled(self) -> Engine:
        return engine(self.model(), self.precision)


def _requests(inputs: Inputs) -> Iterator[tuple[Float32[np.ndarray, "3 H W"], Float32[np.ndarray, "1 H W"]]]:
    nothing = np.zeros((1, *inputs.size), np.float32)
    for place, pixels in enumerate(inputs.pixels):
        yield pixels, nothing if inputs.ignore is None else inputs.ignore[place][None].astype(np.float32)


def _most_voted(votes: Int[np.ndarray, " V"]) -> int:
    return int(np.bincount(votes).argmax())


def graph_inputs(size: tuple[int, int]) -> tuple[ov.Node, ov.Node]:
    """Return the input nodes ``pixels`` (N 3 H W) and ``ignore`` (N 1 H W) for pictures of `size`."""
    pixels = ops.parameter(ov.PartialShape([-1, 3, *size]), np.float32, name="pixels")
    ignore = ops.parameter(ov.PartialShape([-1, 1, *size]), np.float32, name="ignore")
    return pixels, ignore


def finished(inputs: tuple[ov.Node, ov.Node], **outputs: ov.Node) -> ov.Model:
    """Return the graph with its inputs and outputs named; `outputs` are some of `OUTPUTS`."""
    for node, name in zip(inputs, ("pixels", "ignore"), strict=True):
        node.output(0).get_tensor().set_names({name})
    results = []
    for name in OUTPUTS:
        if name in outputs:
            result = ops.result(outputs[name])
            result.output(0).get_tensor().set_names({name})
            results.append(result)
    return ov.Model(results, list(inputs), "isotherm")


def keep_out(maps: ov.Node, ignore: ov.Node, size: tuple[int, int], grid: tuple[int, int]) -> ov.Node:
    """Give the cells of maps (N h w) that are to be ignored their image's least kept value.

    Parameters
    ----------
    ignore
        (N 1 H W), 1 where a pixel is to be ignored.
    size, grid
        H W and h w. A cell is left out where more than `IGNORED_SHARE` of its pixels is.
    """
    out = ignored_cells(ignore, size, grid)
    kept_only = ops.select(out, constant(np.finfo(np.float32).max), maps)
    least = ops.reduce_min(kept_only, integers(1, 2), True)
    return ops.select(out, ops.minimum(least, ops.reduce_max(maps, integers(1, 2), True)), maps)


def ignored_cells(ignore: ov.Node, size: tuple[int, int], grid: tuple[int, int]) -> ov.Node:
    """Say which cells (N h w) of a map are to be ignored, from the pixels (N 1 H W) that are."""
    return ops.greater(_shares(ignore, size, grid), constant(IGNORED_SHARE))


def _shares(ignore: ov.Node, size: tuple[int, int], grid: tuple[int, int]) -> ov.Node:
    """Return the ignored share of each cell (N h w)."""
    steps = [side // cells for side, cells in zip(size, grid, strict=True)]
    if all(side % cells == 0 for side, cells in zip(size, grid, strict=True)):
        shares = ops.avg_pool(ignore, steps, [0, 0], [0, 0], steps, True)
    else:
        # Where cells and pixels do not match (a stride of 14), the pixel in the middle speaks for the cell.
        shares = resized(ignore, grid)
    return ops.squeeze(shares, integers(1))


def resized_maps(maps: ov.Node, grid: tuple[int, int]) -> ov.Node:
    """Bring maps (N h w) to another grid."""
    return ops.squeeze(resized(ops.unsqueeze(maps, integers(1)), grid), integers(1))


def largest(maps: ov.Node) -> ov.Node:
    """Return the largest value (N) of each map (N h w)."""
    return ops.reduce_max(maps, integers(1, 2), False)


def blurred(maps: ov.Node, size: tuple[int, int], grid: tuple[int, int], sigma_px: float) -> ov.Node:
    """Blur maps (N h w) of pictures of `size` by a Gaussian of `sigma_px` input pixels."""
    if sigma_px <= 0:
        return maps
    down, across = (constant(smoothing(cells, side / cells, sigma_px)) for side, cells in zip(size, grid, strict=True))
    return ops.matmul(ops.matmul(down, maps, False, False), across, False, True)
