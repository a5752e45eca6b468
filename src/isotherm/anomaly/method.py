"""The seam of anomaly methods: normal images in, detector out; images in, maps and scores out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from isotherm.core.progress import Progress

Batch = Float32[np.ndarray, "N 3 S S"]
"""Network inputs: each pixel is its place in the span fixed at training time (0 low end, 1 high end, not clamped)."""
Arrays = Mapping[str, np.ndarray]


@runtime_checkable
class Images(Protocol):
    """Network inputs that are read when they are needed; every pass gives the same images in the same order."""

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield the images in order, `size` at a time."""
        ...


@dataclass(frozen=True, eq=False)
class AnomalyMaps:
    """What a detector says about N images.

    Parameters
    ----------
    maps
        (N h w) float32, larger is stranger, at any resolution not above the input's; the caller resizes.
    scores
        (N) float32, raw distances in the method's own unit, never clamped or normalised.
    references
        (N 3 s s) float32: what the detector thinks this picture should look like (the reconstruction, or the nearest
        normal image), in the same units as the input; None where the method has none.
    """

    maps: Float32[np.ndarray, "N h w"]
    scores: Float32[np.ndarray, " N"]
    references: Float32[np.ndarray, "N 3 s s"] | None = None


@runtime_checkable
class Detector(Protocol):
    """A fitted detector. It knows no threshold, metric, plot, path or database; an unfitted one does not exist."""

    def predict(self, images: Batch) -> AnomalyMaps:
        """Score N images; an image's result does not depend on its neighbours in the batch."""
        ...

    def arrays(self) -> Arrays:
        """Return everything that `AnomalyMethod.load` needs beside the config, as named arrays."""
        ...


@runtime_checkable
class AnomalyMethod(Protocol):
    """A pair of functions and the configuration they share."""

    name: str
    config_type: type
    """A frozen dataclass of `isotherm.core.config.setting` fields; the single source of the command's flags."""

    def fit(self, images: Images, config: Any, seed: int, progress: Progress) -> Detector:
        """Learn from normal images only; the same seed on the same machine gives the same detector."""
        ...

    def load(self, arrays: Arrays, config: Any) -> Detector:
        """Rebuild the detector whose `arrays` these are; raises ModelError where they do not fit."""
        ...
