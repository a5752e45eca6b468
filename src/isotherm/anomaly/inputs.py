"""From thermograms of any kind and size to network inputs, and from small maps back to the picture's size.

Temperatures are placed in a span that is fixed at training time and never clamped, so that 16-bit and float data lose
nothing and a hotter object stays hotter; plain pictures are placed in 0..255.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

from isotherm.core.errors import DataError, ModelError
from isotherm.core.thermogram import Thermogram

Kind = Literal["temperature", "picture"]
Shrunk = Shaped[np.ndarray, "_ S S"]
"""A thermogram at the network's size before it is placed in the span: °C float32 (1 S S), or grey or RGB uint8."""
Input = Float32[np.ndarray, "3 S S"]

LOW_PERCENT, HIGH_PERCENT = 0.1, 99.9
"""The span runs between these percentiles of the training temperatures, so that one dead pixel does not stretch it."""
MIN_SPAN_C = 1.0
"""Narrowest span [°C, or grey levels 0..255]: below it a camera's noise would be stretched over the whole range."""
SAMPLE_PIXELS = 4096
"""How many pixels of one image enter the span's percentiles."""


def kind_of(thermogram: Thermogram) -> Kind:
    """Say whether a thermogram holds temperatures or is a plain picture."""
    return "temperature" if thermogram.radiometric else "picture"


def shrink(thermogram: Thermogram, size: int) -> Shrunk:
    """Resize a thermogram to (C S S).

    That is °C as float32 with gaps filled by the median, uint8 grey or RGB, or grey levels of more than 8 bits as
    float32 0..255 with all their fractions.

    Raises
    ------
    DataError
        No pixel has a temperature.
    """
    if thermogram.radiometric:
        return resize(_filled(thermogram.celsius()), (size, size))[None]
    if thermogram.deep:
        return resize(thermogram.values(), (size, size))[None]
    if thermogram.colour is None:
        return _resize_bytes(thermogram.counts, size)[None]
    return np.moveaxis(_resize_bytes(thermogram.colour, size), 2, 0)


def resize(values: Float32[np.ndarray, "h w"], size: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
    """Resize bilinearly to `size` (height, width); what gets smaller is averaged, not skipped."""
    if values.shape == size:
        return values
    picture = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _resize_bytes(values: UInt8[np.ndarray, "H W *C"], size: int) -> UInt8[np.ndarray, "S S *C"]:
    picture = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def _filled(celsius: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    good = np.isfinite(celsius)
    if good.all():
        return celsius
    if not good.any():
        raise DataError("no pixel of this image has a temperature")
    return np.where(good, celsius, np.median(celsius[good])).astype(np.float32)


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
    size
        Side S of the square network input [px].
    """

    kind: Kind
    low: float
    high: float
    size: int

    @classmethod
    def learn(cls, thermograms: Iterable[Thermogram], size: int) -> InputSpec:
        """Fix the span from the training images, of any sizes.

        Raises
        ------
        DataError
            No image at all, or temperatures and plain pictures mixed.
        """
        learner = SpanLearner()
        for thermogram in thermograms:
            learner.add(thermogram)
        return learner.spec(size)

    def prepare(self, thermogram: Thermogram) -> Input:
        """Return one network input (3 S S); raises DataError where the image is not of the model's kind."""
        self.check(thermogram)
        return self.scale(shrink(thermogram, self.size))

    def check(self, thermogram: Thermogram) -> None:
        """Raise DataError where the model cannot judge this image because it holds the other kind of values."""
        found = kind_of(thermogram)
        if found != self.kind:
            raise DataError(f"the model has learnt from {_PLURAL[self.kind]}, but this image is {_ONE[found]}")

    def scale(self, values: Shrunk) -> Input:
        """Place values of `shrink` in the span; not clamped."""
        placed = (values.astype(np.float32) - np.float32(self.low)) * np.float32(1 / (self.high - self.low))
        return np.ascontiguousarray(np.broadcast_to(placed, (3, *placed.shape[1:])))

    def unscale(self, picture: Float32[np.ndarray, "3 s s"]) -> Float32[np.ndarray, "3 s s"]:
        """Turn a network input or a reference back into °C, or grey levels 0..255."""
        return picture * np.float32(self.high - self.low) + np.float32(self.low)

    def restore_map(self, values: Float32[np.ndarray, "h w"], size: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
        """Resize a detector's map to a picture's `size` (height, width)."""
        return resize(values, size)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> InputSpec:
        """Rebuild what `to_mapping` gave; raises ModelError where a value cannot be right."""
        try:
            spec = cls(
                kind=values["kind"], low=float(values["low"]), high=float(values["high"]), size=int(values["size"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the description of its inputs is damaged: {error}") from error
        if spec.kind not in _ONE or not 0 < spec.high - spec.low < np.inf or not 0 < spec.size <= MAX_SIZE:
            raise ModelError(f"the description of its inputs makes no sense: {dict(values)}")
        return spec


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

    def spec(self, size: int) -> InputSpec:
        """Return the specification; raises DataError for no image, no temperature, or mixed kinds."""
        temperature, picture = self._names["temperature"], self._names["picture"]
        if temperature and picture:
            raise DataError(
                f"{len(temperature)} temperature images ({temperature[0]} ...) and {len(picture)} plain pictures "
                f"({picture[0]} ...) are mixed; learn from one kind only"
            )
        if self._deep < len(picture):
            # 8-bit pictures have used their range; of 16 bits a camera may fill a small part only.
            return InputSpec("picture", 0.0, 255.0, size)
        values = np.concatenate(self._samples) if self._samples else np.empty(0, np.float32)
        if not values.size:
            raise DataError("no image with a temperature to learn from")
        low, high = (float(value) for value in np.percentile(values, (LOW_PERCENT, HIGH_PERCENT)))
        missing = max(0.0, MIN_SPAN_C - (high - low)) / 2
        return InputSpec("picture" if picture else "temperature", low - missing, high + missing, size)
