"""Layers of convolutional networks as OpenVINO operations, built from named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset1
from openvino import opset13 as ops

Tensors = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Geometry:
    """How a convolution walks over its input.

    Parameters
    ----------
    stride
        Step [px].
    pad
        Zeros on each side [px]; None pads as TensorFlow does (``SAME``: the odd pixel goes to the lower right).
    """

    stride: int = 1
    pad: int | None = None


def constant(values: object) -> ov.Node:
    """Return a float32 constant of a graph."""
    return ops.constant(np.ascontiguousarray(values, dtype=np.float32))


def integers(*values: int) -> ov.Node:
    """Return a constant with whole numbers, such as axes and shapes."""
    return ops.constant(np.array(values, np.int64))


def resized(node: ov.Node, size: tuple[int, int]) -> ov.Node:
    """Resize feature maps (N D h w) bilinearly to `size` (height, width); pixels count at their middles."""
    return ops.interpolate(
        node,
        integers(*size),
        "linear_onnx",
        "sizes",
        coordinate_transformation_mode="half_pixel",
        axes=integers(2, 3),
    )


def convolution(
    node: ov.Node, kernel: Float32[np.ndarray, "O I K K"], bias: Float32[np.ndarray, " O"], geometry: Geometry
) -> ov.Node:
    """Add a convolution and its bias."""
    return ops.add(ops.convolution(node, constant(kernel), *_arguments(geometry)), by_channel(bias))


def depthwise(
    node: ov.Node, kernel: Float32[np.ndarray, "C 1 K K"], bias: Float32[np.ndarray, " C"], geometry: Geometry
) -> ov.Node:
    """Add a convolution that filters each channel by itself, and its bias."""
    return ops.add(ops.group_convolution(node, constant(kernel[:, None]), *_arguments(geometry)), by_channel(bias))


def max_pool(node: ov.Node, *, size: int, pad: int) -> ov.Node:
    """Add the maximum of squares of `size`, two pixels apart."""
    # Of the first opset, because that of the later ones gives the places of the maxima too.
    return opset1.max_pool(node, [2, 2], [pad, pad], [pad, pad], [size, size])


def _arguments(geometry: Geometry) -> tuple[list[int], list[int], list[int], list[int], str]:
    pad = [geometry.pad or 0] * 2
    return [geometry.stride] * 2, pad, pad, [1, 1], "same_upper" if geometry.pad is None else "explicit"


def by_channel(values: Float32[np.ndarray, " C"]) -> ov.Node:
    """Return a constant (1 C 1 1), one value for each channel of feature maps (N C h w)."""
    return constant(values.reshape(1, -1, 1, 1))


def normalised(pixels: ov.Node, mean: Float32[np.ndarray, " 3"], std: Float32[np.ndarray, " 3"]) -> ov.Node:
    """Return (pixels - mean) / std of each colour, what a network was trained on."""
    return ops.divide(ops.subtract(pixels, by_channel(mean)), by_channel(std))


def folded(
    tensors: Tensors, name: str, norm: str, epsilon: float
) -> tuple[Float32[np.ndarray, "O I K K"], Float32[np.ndarray, " O"]]:
    """Return kernel and bias of a convolution without bias and the batch normalisation behind it, as one convolution.

    Parameters
    ----------
    name, norm
        Names of the convolution and of the normalisation, without ``.weight`` and so on.
    epsilon
        What the normalisation adds to the variance.
    """
    gain = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + np.float32(epsilon))
    weight = tensors[f"{name}.weight"] * gain[:, None, None, None]
    return weight, tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * gain


def norm_shapes(norm: str, channels: int) -> Shapes:
    """Return the tensors of a batch normalisation."""
    return {f"{norm}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
