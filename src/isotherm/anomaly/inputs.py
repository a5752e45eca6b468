"""From thermograms of any kind and size to network inputs, and from maps back to the picture.

Temperatures are placed in a span that is fixed at training time and never clamped, so that 16-bit and float data lose
nothing and a hotter object stays hotter; plain pictures are placed in 0..255.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Shaped
from PIL import Image

from isotherm.anomaly.method import Inputs
from isotherm.anomaly.tiles import STEP, Frame, Size, resize
from isotherm.core.errors import DataError, ModelError
from isotherm.core.thermogram import Thermogram

__all__ = ["InputSpec", "Kind", "Shrunk", "SpanLearner", "kind_of", "resize", "shrink"]

Kind = Literal["temperature", "picture"]
Place = tuple[int, int, int, int]
"""Top, left, height and width of a picture in the canvas [px]."""
Input = Float32[np.ndarray, "3 H W"]


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A thermogram at the canvas's size before it is placed in the span.

    Parameters
    ----------
    values
        °C or grey levels of more than 8 bits as float32 (1 H W), or grey or RGB uint8; the border that was added
        repeats the picture's edge.
    ignore
        (H W), true where a pixel is not part of the scene: added border, or a gap without temperature; None where all
        of them are.
    """

    values: Shaped[np.ndarray, "_ H W"]
    ignore: Bool[np.ndarray, "H W"] | None

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.values.nbytes + (0 if self.ignore is None else self.ignore.nbytes)


LOW_PERCENT, HIGH_PERCENT = 0.1, 99.9
"""The span runs between these percentiles of the training temperatures, so that one dead pixel does not stretch it."""
MIN_SPAN_C = 1.0
"""Narrowest span [°C, or grey levels 0..255]: below it a camera's noise would be stretched over the whole range."""
SAMPLE_PIXELS = 4096
"""How many pixels of one image enter the span's percentiles."""


def kind_of(thermogram: Thermogram) -> Kind:
    """Say whether a thermogram holds temperatures or is a plain picture."""
    return "temperature" if thermogram.radiometric else "picture"


def shrink(thermogram: Thermogram, frame: Frame) -> Shrunk:
    """Bring a thermogram to the size of a frame's canvas.

    Gaps are filled by the median and ignored.

    Raises
    ------
    DataError
        No pixel has a temperature.
    """
    place = frame.place(thermogram.size)
    picture, gaps = _picture(thermogram)
    resized = _resized(picture, place[2:])
    values = np.moveaxis(resized, 2, 0) if resized.ndim == 3 else resized[None]
    ignore = None if gaps is None else _resized(gaps.astype(np.float32), place[2:]) > 0
    if place[2:] == frame.canvas:
        return Shrunk(values, ignore)
    return Shrunk(*_bordered(values, ignore, place, frame.canvas))


def _picture(thermogram: Thermogram) -> tuple[Shaped[np.ndarray, "H W *C"], Bool[np.ndarray, "H W"] | None]:
    """Return the pixels of a thermogram, grey or RGB, and where it has gaps."""
    if thermogram.radiometric:
        return _filled(thermogram.celsius())
    if thermogram.deep:
        return thermogram.values(), None
    return thermogram.counts if thermogram.colour is None else thermogram.colour, None


def _resized(values: Shaped[np.ndarray, "h w *C"], size: Size) -> Shaped[np.ndarray, "H W *C"]:
    if values.shape[:2] == size:
        return values
    picture = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _bordered(
    values: Shaped[np.ndarray, "C h w"], ignore: Bool[np.ndarray, "h w"] | None, place: Place, canvas: Size
) -> tuple[Shaped[np.ndarray, "C H W"], Bool[np.ndarray, "H W"]]:
    """Repeat the edge of a picture up to the canvas, and ignore what was added."""
    top, left, height, width = place
    sides = ((top, canvas[0] - top - height), (left, canvas[1] - left - width))
    inside = np.zeros((height, width), np.bool_) if ignore is None else ignore
    return np.pad(values, ((0, 0), *sides), "edge"), np.pad(inside, sides, constant_values=True)


def _filled(celsius: Float32[np.ndarray, "H W"]) -> tuple[Float32[np.ndarray, "H W"], Bool[np.ndarray, "H W"] | None]:
    good = np.isfinite(celsius)
    if good.all():
        return celsius, None
    if not good.any():
        raise DataError("no pixel of this image has a temperature")
    return np.where(good, celsius, np.median(celsius[good])).astype(np.float32), ~good


