"""From thermograms of any kind and size to network inputs, and from maps back to the picture.

Temperatures are placed in a span and never clamped, so that 16-bit and float data lose nothing and a hotter object
stays hotter. By default the span is fixed at training time (0..255 for plain pictures); a span of each picture's own
takes the weather out. What is drawn into a picture is ignored and filled from its surroundings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8
from PIL import Image

from isotherm.anomaly.channels import ChannelNames, gradient, three_channels
from isotherm.anomaly.filling import resized_without
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.tiles import STEP, Frame, Size, resize
from isotherm.core.errors import DataError, ModelError
from isotherm.core.thermogram import Thermogram
from isotherm.formats.overlays import OverlayModel, find

__all__ = ["InputChoices", "InputSpec", "Kind", "Shrunk", "SpanLearner", "kind_of", "resize", "shrink", "visible"]

Kind = Literal["temperature", "estimate", "picture"]
"""What a model learns from and judges; never two of them, because an estimate is no measurement."""
SpanName = Literal["training", "image", "site"]
OverlayChoice = Literal["auto", "on", "off"]
Span = tuple[float, float]
"""The values that become 0 and 1."""
Place = tuple[int, int, int, int]
"""Top, left, height and width of a picture in the canvas [px]."""
Input = Float32[np.ndarray, "3 H W"]


@dataclass(frozen=True)
class InputChoices:
    """How a user wants thermograms to become network inputs.

    Parameters
    ----------
    span
        ``training``: from low to high values of the training set; ``image``: of each picture itself; ``site``: of the
        training pictures of its site, or of the picture itself where its site has never been seen.
    channels
        See `isotherm.anomaly.channels`.
    overlays
        Whether what is drawn into pictures is looked for; ``auto``: in plain pictures, not in temperatures.
    """

    span: SpanName = "training"
    channels: ChannelNames = "grey"
    overlays: OverlayChoice = "auto"

    def overlays_in(self, thermogram: Thermogram) -> bool:
        """Say whether overlays are looked for in this picture."""
        return self.overlays == "on" or (self.overlays == "auto" and not thermogram.radiometric)


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A thermogram at the canvas's size before it is placed in the span.

    Parameters
    ----------
    values
        °C or grey levels of more than 8 bits as float32 (1 H W), or grey or RGB uint8; the border that was added
        repeats the picture's edge.
    ignore
        (H W), true where a pixel is not part of the scene: added border, something drawn into the picture, or a gap
        without temperature; None where all of them are.
    site
        Where the picture is from.
    """

    values: Shaped[np.ndarray, "_ H W"]
    ignore: Bool[np.ndarray, "H W"] | None
    site: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.values.nbytes + (0 if self.ignore is None else self.ignore.nbytes)


LOW_PERCENT, HIGH_PERCENT = 0.1, 99.9
"""The span runs between these percentiles of the training temperatures, so that one dead pixel does not stretch it."""
MIN_SPAN_C = 1.0
"""Narrowest span [°C, or grey levels 0..255]: below it a camera's noise would be stretched over the whole range."""
IMAGE_LOW_PERCENT, IMAGE_HIGH_PERCENT = 1.0, 99.0
"""The span of a single picture: what is rarer, as a hot spot is, lies beyond its ends."""
LEAST_IMAGE_SPAN = 0.25
"""Narrowest span of a single picture, over the median of the training pictures': a plain sky is not stretched."""
STEEPEST_PERCENT = 99.5
"""Percentile of the training set's gradients that becomes 1."""
SAMPLE_PIXELS = 4096
"""How many pixels of one image enter the span's percentiles."""


def kind_of(thermogram: Thermogram) -> Kind:
    """Say whether a thermogram holds temperatures, estimates of them, or is a plain picture."""
    if thermogram.estimated:
        return "estimate"
    return "temperature" if thermogram.radiometric else "picture"


def visible(thermogram: Thermogram) -> UInt8[np.ndarray, "H W *C"]:
    """Return what a thermogram looks like, grey or RGB: more than 8 bits are spread over the picture's own range."""
    if thermogram.colour is not None:
        return thermogram.colour
    if not thermogram.radiometric and not thermogram.deep:
        return thermogram.counts
    values = thermogram.values()
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    levels = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) * (255 / max(high - low, 1e-6))
    result: UInt8[np.ndarray, "H W"] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return result


