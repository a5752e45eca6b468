"""EfficientNet-Lite in torch, so that its last blocks can learn on; the frozen one is `isotherm.runtime`'s.

The tensors keep their published names. Reference: M. Tan, Q. Le, EfficientNet (ICML 2019), table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from isotherm.classification.networks import Net
from isotherm.core.errors import ModelError
from isotherm.runtime.backbone_efficientnet import BN_EPSILON, LITE0, LITE1, LITE2, STEM_CHANNELS, Stage

STAGES: Mapping[str, Sequence[Stage]] = {
    "efficientnet_lite0": LITE0,
    "efficientnet_lite1": LITE1,
    "efficientnet_lite2": LITE2,
}
EXPANSION = 6
"""Of the channels inside a bottleneck, but for the first."""
MIDDLE, HALF_SPAN = 0.5, 0.5
"""What was taken off the pixels, and what they were divided by, when the weights were learnt."""


class Lite(Net):
    """The convolutions of EfficientNet-Lite with published weights, and a new last layer.

    Batch normalisation keeps its published statistics: a few pictures of a site would spoil them.

    Parameters
    ----------
    tensors
        The published weights by name.
    stages
        A value of `STAGES`.
    classes
        C.
    trained
        How many of the last blocks learn on, besides the layer before the average and the last layer.
    body_rate
        Step size of the blocks as a share of the last layer's.
    """

    def __init__(
        self,
        tensors: Mapping[str, np.ndarray],
        stages: Sequence[Stage],
        classes: int,
        *,
        trained: int,
        body_rate: float,
    ) -> None:
        super().__init__()
        self._body_rate = body_rate
        body = _Body(stages, tensors["_conv_head.weight"].shape)
        _fill(body, tensors)
        body.requires_grad_(False)
        for block in (*body._blocks[len(body._blocks) - trained :], body._conv_head):
            block.requires_grad_(True)
        self.features = body
        self.last = nn.Linear(body._conv_head.out_channels, classes)

    def train(self, mode: bool = True) -> Lite:
        """Set the mode of everything but batch normalisation."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Return the parameters that learn, and their step sizes."""
        body = [each for each in self.features.parameters() if each.requires_grad]
        return [{"params": body, "lr": rate * self._body_rate}, {"params": self.last.parameters(), "lr": rate}]


class _Body(nn.Module):
    def __init__(self, stages: Sequence[Stage], head: tuple[int, ...]) -> None:
        super().__init__()
        self._conv_stem = _same(3, STEM_CHANNELS, kernel=3, stride=2)
        self._bn0 = _norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList(_blocks(stages))
        self._conv_head = nn.Conv2d(head[1], head[0], 1, bias=False)
        self._bn1 = _norm(head[0])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        values = (pixels - MIDDLE) / HALF_SPAN
        values = nn.functional.relu6(self._bn0(self._conv_stem(values)))
        for block in self._blocks:
            values = block(values)
        values = nn.functional.relu6(self._bn1(self._conv_head(values)))
        return values.mean(dim=(2, 3))


class _Same(nn.Conv2d):
    """A convolution that pads as TensorFlow does for even sizes: the odd pixel goes to the lower right."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        whole = kernel - stride
        before, after = whole // 2, whole - whole // 2
        return super().forward(nn.functional.pad(values, (before, after, before, after)))


def _same(inside: int, outside: int, *, kernel: int, stride: int, groups: int = 1) -> _Same:
    return _Same(inside, outside, kernel, stride=stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BN_EPSILON)


def _blocks(stages: Sequence[Stage]) -> Iterator[_Bottleneck]:
    kernels = (3, 3, 5, 3, 5, 5, 3)
    channels = STEM_CHANNELS
    for place, (stage, kernel) in enumerate(zip(stages, kernels, strict=True)):
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            yield _Bottleneck((channels, stage.channels), kernel, stride, expansion=EXPANSION if place else 1)
            channels = stage.channels


class _Bottleneck(nn.Module):
    def __init__(self, channels: tuple[int, int], kernel: int, stride: int, *, expansion: int) -> None:
        super().__init__()
        inside, outside = channels
        wide = inside * expansion
        self._added = stride == 1 and inside == outside
        if expansion > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(inside, wide, 1, bias=False), _norm(wide)
        self._depthwise_conv = _same(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = nn.Conv2d(wide, outside, 1, bias=False), _norm(outside)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found = values
        if hasattr(self, "_expand_conv"):
            found = nn.functional.relu6(self._bn0(self._expand_conv(found)))
        found = nn.functional.relu6(self._bn1(self._depthwise_conv(found)))
        found = self._bn2(self._project_conv(found))
        answer: torch.Tensor = found + values if self._added else found
        return answer


def _fill(body: _Body, tensors: Mapping[str, np.ndarray]) -> None:
    wanted = body.state_dict()
    found = {name: torch.from_numpy(np.array(tensors[name])) for name in wanted if name in tensors}
    try:
        body.load_state_dict(found)
    except RuntimeError as error:
        raise ModelError(f"the weights do not fit the network: {str(error).splitlines()[-1].strip()}") from error
