"""Labelled pictures scored by models that have not learnt from them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import numpy as np
from jaxtyping import Bool, Float32, Float64

from isotherm.anomaly.inputs import resize
from isotherm.anomaly.threshold import Yardstick
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
        """Read these samples' files in the order given; they belong to the sites that the layout names."""
        paths = [self.samples[index].path for index in indices]
        found = read_many(paths, root=self.root, edit=self.edit, hints=self.hints, jobs=self.jobs)
        for index, outcome in zip(indices, found, strict=True):
            if outcome.thermogram is None:
                yield outcome
            else:
                yield replace(outcome, thermogram=replace(outcome.thermogram, site=self.samples[index].site))

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
    called
        Whether the score is above the fold's threshold.
    yardstick
        Where the fold's held-out normal scores lie, so that pictures that different models have judged can be ranked
        together.
    size
        Height and width of the picture [px].
    map, map_limit
        (h w) float32: the anomaly map and the pixel threshold, measured in the same way by the held-out pictures'
        largest map values; the map is None where no masks are scored.
    """

    sample: Sample
    fold: str
    score: float
    percentile: float
    p_value: float
    held_out: int
    threshold: float
    called: bool
    yardstick: Yardstick
    size: tuple[int, int]
    map: Float32[np.ndarray, "_ _"] | None
    map_limit: float

    @property
    def standing(self) -> float:
        """Return how many deviations the score lies above the median of the held-out normal scores."""
        return float(self.yardstick.standing(np.float64(self.score)))

    @property
    def limit(self) -> float:
        """Return where the threshold lies in the same measure."""
        return float(self.yardstick.standing(np.float64(self.threshold)))


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
    maps = limits.map_yardstick()
    return Judged(
        sample=sample,
        fold=fold,
        score=scored.score,
        percentile=scored.percentile,
        p_value=limits.p_value(scored.score),
        held_out=limits.scores.size,
        threshold=limits.threshold,
        called=scored.anomalous,
        yardstick=limits.yardstick(),
        size=size,
        map=maps.standing(scored.map).astype(np.float32) if with_map else None,
        map_limit=float(maps.standing(np.float64(limits.pixel_threshold))),
    )


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

    @property
    def limits(self) -> Float64[np.ndarray, " N"]:
        """Return the pixel limit of each picture (N)."""
        return np.array([item.map_limit for item in self._judged], dtype=np.float64)

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
