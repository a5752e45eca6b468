"""The seam of anomaly methods: normal images in, detector out; images in, maps and scores out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from isotherm.core.progress import Progress

if TYPE_CHECKING:
    import openvino as ov

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Inputs:
    """N network inputs.

    Parameters
    ----------
    pixels
        (N 3 H W) float32: each pixel is its place in the span fixed at training time (0 low end, 1 high end), not
        clamped. H and W are multiples of 32.
    ignore
        (N H W), true where a pixel does not belong to the scene: a border added to keep the aspect ratio, a logo or a
        scale bar, a gap without temperature. `pixels` holds something plain there. It is not learnt from, and it never
        raises a score. None: nothing is ignored.
    """

    pixels: Float32[np.ndarray, "N 3 H W"]
    ignore: Bool[np.ndarray, "N H W"] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, part: slice) -> Inputs:
        return Inputs(self.pixels[part], None if self.ignore is None else self.ignore[part])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.pixels.shape[2], self.pixels.shape[3]

    def ignored(self) -> Bool[np.ndarray, "N H W"]:
        """Return `ignore`, all false where it is None."""
        if self.ignore is not None:
            return self.ignore
        return np.zeros((len(self), *self.size), np.bool_)


@runtime_checkable
class Images(Protocol):
    """Network inputs that are read when they are needed; every pass gives the same images in the same order."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the inputs [px], multiples of 32."""
        ...

    def __len__(self) -> int:
        """Return the number of inputs."""
        ...

    def batches(self, size: int) -> Iterator[Inputs]:
        """Yield the inputs in order, `size` at a time."""
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
        (N 3 r c) float32: what the detector thinks this picture should look like (the reconstruction, or the nearest
        normal image), in the same units as the input; None where the method has none.
    """

    maps: Float32[np.ndarray, "N h w"]
    scores: Float32[np.ndarray, " N"]
    references: Float32[np.ndarray, "N 3 r c"] | None = None


@runtime_checkable
class Detector(Protocol):
    """A fitted detector. It knows no threshold, metric, plot, path or database; an unfitted one does not exist."""

    def predict(self, inputs: Inputs) -> AnomalyMaps:
        """Score N images; an image's result does not depend on its neighbours in the batch."""
        ...

    def arrays(self) -> Arrays:
        """Return everything that `AnomalyMethod.load` needs beside the config, as named arrays."""
        ...


@runtime_checkable
class Exportable(Protocol):
    """The second face of a detector that can be written as one graph for other programs."""

    def graph(self) -> ov.Model:
        """Return the graph.

        Inputs: ``pixels`` (N 3 H W) and ``ignore`` (N 1 H W; 1: ignore), both float32 with any N. Outputs in this
        order: ``maps`` (N h w), ``scores`` (N) and, where there are any, ``references`` (N 3 r c) or ``resembles``
        (N V), votes for a kept normal picture.
        """
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


@runtime_checkable
class NeedsWeights(Protocol):
    """A configuration that names a network whose weights may not be here."""

    def check_weights(self) -> None:
        """Raise ModelError or MissingExtraError where they are not; called before any image is read."""
        ...
