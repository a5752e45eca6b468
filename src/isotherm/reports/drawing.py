"""Pieces of a panel: fonts, shaded pictures, colour scales and outlines, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from isotherm.core.findings import Finding
from isotherm.reports import palette

Values = Float[np.ndarray, "H W"]
Mask = Bool[np.ndarray, "H W"]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK, QUIET, PAPER = (28, 32, 38), (104, 112, 122), (255, 255, 255)
ANOMALY, HOTSPOT = (255, 59, 92), (38, 208, 255)
BAR_WIDTH = 14
SPAN_PERCENT = (0.2, 99.9)
"""The shown span leaves out this much at the ends, so that one dead pixel does not grey out the picture."""
SPAN_SAMPLE = 65_536


@cache
def font(size: int, *, bold: bool = False) -> Font:
    """Return DejaVu Sans of that size [px], which has °, Greek and Cyrillic; Pillow's own font where it is absent."""
    # The font files come with matplotlib; finding them does not import it.
    spec = find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
        if path.is_file():
            return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.load_default(size)


def elided(text: str, width: float, font: Font) -> str:
    """Return `text` cut in its middle so that it is at most `width` px long; unprintable characters become �."""
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    if font.getlength(text) <= width:
        return text
    keep = next(
        (n for n in range(min(len(text), 400) - 1, 0, -1) if font.getlength(_without_middle(text, n)) <= width), 0
    )
    return _without_middle(text, keep)


def _without_middle(text: str, keep: int) -> str:
    tail = keep // 2
    return f"{text[: keep - tail]}…{text[len(text) - tail :]}"


@dataclass(frozen=True)
class Fit:
    """How a picture of `source` (height, width) is shown: ``width`` x ``height`` px; ``scale`` is shown over source."""

    width: int
    height: int
    scale: float

    @classmethod
    def into(cls, size: tuple[int, int], box: int) -> Fit:
        """Fit into a square box: small pictures grow by a whole factor, large ones shrink."""
        height, width = size
        largest = max(height, width)
        scale = float(box // largest) if largest <= box else box / largest
        return cls(max(1, round(width * scale)), max(1, round(height * scale)), scale)

    def resize(self, picture: Image.Image) -> Image.Image:
        """Return the picture at its shown size; what grows keeps its pixels, what shrinks is averaged."""
        if picture.size == (self.width, self.height):
            return picture
        method = Image.Resampling.NEAREST if self.scale >= 1 else Image.Resampling.BILINEAR
        return picture.resize((self.width, self.height), method, reducing_gap=2.0 if self.scale < 0.5 else None)


@dataclass(frozen=True)
class Span:
    """The values that the two ends of a colour scale stand for."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Values, *, least: float, percent: tuple[float, float] = SPAN_PERCENT) -> Span:
        """Return a span that a few extreme pixels do not stretch, at least `least` wide; 0 .. `least` for no value."""
        some = values.ravel()[:: max(1, values.size // SPAN_SAMPLE)]
        some = some[np.isfinite(some)]
        if not some.size:
            return cls(0.0, least)
        # Outwards to the next value that occurs: in a tiny picture the hottest pixel counts.
        low = float(np.percentile(some, percent[0], method="lower"))
        high = float(np.percentile(some, percent[1], method="higher"))
        # Between numbers so large that adding `least` changes nothing, a share of them.
        missing = max(0.0, max(least, 1e-6 * max(abs(low), abs(high))) - (high - low)) / 2
        return cls(low - missing, high + missing)

    def bytes(self, values: Values) -> UInt8[np.ndarray, "H W"]:
        """Return each value's place in the span as 0..255, clamped; 0 for NaN."""
        placed = values - np.float32(self.low)
        placed *= np.float32(255 / (self.high - self.low))
        # fmax prefers the number over NaN.
        np.fmin(np.fmax(placed, 0, out=placed), 255, out=placed)
        shown: UInt8[np.ndarray, "H W"] = placed.astype(np.uint8)
        return shown


def shade(values: Values, span: Span, table: str, fit: Fit) -> Image.Image:
    """Return the values in the colours of a palette, at the shown size; pixels without a value are grey."""
    picture = fit.resize(Image.fromarray(span.bytes(values)))
    picture.putpalette(palette.table(table).tobytes())
    picture = picture.convert("RGB")
    unknown = ~np.isfinite(values)
    if unknown.any():
        picture.paste(palette.INVALID, (0, 0), fit.resize(to_image(unknown)))
    return picture


def to_image(mask: Mask) -> Image.Image:
    """Return a mask as an 8-bit picture of 0 and 255."""
    return Image.fromarray(mask.view(np.uint8) * np.uint8(255))


def draw_scale(
    canvas: Image.Image, left: int, top: int, height: int, *, span: Span, table: str, marks: Sequence[float] = ()
) -> None:
    """Draw a colour scale with its ends and some values between them labelled, and `marks` as lines across it."""
    bar = Image.fromarray(palette.table(table)[::-1, None].copy()).resize(
        (BAR_WIDTH, height), Image.Resampling.BILINEAR
    )
    canvas.paste(bar, (left, top))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left - 1, top - 1, left + BAR_WIDTH, top + height), outline=(180, 186, 194))
    small, taken = font(11), list[float]()
    digits = _digits(span.high - span.low)

    def label(value: float, *, strong: bool) -> None:
        y = top + height * (span.high - value) / (span.high - span.low)
        # Labels of the ends are moved in, so that nothing of them is cut off.
        middle = min(max(y, top + 5), top + height - 5)
        if any(abs(middle - other) < 13 for other in taken):
            return
        taken.append(middle)
        right = left + BAR_WIDTH
        draw.line((right - (BAR_WIDTH if strong else 0), y, right + 3, y), fill=INK, width=2 if strong else 1)
        colour = ANOMALY if strong else INK
        draw.text((right + 6, middle), f"{value:.{digits}f}", colour, small, anchor="lm")

    for value in marks:
        if span.low <= value <= span.high:
            label(value, strong=True)
    for value in (span.low, span.high, *_ticks(span)):
        label(value, strong=False)


