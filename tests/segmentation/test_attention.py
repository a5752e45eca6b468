"""Attention blocks: values computed by hand, and where they stand in a network."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from isotherm.segmentation.attention import (
    Attention,
    EfficientChannels,
    SpaceTime,
    SpatialChannelSE,
    attended,
    attention_block,
)

SIZES = {1: (7,), 2: (5, 6), 3: (4, 5, 6)}


def features(dims: int, channels: int = 8) -> torch.Tensor:
    return torch.randn(2, channels, *SIZES[dims], generator=torch.Generator().manual_seed(0))


def zeroed(block: nn.Module) -> nn.Module:
    for weight in block.parameters():
        nn.init.zeros_(weight)
    return block


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("attention", get_args(Attention))
def test_a_block_only_turns_down_and_takes_every_size(attention: Attention, dims: int) -> None:
    block, given = attention_block(attention, dims, 8), features(dims)
    answer = block(given)
    share = (answer / given).detach()
    assert answer.shape == given.shape
    # scSE adds two answers, as in its paper.
    assert float(share.min()) >= 0
    assert float(share.max()) <= (2 if attention == "scse" else 1)
    larger = torch.cat([given, given], dim=-1)
    assert block(larger).shape == larger.shape


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_weights_of_zero_are_factors_of_one_half(dims: int) -> None:
    given = features(dims)
    torch.testing.assert_close(zeroed(SpaceTime(dims, 8))(given), given / 2)
    torch.testing.assert_close(zeroed(EfficientChannels(8))(given), given / 2)
    torch.testing.assert_close(zeroed(SpatialChannelSE(dims, 8))(given), given)


def test_spatial_weights_of_scse_are_a_convolution_of_one_pixel() -> None:
    block = zeroed(SpatialChannelSE(2, 2))
    with torch.no_grad():
        block.places.weight[0, :, 0, 0] = torch.tensor([1.0, -2.0])
        block.places.bias[0] = 0.5
    given = torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1)
    # sigmoid(3 - 2 + 0.5) by place, one half by channel.
    expected = given * (0.5 + 1 / (1 + torch.exp(torch.tensor(-1.5))))
    torch.testing.assert_close(block(given), expected)


def test_eca_mixes_neighbouring_channels() -> None:
    block = EfficientChannels(16)
    with torch.no_grad():
        block.mix.weight[0, 0] = torch.tensor([1.0, 0.0, 0.0])
    means = torch.arange(16.0) - 8
    given = means.reshape(1, 16, 1, 1) + torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2)
    before = torch.cat([torch.zeros(1), means[:-1]])
    torch.testing.assert_close(block(given), given * torch.sigmoid(before).reshape(1, 16, 1, 1))


@pytest.mark.parametrize(("channels", "kernel"), [(2, 1), (16, 3), (64, 3), (128, 5), (256, 5), (2048, 7)])
def test_ecas_kernel_grows_with_the_channels(channels: int, kernel: int) -> None:
    # By the rule of the authors' code, int(|(log2(C) + 1) / 2|) and one more where that is even.
    assert EfficientChannels(channels).mix.kernel_size == (kernel,)


def test_space_time_sees_times_and_places_around() -> None:
    block, even = SpaceTime(3, 1), torch.ones(1, 1, 9, 15, 15)
    given = even.clone()
    given[0, 0, 4, 7, 7] = 2
    changed = (block(given) != block(even))[0, 0].nonzero()
    assert changed.amin(0).tolist() == [3, 4, 4]
    assert changed.amax(0).tolist() == [5, 10, 10]


class Stage(nn.Sequential):
    pass


def staged() -> nn.Module:
    first, shared = Stage(nn.Conv2d(3, 8, 3), nn.ReLU()), Stage(nn.Conv2d(8, 4, 3), nn.Conv2d(4, 4, 3))
    return nn.ModuleDict(
        {"way": nn.Sequential(first, shared), "other_way": nn.ModuleList([shared]), "last": nn.Conv2d(4, 1, 1)}
    )


def test_a_block_stands_behind_each_stage_and_once_behind_a_shared_one() -> None:
    network = attended(staged(), "eca", Stage, 2)
    blocks = [part for part in network.modules() if isinstance(part, EfficientChannels)]
    assert len(blocks) == 2
    assert network["way"][1] is network["other_way"][0]
    assert isinstance(network["way"][0][0], Stage)
    assert network["way"](torch.randn(1, 3, 12, 12)).shape == (1, 4, 6, 6)


def test_no_attention_leaves_a_network_as_it_is() -> None:
    network = staged()
    names = [name for name, _ in network.named_parameters()]
    assert [name for name, _ in attended(network, "none", Stage, 2).named_parameters()] == names
