"""Attention blocks: factors between 0 and 1 by which a network turns channels, places or times of its features down.

All take features (N C ...) with one axis (the times of a pixel), two (H W) or three (T H W) behind the channels, of any
length, and return features of the same shape. `attended` puts one behind every stage of a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from monai.networks.blocks.squeeze_and_excitation import ChannelSELayer
from monai.networks.layers.factories import Conv
from torch import nn

Attention = Literal["none", "se", "scse", "eca", "st"]

_KERNELS = {1: (3,), 2: (7, 7), 3: (3, 7, 7)}
"""Of `SpaceTime`, by the number of axes; 7 in space as S. Woo et al., CBAM, ECCV 2018, found best."""


class SpatialChannelSE(nn.Module):
    """Channels and places at once: the sum of features weighted by channel and features weighted by place (scSE).

    Source: A. Roy et al., Concurrent spatial and channel squeeze & excitation in fully convolutional networks, MICCAI
    2018: the weight of a place is the sigmoid of a 1 x 1 convolution of all its channels. Unlike the layer of the
    published thermography network, which flattens the features into a dense layer, it has ``C + 1`` weights for the
    places and takes pictures of any size.
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        self.by_channel = ChannelSELayer(dims, channels)
        self.places = Conv[Conv.CONV, dims](channels, 1, kernel_size=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the weighted features, of the same shape (N C ...)."""
        weighted: torch.Tensor = self.by_channel(features)
        return weighted + features * torch.sigmoid(self.places(features))


class EfficientChannels(nn.Module):
    """Channels, each weighted by what it and its neighbours hold on average (ECA): one kernel, no dense layers.

    Source: Q. Wang et al., ECA-Net, CVPR 2020; the kernel grows with the channels: ``(log2(C) + 1) / 2`` without its
    fraction, the next odd number where that is even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = int((math.log2(channels) + 1) / 2) | 1
        self.mix = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the weighted features, of the same shape (N C ...)."""
        means = features.mean(dim=tuple(range(2, features.dim())))
        weights = torch.sigmoid(self.mix(means.unsqueeze(1))).transpose(1, 2)
        return features * weights.reshape(weights.shape[0], -1, *([1] * (features.dim() - 2)))


class SpaceTime(nn.Module):
    """Places and times: the sigmoid of one convolution from all channels, (3 7 7) over times and places.

    Source: the spatio-temporal block of the published thermography network (a sigmoid of ``Conv3D(1, (t, k, k))``).
    Features without times (H W) have the spatial form of it (7 7), the times of a pixel the temporal one (3).
    """

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        kernel = _KERNELS[dims]
        self.weigh = Conv[Conv.CONV, dims](channels, 1, kernel_size=kernel, padding=tuple(side // 2 for side in kernel))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the weighted features, of the same shape (N C ...)."""
        return features * torch.sigmoid(self.weigh(features))


_BLOCKS: dict[Attention, Callable[[int, int], nn.Module]] = {
    # J. Hu et al., Squeeze-and-excitation networks, CVPR 2018. MONAI's reduction by 2 instead of 16: the stages here
    # have 16 channels, not 256, and Roy et al. chose 2 for segmentation.
    "se": ChannelSELayer,
    "scse": SpatialChannelSE,
    "eca": lambda _dims, channels: EfficientChannels(channels),
    "st": SpaceTime,
}


def attention_block(attention: Attention, dims: int, channels: int) -> nn.Module:
    """Return a block for features (N C ...) with `dims` axes behind the channels; ``none`` does nothing."""
    return nn.Identity() if attention == "none" else _BLOCKS[attention](dims, channels)


def attended(network: nn.Module, attention: Attention, stages: type[nn.Module], dims: int) -> nn.Module:
    """Put an attention block behind each stage of a network, in place, and return the network.

    Parameters
    ----------
    network
        Any network whose stages are modules of its own.
    attention
        Which block; ``none`` leaves the network as it is.
    stages
        The class of its stages: a few convolutions, the last of which says how many channels come out.
    dims
        Number of axes behind the channels: 2 for pictures, 3 for frames.
    """
    if attention == "none":
        return network
    owned = [(owner, name, part) for owner in network.modules() for name, part in owner.named_children()]
    # MONAI's DynUNet reaches its stages in two ways; both must lead to the same block.
    behind: dict[nn.Module, nn.Module] = {}
    for owner, name, part in owned:
        if isinstance(part, stages):
            if part not in behind:
                behind[part] = nn.Sequential(part, attention_block(attention, dims, _channels_of(part)))
            setattr(owner, name, behind[part])
    return network


def _channels_of(stage: nn.Module) -> int:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return [part.out_channels for part in stage.modules() if isinstance(part, kinds)][-1]
