"""VGG16: thirteen plain convolutions, with torchvision's or Keras's weights.

Feature maps are the last activations of each block, before its pooling, and the last pooling for stride 32.

Reference: K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image recognition (ICLR 2015),
table 1, column D.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.runtime.backbone import Backbone
from isotherm.runtime.layers import Geometry, Tensors, convolution, max_pool
from isotherm.runtime.weight_sources import INPUT_MEAN, INPUT_STD, Download, Files, Named

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and channels of each block."""
KERAS_MEAN = (123.68, 116.779, 103.939)
"""Mean of red, green and blue (0..255) that Keras takes off; it feeds the colours as blue, green, red, unscaled."""


def _layers() -> list[tuple[str, str, int]]:
    """Return of each convolution torchvision's name, Keras's name and the number of channels."""
    found, place = [], 0
    for block, (count, channels) in enumerate(BLOCKS, start=1):
        for number in range(1, count + 1):
            found.append((f"features.{place}", f"block{block}_conv{number}", channels))
            place += 2
        place += 1
    return found


LAYERS = _layers()


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    before = 3
    for name, _, channels in LAYERS:
        shapes |= {f"{name}.weight": (channels, before, 3, 3), f"{name}.bias": (channels,)}
        before = channels
    return shapes


def _maps(tensors: Tensors, pixels: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    found: dict[int, ov.Node] = {}
    node, layers, stride = pixels, iter(LAYERS), 1
    for count, _ in BLOCKS:
        for name, _, _ in [next(layers) for _ in range(count)]:
            node = ops.relu(convolution(node, tensors[f"{name}.weight"], tensors[f"{name}.bias"], Geometry(1, 1)))
        found[stride] = node
        stride *= 2
        if stride > max(strides):
            break
        node = max_pool(node, size=2, pad=0)
        found[stride] = node
    return [found[stride] for stride in strides]


def _translate(found: Named) -> Named:
    """Rename the tensors of Keras and turn their kernels; those of torchvision and timm have the right names."""
    keras = {name: values for name, values in found.items() if "/" in name}
    if not keras:
        return found
    named = dict(_from_keras(name.removeprefix("model_weights/"), values) for name, values in keras.items())
    first = f"{LAYERS[0][0]}.weight"
    if first in named:
        # Keras's first kernel takes blue, green, red.
        named[first] = named[first][:, ::-1]
    mean = np.asarray(KERAS_MEAN, np.float32) / 255
    return named | {INPUT_MEAN: mean, INPUT_STD: np.full(3, 1 / 255, np.float32)}


def _from_keras(path: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return torchvision's name and form of an array of Keras; that of another layer stays as it is.

    Keras 1 and 2 put the arrays below the layer's name, Keras 3 below ``layers/conv2d``, ``layers/conv2d_1`` ...
    """
    parts = path.split("/")
    for number, (name, layer, _) in enumerate(LAYERS):
        numbered = ["layers", f"conv2d_{number}" if number else "conv2d"]
        if parts[0] == layer or parts[:2] == numbered:
            kernel = values.ndim == 4
            return f"{name}.{'weight' if kernel else 'bias'}", values.transpose(3, 2, 0, 1) if kernel else values
    return path, values


VGG16 = Backbone(
    name="vgg16",
    channels={2: 128, 4: 256, 8: 512, 16: 512, 32: 512},
    strides=(8, 16),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    licence="torchvision: BSD-3-Clause; Keras: CC BY 4.0 (University of Oxford)",
    source=Files(
        shapes=_shapes(),
        translate=_translate,
        left_out=(
            *("classifier.", "pre_logits.", "head."),
            *("fc1/", "fc2/", "predictions/", "layers/dense", "top_level_model_weights", "optimizer"),
        ),
        download=Download(
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            megabytes=553,
        ),
    ),
    maps=_maps,
)
