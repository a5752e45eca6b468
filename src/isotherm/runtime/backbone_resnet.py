"""ResNet 18 and 50 and the wide ResNet 50-2, with torchvision's weights (timm's have the same names).

Feature maps are the outputs of the four stages. The stride of a bottleneck is in its middle convolution, as in
torchvision; batch normalisation is folded into the convolutions.

References
----------
K. He et al., Deep residual learning for image recognition (CVPR 2016), table 1; S. Zagoruyko, N. Komodakis, Wide
residual networks (BMVC 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import openvino as ov
from openvino import opset13 as ops

from isotherm.runtime.backbone import Backbone
from isotherm.runtime.layers import Geometry, Tensors, convolution, folded, max_pool, norm_shapes
from isotherm.runtime.weight_sources import Download, Files

BN_EPSILON = 1e-5
STEM_CHANNELS = 64
STAGE_STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Plan:
    """The numbers in which these networks differ.

    Parameters
    ----------
    blocks
        Residual blocks of each stage.
    widths
        Channels inside the blocks of each stage.
    channels
        Channels of each stage's output.
    bottleneck
        Blocks of three convolutions (1, 3 and 1 px) in place of two of 3 px.
    """

    blocks: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]
    bottleneck: bool

    @property
    def kernels(self) -> tuple[int, ...]:
        """Return the sides of a block's kernels [px]."""
        return (1, 3, 1) if self.bottleneck else (3, 3)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the tensors of the network."""
        shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (STEM_CHANNELS, 3, 7, 7)}
        shapes |= norm_shapes("bn1", STEM_CHANNELS)
        before = STEM_CHANNELS
        for stage, count in enumerate(self.blocks):
            for block in range(count):
                shapes |= self._block_shapes(stage, block, before)
                before = self.channels[stage]
        return shapes

    def _block_shapes(self, stage: int, block: int, before: int) -> dict[str, tuple[int, ...]]:
        name, width, after = f"layer{stage + 1}.{block}", self.widths[stage], self.channels[stage]
        shapes: dict[str, tuple[int, ...]] = {}
        outputs = [*[width] * (len(self.kernels) - 1), after]
        inputs = [before, *outputs[:-1]]
        for number, (size, into, out) in enumerate(zip(self.kernels, inputs, outputs, strict=True), start=1):
            shapes[f"{name}.conv{number}.weight"] = (out, into, size, size)
            shapes |= norm_shapes(f"{name}.bn{number}", out)
        if before != after:
            shapes[f"{name}.downsample.0.weight"] = (after, before, 1, 1)
            shapes |= norm_shapes(f"{name}.downsample.1", after)
        return shapes


def _maps(plan: Plan, tensors: Tensors, pixels: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    stem = convolution(pixels, *_folded(tensors, "conv1", "bn1"), Geometry(2, 3))
    node, found = max_pool(ops.relu(stem), size=3, pad=1), {}
    for stage in range(STAGE_STRIDES.index(max(strides)) + 1):
        for block in range(plan.blocks[stage]):
            node = _block(plan, tensors, node, f"layer{stage + 1}.{block}", stride=2 if stage and not block else 1)
        found[STAGE_STRIDES[stage]] = node
    return [found[stride] for stride in strides]


def _block(plan: Plan, tensors: Tensors, node: ov.Node, name: str, *, stride: int) -> ov.Node:
    inner, strided = node, plan.kernels.index(3) + 1
    for number, size in enumerate(plan.kernels, start=1):
        geometry = Geometry(stride if number == strided else 1, size // 2)
        inner = convolution(inner, *_folded(tensors, f"{name}.conv{number}", f"{name}.bn{number}"), geometry)
        if number < len(plan.kernels):
            inner = ops.relu(inner)
    if f"{name}.downsample.0.weight" in tensors:
        node = convolution(node, *_folded(tensors, f"{name}.downsample.0", f"{name}.downsample.1"), Geometry(stride, 0))
    return ops.relu(ops.add(inner, node))


_folded = partial(folded, epsilon=BN_EPSILON)


def _resnet(name: str, plan: Plan, download: Download) -> Backbone:
    return Backbone(
        name=name,
        channels=dict(zip(STAGE_STRIDES, plan.channels, strict=True)),
        strides=(8, 16),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        licence="BSD-3-Clause",
        source=Files(plan.shapes(), lambda found: found, ("fc.",), download),
        maps=partial(_maps, plan),
    )


def _torchvision(file: str, sha256: str, megabytes: int) -> Download:
    return Download(f"https://download.pytorch.org/models/{file}-{sha256[:8]}.pth", sha256, megabytes)


RESNET18 = _resnet(
    "resnet18",
    Plan((2, 2, 2, 2), (64, 128, 256, 512), (64, 128, 256, 512), bottleneck=False),
    _torchvision("resnet18", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 47),
)
RESNET50 = _resnet(
    "resnet50",
    Plan((3, 4, 6, 3), (64, 128, 256, 512), (256, 512, 1024, 2048), bottleneck=True),
    _torchvision("resnet50", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", 103),
)
WIDE_RESNET50_2 = _resnet(
    "wide_resnet50_2",
    Plan((3, 4, 6, 3), (128, 256, 512, 1024), (256, 512, 1024, 2048), bottleneck=True),
    _torchvision("wide_resnet50_2", "95faca4d11227dddf8633dbb5ff6c8a9003c1aa5b8945c73834b8007b10950b8", 138),
)
