"""U-Net++: a U-Net whose ways between the two sides are filled with stages of their own."""

from __future__ import annotations

import torch
from monai.networks.nets.basic_unet import TwoConv, UpCat
from monai.networks.nets.basic_unetplusplus import BasicUNetPlusPlus
from torch import nn

from isotherm.segmentation.attention import attended
from isotherm.segmentation.network import NetConfig, Wants

_RISE = (1, 1, 2, 4, 6, 1)
"""Channels of the five sizes and of the last stage, as multiples of the first's."""


class NestedUNet(nn.Module):
    """U-Net++ with a head on each full-size node; those of the shallower ones only help it to learn.

    Source: Z. Zhou et al., UNet++, DLMIA 2018; the form is MONAI's `BasicUNetPlusPlus`. Changed: few channels, batch
    normalisation as in the other networks, deep supervision while it learns only.
    """

    def __init__(self, channels: int, config: NetConfig) -> None:
        super().__init__()
        network = BasicUNetPlusPlus(
            spatial_dims=2,
            in_channels=channels,
            out_channels=1,
            features=tuple(config.width * rise for rise in _RISE),
            deep_supervision=True,
            act=("LeakyReLU", {"negative_slope": 0.1, "inplace": True}),
            norm="batch",
            dropout=config.dropout,
        )
        for part in network.modules():
            if isinstance(part, UpCat):
                # The caller pads; a comparison of sizes would be fixed in an exported graph.
                part.is_pad = False
        self.network = attended(network, config.attention, TwoConv, 2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return logits (N 1 H W) of maps (N C H W), while it learns one for each head, the deepest first."""
        logits: list[torch.Tensor] = self.network(maps)
        return tuple(reversed(logits)) if self.training else logits[-1]


class UNetPlusPlus:
    """Builds the network."""

    name = "unet++"
    wants: Wants = "either"
    multiple = 16

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained U-Net++; see `Network.build`."""
        return NestedUNet(channels, config)


NETWORK = UNetPlusPlus()
