"""EfficientNet-Lite 0, 1 and 2 written a second time, with torch, as the reference that the graph is compared with."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isotherm.runtime.backbones import BACKBONES

# Repeats, kernel, stride, expansion, channels of each stage of Lite0.
LITE0 = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
# Repeats and channels of the others.
REPEATS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}
CHANNELS = {
    0: (16, 24, 40, 80, 112, 192, 320),
    1: (16, 24, 40, 80, 112, 192, 320),
    2: (16, 24, 48, 88, 120, 208, 352),
}
LAST_BLOCK = {
    0: {4: 2, 8: 4, 16: 10, 32: 15},
    1: {4: 3, 8: 6, 16: 14, 32: 20},
    2: {4: 3, 8: 6, 16: 14, 32: 20},
}


class Convolution(nn.Module):
    """TensorFlow's SAME padding for even sizes, convolution, normalisation, ReLU6."""

    def __init__(
        self, before: int, after: int, kernel: int, stride: int, *, groups: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(after, eps=1e-3)
        pad = kernel - stride
        self.pad = (pad // 2, pad - pad // 2) * 2 if kernel > 1 else (0, 0, 0, 0)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.convolution(functional.pad(x, self.pad)))
        return functional.relu6(y) if self.relu else y


class Block(nn.Module):
    """Expand, filter each channel, project; add the input where the shape stays."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        expand = [Convolution(before, inner, 1, 1)] if expansion > 1 else []
        depthwise = Convolution(inner, inner, kernel, stride, groups=inner)
        self.layers = nn.Sequential(*expand, depthwise, Convolution(inner, after, 1, 1, relu=False))
        self.skip = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        return x + y if self.skip else y


class Lite(nn.Module):
    """The whole classifier."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.last_block = LAST_BLOCK[number]
        self.stem = Convolution(3, 32, 3, 2)
        blocks, channels = [], 32
        shape = zip(REPEATS[number], CHANNELS[number], LITE0, strict=True)
        for repeats, after, (_, kernel, stride, expansion, _) in shape:
            for repeat in range(repeats):
                blocks.append(Block(channels, after, kernel, stride if repeat == 0 else 1, expansion))
                channels = after
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(channels, 1280, 1, 1)
        self.classes = nn.Linear(1280, 1000)

    def features(self, images: torch.Tensor, strides: tuple[int, ...]) -> list[torch.Tensor]:
        """Return the feature maps at some strides; pixels of `images` in 0..1."""
        found, x = {}, self.stem((images - 0.5) / 0.5)
        for place, block in enumerate(self.blocks[: max(self.last_block[stride] for stride in strides) + 1]):
            x = block(x)
            found.update({stride: x for stride in strides if self.last_block[stride] == place})
        return [found[stride] for stride in strides]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        (deep,) = self.features(images, (32,))
        return self.classes(self.head(deep).mean((2, 3)))


def load(number: int) -> Lite:
    """Return the network with the ImageNet weights; the tensors are in the same order under other names."""
    network = Lite(number).eval()
    names = list(network.state_dict())
    arrays = list(BACKBONES.get(f"efficientnet_lite{number}").loaded().weights.tensors.values())
    assert len(names) == len(arrays)
    pairs = zip(names, arrays, strict=True)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in pairs})
    return network
