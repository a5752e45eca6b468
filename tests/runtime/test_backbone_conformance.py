"""Every registered backbone keeps its promises, the check notices broken ones, and ONNX Runtime agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnxruntime
import openvino as ov
import pytest
from openvino import opset13 as ops

from isotherm.runtime.backbone import Backbone, LoadedBackbone
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.layers import Tensors
from isotherm.runtime.onnx_writer import write_onnx
from isotherm.runtime.weight_sources import Files
from isotherm.runtime.weights import Weights
from isotherm.testing.backbones import check_backbone
from random_weights import random_tensors

RESNET18 = BACKBONES.get("resnet18")


def tensors_of(backbone: Backbone) -> Tensors:
    if isinstance(backbone.source, Files):
        return random_tensors(backbone.name)
    return backbone.loaded().weights.tensors


@pytest.mark.parametrize("name", BACKBONES.names())
def test_the_promises_of_a_backbone(name: str) -> None:
    backbone = BACKBONES.get(name)
    check_backbone(backbone, tensors_of(backbone))


def turned(tensors: Tensors, pixels: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    return RESNET18.maps(tensors, pixels, strides)[::-1]


def blind(tensors: Tensors, pixels: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    return [ops.multiply(node, np.float32(0)) for node in RESNET18.maps(tensors, pixels, strides)]


def mixed(tensors: Tensors, pixels: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    middle = ops.reduce_mean(pixels, ops.constant(np.array([0])), True)
    return RESNET18.maps(tensors, ops.subtract(pixels, middle), strides)


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        ({"name": "ResNet"}, "name must be lower-case"),
        ({"licence": ""}, "licence"),
        ({"strides": (5,)}, "default strides must be among"),
        ({"std": (0.0, 1.0, 1.0)}, "must be positive"),
        ({"maps": turned}, "must have the shape"),
        ({"maps": blind}, "must tell pictures apart"),
        ({"maps": mixed}, "neither on its neighbours"),
    ],
)
def test_a_broken_promise_is_named(changes: dict[str, object], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_backbone(replace(RESNET18, **changes), random_tensors("resnet18"))


@pytest.mark.parametrize("name", ["resnet18", "dinov2_vits14", "dinov3_vits16"])
def test_onnx_runtime_gives_the_same_maps(name: str) -> None:
    backbone = BACKBONES.get(name)
    network = LoadedBackbone(backbone, Weights(tensors_of(backbone), "0" * 64))
    pixels = ops.parameter(ov.PartialShape([-1, 3, 32, 64]), np.float32)
    pixels.output(0).get_tensor().set_names({"pixels"})
    results = [ops.result(node) for node in network.graph(pixels, backbone.strides)]
    for place, result in enumerate(results):
        result.output(0).get_tensor().set_names({f"map{place}"})
    model = ov.Model(results, [pixels])
    pictures = np.random.default_rng(0).uniform(0, 1, (3, 3, 32, 64)).astype(np.float32)
    session = onnxruntime.InferenceSession(write_onnx(model), providers=["CPUExecutionProvider"])
    expected = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pictures).values()
    for found, wanted in zip(session.run(None, {"pixels": pictures}), expected, strict=True):
        assert np.linalg.norm(found - wanted) < 1e-5 * np.linalg.norm(wanted)
