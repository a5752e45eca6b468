"""Networks that see one pixel's temperatures over time and nothing of its neighbours."""

from __future__ import annotations

import torch
from torch import nn

from isotherm.core.errors import ConfigError
from isotherm.segmentation.attention import attention_block
from isotherm.segmentation.frames import check_frames
from isotherm.segmentation.network import NetConfig, Wants

_KERNEL = 5
_DEPTH = 3


class PixelLstm(nn.Module):
    """Three LSTM layers over the frames, then one linear layer on what the last frame leaves.

    Source: the LSTM of the published thermography network: 3 x LSTM(16), one value a step, dropout 0.5, softmax of 2.
    Changed: one logit in place of two (the same model), and the losses and optimiser are those of all networks here.

    Parameters
    ----------
    width
        Size of the state of each layer.
    attention
        ``se`` or ``eca`` weight the numbers of the state by their mean over time.
    dropout
        Between the layers, while it learns.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, config.width, _DEPTH, batch_first=True, dropout=config.dropout)
        self.attention = attention_block(config.attention, 1, config.width)
        self.last = nn.Linear(config.width, 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return logits (N 1 H W) of frames (N T H W)."""
        states, _ = self.lstm(curves_of(frames).transpose(1, 2))
        weighted = self.attention(states.transpose(1, 2))
        return picture_of(self.last(weighted[:, :, -1]), frames)


class PixelCnn(nn.Module):
    """Three convolutions over the frames, batch normalisation and ReLU behind each, then their mean and maximum.

    Source: Z. Wang et al., Time series classification from scratch, IJCNN 2017 (fully convolutional network: three
    convolutions and the mean over time); changed: few channels, kernels of 5 for the few frames there are, every second
    time after the first convolution, and the maximum beside the mean, since a defect shows for a while only.

    Parameters
    ----------
    width
        Channels of the first convolution; the others have twice as many.
    attention
        Behind each convolution, along the times of a pixel: ``st`` and ``scse`` weight the times.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        widths = (1, config.width, 2 * config.width, 2 * config.width)
        self.stages = nn.Sequential()
        for before, after, stride in zip(widths, widths[1:], (2, 1, 1), strict=False):
            self.stages.append(nn.Conv1d(before, after, _KERNEL, stride, _KERNEL // 2, bias=False))
            self.stages.extend([nn.BatchNorm1d(after), nn.ReLU(), attention_block(config.attention, 1, after)])
        self.dropout = nn.Dropout(config.dropout)
        self.last = nn.Linear(2 * widths[-1], 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return logits (N 1 H W) of frames (N T H W)."""
        features = self.stages(curves_of(frames))
        seen = torch.cat([features.mean(dim=2), features.amax(dim=2)], dim=1)
        return picture_of(self.last(self.dropout(seen)), frames)


def curves_of(frames: torch.Tensor) -> torch.Tensor:
    """Return what each pixel saw over time, (N·H·W 1 T), of frames (N T H W)."""
    return frames.permute(0, 2, 3, 1).reshape(-1, 1, frames.shape[1])


def picture_of(values: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Return (N 1 H W) of one value a pixel (N·H·W 1), with the sizes of frames (N T H W)."""
    return values.reshape(frames.shape[0], 1, frames.shape[2], frames.shape[3])


class Lstm:
    """Builds the network."""

    name = "lstm"
    wants: Wants = "frames"
    multiple = 1

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained LSTM for pixels; see `Network.build`."""
        check_frames(self.name, channels, 2)
        if config.attention in ("scse", "st"):
            raise ConfigError(
                f"attention {config.attention} weights places and times, and network {self.name} reads one pixel's "
                "last time only; use se or eca, or network cnn1d"
            )
        return PixelLstm(config)


class Cnn1d:
    """Builds the network."""

    name = "cnn1d"
    wants: Wants = "frames"
    multiple = 1

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return an untrained convolutional network for pixels; see `Network.build`."""
        check_frames(self.name, channels, _KERNEL)
        return PixelCnn(config)


LSTM = Lstm()
CNN1D = Cnn1d()
