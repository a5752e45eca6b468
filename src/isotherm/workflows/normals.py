"""Normal images to learn from: read once, shrunk to the network's size, kept in memory up to a bound.

What does not fit is read again when it is needed, so that memory does not grow with the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool

from isotherm.anomaly.inputs import Input, InputChoices, InputSpec, Shrunk, SpanLearner, shrink, visible
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.tiles import Frame, Size
from isotherm.core.errors import DataError
from isotherm.core.files import sha256
from isotherm.core.progress import Progress
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.formats import ReadHints
from isotherm.formats.overlays import OverlayModel, learn
from isotherm.workflows.reading import Outcome, list_images, read_many

CACHE_BYTES = 384 * 1024**2
"""How much of the shrunk images is kept in memory: about 1,500 temperature images of 256 px."""


@runtime_checkable
class ImageSource(Protocol):
    """Images that can be read more than once."""

    def __len__(self) -> int:
        """Return the number of images, readable or not."""
        ...

    def outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        """Read these images in the order given; one that cannot be read is an outcome with its error."""
        ...


class FolderImages:
    """The images of a folder, or one file, decoded ahead in `jobs` threads whenever they are asked for.

    Raises
    ------
    DataError
        The path does not exist, or the folder is empty.
    """

    def __init__(
        self, path: Path, *, edit: SceneEdit | None = None, hints: ReadHints | None = None, jobs: int = 2
    ) -> None:
        self._root = path
        self._paths = list_images(path)
        self._edit, self._hints, self._jobs = edit or SceneEdit(), hints or ReadHints(), jobs

    def __len__(self) -> int:
        return len(self._paths)

    def outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        """Read these images in the order given."""
        paths = [self._paths[index] for index in indices]
        root = self._root if self._root.is_dir() else None
        return read_many(paths, root=root, edit=self._edit, hints=self._hints, jobs=self._jobs)


@dataclass(frozen=True)
class ThermogramImages:
    """Thermograms that are in memory already."""

    thermograms: Sequence[Thermogram]

    def __len__(self) -> int:
        return len(self.thermograms)

    def outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        """Hand out these thermograms in the order given."""
        for index in indices:
            yield Outcome(path=Path(str(index)), name=str(index), thermogram=self.thermograms[index], error="")


@dataclass(frozen=True)
class Skipped:
    """An image that could not be read or used, and why."""

    name: str
    error: str


@dataclass(frozen=True)
class Normal:
    """What is remembered of one usable image: its place in the source, its digest and its size (height, width)."""

    index: int
    digest: str
    size: tuple[int, int]


@dataclass(frozen=True)
class NormalImages:
    """All usable images of a source; part of the shrunk pixels in memory, the rest read when needed."""

    source: ImageSource
    spec: InputSpec
    normals: tuple[Normal, ...]
    skipped: tuple[Skipped, ...]
    _kept: dict[int, Shrunk] = field(repr=False)

    def __len__(self) -> int:
        return len(self.normals)

    @property
    def digest(self) -> str:
        """The sha256 of the images' sorted digests: which images, whatever their names and order."""
        return hashlib.sha256("\n".join(sorted(item.digest for item in self.normals)).encode()).hexdigest()

    def subset(self, members: Sequence[int]) -> Subset:
        """Return network inputs of these images (places in `normals`)."""
        return Subset(self, tuple(members))

    def shrunk(self, members: Sequence[int]) -> Iterator[Shrunk]:
        """Yield the shrunk pixels of these images, in order.

        Raises
        ------
        DataError
            An image that was readable before is not any more, or has changed.
        """
        missing = [self.normals[member].index for member in members if member not in self._kept]
        again = self.source.outcomes(missing) if missing else iter(())
        for member in members:
            yield self._kept[member] if member in self._kept else self._reread(member, next(again))

    def _reread(self, member: int, outcome: Outcome) -> Shrunk:
        if outcome.thermogram is None:
            raise DataError(f"{outcome.name} was readable before and is not any more: {outcome.error}")
        values = self.spec.shrink(outcome.thermogram)
        if _digest(outcome.thermogram, values) != self.normals[member].digest:
            raise DataError(f"{outcome.name} has changed while it was being learnt from")
        return values


