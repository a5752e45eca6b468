"""A trained model: a detector with everything needed to use it on pictures, in memory and as a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.head import with_stored_head, without_head
from isotherm.anomaly.inputs import InputSpec
from isotherm.anomaly.method import Detector, Inputs
from isotherm.anomaly.threshold import ScoreCalibration
from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import ConfigError, ModelError, UnknownNameError
from isotherm.core.thermogram import Thermogram
from isotherm.runtime.bundle import read_bundle, write_bundle

BATCH = 16
"""How many inputs are given to a detector at once: enough to keep all cores busy, few enough to stay small."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What a model says about one picture.

    Parameters
    ----------
    score
        Raw distance in the method's unit, never clamped.
    percentile
        Percentage (0..100) of held-out normal images that score lower.
    anomalous
        Whether the score is above the model's threshold.
    map
        (h w) float32, larger is stranger; it covers the whole picture at about the detector's resolution;
        `TrainedModel.restore` brings it to the picture's size.
    reference
        (3 r c) float32: what the detector thinks the picture should look like, in °C or grey levels 0..255; None where
        the method has none.
    """

    score: float
    percentile: float
    anomalous: bool
    map: Float32[np.ndarray, "h w"]
    reference: Float32[np.ndarray, "3 r c"] | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image as the network's input: its tiles, its own height and width, and the values that became 0 and 1."""

    inputs: Inputs
    size: tuple[int, int]
    span: tuple[float, float]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A detector, how pictures become its inputs, and what its scores mean.

    ``manifest`` says where it comes from (counts, digest of the data, versions, date, skipped files); it is what
    ``manifest.json`` of the model's folder holds, without the parts that the other fields carry.
    """

    detector: Detector
    method: str
    config: object
    inputs: InputSpec
    calibration: ScoreCalibration
    manifest: dict[str, Any]

    def score_many(self, thermograms: Iterable[Thermogram]) -> Iterator[Scored]:
        """Score any number of thermograms, in order, holding only a few at a time.

        This is the fast path: give it an iterator that decodes ahead in threads (`workflows.reading.read_many`), and
        decoding and the detector share all cores. Filter out what `InputSpec.check` refuses before; an image that
        cannot be judged raises DataError here.
        """
        waiting = iter(thermograms)
        ahead: Future[list[Prepared]] | None = None
        # While the detector works on one batch, the next one is prepared.
        with ThreadPoolExecutor(1, thread_name_prefix="isotherm-prepare") as pool:
            while batch := list(islice(waiting, at_once(self.inputs))):
                coming = pool.submit(self._prepare_all, batch)
                if ahead is not None:
                    yield from self.judge(ahead.result())
                ahead = coming
            if ahead is not None:
                yield from self.judge(ahead.result())

    def prepare(self, thermogram: Thermogram) -> Prepared:
        """Bring an image to the network's input; raises DataError where it cannot be judged."""
        self.inputs.check(thermogram)
        shrunk = self.inputs.shrink(thermogram)
        return Prepared(self.inputs.inputs(shrunk), thermogram.size, self.inputs.span_of(shrunk))

    def _prepare_all(self, thermograms: Sequence[Thermogram]) -> list[Prepared]:
        return [self.prepare(thermogram) for thermogram in thermograms]

    def judge(self, images: Sequence[Prepared]) -> Iterator[Scored]:
        """Score prepared images, all at once."""
        results = score_pictures(
            self.detector, self.inputs, [each.inputs for each in images], [each.size for each in images]
        )
        for (score, values, reference), image in zip(results, images, strict=True):
            yield Scored(
                score=score,
                percentile=self.calibration.percentile_of(score),
                anomalous=score > self.calibration.threshold,
                map=values,
                reference=None if reference is None else self.inputs.unscale(reference, image.span),
            )

    def restore(self, scored: Scored, size: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
        """Return the map at a picture's `size`; above ``calibration.pixel_threshold`` lies the mask."""
        return self.inputs.restore_map(scored.map, size)


def at_once(spec: InputSpec) -> int:
    """Return how many pictures are scored at once; fewer where each has many tiles."""
    return max(1, BATCH // len(spec.frame.tiles))


def score_pictures(
    detector: Detector, spec: InputSpec, inputs: Sequence[Inputs], sizes: Sequence[tuple[int, int]]
) -> Iterator[tuple[float, Float32[np.ndarray, "r c"], Float32[np.ndarray, "3 R C"] | None]]:
    """Score pictures that are cut into tiles.

    Parameters
    ----------
    inputs
        The tiles of each picture.
    sizes
        Each picture's own height and width.

    Yields
    ------
    tuple
        The largest score of its tiles, and map and reference that cover exactly the picture.
    """
    result = detector.predict(together(inputs))
    start = 0
    for tiles, size in zip(inputs, sizes, strict=True):
        part = slice(start, start + len(tiles))
        start = part.stop
        reference = None if result.references is None else _joined(spec, result.references[part], size)
        yield float(result.scores[part].max()), spec.join(list(result.maps[part]), size), reference


def _joined(
    spec: InputSpec, references: Float32[np.ndarray, "K 3 r c"], size: tuple[int, int]
) -> Float32[np.ndarray, "3 R C"]:
    return np.stack([spec.join(list(references[:, channel]), size) for channel in range(3)])


def together(inputs: Sequence[Inputs]) -> Inputs:
    """Put network inputs one after the other."""
    if len(inputs) == 1:
        return inputs[0]
    masked = any(each.ignore is not None for each in inputs)
    pixels = np.concatenate([each.pixels for each in inputs])
    return Inputs(pixels, np.concatenate([each.ignored() for each in inputs]) if masked else None)


def save_model(model: TrainedModel, folder: Path) -> None:
    """Write a model as a folder (manifest.json and arrays.safetensors), whole or not at all.

    Raises
    ------
    OutputError
        The folder holds something that is no model, or cannot be written.
    """
    manifest = {
        **model.manifest,
        "method": model.method,
        "config": to_mapping(model.config),
        "inputs": model.inputs.to_mapping(),
        "calibration": model.calibration.to_mapping(),
    }
    write_bundle(folder, manifest=manifest, arrays=model.detector.arrays())


def load_model(folder: Path) -> TrainedModel:
    """Read a model's folder.

    Raises
    ------
    ModelError
        Something is missing, altered, of another version, or does not fit together.
    MissingExtraError
        Its method needs an optional dependency.
    """
    manifest, arrays = read_bundle(folder)
    try:
        return _assemble(manifest, arrays)
    except ModelError as error:
        raise ModelError(error.reason, folder) from error
    except (UnknownNameError, ConfigError) as error:
        raise ModelError(str(error), folder) from error


_FIELDS = ("method", "config", "inputs", "calibration")


def _assemble(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> TrainedModel:
    if manifest.get("kind") == "classifier":
        raise ModelError("a classifier (isotherm classify predict uses it); an anomaly model is needed here")
    parts: dict[str, Any] = {name: manifest.get(name) for name in _FIELDS}
    if not isinstance(parts["method"], str) or not all(isinstance(parts[name], dict) for name in _FIELDS[1:]):
        raise ModelError(f"the manifest lacks one of {', '.join(_FIELDS)}")
    method = ANOMALY_METHODS.get(parts["method"])
    config: object = from_mapping(method.config_type, parts["config"])
    return TrainedModel(
        detector=with_stored_head(method.load(without_head(arrays), config), arrays),
        method=parts["method"],
        config=config,
        inputs=InputSpec.from_mapping(parts["inputs"]),
        calibration=ScoreCalibration.from_mapping(parts["calibration"]),
        manifest={name: value for name, value in manifest.items() if name not in _FIELDS},
    )
