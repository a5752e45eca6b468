"""The networks of `isotherm.nn.students` as a part of an OpenVINO graph, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.method import Arrays
from isotherm.anomaly.stored import stored
from isotherm.runtime.layers import by_channel, constant, integers

Shapes = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class StudentShape:
    """What `isotherm.nn.students.Students` is built from."""

    features: int
    size: tuple[int, int]
    trunk: tuple[int, ...]
    dilations: tuple[int, ...]
    narrow: int

    def arrays(self) -> Shapes:
        """Yield the names and shapes of all weights and biases."""
        last, narrow, half = self.trunk[-1], self.narrow, self.narrow // 2
        middle = (self.size[0] // 32, self.size[1] // 32)
        yield from _chain("halve", (3, *self.trunk))
        yield from _chain("look", (last,) * (len(self.dilations) + 1))
        yield from _layer("answer.0", (2 * self.features, last, 1, 1), 2 * self.features)
        yield from _chain("down", (3, half, half, narrow, narrow, narrow))
        for name in ("squeeze.0", "spread.0"):
            yield from _layer(name, (narrow, narrow, *middle), narrow)
        for name in ("up.0", "up.1"):
            yield from _layer(name, (narrow, narrow, 4, 4), narrow)
        yield from _chain("rebuild", (narrow, narrow))
        yield from _layer("rebuild.1", (self.features, narrow, 1, 1), self.features)

    def check(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Return the arrays of these networks; raises ModelError where one is missing or does not fit."""
        return {name: stored(arrays, name, np.float32, *shape) for name, shape in self.arrays()}

    def student(self, pictures: ov.Node, arrays: Arrays) -> tuple[ov.Node, ov.Node]:
        """Add the student; returns its answers for the teacher and for the autoencoder, each (N D H/8 W/8)."""
        features = pictures
        for index in range(len(self.trunk)):
            features = ops.relu(_convolved(features, arrays, f"halve.{index}", stride=2, reach=1))
        for index, dilation in enumerate(self.dilations):
            features = ops.relu(_convolved(features, arrays, f"look.{index}", reach=dilation, dilation=dilation))
        both = _convolved(features, arrays, "answer.0")
        return _channels(both, 0, self.features), _channels(both, self.features, 2 * self.features)

    def autoencoder(self, pictures: ov.Node, arrays: Arrays) -> ov.Node:
        """Add the autoencoder; returns its answer (N D H/8 W/8)."""
        features = pictures
        for index in range(5):
            features = ops.relu(_convolved(features, arrays, f"down.{index}", stride=2, reach=1))
        features = ops.relu(_convolved(features, arrays, "squeeze.0"))
        features = ops.relu(_spread(features, arrays, "spread.0", stride=1, reach=0))
        for index in range(2):
            features = ops.relu(_spread(features, arrays, f"up.{index}", stride=2, reach=1))
        features = ops.relu(_convolved(features, arrays, "rebuild.0", reach=1))
        return _convolved(features, arrays, "rebuild.1")


def _chain(name: str, widths: tuple[int, ...]) -> Shapes:
    for index, (before, after) in enumerate(pairwise(widths)):
        yield from _layer(f"{name}.{index}", (after, before, 3, 3), after)


def _layer(name: str, weight: tuple[int, ...], bias: int) -> Shapes:
    yield f"{name}.weight", weight
    yield f"{name}.bias", (bias,)


def _convolved(
    features: ov.Node, arrays: Arrays, name: str, *, stride: int = 1, reach: int = 0, dilation: int = 1
) -> ov.Node:
    weight = constant(arrays[f"{name}.weight"])
    pads = [reach, reach]
    features = ops.convolution(features, weight, [stride, stride], pads, pads, [dilation, dilation])
    return ops.add(features, _bias(arrays, name))


def _spread(features: ov.Node, arrays: Arrays, name: str, *, stride: int, reach: int) -> ov.Node:
    weight, pads = constant(arrays[f"{name}.weight"]), [reach, reach]
    features = ops.convolution_backprop_data(
        features, weight, strides=[stride, stride], pads_begin=pads, pads_end=pads, dilations=[1, 1]
    )
    return ops.add(features, _bias(arrays, name))


def _bias(arrays: Arrays, name: str) -> ov.Node:
    return by_channel(arrays[f"{name}.bias"])


def _channels(features: ov.Node, start: int, stop: int) -> ov.Node:
    edges = (integers(place) for place in (start, stop, 1, 1))
    return ops.slice(features, *edges)
