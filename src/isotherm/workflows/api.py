"""`isotherm.load(MODEL).predict(images)`: a model in three lines of somebody's own program.

::

    model = isotherm.load("models/kiln-shell")
    for found in model.predict("today/"):
        print(found.name, found.score, found.anomalous)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image

from isotherm.core.config import to_mapping
from isotherm.core.device import on_device
from isotherm.core.errors import DataError, UsageError
from isotherm.core.regions import label
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import CoarseHints, ReadHints
from isotherm.radiometry.linear import TO_KELVIN, LinearCalibration
from isotherm.workflows.models import BATCH, Prepared, Scored, TrainedModel, at_once, load_model
from isotherm.workflows.reading import Outcome, list_images, printable, read_many

Picture: TypeAlias = str | Path | np.ndarray | Thermogram
"""A file; °C (H W) float, grey levels (H W) uint8 or RGB (H W 3) uint8; a thermogram."""


@dataclass(frozen=True)
class Region:
    """A connected part of the mask: its box in pixels (right and bottom are outside), its area, and its peak.

    ``score`` is the largest value of the map in it, at column ``x`` and row ``y``.
    """

    left: int
    top: int
    right: int
    bottom: int
    area_px: int
    score: float
    x: int
    y: int


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says about one image.

    Parameters
    ----------
    name
        The file's path below the folder that was given, or the image's number.
    size
        Height and width of the image [px].
    score
        Raw distance in the method's unit; None where the image could not be judged.
    percentile
        Percentage (0..100) of held-out normal images that score lower.
    anomalous
        Whether the score is above the model's threshold.
    error
        Why the image could not be judged; empty where it was.
    """

    name: str
    size: tuple[int, int] = (0, 0)
    score: float | None = None
    percentile: float | None = None
    anomalous: bool | None = None
    error: str = ""
    _scored: Scored | None = field(default=None, repr=False)
    _model: TrainedModel | None = field(default=None, repr=False)

    @cached_property
    def map(self) -> Float32[np.ndarray, "H W"]:
        """The anomaly map at the image's own size; raises DataError where the image could not be judged."""
        if self._scored is None or self._model is None:
            raise DataError(f"{self.name} has no map: {self.error}")
        return self._model.restore(self._scored, self.size)

    @property
    def mask(self) -> Bool[np.ndarray, "H W"]:
        """Where the map is above the model's pixel threshold."""
        values = self.map
        assert self._model is not None
        return values > self._model.calibration.pixel_threshold

    @property
    def regions(self) -> tuple[Region, ...]:
        """The connected parts of the mask, highest score first."""
        labels, count = label(self.mask)
        found = [_region(labels == number, self.map) for number in range(1, count + 1)]
        return tuple(sorted(found, key=lambda region: -region.score))


def _region(mask: Bool[np.ndarray, "H W"], values: Float32[np.ndarray, "H W"]) -> Region:
    rows, columns = np.nonzero(mask)
    peak = int(values[rows, columns].argmax())
    return Region(
        left=int(columns.min()),
        top=int(rows.min()),
        right=int(columns.max()) + 1,
        bottom=int(rows.max()) + 1,
        area_px=rows.size,
        score=float(values[rows[peak], columns[peak]]),
        x=int(columns[peak]),
        y=int(rows[peak]),
    )


@dataclass(frozen=True, eq=False)
class _Ready:
    """An image that can be judged, or why it cannot."""

    name: str
    size: tuple[int, int] = (0, 0)
    prepared: Prepared | None = None
    error: str = ""