@dataclass(frozen=True)
class InputSpec:
    """How thermograms become network inputs; fixed at training time and stored with the model.

    Parameters
    ----------
    kind
        What the training images hold: temperatures, or plain pictures.
    low, high
        The values that become 0 and 1: °C of the training set, 0 and 255 for pictures, or grey levels (0..255, with
        fractions) of the training set where all its pictures have more than 8 bits.
    frame
        The size that pictures are brought to, and the network input that tiles it.
    """

    kind: Kind
    low: float
    high: float
    frame: Frame

    @classmethod
    def learn(cls, thermograms: Iterable[Thermogram], frame: Frame) -> InputSpec:
        """Fix the span from the training images, of any sizes.

        Raises
        ------
        DataError
            No image at all, or temperatures and plain pictures mixed.
        """
        learner = SpanLearner()
        for thermogram in thermograms:
            learner.add(thermogram)
        return learner.spec(frame)

    def prepare(self, thermogram: Thermogram) -> Inputs:
        """Return the network inputs of one image, one for each tile.

        Raises
        ------
        DataError
            The image is not of the model's kind, or holds no temperature.
        """
        self.check(thermogram)
        return self.inputs(shrink(thermogram, self.frame))

    def inputs(self, shrunk: Shrunk) -> Inputs:
        """Place a shrunk image in the span and cut it into tiles."""
        pixels = np.stack(list(self.frame.cut(self.scale(shrunk.values))))
        if shrunk.ignore is None:
            return Inputs(pixels)
        return Inputs(pixels, np.stack(list(self.frame.cut(shrunk.ignore))))

    def check(self, thermogram: Thermogram) -> None:
        """Raise DataError where the model cannot judge this image because it holds the other kind of values."""
        found = kind_of(thermogram)
        if found != self.kind:
            raise DataError(f"the model has learnt from {_PLURAL[self.kind]}, but this image is {_ONE[found]}")

    def scale(self, values: Shaped[np.ndarray, "_ H W"]) -> Input:
        """Place values of `shrink` in the span, in three channels; not clamped."""
        placed = (values.astype(np.float32) - np.float32(self.low)) * np.float32(1 / (self.high - self.low))
        return np.ascontiguousarray(np.broadcast_to(placed, (3, *placed.shape[1:])))

    def unscale(self, picture: Float32[np.ndarray, "3 r c"]) -> Float32[np.ndarray, "3 r c"]:
        """Turn a network input or a reference back into °C, or grey levels 0..255."""
        return picture * np.float32(self.high - self.low) + np.float32(self.low)

    def join(self, maps: Sequence[Float32[np.ndarray, "h w"]], picture: Size) -> Float32[np.ndarray, "r c"]:
        """Return one map that covers exactly a picture of this size from the maps of its tiles."""
        return self.frame.uncover(self.frame.join(maps), picture)

    def restore_map(self, values: Float32[np.ndarray, "r c"], size: Size) -> Float32[np.ndarray, "H W"]:
        """Resize a map that covers a picture to the picture's `size` (height, width)."""
        return resize(values, size)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {"kind": self.kind, "low": self.low, "high": self.high, **asdict(self.frame)}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> InputSpec:
        """Rebuild what `to_mapping` gave; raises ModelError where a value cannot be right."""
        try:
            canvas, size = ((int(values[name][0]), int(values[name][1])) for name in ("canvas", "size"))
            spec = cls(values["kind"], float(values["low"]), float(values["high"]), Frame(canvas, size))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the description of its inputs is damaged: {error}") from error
        if spec.kind not in _ONE or not 0 < spec.high - spec.low < np.inf or not _sensible(spec.frame):
            raise ModelError(f"the description of its inputs makes no sense: {dict(values)}")
        return spec


def _sensible(frame: Frame) -> bool:
    return all(
        0 < part <= whole <= MAX_SIZE and part % STEP == whole % STEP == 0
        for whole, part in zip(frame.canvas, frame.size, strict=True)
    )


MAX_SIZE = 4096
"""Largest side of a network input that a model may ask for [px]."""
_ONE = {"temperature": "a temperature image", "picture": "a plain picture without temperatures"}
_PLURAL = {"temperature": "temperature images", "picture": "plain pictures without temperatures"}


class SpanLearner:
    """Gathers what `InputSpec` needs to know, one training image at a time."""

    def __init__(self) -> None:
        self._names: dict[Kind, list[str]] = {"temperature": [], "picture": []}
        self._samples: list[Float32[np.ndarray, " P"]] = []
        self._deep = 0

    def add(self, thermogram: Thermogram, name: str = "") -> None:
        """Count an image and remember some of its temperatures; `name` is for the error message."""
        self._names[kind_of(thermogram)].append(name)
        self._deep += thermogram.deep
        if thermogram.radiometric or thermogram.deep:
            values = thermogram.values().ravel()
            values = values[:: max(1, values.size // SAMPLE_PIXELS)]
            self._samples.append(values[np.isfinite(values)])

    def spec(self, frame: Frame) -> InputSpec:
        """Return the specification; raises DataError for no image, no temperature, or mixed kinds."""
        temperature, picture = self._names["temperature"], self._names["picture"]
        if temperature and picture:
            raise DataError(
                f"{len(temperature)} temperature images ({temperature[0]} ...) and {len(picture)} plain pictures "
                f"({picture[0]} ...) are mixed; learn from one kind only"
            )
        if self._deep < len(picture):
            # 8-bit pictures have used their range; of 16 bits a camera may fill a small part only.
            return InputSpec("picture", 0.0, 255.0, frame)
        values = np.concatenate(self._samples) if self._samples else np.empty(0, np.float32)
        if not values.size:
            raise DataError("no image with a temperature to learn from")
        low, high = (float(value) for value in np.percentile(values, (LOW_PERCENT, HIGH_PERCENT)))
        missing = max(0.0, MIN_SPAN_C - (high - low)) / 2
        return InputSpec("picture" if picture else "temperature", low - missing, high + missing, frame)
