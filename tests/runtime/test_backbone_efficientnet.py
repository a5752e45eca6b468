"""EfficientNet-Lite against the same network in torch, and on real photographs."""

from __future__ import annotations

import lite_torch
import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as ops
from PIL import Image
from sklearn.datasets import load_sample_image

from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled, Precision


def compiled(size: int, strides: tuple[int, ...], precision: Precision = "f32", number: int = 0) -> Compiled:
    images = ops.parameter([1, 3, size, size], np.float32)
    network = BACKBONES.get(f"efficientnet_lite{number}").loaded()
    return Compiled(ov.Model([ops.result(node) for node in network.graph(images, strides)], [images]), precision)


@pytest.mark.parametrize(("number", "size"), [(0, 64), (0, 96), (0, 224), (1, 64), (2, 96)])
def test_features_equal_torch(number: int, size: int) -> None:
    strides = (4, 8, 16, 32)
    channels = BACKBONES.get(f"efficientnet_lite{number}").channels
    # Temperatures outside the span of the training images give pixels outside 0..1.
    images = np.random.default_rng(0).uniform(-0.5, 2, (2, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        expected = [node.numpy() for node in lite_torch.load(number).features(torch.from_numpy(images), strides)]
    for place, found in enumerate(compiled(size, strides, number=number).run(images)):
        for stride, want, got in zip(strides, expected, found, strict=True):
            assert got.shape == (channels[stride], size // stride, size // stride)
            assert np.linalg.norm(got - want[place]) < 1e-5 * np.linalg.norm(want[place])


def test_bf16_is_near_f32() -> None:
    images = np.random.default_rng(0).uniform(0, 1, (1, 3, 64, 64)).astype(np.float32)
    (exact,), (coarse,) = ([*compiled(64, (8, 16), precision).run(images)] for precision in ("f32", "bf16"))
    for want, got in zip(exact, coarse, strict=True):
        assert np.linalg.norm(got - want) < 0.1 * np.linalg.norm(want)


def test_order_and_depth_follow_the_request() -> None:
    images = ops.parameter([1, 3, 64, 64], np.float32)
    network = BACKBONES.get("efficientnet_lite0").loaded()
    coarse, fine = network.graph(images, (16, 8))
    assert tuple(coarse.shape) == (1, 112, 4, 4)
    assert tuple(fine.shape) == (1, 40, 8, 8)
    convolutions = [
        len(
            [
                node
                for node in ov.Model(network.graph(images, (stride,)), [images]).get_ops()
                if "Conv" in node.get_type_name()
            ]
        )
        for stride in (4, 8, 16, 32)
    ]
    assert convolutions == sorted(set(convolutions))


@pytest.mark.parametrize(
    ("name", "label", "probability"),
    # Class 698 is "palace", 985 "daisy"; the probabilities are those that timm's tf_efficientnet_lite0 gives with these
    # weights for the central square at 224 px (bicubic).
    [("china.jpg", 698, 0.30), ("flower.jpg", 985, 0.23)],
)
def test_photographs_get_their_class(name: str, label: int, probability: float) -> None:
    photograph = Image.fromarray(load_sample_image(name))
    left = (photograph.width - photograph.height) // 2
    square = photograph.crop((left, 0, left + photograph.height, photograph.height))
    pixels = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), np.float32) / 255
    (deep,) = next(iter(compiled(224, (32,)).run([pixels.transpose(2, 0, 1)])))
    probabilities = _classify(deep)
    assert probabilities.argmax() == label
    assert probabilities[label] == pytest.approx(probability, abs=0.01)


def _classify(deep: np.ndarray) -> np.ndarray:
    weights = BACKBONES.get("efficientnet_lite0").loaded().weights.tensors
    gain = weights["_bn1.weight"] / np.sqrt(weights["_bn1.running_var"] + 1e-3)
    head = np.einsum("oi,ihw->ohw", weights["_conv_head.weight"][:, :, 0, 0] * gain[:, None], deep)
    shift = weights["_bn1.bias"] - weights["_bn1.running_mean"] * gain
    pooled = np.clip(head + shift[:, None, None], 0, 6).mean(axis=(1, 2))
    logits = weights["_fc.weight"] @ pooled + weights["_fc.bias"]
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
