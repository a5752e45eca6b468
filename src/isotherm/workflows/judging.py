"""Labelled pictures scored by models that have not learnt from them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
from jaxtyping import Bool, Float32

from isotherm.anomaly.inputs import resize
from isotherm.core.errors import DataError
from isotherm.core.progress import Progress
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.datasets.layouts import Sample
from isotherm.datasets.masks import check_mask, fit_mask, read_mask
from isotherm.formats import ReadHints
from isotherm.workflows.models import Scored, TrainedModel
from isotherm.workflows.reading import Outcome, read_many

GRID_PX = 1024
"""Maps and masks of larger pictures are compared on a grid with this longer side [px]."""
RELATIVE_LIMIT = 1.0
"""The threshold of relative scores and relative maps."""


@dataclass(frozen=True)
class SampleImages:
    """The pictures of some samples, decoded ahead in threads whenever they are asked for (an `ImageSource`)."""

    root: Path
    samples: Sequence[Sample]
    edit: SceneEdit
    hints: ReadHints
    jobs: int

    def __len__(self) -> int:
        return len(self.samples)

    def outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        """Read these samples' files in the order given."""
        paths = [self.samples[index].path for index in indices]
        return read_many(paths, root=self.root, edit=self.edit, hints=self.hints, jobs=self.jobs)

    def all(self) -> Iterator[tuple[Sample, Outcome]]:
        """Read every sample's file, in order."""
        return zip(self.samples, self.outcomes(range(len(self.samples))), strict=True)


@dataclass(frozen=True)
class LabelledSource:
    """Where the labelled pictures are and how they are read.

    Parameters
    ----------
    root
        The folder; see `isotherm.datasets.layouts`.
    masks
        Folder of defect masks, in place of the layout's own.
    groups
        CSV table (columns file, group, and perhaps order) of pictures that belong together and share a fold.
    """

    root: Path
    masks: Path | None = None
    groups: Path | None = None
    edit: SceneEdit = field(default_factory=SceneEdit)
    hints: ReadHints = field(default_factory=ReadHints)
    jobs: int = 2

    def images(self, samples: Sequence[Sample]) -> SampleImages:
        """Return the pictures of these samples."""
        return SampleImages(self.root, samples, self.edit, self.hints, self.jobs)


@dataclass(frozen=True, eq=False)
class Judged:
    """One labelled picture and what its fold's model said.

    Parameters
    ----------
    p_value, held_out
        How often a normal picture would look at least so strange, by the scores of so many held-out normal pictures.
    relative
        The score over the fold's threshold, so that pictures judged by different models can be ranked together; above
        1 the picture is called anomalous.
    size
        Height and width of the picture [px].
    map
        (h w) float32: the anomaly map over the fold's pixel threshold; None where no masks are scored.
    """

    sample: Sample
    fold: str
    score: float
    percentile: float
    p_value: float
    held_out: int
    threshold: float
    relative: float
    size: tuple[int, int]
    map: Float32[np.ndarray, "_ _"] | None


@dataclass(frozen=True)
class Unjudged:
    """A labelled picture that could not be read or scored, and why."""

    sample: Sample
    fold: str
    error: str


@dataclass(frozen=True, eq=False)
class Judgement:
    """What one model said about one fold's pictures, and how long it took [s]."""

    judged: tuple[Judged, ...]
    unjudged: tuple[Unjudged, ...]
    predict_s: float


def judge(model: TrainedModel, images: SampleImages, *, fold: str, with_maps: bool, progress: Progress) -> Judgement:
    """Score pictures, a few at a time; one that cannot be read or scored stops nothing.

    Parameters
    ----------
    images
        The fold's pictures; none of them may have been learnt from.
    with_maps
        Keep the maps (float32, at the detector's resolution) for scoring masks.
    """
    start = time.perf_counter()
    judged: list[Judged] = []
    unjudged: list[Unjudged] = []
    waiting: deque[tuple[Sample, tuple[int, int]]] = deque()

    def usable() -> Iterator[Thermogram]:
        for sample, outcome in images.all():
            error = outcome.error or _refusal(model, outcome.thermogram, sample.mask if with_maps else None)
            if error or outcome.thermogram is None:
                unjudged.append(Unjudged(sample, fold, error))
                continue
            waiting.append((sample, outcome.thermogram.size))
            yield outcome.thermogram

    for scored in model.score_many(usable()):
        sample, size = waiting.popleft()
        judged.append(_judged(model, sample, scored, fold=fold, size=size, with_map=with_maps))
        progress(len(judged) + len(unjudged), len(images), "scoring")
    return Judgement(tuple(judged), tuple(unjudged), time.perf_counter() - start)


def _refusal(model: TrainedModel, thermogram: Thermogram | None, mask: Path | None) -> str:
    if thermogram is None:
        return ""
    try:
        model.inputs.check(thermogram)
        if mask is not None:
            check_mask(mask, thermogram.size)
    except DataError as error:
        return str(error)
    if thermogram.radiometric and not np.isfinite(thermogram.kelvin()).any():
        return "no pixel of this image has a temperature"
    return ""


def _judged(
    model: TrainedModel, sample: Sample, scored: Scored, *, fold: str, size: tuple[int, int], with_map: bool
) -> Judged:
    limits = model.calibration
    return Judged(
        sample=sample,
        fold=fold,
        score=scored.score,
        percentile=scored.percentile,
        p_value=limits.p_value(scored.score),
        held_out=limits.scores.size,
        threshold=limits.threshold,
        relative=float(relative(np.float64(scored.score), limits.threshold)),
        size=size,
        map=np.asarray(relative(scored.map, limits.pixel_threshold), dtype=np.float32) if with_map else None,
    )


def relative(values: np.ndarray | np.float64, threshold: float) -> np.ndarray | np.float64:
    """Return scores over a threshold; above 1 is above the threshold.

    A threshold that is not positive (normal pictures that are all alike, or a plug-in's own unit) cannot divide; there
    the distance above it counts from 1.
    """
    return values / threshold if threshold > 0 else values - threshold + 1


class TruthAndMaps(Sequence[tuple[Bool[np.ndarray, "_ _"], Float32[np.ndarray, "_ _"]]]):
    """The mask and the map of each judged picture at the picture's own size, made when asked for.

    Normal pictures have an empty mask. Pictures of more than `GRID_PX` on the longer side are reduced to it (the mask
    by its nearest pixels).
    """

    def __init__(self, judged: Sequence[Judged]) -> None:
        self._judged = [item for item in judged if item.map is not None and scorable(item.sample)]

    def __len__(self) -> int:
        return len(self._judged)

    @property
    def faulty(self) -> Bool[np.ndarray, " N"]:
        """Return true for each faulty picture (N)."""
        return np.array([item.sample.anomalous for item in self._judged], dtype=np.bool_)

    @overload
    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def __getitem__(self, place: slice) -> TruthAndMaps: ...

    def __getitem__(self, place: int | slice) -> tuple[np.ndarray, np.ndarray] | TruthAndMaps:
        if isinstance(place, slice):
            return TruthAndMaps(self._judged[place])
        item = self._judged[place]
        grid = grid_of(item.size)
        assert item.map is not None
        mask = np.zeros(grid, dtype=np.bool_)
        if item.sample.mask is not None:
            mask = fit_mask(read_mask(item.sample.mask), grid)
        return mask, resize(item.map, grid)


def scorable(sample: Sample) -> bool:
    """Say whether the true mask of a picture is known: it is normal, or it has a mask."""
    return not sample.anomalous or sample.mask is not None


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width [px] on which a picture's map and mask are compared."""
    shrink = min(1.0, GRID_PX / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))
