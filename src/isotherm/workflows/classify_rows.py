"""From labelled pictures to what a classifier takes: pixels of one size, or features of a frozen network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from isotherm.anomaly.inputs import InputChoices, InputSpec, Kind, OverlayChoice, kind_of
from isotherm.classification.features import FeatureConfig, FeatureSpec
from isotherm.classification.method import Values
from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError, UsageError, one_line
from isotherm.core.files import sha256
from isotherm.core.progress import Progress
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.formats import ReadHints
from isotherm.workflows.classify_data import LabelledPicture, Row
from isotherm.workflows.classify_model import as_picture
from isotherm.workflows.normals import NormalImages, Skipped, gather
from isotherm.workflows.reading import Input, Outcome, read_inputs

Show = Literal["auto", "temperatures", "pictures"]
"""What a classifier is shown of pictures with temperatures; ``auto``: temperatures, unless other pictures have none."""
LOOKED_AT = 24
LEAST_SIDE_PX, MOST_SIDE_PX = 32, 128
"""Bounds of a size that is taken from the pictures."""
IN_MEMORY_BYTES = 2**30
"""Values of more bytes than this are kept in a file."""
Pixels = Float32[np.ndarray, "3 H W"]


@dataclass(frozen=True)
class Reading:
    """How files are read and looked at.

    Parameters
    ----------
    edit, hints
        Scene parameters and hints in place of the files'.
    jobs
        Threads that decode.
    features
        What a frozen network says about them, for methods that take features.
    """

    edit: SceneEdit = field(default_factory=SceneEdit)
    hints: ReadHints = field(default_factory=ReadHints)
    jobs: int = 2
    features: FeatureConfig = field(default_factory=FeatureConfig)


class PictureSource:
    """Labelled pictures that are decoded whenever they are asked for (an `isotherm.workflows.normals.ImageSource`).

    Parameters
    ----------
    as_pictures
        Whether pictures with temperatures are given as what they look like.
    """

    def __init__(self, pictures: Sequence[LabelledPicture], reading: Reading, *, as_pictures: bool) -> None:
        self._inputs = [Input(picture.path, picture.shown) for picture in pictures]
        self._reading, self._as_pictures = reading, as_pictures
        self.kinds: set[Kind] = set()
        """What the pictures hold that were read so far."""

    def __len__(self) -> int:
        return len(self._inputs)

    def outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        """Read these pictures in the order given."""
        chosen, reading = [self._inputs[index] for index in indices], self._reading
        for outcome in read_inputs(chosen, edit=reading.edit, hints=reading.hints, jobs=reading.jobs):
            if outcome.thermogram is None:
                yield outcome
                continue
            self.kinds.add(kind_of(outcome.thermogram))
            shown = as_picture(outcome.thermogram) if self._as_pictures else outcome.thermogram
            yield replace(outcome, thermogram=shown)


@dataclass(frozen=True)
class Look:
    """How pictures become pixels.

    Parameters
    ----------
    side_px
        Side of the square with as many pixels as each picture gets; None: as many as the pictures have.
    show, overlays
        See `Show` and `isotherm.anomaly.inputs.InputChoices`.
    """

    side_px: int | None
    show: Show = "auto"
    overlays: OverlayChoice = "off"


@dataclass(frozen=True)
class LookSettings:
    """How pictures are shown to a network."""

    image_size: int = setting(224, "side of the square with as many pixels as each picture is given", low=32, high=4096)
    show: Show = setting(  # noqa: RUF009
        "auto",
        "what it is shown of images with temperatures: temperatures, or grey pictures (pictures); auto: temperatures, "
        "unless other images have none",
    )
    ignore_overlays: OverlayChoice = setting(  # noqa: RUF009
        "off",
        "leave out what is drawn into images (logos, read-outs, markers, scales): auto does so in pictures without "
        "temperatures; takes several times as long as the network itself",
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, eq=False)
class Gathered:
    """Usable pictures, how they become pixels, and those that are not usable."""

    pictures: tuple[LabelledPicture, ...]
    images: NormalImages
    as_pictures: bool

    @property
    def inputs(self) -> InputSpec:
        """Return how pictures become pixels."""
        return self.images.spec

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Return the pictures that cannot be used."""
        return self.images.skipped

    def rows(self) -> list[Row]:
        """Return what is known of each usable picture."""
        return [_row(self.pictures[normal.index], normal.digest) for normal in self.images.normals]

    def pixels(self) -> Iterator[Pixels]:
        """Yield the pixels of each usable picture, in order."""
        for batch in self.images.subset(range(len(self.images))).batches(16):
            yield from batch.pixels


def gathered(pictures: Sequence[LabelledPicture], look: Look, reading: Reading, progress: Progress) -> Gathered:
    """Read pictures once and fix how they become pixels.

    Raises
    ------
    DataError
        None can be read, or temperatures and plain pictures are mixed and ``look.show`` demands temperatures.
    """
    source = PictureSource(pictures, reading, as_pictures=look.show == "pictures")
    side = look.side_px or _own_side(source)
    choices = InputChoices(overlays=look.overlays)
    try:
        found = gather(source, (side, side), progress, choices=choices)
    except DataError:
        if look.show != "auto" or len(source.kinds) < 2:
            raise
        source = PictureSource(pictures, reading, as_pictures=True)
        found = gather(source, (side, side), progress, choices=choices)
        return Gathered(tuple(pictures), found, as_pictures=True)
    return Gathered(tuple(pictures), found, as_pictures=look.show == "pictures")


