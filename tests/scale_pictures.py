"""Pictures with a colour scale, painted by the tests: a smooth scene in any palette, with a bar at any side."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

IRON = [(0, 0, 20), (60, 0, 130), (150, 10, 150), (215, 60, 60), (245, 140, 10), (255, 215, 40), (255, 255, 230)]
RAINBOW = [(0, 0, 70), (0, 90, 220), (20, 170, 60), (220, 230, 0), (255, 130, 0), (230, 10, 60), (255, 230, 220)]
GREY = [(0, 0, 0), (255, 255, 255)]
PALETTES = {"iron": IRON, "rainbow": RAINBOW, "grey": GREY}


def paint(places: np.ndarray, palette: str = "iron") -> np.ndarray:
    """Return the colours of places 0..1 (H W) as uint8 (H W 3)."""
    anchors = np.array(PALETTES[palette], dtype=float)
    known = np.linspace(0, 1, len(anchors))
    return (
        np.stack([np.interp(places, known, anchors[:, channel]) for channel in range(3)], axis=-1).round().astype("u1")
    )


def scene(height: int = 240, width: int = 320) -> np.ndarray:
    """Return smooth places 0..1 that use the whole scale: a slope with two warm spots."""
    y, x = np.mgrid[:height, :width]
    slope = 0.1 + 0.5 * x / width
    for row, column, high in ((0.4, 0.35, 0.5), (0.7, 0.6, 0.35)):
        slope = slope + high * np.exp(-(((y - row * height) / 30) ** 2 + ((x - column * width) / 30) ** 2))
    return np.clip(slope, 0, 1)


@dataclass(frozen=True)
class ScalePicture:
    """A picture of `places` with a framed bar at one side, and what is printed beside it."""

    side: str = "right"
    palette: str = "iron"
    places: np.ndarray = field(default_factory=scene)
    width_px: int = 10
    frame: tuple[int, int, int] | None = (255, 255, 255)
    low: str = ""
    high: str = ""
    text: str = ""

    def bar(self) -> tuple[int, int, int, int]:
        """Return top, bottom, left, right of the bar without its frame."""
        height, width = self.places.shape
        along, across = (height, width) if self.side in ("left", "right") else (width, height)
        first, last = round(0.2 * along), round(0.8 * along)
        near = 8 if self.side in ("left", "top") else across - 8 - self.width_px
        if self.side in ("left", "right"):
            return first, last, near, near + self.width_px
        return near, near + self.width_px, first, last

    def pixels(self) -> np.ndarray:
        """Return the picture as uint8 (H W 3)."""
        picture = paint(self.places, self.palette)
        top, bottom, left, right = self.bar()
        if self.frame is not None:
            picture[top - 1 : bottom + 1, left - 1 : right + 1] = self.frame
        if self.side in ("left", "right"):
            ramp = paint(np.linspace(1, 0, bottom - top)[:, None], self.palette)
        else:
            ramp = paint(np.linspace(0, 1, right - left)[None], self.palette)
        picture[top:bottom, left:right] = ramp
        return self._printed(picture)

    def _printed(self, picture: np.ndarray) -> np.ndarray:
        if not (self.low or self.high or self.text):
            return picture
        image = Image.fromarray(picture)
        draw = ImageDraw.Draw(image)
        top, bottom, left, _ = self.bar()
        size = 16
        for words, y in ((self.high, top - 24), (self.low, bottom + 6)):
            if words:
                x = min(max(0, left - 12), picture.shape[1] - 10 * len(words) - 4)
                box = draw.textbbox((x, y), words, font_size=size)
                draw.rectangle((box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3), fill=(20, 20, 20))
                draw.text((x, y), words, fill=(255, 255, 255), font_size=size)
        if self.text:
            draw.text((20, 14), self.text, fill=(255, 255, 255), font_size=size)
        return np.array(image)

    def encoded(self, kind: str = "PNG", **options: object) -> bytes:
        """Return the picture as a file's bytes."""
        target = BytesIO()
        Image.fromarray(self.pixels()).save(target, kind, **options)
        return target.getvalue()
