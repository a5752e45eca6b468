"""Does an exported graph say what its model says? Scores, labels and maps of both on the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from isotherm.anomaly.inputs import InputSpec, Shrunk
from isotherm.evaluation.metrics import auroc
from isotherm.evaluation.ranking import Undefined
from isotherm.workflows.exported_graph import CHANNELS, tiles_of
from isotherm.workflows.models import TrainedModel

Answer = tuple[Float32[np.ndarray, "N h w"], Float32[np.ndarray, " N"]]
Run = Callable[[Float32[np.ndarray, "N C H W"], Float32[np.ndarray, "N 1 H W"]], Answer]
"""An exported graph in its runtime: images and what to ignore in, maps and scores out."""
BATCHES = (1, 2, 7)
MADE_UP = 16


@dataclass(frozen=True, eq=False)
class Example:
    """One image that both are asked about; `anomalous` is its label where it has one."""

    name: str
    shrunk: Shrunk
    anomalous: bool | None = None


@dataclass(frozen=True)
class Compared:
    """What both say about one image."""

    name: str
    score: float
    exported: float
    flipped: bool
    anomalous: bool | None = None


@dataclass(frozen=True)
class Parity:
    """How far an exported graph is from its model.

    Parameters
    ----------
    images
        What both say about each image.
    scale
        What differences are divided by: the threshold's magnitude or, where that is larger, the range of the held-out
        normal scores.
    max_difference, mean_difference
        Of the scores, in units of `scale`.
    max_map_difference
        Of the maps, in units of `scale`.
    max_batch_difference
        Of one image's score in batches of 1, 2 and 7, in units of `scale`.
    flips
        Images on the other side of the threshold.
    auroc, auroc_exported
        Where the images are labelled; else None.
    """

    images: tuple[Compared, ...]
    scale: float
    max_difference: float
    mean_difference: float
    max_map_difference: float
    max_batch_difference: float
    flips: int
    auroc: float | None = None
    auroc_exported: float | None = None

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def compare(model: TrainedModel, run: Run, examples: Iterable[Example]) -> Parity:
    """Ask the model and its exported graph about the same images."""
    threshold, scale = model.calibration.threshold, scale_of(model)
    rows, largest, first = list[Compared](), 0.0, list[Example]()
    for example in examples:
        expected = model.detector.predict(model.inputs.inputs(example.shrunk))
        maps, scores = _answer(run, model.inputs, [example])
        score, exported = float(expected.scores.max()), float(scores.max())
        largest = max(largest, float(np.abs(maps - expected.maps).max()) / scale)
        flipped = (score > threshold) != (exported > threshold)
        rows.append(Compared(example.name, score, exported, flipped, example.anomalous))
        first = [*first, example] if len(first) < max(BATCHES) else first
    differences = np.array([abs(row.score - row.exported) for row in rows]) / scale
    return Parity(
        images=tuple(rows),
        scale=scale,
        max_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        max_map_difference=largest,
        max_batch_difference=_batch_difference(model.inputs, run, first) / scale,
        flips=sum(row.flipped for row in rows),
        auroc=_auroc(rows, [row.score for row in rows]),
        auroc_exported=_auroc(rows, [row.exported for row in rows]),
    )


def scale_of(model: TrainedModel) -> float:
    """Return what differences of scores are compared with; see `Parity`."""
    scores = model.calibration.scores
    return max(abs(model.calibration.threshold), float(scores.max() - scores.min()), float(np.finfo(np.float32).tiny))


def _answer(run: Run, spec: InputSpec, examples: Sequence[Example]) -> Answer:
    tiles = [tile for example in examples for tile in tiles_of(spec, example.shrunk)]
    return run(np.stack([image for image, _ in tiles]), np.stack([ignore for _, ignore in tiles]))


def _batch_difference(spec: InputSpec, run: Run, examples: Sequence[Example]) -> float:
    """Return the largest difference of a score in batches of `BATCHES` images."""
    found = []
    for size in BATCHES:
        parts = [examples[start : start + size] for start in range(0, len(examples), size)]
        found.append(np.concatenate([_answer(run, spec, part)[1] for part in parts]))
    return float(np.ptp(np.stack(found), axis=0).max())


def _auroc(rows: Sequence[Compared], scores: Sequence[float]) -> float | None:
    if any(row.anomalous is None for row in rows):
        return None
    found = auroc(np.array([bool(row.anomalous) for row in rows]), np.array(scores))
    return None if isinstance(found, Undefined) else found


def made_up(spec: InputSpec) -> Iterator[Example]:
    """Yield images that fill the span with smooth shapes and noise; half have a spot beyond it, some a border."""
    rng = np.random.default_rng(0)
    height, width = spec.frame.canvas
    rows, columns = np.mgrid[:height, :width] / 32
    for number in range(MADE_UP):
        waves, phases = rng.uniform(0.5, 2, 2), rng.uniform(0, 6, 2)
        shape = 0.5 + 0.25 * np.sin(waves[0] * rows + phases[0]) * np.cos(waves[1] * columns + phases[1])
        planes = shape + rng.normal(0, 0.03, (CHANNELS[spec.kind], height, width))
        if number % 2:
            top, left = rng.integers(0, height - 16), rng.integers(0, width - 16)
            planes[:, top : top + 16, left : left + 16] += 0.6
        values = (spec.low + planes * (spec.high - spec.low)).astype(np.float32)
        ignore = None
        if number % 4 == 2:
            ignore = np.zeros((height, width), np.bool_)
            ignore[: height // 4] = True
        yield Example(f"made up {number + 1}", Shrunk(values, ignore))
