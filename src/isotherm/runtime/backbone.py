"""EfficientNet-Lite0 with ImageNet weights as an OpenVINO graph: pictures in, feature maps out.

Built operation by operation from the tensors of `isotherm.runtime.checkpoint`; nothing is downloaded or converted.
Convolutions pad as TensorFlow does (``SAME``: the odd pixel goes to the lower right), because the weights were trained
there; batch normalisation is folded into the convolutions.

Reference: M. Tan, Q. Le, EfficientNet (ICML 2019), table 1; the *Lite* variant has no squeeze-and-excitation and ReLU6
in place of swish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from isotherm.runtime.checkpoint import lite0_weights

CHANNELS = {4: 24, 8: 40, 16: 112, 32: 320}
"""Stride of a feature map [input px] -> its number of channels D."""
MEAN, STD = 0.5, 0.5
"""The network was trained on (x - 0.5) / 0.5 of pictures in 0..1."""
BN_EPSILON = 1e-3


@dataclass(frozen=True)
class Stage:
    """A row of the paper's table: `repeats` inverted bottlenecks, the first with `stride`."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
_LAST_BLOCK = {4: 2, 8: 4, 16: 10, 32: 15}
"""Stride -> the deepest block whose output has it."""


def backbone(images: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    """Add the network to a graph, only as deep as is needed.

    Parameters
    ----------
    images
        A node (N 3 H W), pixels in 0..1; values outside are allowed (an object hotter than any seen in training).
    strides
        Which feature maps, of `CHANNELS`.

    Returns
    -------
    list
        One node (N D H/stride W/stride) for each of `strides`.

    Raises
    ------
    ModelError
        The package with the weights is missing or altered.
    """
    wanted = {_LAST_BLOCK[stride]: stride for stride in strides}
    found = {}
    for block, node in enumerate(_blocks(images, count=max(wanted) + 1)):
        if block in wanted:
            found[wanted[block]] = node
    return [found[stride] for stride in strides]


def _blocks(images: ov.Node, count: int) -> list[ov.Node]:
    weights = lite0_weights()
    scaled = ops.divide(ops.subtract(images, constant(MEAN)), constant(STD))
    outputs = [_convolution(weights, scaled, "_conv_stem", "_bn0", stride=2)]
    channels = STEM_CHANNELS
    plan = [(stage, stage.stride if repeat == 0 else 1) for stage in STAGES for repeat in range(stage.repeats)]
    for block, (stage, stride) in enumerate(plan[:count]):
        node = _bottleneck(weights, outputs[-1], f"_blocks.{block}.", stride)
        if stride == 1 and channels == stage.channels:
            node = ops.add(node, outputs[-1])
        outputs.append(node)
        channels = stage.channels
    return outputs[1:]


def _bottleneck(weights: Mapping[str, np.ndarray], node: ov.Node, name: str, stride: int) -> ov.Node:
    if f"{name}_expand_conv.weight" in weights:
        node = _convolution(weights, node, f"{name}_expand_conv", f"{name}_bn0")
    node = _convolution(weights, node, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride)
    return _convolution(weights, node, f"{name}_project_conv", f"{name}_bn2", activate=False)


def _convolution(
    weights: Mapping[str, np.ndarray],
    node: ov.Node,
    name: str,
    norm: str,
    *,
    stride: int = 1,
    activate: bool = True,
) -> ov.Node:
    kernel, bias = _folded(weights, name, norm)
    geometry = ([stride, stride], [0, 0], [0, 0], [1, 1], "same_upper")
    if kernel.shape[1] == 1 and "depthwise" in name:
        node = ops.group_convolution(node, constant(kernel[:, None]), *geometry)
    else:
        node = ops.convolution(node, constant(kernel), *geometry)
    node = ops.add(node, constant(bias.reshape(1, -1, 1, 1)))
    return ops.clamp(node, 0.0, 6.0) if activate else node


def _folded(
    weights: Mapping[str, np.ndarray], name: str, norm: str
) -> tuple[Float32[np.ndarray, "O I K K"], Float32[np.ndarray, " O"]]:
    gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + np.float32(BN_EPSILON))
    kernel = weights[f"{name}.weight"] * gain[:, None, None, None]
    return kernel, weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain


def constant(values: object) -> ov.Node:
    """Return a float32 constant of a graph."""
    return ops.constant(np.ascontiguousarray(values, dtype=np.float32))
