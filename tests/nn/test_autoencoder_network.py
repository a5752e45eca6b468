"""The network and its folded weights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from isotherm.nn.autoencoder import WIDTHS, Autoencoder, folded_arrays

SIZE = 64


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Many small steps: threads would mostly wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_shape_is_that_of_the_issue() -> None:
    network = Autoencoder().eval()
    assert WIDTHS == (32, 64, 128, 256, 128)
    with torch.no_grad():
        features = torch.zeros(2, 3, 256, 256)
        shapes = []
        for stage in network.encoder:
            features = stage(features)
            shapes.append(tuple(features.shape[1:]))
        drawn = network(torch.rand(2, 3, 64, 96))
    assert shapes == [(32, 128, 128), (64, 64, 64), (128, 32, 32), (256, 16, 16), (128, 8, 8)]
    assert drawn.shape == (2, 3, 64, 96)
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


def test_folded_weights_draw_the_same_picture() -> None:
    torch.manual_seed(0)
    network = Autoencoder()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    network.eval()
    arrays = {name: torch.from_numpy(array) for name, array in folded_arrays(network).items()}
    pictures = torch.rand(2, 3, SIZE, SIZE)
    features = pictures
    for index in range(5):
        weight, bias = arrays[f"encoder.{index}.weight"], arrays[f"encoder.{index}.bias"]
        features = torch.relu(functional.conv2d(features, weight, bias, stride=2, padding=1))
    for index in range(5):
        weight, bias = arrays[f"decoder.{index}.weight"], arrays[f"decoder.{index}.bias"]
        features = functional.conv_transpose2d(features, weight, bias, stride=2, padding=1)
        features = torch.relu(features) if index < 4 else torch.sigmoid(features)
    with torch.no_grad():
        torch.testing.assert_close(features, network(pictures), atol=1e-5, rtol=1e-4)
