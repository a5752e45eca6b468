"""Made-up thermal pictures with known overlays, as cameras draw them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

IRON = [(0, (0, 0, 20)), (0.2, (60, 0, 130)), (0.45, (180, 20, 120)), (0.7, (250, 130, 10)), (1, (255, 255, 230))]
RAINBOW = [
    (0, (0, 0, 90)),
    (0.25, (0, 110, 230)),
    (0.5, (60, 190, 40)),
    (0.7, (250, 220, 0)),
    (0.9, (255, 30, 60)),
    (1, (255, 220, 220)),
]
SIZE = (240, 320)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def coloured(place: np.ndarray, palette: list[tuple[float, tuple[int, int, int]]]) -> np.ndarray:
    """Lay a palette over places 0..1 (H W)."""
    knots = [knot for knot, _ in palette]
    channels = [np.interp(place, knots, [colour[channel] for _, colour in palette]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def temperatures(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a smooth scene in 0..1: a gradient, a few warm bodies with soft edges, a hot wire and a hot spot."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    scene = 0.15 + 0.15 * rows / size[0]
    for _ in range(5):
        row, column = rng.uniform(0.1, 0.9, 2) * size
        height, width = rng.uniform(0.05, 0.25, 2) * size
        inside = np.maximum(np.abs(rows - row) / height, np.abs(columns - column) / width)
        scene += rng.uniform(0.1, 0.3) / (1 + np.exp((inside - 1) * 25))
    slope = rng.uniform(-0.4, 0.4)
    wire = np.abs(rows - size[0] * rng.uniform(0.3, 0.7) - slope * columns) / np.hypot(1, slope)
    scene += 0.45 * np.exp(-((wire / 1.8) ** 2))
    spot = np.hypot(rows - size[0] * rng.uniform(0.2, 0.8), columns - size[1] * rng.uniform(0.2, 0.8))
    scene += 0.8 * np.exp(-((spot / 7) ** 2))
    return np.clip(scene + rng.normal(0, 0.004, size), 0, 1)


@dataclass
class Drawing:
    """A picture that is drawn on, and what has been drawn."""

    image: Image.Image
    mask: Image.Image

    @classmethod
    def on(cls, picture: np.ndarray) -> Drawing:
        """Start with a picture without overlays."""
        return cls(Image.fromarray(picture), Image.new("L", (picture.shape[1], picture.shape[0])))

    @property
    def picture(self) -> np.ndarray:
        """The picture (H W 3)."""
        return np.asarray(self.image)

    @property
    def drawn(self) -> np.ndarray:
        """True where something has been drawn (H W)."""
        return np.asarray(self.mask) > 60

    def text(self, place: tuple[int, int], text: str, *, size: int = 16, box: bool = False) -> None:
        """Write in white, with a dark box behind it where asked for."""
        font = ImageFont.load_default(size)
        left, top, right, bottom = ImageDraw.Draw(self.image).textbbox(place, text, font)
        if box:
            bounds = (left - 5, top - 5, right + 5, bottom + 5)
            shade = Image.new(self.image.mode, self.image.size)
            shadow = Image.new("L", self.image.size)
            ImageDraw.Draw(shadow).rectangle(bounds, fill=160)
            self.image.paste(shade, mask=shadow)
            ImageDraw.Draw(self.mask).rectangle(bounds, fill=255)
        white = 255 if self.image.mode == "L" else WHITE
        ImageDraw.Draw(self.image).text(place, text, fill=white, font=font)
        ImageDraw.Draw(self.mask).text(place, text, fill=255, font=font)

    def line(self, points: list[tuple[int, int]], *, width: int = 2) -> None:
        """Draw a white line."""
        ImageDraw.Draw(self.image).line(points, fill=255 if self.image.mode == "L" else WHITE, width=width)
        ImageDraw.Draw(self.mask).line(points, fill=255, width=width)

    def crosshair(self, x: int, y: int, reach: int = 12) -> None:
        """Draw a white cross."""
        self.line([(x - reach, y), (x + reach, y)])
        self.line([(x, y - reach), (x, y + reach)])

    def bar(self, left: int, top: int, palette: list[tuple[float, tuple[int, int, int]]], *, length: int = 140) -> None:
        """Draw an upright palette bar in a black outline."""
        colours = coloured(np.linspace(1, 0, length)[:, None].repeat(10, axis=1), palette)
        bounds = (left - 1, top - 1, left + 10, top + length)
        ImageDraw.Draw(self.image).rectangle(bounds, fill=BLACK)
        self.image.paste(Image.fromarray(colours), (left, top))
        ImageDraw.Draw(self.mask).rectangle(bounds, fill=255)

    def frame(self, *, bottom: int, right: int) -> None:
        """Draw white borders."""
        width, height = self.image.size
        for bounds in ((0, height - bottom, width, height), (width - right, 0, width, height)):
            ImageDraw.Draw(self.image).rectangle(bounds, fill=WHITE)
            ImageDraw.Draw(self.mask).rectangle(bounds, fill=255)


def overlaid(seed: int, palette: list[tuple[float, tuple[int, int, int]]]) -> Drawing:
    """Return a scene with everything that a camera draws, at places that depend on the seed."""
    rng = np.random.default_rng(1000 + seed)
    drawing = Drawing.on(coloured(temperatures(seed), palette))
    drawing.bar(296, 50, palette)
    drawing.text((270, 22), f"{rng.uniform(20, 130):.1f}", box=True)
    drawing.text((270, 205), f"{rng.uniform(0, 20):.1f}", box=True)
    drawing.text((10, 10), f"Spot {rng.uniform(20, 90):.1f}")
    drawing.text((12, 212), "LOGO", size=20)
    drawing.crosshair(int(rng.integers(60, 240)), int(rng.integers(60, 180)))
    return drawing
