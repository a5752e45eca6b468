"""Attention U-Net: what the way up knows says which places of the way down pass beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.networks.nets.attentionunet import AttentionUnet, ConvBlock

from isotherm.segmentation.attention import attended
from isotherm.segmentation.network import NetConfig, Wants

if TYPE_CHECKING:
    from torch import nn

_RISE = (1, 2, 4, 6)
"""Channels of the four sizes, as multiples of the first's."""


class AttentionUNet:
    """Builds the network.

    Source: O. Oktay et al., Attention U-Net, MIDL 2018; MONAI's `AttentionUnet` as it is (strided convolutions, batch
    normalisation), with few channels and three halvings. Its gates are no attention block in the sense of
    `NetConfig.attention`, which puts one behind each stage of the way down besides.
    """

    name = "attunet"
    wants: Wants = "either"
    multiple = 8

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained Attention U-Net; see `Network.build`."""
        network = AttentionUnet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=1,
            channels=tuple(config.width * rise for rise in _RISE),
            strides=(2,) * (len(_RISE) - 1),
            dropout=config.dropout,
        )
        return attended(network, config.attention, ConvBlock, 2)


NETWORK = AttentionUNet()