def shrink(thermogram: Thermogram, frame: Frame, overlays: OverlayModel | None = None) -> Shrunk:
    """Bring a thermogram to the size of a frame's canvas.

    Gaps are filled by the median and ignored. Where `overlays` is given, what is drawn into the picture is ignored too,
    and filled from its surroundings.

    Raises
    ------
    DataError
        No pixel has a temperature.
    """
    place = frame.place(thermogram.size)
    picture, gaps = _picture(thermogram)
    drawn = None if overlays is None else find(visible(thermogram), overlays)
    if drawn is not None and drawn.any():
        resized, ignore = resized_without(picture, drawn, place[2:])
    else:
        resized, ignore = _resized(picture, place[2:]), None
    if gaps is not None:
        empty = _resized(gaps.astype(np.float32), place[2:]) > 0
        ignore = empty if ignore is None else ignore | empty
    values = np.moveaxis(resized, 2, 0) if resized.ndim == 3 else resized[None]
    if place[2:] == frame.canvas:
        return Shrunk(values, ignore, thermogram.site)
    return Shrunk(*_bordered(values, ignore, place, frame.canvas), thermogram.site)


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
        What the training images hold: temperatures, temperatures estimated from colours, or plain pictures.
    low, high
        The span of the training set: °C, 0 and 255 for pictures, or grey levels (0..255, with fractions) where all its
        pictures have more than 8 bits.
    frame
        The size that pictures are brought to, and the network input that tiles it.
    span
        Whether pictures are placed in the training set's span, each in its own, or in that of their site.
    least
        The narrowest span of a single picture [°C or grey levels].
    channels, steepest
        What the three channels hold, and the gradient [span/px] that becomes 1.
    overlays
        What all training pictures show at the same place; None where overlays are not looked for.
    sites
        The span of each site that was learnt from, where spans go by site.
    """

    kind: Kind
    low: float
    high: float
    frame: Frame
    span: SpanName = "training"
    least: float = MIN_SPAN_C
    channels: ChannelNames = "grey"
    steepest: float = 1.0
    overlays: OverlayModel | None = None
    sites: Mapping[str, Span] = field(default_factory=dict)

    @property
    def celsius(self) -> bool:
        """Whether the values are °C, measured or estimated; else grey levels 0..255."""
        return self.kind != "picture"

    @classmethod
    def learn(cls, thermograms: Iterable[Thermogram], frame: Frame, choices: InputChoices | None = None) -> InputSpec:
        """Fix the span from the training images, of any sizes; nothing is looked for that all of them show.

        Raises
        ------
        DataError
            No image at all, or two of temperatures, estimates and plain pictures mixed.
        """
        learner = SpanLearner(choices or InputChoices())
        for thermogram in thermograms:
            overlays = OverlayModel.empty() if learner.choices.overlays_in(thermogram) else None
            shrunk = shrink(thermogram, frame, overlays) if np.isfinite(thermogram.values()).any() else None
            learner.add(thermogram, shrunk)
        return learner.spec(frame)

    def prepare(self, thermogram: Thermogram) -> Inputs:
        """Return the network inputs of one image, one for each tile.

        Raises
        ------
        DataError
            The image is not of the model's kind, or holds no temperature.
        """
        self.check(thermogram)
        return self.inputs(self.shrink(thermogram))

    def shrink(self, thermogram: Thermogram) -> Shrunk:
        """Bring an image to the canvas, without what is drawn into it; raises DataError where it has no temperature."""
        return shrink(thermogram, self.frame, self.overlays)

    def inputs(self, shrunk: Shrunk) -> Inputs:
        """Place a shrunk image in its span and cut it into tiles."""
        pixels = np.stack(list(self.frame.cut(self.scale(shrunk))))
        if shrunk.ignore is None:
            return Inputs(pixels)
        return Inputs(pixels, np.stack(list(self.frame.cut(shrunk.ignore))))

    def check(self, thermogram: Thermogram) -> None:
        """Raise DataError where the model cannot judge this image because it holds the other kind of values."""
        found = kind_of(thermogram)
        if found != self.kind:
            raise DataError(f"the model has learnt from {_PLURAL[self.kind]}, but this image is {_ONE[found]}")

    def span_of(self, shrunk: Shrunk) -> Span:
        """Return the values of this image that become 0 and 1."""
        if self.span == "training":
            return self.low, self.high
        if self.span == "site" and shrunk.site in self.sites:
            return self.sites[shrunk.site]
        return widened(_span(shrunk), self.least)

    def scale(self, shrunk: Shrunk) -> Input:
        """Place a shrunk image in its span, in three channels; not clamped."""
        low, high = self.span_of(shrunk)
        placed = (shrunk.values.astype(np.float32) - np.float32(low)) * np.float32(1 / (high - low))
        kept = None if shrunk.ignore is None else ~shrunk.ignore
        return three_channels(placed, kept, names=self.channels, steepest=self.steepest)

    def unscale(self, picture: Float32[np.ndarray, "3 r c"], span: Span | None = None) -> Float32[np.ndarray, "3 r c"]:
        """Turn a network input or a reference back into °C, or grey levels 0..255, by the `span` of its image."""
        low, high = (self.low, self.high) if span is None else span
        if self.channels != "grey":
            picture = np.broadcast_to(picture[:1], picture.shape)
        return picture * np.float32(high - low) + np.float32(low)

    def join(self, maps: Sequence[Float32[np.ndarray, "h w"]], picture: Size) -> Float32[np.ndarray, "r c"]:
        """Return one map that covers exactly a picture of this size from the maps of its tiles."""
        return self.frame.uncover(self.frame.join(maps), picture)

    def restore_map(self, values: Float32[np.ndarray, "r c"], size: Size) -> Float32[np.ndarray, "H W"]:
        """Resize a map that covers a picture to the picture's `size` (height, width)."""
        return resize(values, size)

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        names = ("kind", "low", "high", "span", "least", "channels", "steepest")
        overlays = None if self.overlays is None else self.overlays.to_mapping()
        sites = {site: list(span) for site, span in self.sites.items()}
        more = {**asdict(self.frame), "overlays": overlays, "sites": sites}
        return {name: getattr(self, name) for name in names} | more

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> InputSpec:
        """Rebuild what `to_mapping` gave; raises ModelError where a value cannot be right."""
        try:
            canvas, size = ((int(values[name][0]), int(values[name][1])) for name in ("canvas", "size"))
            spec = cls(
                kind=values["kind"],
                low=float(values["low"]),
                high=float(values["high"]),
                frame=Frame(canvas, size),
                span=values["span"],
                least=float(values["least"]),
                channels=values["channels"],
                steepest=float(values["steepest"]),
                overlays=None if values["overlays"] is None else OverlayModel.from_mapping(values["overlays"]),
                sites={str(site): (float(low), float(high)) for site, (low, high) in values["sites"].items()},
            )
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the description of its inputs is damaged: {error}") from error
        if not spec.sensible():
            raise ModelError(f"the description of its inputs makes no sense: {dict(values)}")
        return spec

    def sensible(self) -> bool:
        """Say whether such a specification can have been learnt."""
        widths = (high - low for low, high in self.sites.values())
        positive = (self.high - self.low, self.least, self.steepest, *widths)
        return (
            self.kind in _ONE
            and self.span in get_args(SpanName)
            and self.channels in get_args(ChannelNames)
            and all(0 < value < np.inf for value in positive)
            and _sensible(self.frame)
        )


