"""Networks with convolutions over time as well as over the picture: frames are a volume (N 1 T H W)."""

from __future__ import annotations

import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock
from monai.networks.nets.dynunet import DynUNet
from torch import nn

from isotherm.segmentation.attention import attended, attention_block
from isotherm.segmentation.frames import check_frames
from isotherm.segmentation.network import NetConfig, Wants

POOLS = ((1, 2, 2), (2, 2, 2), (2, 2, 2))
"""Times, rows and columns that become one from each size to the next: 16 frames become 4, not 1."""
TIMES = 4
"""The product of the first numbers: T is filled up to a multiple of it."""
SIDES = 8
"""That of the second and third: H and W are multiples of it."""
LEAST = 4
_RISE = (1, 2, 4, 6)
"""Channels of the four sizes, as multiples of the first's."""


class VolumeUNet(nn.Module):
    """3-D U-Net whose answer is one picture.

    Reference: Ö. Çiçek et al., 3D U-Net, MICCAI 2016; the form is MONAI's `DynUNet` (F. Isensee et al., nnU-Net, Nature
    Methods 18, 2021): strided convolutions, leaky ReLU, here with batch normalisation. Changed: time is halved twice
    only, and the first halving is of the picture alone, so that few frames are enough; half the channels that a 2-D
    network of this width has; the logits of the frames become one picture as `over_time` says.
    """

    def __init__(self, frames: int, config: NetConfig) -> None:
        super().__init__()
        self.frames = frames
        steps = [(1, 1, 1), *POOLS]
        network = DynUNet(
            spatial_dims=3,
            in_channels=1,
            out_channels=2,
            kernel_size=[(3, 3, 3)] * len(steps),
            strides=steps,
            upsample_kernel_size=steps[1:],
            filters=widths_of(config),
            dropout=config.dropout,
            norm_name="batch",
        )
        self.network = attended(network, config.attention, UnetBasicBlock, 3)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return logits (N 1 H W) of frames (N T H W)."""
        return over_time(self.network(volume_of(frames, self.frames))[:, :, : self.frames])


class NestedVolume(nn.Module):
    """3-D U-Net++ with each convolution taken apart into one over places (1 3 3) and one over times (3 1 1).

    Source: Z. Zhou et al., UNet++, DLMIA 2018, in the form of the published thermography network (B. Hu et al., IEEE
    Transactions on Image Processing 30, 2020): (2+1)-D convolutions and three halvings. Changed: batch normalisation
    and leaky ReLU as in the other networks, time is halved twice only, few channels. MONAI's 3-D U-Net++ is no choice:
    it halves time four times and has whole 3 x 3 x 3 convolutions.
    """

    def __init__(self, frames: int, config: NetConfig) -> None:
        super().__init__()
        self.frames = frames
        self.pools = nn.ModuleList(nn.MaxPool3d(pool) for pool in POOLS)
        self.stages, self.raises = nn.ModuleDict(), nn.ModuleDict()
        widths = widths_of(config)
        for level, width in enumerate(widths):
            self.stages[_node(level, 0)] = _Stage(widths[level - 1] if level else 1, width, config)
            for step in range(1, len(widths) - level):
                pool = POOLS[level]
                self.raises[_node(level, step)] = nn.ConvTranspose3d(widths[level + 1], width, pool, pool)
                self.stages[_node(level, step)] = _Stage((step + 1) * width, width, config)

    def forward(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """Return the features (N F T H W) of the full-size nodes X(0,1), X(0,2), X(0,3) of frames (N T H W)."""
        features = self.stages[_node(0, 0)](volume_of(frames, self.frames))
        rows = [[features]]
        for level, pool in enumerate(self.pools, start=1):
            features = self.stages[_node(level, 0)](pool(features))
            rows.append([features])
            for above in reversed(range(level)):
                self._append(rows[above], rows[above + 1][-1], above)
        return [node[:, :, : self.frames] for node in rows[0][1:]]

    def _append(self, row: list[torch.Tensor], below: torch.Tensor, level: int) -> None:
        name = _node(level, len(row))
        row.append(self.stages[name](torch.cat([*row, self.raises[name](below)], dim=1)))


class VolumeUNetPlusPlus(nn.Module):
    """`NestedVolume` with a head on each full-size node; those of the shallower ones only help it to learn."""

    def __init__(self, frames: int, config: NetConfig) -> None:
        super().__init__()
        self.network = NestedVolume(frames, config)
        self.heads = nn.ModuleList(nn.Conv3d(widths_of(config)[0], 2, 1) for _ in POOLS)

    def forward(self, frames: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return logits (N 1 H W) of frames (N T H W), while it learns one for each head, the deepest first."""
        nodes = self.network(frames)
        if not self.training:
            return over_time(self.heads[-1](nodes[-1]))
        return tuple(over_time(head(node)) for head, node in reversed(list(zip(self.heads, nodes, strict=True))))


class _Stage(nn.Sequential):
    """Places, times, places, times, each with batch normalisation and leaky ReLU, then attention."""

    def __init__(self, before: int, after: int, config: NetConfig) -> None:
        super().__init__()
        kernels = ((1, 3, 3), (3, 1, 1)) * 2
        for channels, kernel in zip((before, after, after, after), kernels, strict=True):
            self.append(nn.Conv3d(channels, after, kernel, padding="same", bias=False))
            self.extend([nn.BatchNorm3d(after), nn.LeakyReLU(0.1, inplace=True), nn.Dropout3d(config.dropout)])
        self.append(attention_block(config.attention, 3, after))


def volume_of(frames: torch.Tensor, count: int) -> torch.Tensor:
    """Return (N 1 T H W) of `count` frames (N T H W); the last stands again until T is a multiple of `TIMES`."""
    return torch.cat([frames] + [frames[:, -1:]] * (-count % TIMES), dim=1).unsqueeze(1)


def over_time(answer: torch.Tensor) -> torch.Tensor:
    """Return values (N F H W) out of the values of all times, of an answer (N F+1 T H W).

    Its last channel says how much each time counts (a softmax over T at each pixel): a shallow defect shows early and
    a deep one late, and both fade. The published network takes the tenth of its sixteen frames instead.
    """
    shares = torch.softmax(answer[:, -1:], dim=2)
    return (answer[:, :-1] * shares).sum(dim=2)


def widths_of(config: NetConfig) -> tuple[int, ...]:
    """Return the channels of each size: half of a 2-D network's, as each of them has a time axis."""
    return tuple(max(1, config.width // 2) * rise for rise in _RISE)


def _node(level: int, step: int) -> str:
    return f"{level}_{step}"


class UNet3d:
    """Builds the network."""

    name = "unet3d"
    wants: Wants = "frames"
    multiple = SIDES

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained 3-D U-Net; see `Network.build`."""
        check_frames(self.name, channels, LEAST)
        return VolumeUNet(channels, config)


class UNetPlusPlus3d:
    """Builds the network."""

    name = "unet++3d"
    wants: Wants = "frames"
    multiple = SIDES

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained 3-D U-Net++; see `Network.build`."""
        check_frames(self.name, channels, LEAST)
        return VolumeUNetPlusPlus(channels, config)


UNET3D = UNet3d()
UNET_PLUS_PLUS_3D = UNetPlusPlus3d()
