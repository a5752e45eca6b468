"""The graphs of the other backbones against the same networks in torch and Keras, with random weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from networks_torch import ResNet, Transformer, randomised
from openvino import opset13 as ops

from isotherm.core.errors import UsageError
from isotherm.runtime.backbone import Backbone, LoadedBackbone
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.weight_files import read_keras
from isotherm.runtime.weight_sources import Files, Wheel
from isotherm.runtime.weights import Weights

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def loaded(name: str, tensors: dict[str, np.ndarray]) -> LoadedBackbone:
    """Return a backbone with tensors as they come from a file."""
    backbone = BACKBONES.get(name)
    assert isinstance(backbone.source, Files)
    return LoadedBackbone(backbone, Weights(backbone.source.fitted(name, tensors)[0], "0" * 64))


def arrays(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in network.state_dict().items()}


def run(network: LoadedBackbone, images: np.ndarray, strides: tuple[int, ...]) -> list[np.ndarray]:
    """Run a graph for any number of images."""
    pixels = ops.parameter(ov.PartialShape([-1, *images.shape[1:]]), np.float32)
    maps = network.graph(pixels, strides)
    model = ov.Model([ops.result(node) for node in maps], [pixels])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    found = list(ov.Core().compile_model(model, "CPU", settings)(images).values())
    for node, stride, values in zip(maps, strides, found, strict=True):
        backbone = network.backbone
        shape = (backbone.channels[stride], *backbone.grid(images.shape[2:], stride))
        assert values.shape == (len(images), *shape)
        assert node.get_output_partial_shape(0) == ov.PartialShape([-1, *shape])
    return found


def pictures(height: int, width: int, count: int = 2) -> np.ndarray:
    # Temperatures outside the span of the training images give pixels outside 0..1.
    return np.random.default_rng(0).uniform(-0.5, 2, (count, 3, height, width)).astype(np.float32)


def standardised(images: np.ndarray) -> torch.Tensor:
    """Return what networks of torchvision and DINO were trained on."""
    return (torch.from_numpy(images) - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[
        :, None, None
    ]


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("resnet18", lambda: ResNet((2, 2, 2, 2), bottleneck=False)),
        ("resnet50", lambda: ResNet((3, 4, 6, 3), bottleneck=True)),
        ("wide_resnet50_2", lambda: ResNet((3, 4, 6, 3), bottleneck=True, widening=2)),
    ],
)
def test_resnet_equals_torch(name: str, reference: type[ResNet]) -> None:
    network, images = randomised(reference()), pictures(32, 64)
    found = run(loaded(name, arrays(network)), images, (4, 8, 16, 32))
    with torch.inference_mode():
        expected = network.maps(standardised(images))
    for got, want in zip(found, expected, strict=True):
        assert_same(got, want.numpy())


@pytest.mark.parametrize(
    ("name", "patch", "positions", "cells"), [("dinov2_vits14", 14, 37, (3, 5)), ("dinov3_vits16", 16, 0, (4, 2))]
)
def test_transformer_equals_torch(name: str, patch: int, positions: int, cells: tuple[int, int]) -> None:
    network, images = randomised(Transformer(patch, positions)), pictures(patch * cells[0], patch * cells[1])
    (found,) = run(loaded(name, arrays(network)), images, (patch,))
    with torch.inference_mode():
        assert_same(found, network.maps(standardised(images)).numpy())


def test_a_picture_is_stretched_to_whole_patches() -> None:
    network, images = randomised(Transformer(14, 37)), pictures(64, 96, count=1)
    (found,) = run(loaded("dinov2_vits14", arrays(network)), images, (14,))
    stretched = torch.nn.functional.interpolate(torch.from_numpy(images), (70, 98), mode="bilinear").numpy()
    with torch.inference_mode():
        assert_same(found, network.maps(standardised(stretched)).numpy())


@pytest.fixture(scope="module")
def keras_vgg(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, Path]:
    """Return Keras's VGG16 with random weights, and the folder where it has written them in four layouts."""
    os.environ["KERAS_BACKEND"] = "torch"
    import h5py
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 96, 3))
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("keras")
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
    with h5py.File(folder / "notop.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    network.save_weights(folder / "three.weights.h5")
    with h5py.File(folder / "whole.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file.create_group("model_weights"), network)
    # The file that Keras publishes has the arrays directly below the layers.
    with h5py.File(folder / "published.h5", "w") as file:
        for layer in network.layers:
            group = file.create_group(layer.name)
            for name, values in zip(("W_1:0", "b_1:0"), layer.get_weights(), strict=False):
                group[f"{layer.name}_{name}"] = values
    return network, folder


# Keras's own, with numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("file", ["published.h5", "notop.h5", "whole.h5", "three.weights.h5"])
def test_vgg16_equals_keras(keras_vgg: tuple[object, Path], file: str) -> None:
    import keras

    reference, folder = keras_vgg
    names = ("block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3", "block5_pool")
    layers = keras.Model(reference.input, [reference.get_layer(name).output for name in names])
    images = pictures(64, 96)
    # Keras's own preparation of pictures (0..255, channels last): blue, green, red less their means.
    prepared = keras.applications.vgg16.preprocess_input(255 * images.transpose(0, 2, 3, 1))
    with torch.inference_mode():
        expected = [output.numpy().transpose(0, 3, 1, 2) for output in layers(prepared)]
    network = loaded("vgg16", read_keras((folder / file).read_bytes()))
    for got, want in zip(run(network, images, (2, 4, 8, 16, 32)), expected, strict=True):
        assert_same(got, want)


def test_vgg16_equals_torch() -> None:
    blocks = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
    layers, before = [], 3
    for count, channels in blocks:
        for _ in range(count):
            layers += [torch.nn.Conv2d(before, channels, 3, padding=1), torch.nn.ReLU()]
            before = channels
        layers.append(torch.nn.MaxPool2d(2))
    features, images = randomised(torch.nn.Sequential(*layers)), pictures(32, 64)
    tensors = {f"features.{name}": values for name, values in arrays(features).items()}
    found = run(loaded("vgg16", tensors), images, (8, 32))
    with torch.inference_mode():
        assert_same(found[0], features[:23](standardised(images)).numpy())
        assert_same(found[1], features(standardised(images)).numpy())


@pytest.mark.parametrize("name", BACKBONES.names())
def test_every_backbone_says_what_it_is(name: str) -> None:
    backbone: Backbone = BACKBONES.get(name)
    assert backbone.name == name
    assert backbone.licence
    assert set(backbone.strides) <= set(backbone.channels)
    assert backbone.dimensions(backbone.strides) == sum(backbone.channels[stride] for stride in backbone.strides)
    assert isinstance(backbone.source, (Files, Wheel))
    with pytest.raises(UsageError, match=rf"backbone '{name}' has no feature map of stride \[5\]; it has"):
        backbone.dimensions((5,))
    with pytest.raises(UsageError, match="no feature map"):
        backbone.check_strides(())


def test_only_the_depth_that_is_needed_is_built() -> None:
    network = loaded("resnet18", arrays(randomised(ResNet((2, 2, 2, 2), bottleneck=False))))
    pixels = ops.parameter([1, 3, 64, 64], np.float32)
    counts = [
        sum(
            node.get_type_name() == "Convolution"
            for node in ov.Model(network.graph(pixels, (stride,)), [pixels]).get_ops()
        )
        for stride in (4, 8, 16, 32)
    ]
    assert counts == [5, 10, 15, 20]
