"""U-Net: features at five sizes, those of the way down beside those of the way up.

Reference: O. Ronneberger et al., U-Net, MICCAI 2015; the form is MONAI's `BasicUNet` (T. Falk et al., Nature Methods
16, 2019: batch normalisation, leaky ReLU), with few channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.networks.nets.basic_unet import BasicUNet, TwoConv

from isotherm.segmentation.attention import attended
from isotherm.segmentation.network import NetConfig, Wants

if TYPE_CHECKING:
    from torch import nn

_RISE = (1, 1, 2, 4, 6, 1)
"""Channels of the five sizes and of the last stage, as multiples of the first's."""


class UNet:
    """Builds the network."""

    name = "unet"
    wants: Wants = "either"
    multiple = 16

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained U-Net; see `Network.build`."""
        network = BasicUNet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=1,
            features=tuple(config.width * rise for rise in _RISE),
            act=("LeakyReLU", {"negative_slope": 0.1, "inplace": True}),
            norm="batch",
            dropout=config.dropout,
        )
        return attended(network, config.attention, TwoConv, 2)


NETWORK = UNet()
