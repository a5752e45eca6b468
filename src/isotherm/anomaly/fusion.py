"""Fusion: the maps of one or several methods, measured at each place against what held-out normal images show there.

A distance that is large everywhere along an edge of the object, or near the border of the picture, is normal there. It
hides defects elsewhere, because a picture's score is the largest value of its map. So the normal images are cut into
parts; members that have learnt from the other parts look at each; mean and spread of these maps at each place become
the member's yardstick. Members of different kinds become comparable by it and are joined:

    z = (map - mean) / spread,    map = mean over members of z,    score = mean over members of the largest z

It suits pictures that show the same object in about the same position, as PaDiM does, but keeps PatchCore's
indifference to small shifts. With one member it is that method with a yardstick at each place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import openvino as ov
from jaxtyping import Bool, Float32, Float64
from openvino import opset13 as ops

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.graphs import (
    GraphDetector,
    finished,
    graph_inputs,
    keep_out,
    largest,
    resized_maps,
)
from isotherm.anomaly.method import AnomalyMethod, Arrays, Detector, Exportable, Images, Inputs
from isotherm.anomaly.patches import scene_cells
from isotherm.anomaly.smoothing import smoothing
from isotherm.anomaly.stored import stored, stored_size
from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError, ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.layers import constant

READ = 16
"""How many held-out images are looked at together."""
PRIOR = 2.0
"""How many images' worth of the picture's overall mean and spread each place starts with."""
FLOOR = 1e-3
"""Least spread at a place, as a share of the overall mean: where all images agree, rounding must not explode."""
Map = Float32[np.ndarray, "h w"]


@dataclass(frozen=True)
class FusionConfig:
    """Settings of the fusion."""

    members: str = setting("patchcore", "methods that are joined, with their default settings, separated by commas")
    parts: int = setting(2, "parts of the normal images, each looked at by members that learnt from the others", low=2)
    smooth_px: float = setting(
        24.0,
        "how far normal maps are averaged over neighbouring places, in pixels of the network input",
        low=0.0,
        high=512.0,
    )

    def __post_init__(self) -> None:
        validate(self)
        names = self.names()
        if not names or len(set(names)) < len(names) or "fusion" in names:
            raise ConfigError(
                f"FusionConfig: members must be different methods other than fusion, not {self.members!r}"
            )

    def names(self) -> list[str]:
        """Return the members' names."""
        return [name.strip() for name in self.members.split(",") if name.strip()]

    def methods(self) -> list[AnomalyMethod]:
        """Return the members; raises UnknownNameError or MissingExtraError."""
        return [ANOMALY_METHODS.get(name) for name in self.names()]


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the images, in their order (an `isotherm.anomaly.method.Images`)."""

    images: Images
    taken: Bool[np.ndarray, " N"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the inputs [px]."""
        return self.images.size

    def __len__(self) -> int:
        return int(self.taken.sum())

    def batches(self, size: int) -> Iterator[Inputs]:
        """Yield them, at most `size` at a time."""
        start = 0
        for inputs in self.images.batches(size):
            taken = self.taken[start : start + len(inputs)]
            start += len(inputs)
            if taken.any():
                yield Inputs(inputs.pixels[taken], None if inputs.ignore is None else inputs.ignore[taken])


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What a member's maps of normal images show at each place: (h w) mean and spread."""

    mean: Map
    spread: Map

    def arrays(self) -> dict[str, np.ndarray]:
        """Return both."""
        return {"place_mean": self.mean, "place_spread": self.spread}

    def apply(self, maps: ov.Node) -> ov.Node:
        """Return maps (N h w) in units of the spread."""
        return ops.divide(ops.subtract(maps, constant(self.mean[None])), constant(self.spread[None]))


class _Places:
    """Running sums over maps, of the cells that are part of the scene."""

    def __init__(self) -> None:
        self._sums: Float64[np.ndarray, "3 h w"] | None = None

    def add(self, maps: Float32[np.ndarray, "N h w"], inputs: Inputs) -> None:
        kept = scene_cells(inputs, (maps.shape[1], maps.shape[2])).astype(np.float64)
        sums = np.stack([kept.sum(axis=0), (kept * maps).sum(axis=0), (kept * maps * maps).sum(axis=0)])
        self._sums = sums if self._sums is None else self._sums + sums

    def yardstick(self, size: tuple[int, int], smooth_px: float) -> Yardstick:
        """Return mean and spread: of each place and its neighbours, and a little of the whole picture."""
        assert self._sums is not None
        count, total, squares = self._sums
        everywhere = total.sum() / max(count.sum(), 1)
        own = total / np.maximum(count, 1)
        deviations = np.maximum(squares - count * own**2, 0)
        overall = deviations.sum() / max(count.sum(), 1)
        weight, near, spread = (_spread_out(values, size, smooth_px) for values in (count, total, deviations))
        mean = (near + PRIOR * everywhere) / (weight + PRIOR)
        variance = (spread + PRIOR * overall) / (weight + PRIOR)
        least = max(FLOOR * abs(everywhere), np.finfo(np.float32).tiny ** 0.5)
        return Yardstick(mean.astype(np.float32), np.maximum(np.sqrt(variance), least).astype(np.float32))


def _spread_out(
    values: Float64[np.ndarray, "h w"], size: tuple[int, int], sigma_px: float
) -> Float64[np.ndarray, "h w"]:
    down, across = (smoothing(cells, side / cells, sigma_px) for cells, side in zip(values.shape, size, strict=True))
    blurred: np.ndarray = down @ values @ across.T
    return blurred


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted member and its yardstick."""

    name: str
    detector: Detector
    yardstick: Yardstick

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all its arrays, their names opened by its own."""
        arrays = {**self.detector.arrays(), **self.yardstick.arrays()}
        return {f"{self.name}.{name}": values for name, values in arrays.items()}


