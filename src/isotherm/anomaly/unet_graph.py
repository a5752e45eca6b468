"""The U-Net of `isotherm.nn.unet` as a part of an OpenVINO graph, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.method import Arrays
from isotherm.anomaly.stored import stored
from isotherm.runtime.layers import constant


@dataclass(frozen=True)
class UNetShape:
    """What `isotherm.nn.unet.UNet` is built from."""

    before: int
    after: int
    widths: tuple[int, ...]
    skips: bool

    def arrays(self, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the names and shapes of all weights and biases."""
        for index, (before, after) in enumerate(zip((self.before, *self.widths[:-1]), self.widths, strict=True)):
            yield from _named(f"{prefix}.down.{index}", (after, before, 3, 3), after)
            yield from _named(f"{prefix}.refine.{index}", (after, after, 3, 3), after)
        for index, (before, after) in enumerate(self._ups()):
            seen = 2 * after if self.skips else after
            yield from _named(f"{prefix}.up.{index}", (before, after, 4, 4), after)
            yield from _named(f"{prefix}.merge.{index}", (after, seen, 3, 3), after)
        last = len(self.widths) - 1
        yield from _named(f"{prefix}.up.{last}", (self.widths[0], self.after, 4, 4), self.after)

    def check(self, arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays of this network; raises ModelError where one is missing or does not fit."""
        return {name: stored(arrays, name, np.float32, *shape) for name, shape in self.arrays(prefix)}

    def node(self, pictures: ov.Node, arrays: Arrays, prefix: str) -> ov.Node:
        """Add the network to a graph: pictures (N before H W) to the answer of the bare last stage (N after H W)."""
        kept, features = [], pictures
        for index in range(len(self.widths)):
            features = _convolved(features, arrays, f"{prefix}.down.{index}", stride=2)
            features = _convolved(features, arrays, f"{prefix}.refine.{index}")
            kept.append(features)
        for index, beside in enumerate(kept[-2::-1]):
            features = ops.relu(_doubled(features, arrays, f"{prefix}.up.{index}"))
            features = ops.concat([features, beside], 1) if self.skips else features
            features = _convolved(features, arrays, f"{prefix}.merge.{index}")
        return _doubled(features, arrays, f"{prefix}.up.{len(self.widths) - 1}")

    def _ups(self) -> list[tuple[int, int]]:
        return list(zip(self.widths[:0:-1], self.widths[-2::-1], strict=True))


def _named(name: str, weight: tuple[int, ...], bias: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", weight
    yield f"{name}.bias", (bias,)


def _convolved(features: ov.Node, arrays: Arrays, name: str, *, stride: int = 1) -> ov.Node:
    weight = constant(arrays[f"{name}.weight"])
    features = ops.convolution(features, weight, [stride, stride], [1, 1], [1, 1], [1, 1])
    return ops.relu(ops.add(features, _bias(arrays, name)))


def _doubled(features: ov.Node, arrays: Arrays, name: str) -> ov.Node:
    weight = constant(arrays[f"{name}.weight"])
    features = ops.convolution_backprop_data(
        features, weight, strides=[2, 2], pads_begin=[1, 1], pads_end=[1, 1], dilations=[1, 1]
    )
    return ops.add(features, _bias(arrays, name))


def _bias(arrays: Arrays, name: str) -> ov.Node:
    return constant(arrays[f"{name}.bias"].reshape(1, -1, 1, 1))
