"""The drawing of a trend as PNG, for documents that cannot hold SVG; its title stands in the text beside it."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from isotherm.measurement.trend import Series
from isotherm.reports.drawing import INK, PAPER, font
from isotherm.reports.trend_plot import (
    BAR_PX,
    BOTTOM,
    HEIGHT,
    LEFT,
    LETTERS_PX,
    LINE,
    POINT_PX,
    RIGHT,
    TITLE_PX,
    WIDTH,
    Labels,
    Point,
    TrendPlot,
    bar_lines,
    plot_of,
    triangle,
)

ENLARGED, FINER = 3, 2
"""Pixels for each of the drawing: about 240 a printed inch; and how much finer it is painted, to smooth its lines."""
GRID = (214, 216, 219)
_ANCHORS = {"start": "la", "middle": "ma", "end": "ra"}
Place = tuple[float, float]


def trend_png(series: Series, labels: Labels | None = None) -> bytes:
    """Return the drawing of one series (at least one sample) as `trend_svg` draws it without its title."""
    plot = plot_of(series, labels=labels)
    fine = _Canvas(ENLARGED * FINER)
    for y, _ in plot.ticks:
        fine.line([(LEFT, y), (RIGHT, y)], GRID, 1)
    if len(plot.points) > 1:
        fine.line([(point.x, point.y) for point in plot.points], LINE, 1.5)
    for point in plot.points:
        _point(fine, point)
    picture = fine.picture.reduce(FINER)
    _letters(ImageDraw.Draw(picture), plot)
    stream = io.BytesIO()
    # A drawing has few colours; a palette of them is a quarter of the size.
    picture.quantize(64, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


class _Canvas:
    """Paints in the drawing's own places, so many times enlarged."""

    def __init__(self, scale: int) -> None:
        self._scale = scale
        self.picture = Image.new("RGB", (scale * WIDTH, scale * (HEIGHT - TITLE_PX)), PAPER)
        self._draw = ImageDraw.Draw(self.picture)

    def line(self, places: list[Place], ink: str | tuple[int, int, int], width: float) -> None:
        self._draw.line(self._at(places), fill=ink, width=round(width * self._scale), joint="curve")

    def circle(self, at: Place, radius: float, ink: str) -> None:
        x, y = self._at([at])[0]
        reach = radius * self._scale
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=ink)

    def polygon(self, places: tuple[Place, ...], ink: str) -> None:
        self._draw.polygon(self._at(list(places)), fill=ink)

    def _at(self, places: list[Place]) -> list[Place]:
        return [(x * self._scale, (y - TITLE_PX) * self._scale) for x, y in places]


def _point(canvas: _Canvas, point: Point) -> None:
    for x1, y1, x2, y2 in bar_lines(point):
        canvas.line([(x1, y1), (x2, y2)], point.colour, BAR_PX)
    if point.alarm:
        canvas.polygon(triangle(point), point.colour)
    else:
        canvas.circle((point.x, point.y), POINT_PX, point.colour)


def _letters(draw: ImageDraw.ImageDraw, plot: TrendPlot) -> None:
    letters = font(LETTERS_PX * ENLARGED)
    for y, text in plot.ticks:
        draw.text(((LEFT - 6) * ENLARGED, (y - TITLE_PX) * ENLARGED), text, INK, letters, anchor="rm")
    for x, text, anchor in plot.days:
        draw.text((x * ENLARGED, (BOTTOM + 10 - TITLE_PX) * ENLARGED), text, INK, letters, anchor=_ANCHORS[anchor])