def fused(members: Sequence[Member], size: tuple[int, int]) -> GraphDetector:
    """Return the detector that joins these members.

    Raises
    ------
    ConfigError
        A member is no graph.
    """
    for member in members:
        if not isinstance(member.detector, Exportable):
            raise ConfigError(f"{member.name} is no graph and cannot be joined with others")
    kept = {name: values for member in members for name, values in member.arrays().items()}
    thumbnails = getattr(members[0].detector, "thumbnails", None)
    return GraphDetector(
        {"size": np.array(size, np.int32), **kept}, partial(fused_model, members, size), thumbnails=thumbnails
    )


def fused_model(members: Sequence[Member], size: tuple[int, int]) -> ov.Model:
    """Build one graph of all members; what the picture should look like is the first one's business."""
    inputs = graph_inputs(size)
    grid = max((member.yardstick.mean.shape for member in members), key=lambda shape: shape[0] * shape[1])
    maps, peaks, more = [], [], {}
    for place, member in enumerate(members):
        outputs = _spliced(cast(Exportable, member.detector).graph(), inputs)
        shape = member.yardstick.mean.shape
        standardised = keep_out(member.yardstick.apply(outputs["maps"]), inputs[1], size, (shape[0], shape[1]))
        peaks.append(largest(standardised))
        maps.append(standardised if shape == grid else resized_maps(standardised, (grid[0], grid[1])))
        if place == 0:
            more = {name: outputs[name] for name in ("references", "resembles") if name in outputs}
    return finished(inputs, maps=_mean(maps), scores=_mean(peaks), **more)


def _spliced(model: ov.Model, inputs: tuple[ov.Node, ov.Node]) -> dict[str, ov.Node]:
    """Connect a member's graph to these inputs and return what it gives, by name."""
    for parameter, node in zip(model.get_parameters(), inputs, strict=True):
        parameter.output(0).replace(node.output(0))
    return {
        name: _node(result.input_value(0)) for result in model.get_results() for name in result.output(0).get_names()
    }


def _node(value: ov.Output) -> ov.Node:
    """Return the node that gives this value and nothing else."""
    node = value.get_node()
    return node if node.get_output_size() == 1 else ops.concat([value], 0)


def _mean(nodes: Sequence[ov.Node]) -> ov.Node:
    total = nodes[0]
    for node in nodes[1:]:
        total = ops.add(total, node)
    return total if len(nodes) == 1 else ops.multiply(total, constant(1 / len(nodes)))


class Fusion:
    """The method's pair of functions."""

    name = "fusion"
    config_type = FusionConfig

    def fit(self, images: Images, config: FusionConfig, seed: int, progress: Progress) -> GraphDetector:
        """Fit each member on all images, and on all but each part for its yardstick."""
        members = []
        for name, method in zip(config.names(), config.methods(), strict=True):
            fitting = _Fitting(method, images, seed, progress)
            members.append(Member(name, fitting.whole(), fitting.yardstick(config)))
        return fused(members, images.size)

    def load(self, arrays: Arrays, config: FusionConfig) -> GraphDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together."""
        members = [_loaded(name, method, arrays) for name, method in zip(config.names(), config.methods(), strict=True)]
        return fused(members, stored_size(arrays))


@dataclass(frozen=True)
class _Fitting:
    """One member about to learn."""

    method: AnomalyMethod
    images: Images
    seed: int
    progress: Progress

    def whole(self) -> Detector:
        return self._fit(self.images, "")

    def yardstick(self, config: FusionConfig) -> Yardstick:
        places = _Places()
        count = len(self.images)
        parts = min(config.parts, count)
        # Neighbours in the order of reading look alike (an item, a row of modules): parts are blocks of neighbours.
        part = np.arange(count) * parts // count
        for number in range(parts):
            # A single image has nothing but itself to be looked at with.
            others = part != number if parts > 1 else part == number
            detector = self._fit(Part(self.images, others), f"part {number + 1}/{parts}, ")
            for inputs in Part(self.images, part == number).batches(READ):
                places.add(detector.predict(inputs).maps, inputs)
        return places.yardstick(self.images.size, config.smooth_px)

    def _fit(self, images: Images, stage: str) -> Detector:
        def report(done: int, total: int, message: str) -> None:
            self.progress(done, total, f"{self.method.name}: {stage}{message}")

        return self.method.fit(images, self.method.config_type(), self.seed, report)


def _loaded(name: str, method: AnomalyMethod, arrays: Arrays) -> Member:
    own = {key.removeprefix(f"{name}."): values for key, values in arrays.items() if key.startswith(f"{name}.")}
    mean = stored(own, "place_mean", np.float32, None, None)
    spread = stored(own, "place_spread", np.float32, *mean.shape)
    if spread.min() <= 0:
        raise ModelError("a spread that is not positive makes no sense")
    detector = method.load({key: own[key] for key in own if not key.startswith("place_")}, method.config_type())
    if isinstance(detector, Exportable):
        grid = tuple(length.get_length() for length in list(detector.graph().output("maps").partial_shape)[1:])
        if grid != mean.shape:
            raise ModelError(
                f"{name}: its maps are {grid[0]} x {grid[1]} cells, its yardstick {mean.shape[0]} x {mean.shape[1]}"
            )
    return Member(name, detector, Yardstick(mean, spread))


METHOD = Fusion()