def widened(span: Span, least: float) -> Span:
    """Return a span around the same middle that is at least so wide."""
    missing = max(0.0, least - (span[1] - span[0])) / 2
    return span[0] - missing, span[1] + missing


def _span(shrunk: Shrunk) -> Span:
    values = shrunk.values if shrunk.ignore is None else shrunk.values[:, ~shrunk.ignore]
    if not values.size:
        values = shrunk.values
    low, high = np.percentile(values, (IMAGE_LOW_PERCENT, IMAGE_HIGH_PERCENT))
    return float(low), float(high)


def _sensible(frame: Frame) -> bool:
    return all(
        0 < part <= whole <= MAX_SIZE and part % STEP == whole % STEP == 0
        for whole, part in zip(frame.canvas, frame.size, strict=True)
    )


MAX_SIZE = 4096
"""Largest side of a network input that a model may ask for [px]."""
_ONE: dict[Kind, str] = {
    "temperature": "a temperature image",
    "estimate": "an image with estimated temperatures",
    "picture": "a plain picture without temperatures",
}
_PLURAL: dict[Kind, str] = {
    "temperature": "temperature images",
    "estimate": "images with estimated temperatures",
    "picture": "plain pictures without temperatures",
}


class SpanLearner:
    """Gathers what `InputSpec` needs to know, one training image at a time."""

    def __init__(self, choices: InputChoices) -> None:
        self.choices = choices
        self._names: dict[Kind, list[str]] = {kind: [] for kind in _ONE}
        self._samples: list[Float32[np.ndarray, " P"]] = []
        self._spans: list[Span] = []
        self._sites: dict[str, list[Float32[np.ndarray, " P"]]] = {}
        self._gradients: list[Float32[np.ndarray, " P"]] = []
        self._deep = 0

    def add(self, thermogram: Thermogram, shrunk: Shrunk | None, name: str = "") -> None:
        """Count an image and remember some of its values.

        Parameters
        ----------
        shrunk
            The same image at the canvas's size; None where it holds no temperature.
        name
            For the error message.
        """
        self._names[kind_of(thermogram)].append(name)
        self._deep += thermogram.deep
        if thermogram.radiometric or thermogram.deep:
            values = thermogram.values().ravel()
            values = values[:: max(1, values.size // SAMPLE_PIXELS)]
            self._samples.append(values[np.isfinite(values)])
        if shrunk is not None and self.choices != InputChoices(overlays=self.choices.overlays):
            self._look_closer(shrunk)

    def _look_closer(self, shrunk: Shrunk) -> None:
        """Remember the image's own span, some values for its site's, and how steep it is."""
        self._spans.append(_span(shrunk))
        values = (shrunk.values if shrunk.ignore is None else shrunk.values[:, ~shrunk.ignore]).ravel()
        sample = values[:: max(1, values.size // SAMPLE_PIXELS)].astype(np.float32)
        self._sites.setdefault(shrunk.site, []).append(sample)
        steps = gradient(shrunk.values.mean(axis=0, dtype=np.float32))
        steps = steps[~shrunk.ignore] if shrunk.ignore is not None else steps.ravel()
        self._gradients.append(steps[:: max(1, steps.size // SAMPLE_PIXELS)])

    def spec(self, frame: Frame, overlays: OverlayModel | None = None) -> InputSpec:
        """Return the specification; raises DataError for no image, no temperature, or mixed kinds.

        `overlays` are the marks that all images share.
        """
        kinds = [kind for kind, names in self._names.items() if names]
        if len(kinds) > 1:
            what = {kind: _PLURAL[kind].removesuffix(" without temperatures") for kind in kinds}
            found = (f"{len(self._names[kind])} {what[kind]} ({self._names[kind][0]} ...)" for kind in kinds)
            raise DataError(f"{' and '.join(found)} are mixed; learn from one kind only")
        picture = self._names["picture"]
        low, high = self._training_span(len(picture))
        least = max(MIN_SPAN_C, LEAST_IMAGE_SPAN * float(np.median([high - low for low, high in self._spans] or [0])))
        return InputSpec(
            kind=kinds[0] if kinds else "temperature",
            low=low,
            high=high,
            frame=frame,
            span=self.choices.span,
            least=least,
            channels=self.choices.channels,
            steepest=self._steepest(high - low, least),
            overlays=self._overlays(overlays, bool(picture)),
            sites=self._site_spans(least) if self.choices.span == "site" else {},
        )

    def _site_spans(self, least: float) -> dict[str, Span]:
        spans = {}
        for site, samples in self._sites.items():
            low, high = np.percentile(np.concatenate(samples), (LOW_PERCENT, HIGH_PERCENT))
            spans[site] = widened((float(low), float(high)), least)
        return spans

    def _training_span(self, pictures: int) -> Span:
        if self._deep < pictures:
            # 8-bit pictures have used their range; of 16 bits a camera may fill a small part only.
            return 0.0, 255.0
        values = np.concatenate(self._samples) if self._samples else np.empty(0, np.float32)
        if not values.size:
            raise DataError("no image with a temperature to learn from")
        low, high = (float(value) for value in np.percentile(values, (LOW_PERCENT, HIGH_PERCENT)))
        return widened((low, high), MIN_SPAN_C)

    def _steepest(self, width: float, least: float) -> float:
        """Return the gradient [span/px] that becomes 1."""
        if not self._gradients:
            return 1.0
        widths = [width] * len(self._spans)
        if self.choices.span != "training":
            # A site's span is about that of its images.
            widths = [max(least, high - low) for low, high in self._spans]
        placed = np.concatenate([steps / width for steps, width in zip(self._gradients, widths, strict=True)])
        return max(float(np.percentile(placed, STEEPEST_PERCENT)), 1e-3)

    def _overlays(self, learnt: OverlayModel | None, pictures: bool) -> OverlayModel | None:
        if self.choices.overlays == "off" or (self.choices.overlays == "auto" and not pictures):
            return None
        return learnt or OverlayModel.empty()
