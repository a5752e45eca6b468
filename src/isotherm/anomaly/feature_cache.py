"""Feature maps of the frozen network, computed once for heads that look at them many times.

They are kept as half floats while they fit into `CACHE_BYTES`; of a larger set each pass computes them again, a chunk
at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import openvino as ov
from jaxtyping import Bool, Float16, Float32
from openvino import opset13 as ops

from isotherm.anomaly.method import Images
from isotherm.anomaly.patches import READ, Taps, kept_cells, parameter
from isotherm.core.errors import DataError
from isotherm.core.progress import Progress
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled
from isotherm.runtime.layers import integers

CACHE_BYTES = 512 * 2**20
"""How much one scale may hold: 6,500 pictures of 256 px at a stride of 8 px."""
MAX_VALIDATION = 64
"""Largest validation part; it stays in memory."""
FLOOR = 0.01
"""Share of the mean variance that is added to each feature's: what hardly ever changes must not explode."""
Maps = tuple[Float16[np.ndarray, "_ h w D"], Bool[np.ndarray, "_ h w"]]
"""Feature maps of some pictures, and which of their cells are part of the scene."""


class CachedMaps:
    """The maps of one stride, split into a part to learn from and a part to judge by.

    Parameters
    ----------
    images
        Two or more.
    taps
        Which feature map: one stride.
    validation
        Share of the images that only judges; drawn at random.
    seed
        Of that draw.
    """

    def __init__(self, images: Images, taps: Taps, validation: float, seed: int, progress: Progress) -> None:
        if len(images) < 2:
            raise DataError(f"at least 2 normal images are needed to learn from, not {len(images)}")
        self._images, self._channels = images, taps.dimensions
        self.grid = BACKBONES.get(taps.backbone).grid(images.size, *taps.strides)
        self._compiled = _compile(images.size, taps)
        held = min(max(1, round(validation * len(images))), MAX_VALIDATION, len(images) - 1)
        self._held = np.zeros(len(images), np.bool_)
        self._held[np.random.default_rng(seed).permutation(len(images))[:held]] = True
        self._kept: list[Maps] | None = None
        self._first_pass(progress)

    def chunks(self) -> Iterator[Maps]:
        """Yield the maps that are learnt from, in the same order at every call."""
        if self._kept is not None:
            yield from self._kept
            return
        gathered: list[Maps] = []
        for held, maps in self._all():
            gathered.append(_chosen(maps, ~held))
            if sum(values.nbytes for values, _ in gathered) >= CACHE_BYTES:
                yield _joined(gathered)
                gathered = []
        if sum(len(values) for values, _ in gathered):
            yield _joined(gathered)

    def _first_pass(self, progress: Progress) -> None:
        """Compute everything once: the validation part, the spread of the features, and what there is room for."""
        image_bytes = 2 * self.grid[0] * self.grid[1] * self._channels
        fits = image_bytes * len(self._images) <= CACHE_BYTES
        learning: list[Maps] = []
        judging: list[Maps] = []
        spread, done = _Spread(self._channels), 0
        for held, maps in self._all():
            values, kept = _chosen(maps, ~held)
            if fits:
                learning.append((values, kept))
            judging.append(_chosen(maps, held))
            spread.add(values[kept])
            done += len(held)
            progress(done, len(self._images), "features")
        self.validation = _joined(judging)
        self.mean, self.deviation = spread.result()
        self._kept = [_joined(learning)] if fits else None

    def _all(self) -> Iterator[tuple[Bool[np.ndarray, " n"], Maps]]:
        """Yield which of the next images are held out, and their maps."""
        start = 0
        for batch in self._images.batches(READ):
            values = np.stack([cells for (cells,) in self._compiled.run(batch.pixels)])
            kept = kept_cells(batch, self.grid).reshape(len(batch), *self.grid)
            # A half float ends at 65,504; features that large are outliers already.
            yield self._held[start : start + len(batch)], (np.clip(values, -6e4, 6e4).astype(np.float16), kept)
            start += len(batch)


class _Spread:
    """Mean and deviation of vectors that come in parts."""

    def __init__(self, features: int) -> None:
        self._count = 0
        self._total, self._squares = np.zeros(features), np.zeros(features)

    def add(self, vectors: Float16[np.ndarray, "n D"]) -> None:
        exact = vectors.astype(np.float64)
        self._count += len(exact)
        self._total += exact.sum(axis=0)
        self._squares += np.square(exact).sum(axis=0)

    def result(self) -> tuple[Float32[np.ndarray, " D"], Float32[np.ndarray, " D"]]:
        mean = self._total / self._count
        variance = np.maximum(self._squares / self._count - mean**2, 0)
        floor = FLOOR * float(variance.mean()) or 1.0
        return mean.astype(np.float32), np.sqrt(variance + floor).astype(np.float32)


def _chosen(maps: Maps, wanted: Bool[np.ndarray, " N"]) -> Maps:
    return maps[0][wanted], maps[1][wanted]


def _joined(parts: list[Maps]) -> Maps:
    return np.concatenate([values for values, _ in parts]), np.concatenate([kept for _, kept in parts])


def _compile(size: tuple[int, int], taps: Taps) -> Compiled:
    """Compile the graph that gives one feature map (h w D) of a picture."""
    pixels = parameter(size)
    (features,) = taps.feature_maps(pixels)
    return Compiled(ov.Model([ops.result(ops.transpose(features, integers(0, 2, 3, 1)))], [pixels]), "f32")