class Model:
    """A trained model, ready to judge images; made by `isotherm.load`.

    ``method``, ``threshold`` and ``pixel_threshold`` are those of the model; ``trained`` holds everything else.
    """

    def __init__(self, trained: TrainedModel, device: str = "auto") -> None:
        self.trained, self.device = trained, device
        self.method = trained.method
        self.threshold = trained.calibration.threshold
        self.pixel_threshold = trained.calibration.pixel_threshold

    def __repr__(self) -> str:
        return f"<isotherm model: {self.method}, threshold {self.threshold:.6g}>"

    def predict(
        self,
        images: Picture | Iterable[Picture],
        *,
        hints: ReadHints | None = None,
        jobs: int = 2,
        coarse: bool = False,
    ) -> list[Prediction]:
        """Judge images.

        Parameters
        ----------
        images
            One image or many: files, folders (all images below), thermograms, or arrays: °C (H W) of a floating type,
            grey levels (H W) or RGB (H W 3) of uint8.
        hints
            Unit and scale of files that cannot say them.
        jobs
            Threads that decode files, and threads that prepare images.
        coarse
            Decode plain JPEG pictures at a half, a quarter or an eighth of their size where the model's input is that
            much smaller. Quicker; the scores change a little, because the files are averaged otherwise. Only for models
            trained with ``--ignore-overlays off``: in a smaller picture overlays are not found again.

        Returns
        -------
        list
            One `Prediction` for each image, in order. An image that cannot be read or judged is one with an ``error``.

        Raises
        ------
        DataError
            A path does not exist, a folder is empty, or an array is no image.
        UsageError
            `coarse` with a model that leaves overlays out.
        """
        several = [images] if isinstance(images, (str, Path, np.ndarray, Thermogram)) else images
        found = self._prepared(_outcomes(several, self._coarse(hints) if coarse else hints, jobs), jobs)
        results = list[Prediction]()
        with on_device(self.device):
            while batch := list(islice(found, at_once(self.trained.inputs))):
                results += self._judged(batch)
        return results

    def _coarse(self, hints: ReadHints | None) -> CoarseHints:
        if self.trained.inputs.overlays is not None:
            raise UsageError(
                "coarse decoding is not for this model: it leaves overlays out, which are not found again in a smaller "
                "picture; train with --ignore-overlays off where there are none"
            )
        height, width = self.trained.inputs.frame.canvas
        return CoarseHints(**to_mapping(hints or ReadHints()), picture_side=round((height * width) ** 0.5))  # type: ignore[arg-type]

    def _prepared(self, outcomes: Iterator[Outcome], jobs: int) -> Iterator[_Ready]:
        """Prepare images in threads, some ahead of those that are being judged."""
        with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="isotherm-prepare") as pool:
            ahead: deque[Future[_Ready]] = deque()
            for outcome in outcomes:
                ahead.append(pool.submit(self._prepare, outcome))
                if len(ahead) > 2 * BATCH:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _prepare(self, outcome: Outcome) -> _Ready:
        thermogram = outcome.thermogram
        if thermogram is None:
            return _Ready(outcome.name, error=outcome.error)
        try:
            prepared = self.trained.prepare(thermogram)
        except DataError as error:
            return _Ready(outcome.name, error=str(error))
        return _Ready(outcome.name, thermogram.stored_size or thermogram.size, prepared)

    def _judged(self, images: list[_Ready]) -> Iterator[Prediction]:
        prepared = [each.prepared for each in images if each.prepared is not None]
        scored = self.trained.judge(prepared) if prepared else iter(())
        for image in images:
            if image.prepared is None:
                yield Prediction(image.name, error=image.error)
                continue
            found = next(scored)
            yield Prediction(
                image.name,
                image.size,
                found.score,
                found.percentile,
                found.anomalous,
                _scored=found,
                _model=self.trained,
            )


def load(model: str | Path, *, device: str = "auto") -> Model:
    """Read the folder of a model that `isotherm train` wrote.

    Parameters
    ----------
    device
        ``cpu``, ``cuda``, or ``auto``: CUDA where onnxruntime-gpu is installed and finds a device.

    Raises
    ------
    ModelError
        Something is missing, altered, of another version, or does not fit together.
    """
    with on_device(device):
        return Model(load_model(Path(model)), device)


def _outcomes(images: Iterable[Picture], hints: ReadHints | None, jobs: int) -> Iterator[Outcome]:
    """Yield thermograms in the order given; neighbouring files are decoded ahead in threads."""
    files = list[Path]()
    for place, image in enumerate(images):
        if isinstance(image, (str, Path)):
            files.append(Path(image))
            continue
        yield from _read(files, hints, jobs)
        files = []
        thermogram = image if isinstance(image, Thermogram) else thermogram_of(image)
        yield Outcome(Path(str(place)), str(place), thermogram)
    yield from _read(files, hints, jobs)


def _read(files: list[Path], hints: ReadHints | None, jobs: int) -> Iterator[Outcome]:
    single = list[Path]()
    for path in files:
        if path.is_dir():
            yield from _read_files(single, hints, jobs)
            single = []
            yield from read_many(list_images(path), root=path, hints=hints, jobs=jobs)
        else:
            single += list_images(path)
    yield from _read_files(single, hints, jobs)


def _read_files(files: list[Path], hints: ReadHints | None, jobs: int) -> Iterator[Outcome]:
    for path, outcome in zip(files, read_many(files, hints=hints, jobs=jobs), strict=True):
        yield Outcome(path, printable(path), outcome.thermogram, outcome.error)


def thermogram_of(values: np.ndarray) -> Thermogram:
    """Return an array as a thermogram: °C (H W) of a floating type, or grey (H W) or RGB (H W 3) of uint8.

    Raises
    ------
    DataError
        It is something else, such as counts without a scale, or a stack of images.
    """
    if values.ndim == 2 and values.dtype.kind == "f" and values.size:
        calibration = LinearCalibration(*TO_KELVIN["c"], kind="vendor")
        return Thermogram(values.astype(np.float32), calibration, assumed_scene(), "array")
    if values.ndim == 2 and values.dtype == np.uint8 and values.size:
        return Thermogram(values.copy(), None, assumed_scene(), "array")
    if values.ndim == 3 and values.shape[2] == 3 and values.dtype == np.uint8 and values.size:
        luma = np.array(Image.fromarray(np.ascontiguousarray(values)).convert("L"))
        return Thermogram(luma, None, assumed_scene(), "array", colour=values.copy())
    raise DataError(
        f"an array of {values.dtype} {values.shape} is no image: °C (H W) of a floating type, or grey levels (H W) or "
        "RGB (H W 3) of uint8; several images go into a list"
    )