@dataclass(frozen=True)
class Subset:
    """Network inputs of some of the normal images (an `isotherm.anomaly.method.Images`)."""

    images: NormalImages
    members: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.members) * len(self.images.spec.frame.tiles)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the inputs [px]."""
        return self.images.spec.frame.size

    def batches(self, size: int) -> Iterator[Inputs]:
        """Yield the inputs in order, `size` at a time."""
        ones = chain.from_iterable(self._tiles())
        while batch := list(islice(ones, size)):
            pixels = np.stack([pixels for pixels, _ in batch])
            masked = any(ignore.any() for _, ignore in batch)
            yield Inputs(pixels, np.stack([ignore for _, ignore in batch]) if masked else None)

    def _tiles(self) -> Iterator[Iterator[tuple[Input, Bool[np.ndarray, "H W"]]]]:
        for shrunk in self.images.shrunk(self.members):
            inputs = self.images.spec.inputs(shrunk)
            yield zip(inputs.pixels, inputs.ignored(), strict=True)


LOOKED_AT = 24
"""How many images say what aspect ratio the set has, and what is drawn at the same place in all of them."""


def gather(
    source: ImageSource, sides: Size, progress: Progress, *, choices: InputChoices | None = None
) -> NormalImages:
    """Read every image once, fix the span, and keep what fits in memory.

    Parameters
    ----------
    sides
        Sides of squares with as many pixels as the network input and the canvas that it tiles; their aspect is the
        median of some images.
    choices
        How images become network inputs; None: the defaults.

    Raises
    ------
    DataError
        None can be read, or temperatures, estimates and plain pictures are mixed.
    """
    choices = choices or InputChoices()
    aspect, overlays = _first_look(source, choices)
    frame = Frame.fit(aspect, *sides)
    learner, free = SpanLearner(choices), CACHE_BYTES
    normals: list[Normal] = []
    skipped: list[Skipped] = []
    kept: dict[int, Shrunk] = {}
    for index, outcome in enumerate(source.outcomes(range(len(source)))):
        try:
            values = _usable(outcome, frame, choices, overlays)
        except DataError as error:
            skipped.append(Skipped(outcome.name, str(error)))
        else:
            assert outcome.thermogram is not None
            learner.add(outcome.thermogram, values, outcome.name)
            if values.nbytes <= free:
                kept[len(normals)] = values
                free -= values.nbytes
            normals.append(Normal(index, _digest(outcome.thermogram, values), outcome.thermogram.size))
        progress(index + 1, len(source), "reading")
    if not normals:
        reason = f"; the first: {skipped[0].name}: {skipped[0].error}" if skipped else ""
        raise DataError(f"none of {len(source)} images can be used{reason}")
    return NormalImages(source, learner.spec(frame, overlays), tuple(normals), tuple(skipped), kept)


def _first_look(source: ImageSource, choices: InputChoices) -> tuple[float, OverlayModel]:
    """Return the median H/W of some images, evenly spread over the source, and what is drawn into all of them."""
    places = np.unique(np.linspace(0, len(source) - 1, min(LOOKED_AT, len(source))).astype(int)).tolist()
    aspects, pictures = list[float](), list[np.ndarray]()
    for outcome in source.outcomes(places):
        if outcome.thermogram is not None:
            height, width = outcome.thermogram.size
            aspects.append(np.log(height / width))
            if choices.overlays_in(outcome.thermogram):
                pictures.append(visible(outcome.thermogram))
    aspect = float(np.exp(np.median(aspects))) if aspects else 1.0
    return aspect, learn(pictures)


def _usable(outcome: Outcome, frame: Frame, choices: InputChoices, overlays: OverlayModel) -> Shrunk:
    if outcome.thermogram is None:
        raise DataError(outcome.error)
    return shrink(outcome.thermogram, frame, overlays if choices.overlays_in(outcome.thermogram) else None)


def _digest(thermogram: Thermogram, values: Shrunk) -> str:
    return thermogram.digest or sha256(np.ascontiguousarray(values.values).tobytes())
