"""Networks with principal component thermography inside: they take frames and make their maps themselves."""

from __future__ import annotations

import torch
from torch import nn

from isotherm.segmentation.attention import EfficientChannels
from isotherm.segmentation.components import COMPONENTS, Components
from isotherm.segmentation.frames import check_frames
from isotherm.segmentation.network import NetConfig, Wants
from isotherm.segmentation.unet import UNet
from isotherm.segmentation.volumes import LEAST, SIDES, NestedVolume, over_time, widths_of


class ComponentUNet(nn.Module):
    """2-D U-Net over the first four components of the frames, and nothing else of them.

    The classic way of the published system (component pictures, then a network) with its first half inside the model.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.components = Components(COMPONENTS)
        self.network = UNet().build(COMPONENTS, config)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return logits (N 1 H W) of frames (N T H W)."""
        logits: torch.Tensor = self.network(self.components(frames))
        return logits


class SequencePca(nn.Module):
    """3-D U-Net++ over the frames, its last features merged with the principal components of the same frames.

    Source: the published thermography network (B. Hu et al., A lightweight spatial and temporal multi-feature fusion
    network for defect detection, IEEE Transactions on Image Processing 30, 2020): 16 frames; four components through
    ReLU and a maximum over 2 x 2, beside the 32 channels of the tenth frame of the decoder; ECA over these 36; two
    convolutions of 36; a sigmoid. Changed: components of unit spread, without the ReLU, which deletes what is negative
    in maps whose sign means nothing, and without the maximum, which moves them by half a pixel; all frames of the
    decoder as `over_time` says, not the tenth; any number of frames; a logit in place of the sigmoid. A width of 64
    has the published number of channels.
    """

    def __init__(self, frames: int, config: NetConfig) -> None:
        super().__init__()
        width = widths_of(config)[0]
        merged = width + COMPONENTS
        self.components = Components(COMPONENTS)
        self.network = NestedVolume(frames, config)
        self.shares = nn.Conv3d(width, 1, 1)
        self.merge = nn.Sequential(EfficientChannels(merged), *_convolution(merged), *_convolution(merged))
        self.last = nn.Conv2d(merged, 1, 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return logits (N 1 H W) of frames (N T H W)."""
        deepest = self.network(frames)[-1]
        features = over_time(torch.cat([deepest, self.shares(deepest)], dim=1))
        logits: torch.Tensor = self.last(self.merge(torch.cat([features, self.components(frames)], dim=1)))
        return logits


def _convolution(channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.1, inplace=True),
    ]


class PcaUNet:
    """Builds the network."""

    name = "pca_unet"
    wants: Wants = "frames"
    multiple = UNet.multiple

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained U-Net over components; see `Network.build`."""
        check_frames(self.name, channels, COMPONENTS)
        return ComponentUNet(config)


class SeqPca:
    """Builds the network."""

    name = "seqpca"
    wants: Wants = "frames"
    multiple = SIDES

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained 3-D U-Net++ with components; see `Network.build`."""
        check_frames(self.name, channels, max(LEAST, COMPONENTS))
        return SequencePca(channels, config)


PCA_UNET = PcaUNet()
SEQPCA = SeqPca()
