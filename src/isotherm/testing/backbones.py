"""The conformance check of backbones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.core.errors import UsageError
from isotherm.runtime.backbone import Backbone, LoadedBackbone
from isotherm.runtime.weight_sources import Files
from isotherm.runtime.weights import Weights
from isotherm.testing.promises import require

SIZE = (32, 64)
TOLERANCE = 1e-4


def check_backbone(backbone: Backbone, tensors: Mapping[str, np.ndarray]) -> None:
    """Check that a network keeps the promises of `Backbone`.

    Run it in the tests of your package, with the tensors of a weights file of the network, or with random ones of the
    same names and shapes. Feature maps are asked of made-up pictures: their shapes for any number of pictures that are
    not square, the order of the request, the same answer alone and among neighbours, and different answers for
    different pictures.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    _check_description(backbone)
    if isinstance(backbone.source, Files):
        tensors = backbone.source.fitted(backbone.name, tensors)[0]
        again = backbone.source.fitted(backbone.name, tensors)[0]
        require(set(tensors) == set(again), "tensors with the right names must keep them")
    network = LoadedBackbone(backbone, Weights(tensors, "0" * 64))
    strides = tuple(backbone.channels)
    pictures = np.random.default_rng(0).uniform(-0.2, 1.2, (3, 3, *SIZE)).astype(np.float32)
    together = list(_compiled(network, strides)(pictures).values())
    for stride, values in zip(strides, together, strict=True):
        shape = (len(pictures), backbone.channels[stride], *backbone.grid(SIZE, stride))
        require(values.shape == shape, f"the map of stride {stride} must have the shape {shape}, not {values.shape}")
        require(bool(np.isfinite(values).all()), f"the map of stride {stride} must be finite")
        require(not _close(values[0], values[1]), f"the map of stride {stride} must tell pictures apart")
    turned = _compiled(network, strides[::-1])
    for place in range(len(pictures)):
        alone = list(turned(pictures[place : place + 1]).values())[::-1]
        same = all(_close(one[0], values[place]) for one, values in zip(alone, together, strict=True))
        require(same, "a picture's maps must depend neither on its neighbours nor on the order of the request")


def _check_description(backbone: Backbone) -> None:
    require(backbone.name == backbone.name.lower().strip() != "", "its name must be lower-case and not empty")
    require(bool(backbone.licence), "the licence of its weights must be told")
    require(set(backbone.strides) <= set(backbone.channels), "its default strides must be among its feature maps")
    require(min(backbone.std) > 0, "what pixels are divided by must be positive")
    unknown = max(backbone.channels) + 1
    try:
        backbone.dimensions((unknown,))
    except UsageError:
        return
    raise AssertionError(f"a stride that it has not ({unknown}) must be refused")


def _compiled(network: LoadedBackbone, strides: tuple[int, ...]) -> ov.CompiledModel:
    pixels = ops.parameter(ov.PartialShape([-1, 3, *SIZE]), np.float32)
    model = ov.Model([ops.result(node) for node in network.graph(pixels, strides)], [pixels])
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.linalg.norm(one - other) <= TOLERANCE * np.linalg.norm(other))