def scale_width(span: Span) -> int:
    """Return the width of a colour scale with its labels [px]."""
    digits = _digits(span.high - span.low)
    longest = max(font(11).getlength(f"{value:.{digits}f}") for value in (span.low, span.high))
    return BAR_WIDTH + 8 + math.ceil(longest)


def _digits(width: float) -> int:
    return min(6, max(0, 2 - math.floor(math.log10(width)))) if width < 100 else 0


def _ticks(span: Span) -> list[float]:
    rough = (span.high - span.low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
    first = math.ceil(span.low / step)
    return [place * step for place in range(first, math.floor(span.high / step) + 1)]


def tint(picture: Image.Image, mask: Image.Image, colour: tuple[int, int, int], opacity: float) -> None:
    """Lay a colour over a picture where the mask (same size) is set."""
    picture.paste(colour, (0, 0), mask.point([round(level * opacity) for level in range(256)]))


def draw_outlines(
    draw: ImageDraw.ImageDraw, findings: Iterable[Finding], fit: Fit, *, colour: tuple[int, int, int]
) -> None:
    """Draw the outlines of findings, dark below and coloured above, so that they show on any ground."""
    rings = [[_shown(point, fit) for point in (*finding.region.contour, finding.region.contour[0])]
             for finding in findings if finding.region.contour]  # fmt: skip
    for width, ink in ((4, (0, 0, 0)), (2, colour)):
        for ring in rings:
            draw.line(ring, fill=ink, width=width)


def draw_numbers(draw: ImageDraw.ImageDraw, findings: Sequence[Finding], fit: Fit) -> None:
    """Write 1, 2, 3 ... beside the peaks of findings; see `draw_labels`."""
    draw_labels(draw, [(str(number), finding) for number, finding in enumerate(findings, start=1)], fit)


def draw_labels(draw: ImageDraw.ImageDraw, labelled: Sequence[tuple[str, Finding]], fit: Fit) -> None:
    """Write labels beside the peaks of findings, and mark each peak with a small cross.

    A label goes where it covers none before it, if there is such a place; else the earlier one lies on top.
    """
    small: Any = font(13, bold=True)
    taken: list[_Box] = []
    places = []
    for label, finding in labelled:
        peak = _inside(_shown(finding.region.peak, fit), fit, 4)
        place, anchor, box = _free_place(draw, label, peak, fit, taken)
        taken.append(box)
        places.append((label, peak, place, anchor))
    for label, (x, y), place, anchor in reversed(places):
        for width, ink in ((3, (0, 0, 0)), (1, (255, 255, 255))):
            draw.line((x - 3, y, x + 3, y), fill=ink, width=width)
            draw.line((x, y - 3, x, y + 3), fill=ink, width=width)
        draw.text(place, label, (255, 255, 255), small, anchor, stroke_width=2, stroke_fill=0)


_Box = tuple[float, float, float, float]


def _free_place(
    draw: ImageDraw.ImageDraw, label: str, peak: tuple[float, float], fit: Fit, taken: Sequence[_Box]
) -> tuple[tuple[float, float], str, _Box]:
    """Return where a label goes, its anchor, and what it covers."""
    small: Any = font(13, bold=True)
    x, y = peak
    sides = [(x + 6, "lm"), (x - 6, "rm")]
    if x > fit.width - 15 - 9 * len(label):
        sides.reverse()
    above = min(max(y - 8, 9), fit.height - 9)
    found = []
    # Of lines of 18 px one label covers two at most.
    for middle in (above, above + 18, above - 18, above + 36, above - 36):
        for left, anchor in sides:
            place = left, middle
            box = draw.textbbox(place, label, small, anchor, stroke_width=2)
            found.append((place, anchor, box))
    free = (each for each in found if _within(each[2], fit) and not any(_meet(each[2], other) for other in taken))
    return next(free, found[0])


def _inside(point: tuple[float, float], fit: Fit, margin: int) -> tuple[float, float]:
    """Return a place so far inside the picture that a mark which reaches `margin` px around it is seen whole."""
    (x, y), (right, bottom) = point, (fit.width - 1 - margin, fit.height - 1 - margin)
    return max(margin, min(x, right)), max(margin, min(y, bottom))


def _within(box: _Box, fit: Fit) -> bool:
    return box[0] >= 0 and box[2] <= fit.width and box[1] >= 0 and box[3] <= fit.height


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _shown(point: tuple[float, float], fit: Fit) -> tuple[float, float]:
    # Pixel centres lie at whole numbers, so a picture begins half a pixel before its first centre.
    return (point[0] + 0.5) * fit.scale - 0.5, (point[1] + 0.5) * fit.scale - 0.5
