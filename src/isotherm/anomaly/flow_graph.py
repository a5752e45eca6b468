"""Normalising flows as a graph: picture in, negative log-likelihood of each cell out.

The definition is `isotherm.nn.flows`; here it runs without torch. A vector's network (CFLOW) is a convolution of 1 x 1
with a bias for each place, because the encoding of a place never changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from isotherm.anomaly.feature_cache import CachedMaps
from isotherm.anomaly.graphs import (
    GraphDetector,
    blurred,
    finished,
    graph_inputs,
    ignored_cells,
    keep_out,
    largest,
    resized_maps,
)
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.patches import Taps
from isotherm.anomaly.stored import stored, stored_size
from isotherm.core.errors import MissingExtraError, ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.layers import by_channel, constant, integers

CLAMP = 2.0
"""Largest log-scale of a coupling (as in `isotherm.nn.flows`)."""
Learn = Callable[["FlowShape", CachedMaps, Progress], Mapping[str, np.ndarray]]
"""Learns the flow of one scale and returns its arrays (`isotherm.nn.flows.flow_arrays`)."""


@dataclass(frozen=True)
class FlowShape:
    """One scale's flow.

    Parameters
    ----------
    stride, channels
        Of the feature map [input px], and length of its vectors.
    kernels
        Side of the convolutions of each step.
    encoding
        Length of the encoding of a place; 0: the step sees maps, not single vectors.
    width
        Channels inside a coupling's network.
    """

    stride: int
    channels: int
    kernels: tuple[int, ...]
    width: int
    encoding: int = 0

    def arrays(self) -> Iterator[tuple[str, type[np.generic], tuple[int, ...]]]:
        """Yield name, type and shape of everything that belongs to this scale."""
        channels, width = self.channels, self.width
        kept = channels // 2
        yield f"{self.stride}.mean", np.float32, (channels,)
        yield f"{self.stride}.deviation", np.float32, (channels,)
        yield f"{self.stride}.typical", np.float32, (2,)
        for step, side in enumerate(self.kernels):
            square = () if self.encoding else (side, side)
            start = f"{self.stride}.{step}"
            yield f"{start}.order", np.int32, (channels,)
            yield f"{start}.bias", np.float32, (channels,)
            yield f"{start}.log_gain", np.float32, (channels,)
            yield f"{start}.subnet.first.weight", np.float32, (width, kept, *square)
            yield f"{start}.subnet.first.bias", np.float32, (width,)
            yield f"{start}.subnet.last.weight", np.float32, (2 * (channels - kept), width, *square)
            yield f"{start}.subnet.last.bias", np.float32, (2 * (channels - kept),)
            if self.encoding:
                yield f"{start}.subnet.place.weight", np.float32, (width, self.encoding)


@dataclass(frozen=True)
class Flows:
    """One flow for each feature map of a network.

    Parameters
    ----------
    taps
        Which network, and which of its maps.
    shapes
        One for each stride of `taps`.
    blur_px
        Gaussian blur of the anomaly map [input px].
    """

    taps: Taps
    shapes: tuple[FlowShape, ...]
    blur_px: float

    def fit(self, images: Images, learn: Learn, *, validation: float, seed: int, progress: Progress) -> GraphDetector:
        """Learn one flow after the other, each from maps that are computed once."""
        arrays = {**self.taps.arrays(), "size": np.array(images.size, np.int32)}
        for place, shape in enumerate(self.shapes):

            def report(done: int, total: int, message: str, place: int = place, stride: int = shape.stride) -> None:
                progress(place * total + done, len(self.shapes) * total, f"stride {stride}, {message}")

            source = CachedMaps(images, replace(self.taps, strides=(shape.stride,)), validation, seed, report)
            learnt = {"mean": source.mean, "deviation": source.deviation, **learn(shape, source, report)}
            arrays |= {f"{shape.stride}.{name}": array for name, array in learnt.items()}
            # The maps of one scale make room for those of the next.
            del source
        return self._detector(arrays)

    def load(self, arrays: Arrays) -> GraphDetector:
        """Rebuild the detector; raises ModelError where an array is missing or makes no sense."""
        stored_size(arrays)
        found = {name: arrays[name] for name in ("size", *self.taps.arrays())}
        for shape in self.shapes:
            for name, dtype, lengths in shape.arrays():
                found[name] = stored(arrays, name, dtype, *lengths)
                if name.endswith(".order") and not np.array_equal(np.sort(found[name]), np.arange(shape.channels)):
                    raise ModelError(f"array {name!r} is no order of {shape.channels} features")
                above = {"deviation": found[name], "typical": found[name][-1:]}.get(name.rpartition(".")[2])
                if above is not None and above.min() <= 0:
                    raise ModelError(f"array {name!r} holds a deviation that is not above 0")
        return self._detector(found)

    def _detector(self, arrays: Arrays) -> GraphDetector:
        return GraphDetector(arrays, lambda: self._model(arrays), "f32")

    def _grid(self, size: tuple[int, int], shape: FlowShape) -> tuple[int, int]:
        return BACKBONES.get(self.taps.backbone).grid(size, shape.stride)

    def _model(self, arrays: Arrays) -> ov.Model:
        """Return the graph: how far each cell's likelihood is from a normal cell's, averaged over the scales."""
        size = stored_size(arrays)
        pixels, ignore = graph_inputs(size)
        finest = self._grid(size, min(self.shapes, key=lambda shape: shape.stride))
        total = None
        for shape, features in zip(self.shapes, self.taps.feature_maps(pixels), strict=True):
            grid = self._grid(size, shape)
            out = ignored_cells(ignore, size, grid)
            surprise = _surprise(arrays, shape, _standardised(arrays, shape, features, out), grid)
            middle, deviation = (float(value) for value in arrays[f"{shape.stride}.typical"])
            unusual = ops.multiply(ops.subtract(surprise, constant(middle)), constant(1 / deviation))
            maps = _resized(unusual, grid, finest)
            total = maps if total is None else ops.add(total, maps)
        assert total is not None
        # Left out twice: before the blur, so that nothing is smeared over its neighbours, and after it.
        averaged = keep_out(ops.multiply(total, constant(1 / len(self.shapes))), ignore, size, finest)
        maps = keep_out(blurred(averaged, size, finest, self.blur_px), ignore, size, finest)
        return finished((pixels, ignore), maps=maps, scores=largest(maps))


def check_torch(what: str) -> None:
    """Raise MissingExtraError where torch is not installed, without the second that loading it takes."""
    if find_spec("torch") is None:
        raise MissingExtraError(what, "train")


def place_encoding(grid: tuple[int, int], length: int) -> Float32[np.ndarray, "P E"]:
    """Describe the cells of a grid (h w), row by row, by sines and cosines of their row and column.

    A. Vaswani et al., Attention is all you need (NeurIPS 2017), section 3.5, in two dimensions: one half of the vector
    for the column, one for the row, with wavelengths from 2 pi to 20,000 pi cells. `length` is a multiple of 4.
    """
    rates = np.exp(-math.log(10_000.0) * np.arange(0, length // 2, 2) / (length // 2))
    rows, columns = np.mgrid[: grid[0], : grid[1]].reshape(2, -1)
    halves = [wave(places[:, None] * rates) for places in (columns, rows) for wave in (np.sin, np.cos)]
    return np.concatenate(halves, axis=1).astype(np.float32)


def _standardised(arrays: Arrays, shape: FlowShape, features: ov.Node, out: ov.Node) -> ov.Node:
    """Return features of mean 0 and deviation 1; cells that do not count hold the mean, as while learning."""
    mean, deviation = arrays[f"{shape.stride}.mean"], arrays[f"{shape.stride}.deviation"]
    values = ops.multiply(ops.subtract(features, by_channel(mean)), by_channel(1 / deviation))
    # Single vectors do not see one another.
    return values if shape.encoding else ops.select(ops.unsqueeze(out, integers(1)), constant(0.0), values)


def _surprise(arrays: Arrays, shape: FlowShape, values: ov.Node, grid: tuple[int, int]) -> ov.Node:
    """Return the negative log-likelihood (N h w) in nats a channel."""
    places = place_encoding(grid, shape.encoding) if shape.encoding else None
    stretched = None
    gains = 0.0
    for step in range(len(shape.kernels)):
        start = f"{shape.stride}.{step}."
        part = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        values, log_scale = _step(part, shape, values, _place_bias(part, places, grid))
        stretched = log_scale if stretched is None else ops.add(stretched, log_scale)
        gains += float(part["log_gain"].sum(dtype=np.float64))
    assert stretched is not None
    squares = ops.multiply(ops.reduce_sum(ops.multiply(values, values), integers(1), False), constant(0.5))
    nats = ops.subtract(squares, ops.reduce_sum(stretched, integers(1), False))
    scaled = ops.multiply(nats, constant(1 / shape.channels))
    return ops.add(scaled, constant(0.5 * math.log(2 * math.pi) - gains / shape.channels))


def _place_bias(part: Arrays, places: Float32[np.ndarray, "P E"] | None, grid: tuple[int, int]) -> np.ndarray:
    """Return what the first layer adds: (1 W 1 1), or (1 W h w) where it knows its place."""
    bias = part["subnet.first.bias"]
    if places is None:
        return bias.reshape(1, -1, 1, 1)
    table: np.ndarray = part["subnet.place.weight"] @ places.T + bias[:, None]
    return table.reshape(1, -1, *grid)


def _step(part: Arrays, shape: FlowShape, values: ov.Node, bias: np.ndarray) -> tuple[ov.Node, ov.Node]:
    """Return the values (N D h w) after a step, and the log-scales (N C h w) of its coupling."""
    kept_channels = shape.channels // 2
    gain = np.exp(part["log_gain"])
    values = ops.add(ops.multiply(values, by_channel(gain)), by_channel(part["bias"] * gain))
    kept, changed = _split(values, kept_channels, shape.channels - kept_channels)
    hidden = ops.relu(ops.add(_convolved(kept, part["subnet.first.weight"]), constant(bias)))
    raw = ops.add(_convolved(hidden, part["subnet.last.weight"]), by_channel(part["subnet.last.bias"]))
    log_scale, shift = _split(raw, shape.channels - kept_channels, shape.channels - kept_channels)
    log_scale = ops.multiply(ops.tanh(ops.multiply(log_scale, constant(1 / CLAMP))), constant(CLAMP))
    changed = ops.add(ops.multiply(changed, ops.exp(log_scale)), shift)
    shuffled = ops.gather(ops.concat([kept, changed], 1), ops.constant(part["order"]), integers(1))
    return shuffled, log_scale


def _convolved(values: ov.Node | ov.Output, weight: np.ndarray) -> ov.Node:
    kernel = weight if weight.ndim == 4 else weight[:, :, None, None]
    pad = kernel.shape[-1] // 2
    return ops.convolution(values, constant(kernel), [1, 1], [pad, pad], [pad, pad], [1, 1])


def _split(values: ov.Node, first: int, second: int) -> tuple[ov.Output, ov.Output]:
    parts = ops.variadic_split(values, ops.constant(np.array(1, np.int64)), integers(first, second))
    return parts.output(0), parts.output(1)


def _resized(maps: ov.Node, grid: tuple[int, int], wanted: tuple[int, int]) -> ov.Node:
    """Bring maps (N h w) to another grid."""
    if grid == wanted:
        return maps
    return resized_maps(maps, wanted)