def _own_side(source: PictureSource) -> int:
    places = np.unique(np.linspace(0, len(source) - 1, min(LOOKED_AT, len(source))).astype(int)).tolist()
    sizes = [outcome.thermogram.size for outcome in source.outcomes(places) if outcome.thermogram is not None]
    side = float(np.median([np.sqrt(height * width) for height, width in sizes])) if sizes else MOST_SIDE_PX
    return int(np.clip(round(side), LEAST_SIDE_PX, MOST_SIDE_PX))


def _row(picture: LabelledPicture, digest: str) -> Row:
    return Row(picture.shown, picture.label, digest, picture.group, picture.part, picture.common)


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Labelled inputs of a classifier, from pictures or from a file of features.

    Parameters
    ----------
    values
        (N D) features or (N 3 H W) pixels.
    rows
        What is known of each.
    inputs, features, as_pictures
        How a picture becomes such values.
    """

    values: Values
    rows: tuple[Row, ...]
    inputs: InputSpec
    features: FeatureSpec | None
    as_pictures: bool
    skipped: tuple[Skipped, ...] = ()

    def as_common(self) -> LabelledRows:
        """Return the same as rows of a shared collection."""
        return replace(self, rows=tuple(replace(row, common=True) for row in self.rows))

    def joined(self, other: LabelledRows) -> LabelledRows:
        """Return both together; raises DataError where they are not values of the same kind."""
        if (self.features, self.inputs.to_mapping()) != (other.features, other.inputs.to_mapping()):
            raise DataError(
                f"these features do not go together: {_said(self.features)} here, {_said(other.features)} there; "
                "compute both with the same network, weights, maps, pooling and size"
            )
        values = np.concatenate([self.values, other.values])
        skipped = (*self.skipped, *other.skipped)
        return replace(self, values=values, rows=(*self.rows, *other.rows), skipped=skipped)


def _said(features: FeatureSpec | None) -> str:
    if features is None:
        return "pixels"
    maps = ",".join(map(str, features.strides))
    size = f"{features.size[1]} x {features.size[0]} px"
    return f"{features.backbone} {features.digest[:12]} {maps} {features.pooling} {size}"


def rows_of(found: Gathered, features: FeatureSpec | None, folder: Path, progress: Progress) -> LabelledRows:
    """Return the values of gathered pictures; large ones in a file below `folder`."""
    count = len(found.images)
    source = found.pixels()
    values = _filled(source, features, (count, *found.inputs.frame.size), folder, progress)
    return LabelledRows(values, tuple(found.rows()), found.inputs, features, found.as_pictures, found.skipped)


def _filled(
    pixels: Iterator[Pixels],
    features: FeatureSpec | None,
    size: tuple[int, int, int],
    folder: Path,
    progress: Progress,
) -> Values:
    count, height, width = size
    shape = (count, 3, height, width) if features is None else (count, features.length)
    values, name = room(shape, folder), "pixels" if features is None else "features"
    found: Iterator[np.ndarray] = pixels if features is None else features.extract(pixels)
    for place, value in enumerate(found):
        values[place] = value
        progress(place + 1, count, name)
    return values


def room(shape: tuple[int, ...], folder: Path) -> np.ndarray:
    """Return an array to fill; one of more than `IN_MEMORY_BYTES` lies in a file."""
    if 4 * int(np.prod(shape, dtype=np.int64)) <= IN_MEMORY_BYTES:
        return np.empty(shape, np.float32)
    return np.lib.format.open_memmap(folder / f"{len(list(folder.iterdir()))}.npy", "w+", np.float32, shape)


@dataclass(frozen=True, eq=False)
class Fixed:
    """How pictures become values where that is decided already: by a model, or by a file of features."""

    inputs: InputSpec
    features: FeatureSpec | None
    as_pictures: bool

    @property
    def network(self) -> FeatureSpec:
        """Return the features, for who takes features."""
        if self.features is None:
            raise UsageError("these are pixels, not features of a network")
        return self.features

    def rows(
        self, pictures: Sequence[LabelledPicture], reading: Reading, folder: Path, progress: Progress
    ) -> LabelledRows:
        """Return the values of all pictures that can be read; the others are skipped, with the reason."""
        known, skipped = list[Row](), list[Skipped]()
        source = PictureSource(pictures, reading, as_pictures=self.as_pictures)

        def usable() -> Iterator[Pixels]:
            for place, outcome in enumerate(source.outcomes(range(len(source)))):
                try:
                    pixels = self._pixels(outcome)
                except DataError as error:
                    skipped.append(Skipped(outcome.name, one_line(error)))
                    continue
                assert outcome.thermogram is not None
                digest = outcome.thermogram.digest or sha256(pixels.tobytes())
                known.append(_row(pictures[place], digest))
                yield pixels

        size = (len(source), *self.inputs.frame.size)
        values = _filled(usable(), self.features, size, folder, progress)[: len(known)]
        return LabelledRows(values, tuple(known), self.inputs, self.features, self.as_pictures, tuple(skipped))

    def _pixels(self, outcome: Outcome) -> Pixels:
        if outcome.thermogram is None:
            raise DataError(outcome.error)
        return self.of(outcome.thermogram)

    def of(self, thermogram: Thermogram) -> Pixels:
        """Return the pixels of a picture that is read; raises DataError where they cannot be had."""
        found: Pixels = self.inputs.prepare(thermogram).pixels[0]
        return found
