"""What a frozen network says about whole pictures: one vector each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError, ModelError, UnknownNameError, UsageError
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled
from isotherm.runtime.layers import constant, integers

Pooling = Literal["average", "spread", "flatten"]
Pixels = Float32[np.ndarray, "N 3 H W"]
Features = Float32[np.ndarray, "N D"]
DEEPEST = 3
"""How many maps are taken unless told otherwise: defects in thermal pictures are textures more than objects, which the
deepest map alone is made for (`docs/classification.md` has the numbers)."""
LEAST_VARIANCE = 1e-6
MAX_FEATURES = 200_000
"""Longest vector; a picture of 224 px has 25,088 features of VGG16's last map."""


@dataclass(frozen=True)
class FeatureConfig:
    """Which network looks at a picture, and how its maps become one vector."""

    backbone: str = setting("efficientnet_lite0", "network that gives the features; `isotherm backbones` lists them")
    maps: str = setting(
        "",
        "its feature maps, by their distance of two cells in px, such as 8,16; empty: the three deepest, or only the "
        "deepest for flatten",
    )
    pooling: Pooling = setting(  # noqa: RUF009
        "spread",
        "what becomes of a map: the average of each channel over the picture, average and spread (spread), or all cells"
        " one after another, as published with VGG16 (flatten)",
    )

    def __post_init__(self) -> None:
        validate(self)
        self.strides()

    def strides(self) -> tuple[int, ...]:
        """Return the strides of the maps [px].

        Raises
        ------
        UnknownNameError
            There is no such network.
        ConfigError
            It has no such map; says which it has.
        """
        channels = BACKBONES.get(self.backbone).channels
        if not self.maps.strip():
            return tuple(sorted(channels)[-1 if self.pooling == "flatten" else -DEEPEST :])
        wanted = [part.strip() for part in self.maps.split(",")]
        if len(set(wanted)) < len(wanted) or any(part not in map(str, channels) for part in wanted):
            known = ", ".join(map(str, channels))
            raise ConfigError(f"FeatureConfig: maps must be some of {known} ({self.backbone}), not {self.maps!r}")
        return tuple(sorted(map(int, wanted)))

    def chosen(self, size: tuple[int, int]) -> FeatureSpec:
        """Return the features of pictures of `size` (H, W) by the weights that are here.

        Raises
        ------
        ModelError
            There are no weights of this network here; says how to get them.
        MissingExtraError
            They are part of an extra that is not installed.
        """
        network = BACKBONES.get(self.backbone)
        return FeatureSpec(self.backbone, network.chosen(), self.strides(), self.pooling, size)


@dataclass(frozen=True)
class FeatureSpec:
    """Features of which network with which weights; stored with what is learnt from them.

    Parameters
    ----------
    digest
        The sha256 of the weights.
    strides
        Its maps [px].
    size
        Height and width of the pictures [px].
    """

    backbone: str
    digest: str
    strides: tuple[int, ...]
    pooling: Pooling
    size: tuple[int, int]

    @property
    def length(self) -> int:
        """Return D, the length of a vector."""
        network = BACKBONES.get(self.backbone)
        if self.pooling != "flatten":
            return network.dimensions(self.strides) * (2 if self.pooling == "spread" else 1)
        grids = (network.grid(self.size, stride) for stride in self.strides)
        cells = zip(self.strides, grids, strict=True)
        return sum(network.dimensions([stride]) * height * width for stride, (height, width) in cells)

    def check(self) -> None:
        """Raise UsageError where the vectors would be too long, ModelError where the weights are not here."""
        if self.length > MAX_FEATURES:
            raise UsageError(
                f"a picture of {self.size[1]} x {self.size[0]} px would have {self.length} features, at most "
                f"{MAX_FEATURES} are allowed: average the maps, or take smaller pictures"
            )
        BACKBONES.get(self.backbone).chosen(self.digest)

    def extract(self, pixels: Iterator[Float32[np.ndarray, "3 H W"]]) -> Iterator[Float32[np.ndarray, " D"]]:
        """Yield the features of each picture, in order; the next pictures are computed meanwhile.

        Raises
        ------
        ModelError
            The weights are not here, or a picture has another size.
        """
        # Threads that begin together would each compile it, which takes a quarter of a second and 100 MB.
        with _compiling:
            network = _compiled(self)
        return (vector for (vector,) in network.run(pixels))

    def of(self, pixels: Pixels) -> Features:
        """Return the features of N pictures."""
        found = list(self.extract(iter(pixels)))
        return np.stack(found) if found else np.empty((0, self.length), np.float32)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {**asdict(self), "strides": list(self.strides), "size": list(self.size)}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> FeatureSpec:
        """Rebuild what `to_mapping` gave; raises ModelError where a value cannot be right."""
        try:
            height, width = (int(side) for side in values["size"])
            spec = cls(
                backbone=str(values["backbone"]),
                digest=str(values["digest"]),
                strides=tuple(int(stride) for stride in values["strides"]),
                pooling=values["pooling"],
                size=(height, width),
            )
            BACKBONES.get(spec.backbone).check_strides(spec.strides)
        except (KeyError, TypeError, ValueError, UnknownNameError, UsageError) as error:
            raise ModelError(f"the description of its features is damaged: {error}") from error
        if spec.pooling not in get_args(Pooling) or any(side % 32 or not 32 <= side <= 4096 for side in spec.size):
            raise ModelError(f"the description of its features makes no sense: {dict(values)}")
        return spec


_compiling = Lock()


# Models of many sites differ in the shape of their pictures only: a few multiples of 32 px of about the same area.
@lru_cache(maxsize=8)
def _compiled(spec: FeatureSpec) -> Compiled:
    """Compile the graph that gives the features of one picture."""
    pixels = ops.parameter(ov.PartialShape([-1, 3, *spec.size]), ov.Type.f32, name="pixels")
    maps = BACKBONES.get(spec.backbone).loaded(spec.digest).graph(pixels, spec.strides)
    parts = [part for node in maps for part in _pooled(node, spec.pooling)]
    joined = ops.concat(parts, 1) if len(parts) > 1 else parts[0]
    return Compiled(ov.Model([ops.result(joined)], [pixels], "features"), "f32")


def _pooled(node: ov.Node, pooling: Pooling) -> list[ov.Node]:
    """Return what becomes of one map (N D h w): nodes (N *)."""
    if pooling == "flatten":
        return [ops.reshape(node, integers(0, -1), True)]
    mean = ops.reduce_mean(node, integers(2, 3), True)
    flat = [ops.squeeze(mean, integers(2, 3))]
    if pooling == "spread":
        variance = ops.reduce_mean(ops.power(ops.subtract(node, mean), constant(2.0)), integers(2, 3), False)
        flat.append(ops.sqrt(ops.add(variance, constant(LEAST_VARIANCE))))
    return flat
