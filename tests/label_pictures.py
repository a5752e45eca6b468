"""A label with a printed tag on it, as a photo shows it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACK, PLATE, INK = (90, 105, 120), (245, 245, 240), (15, 15, 15)


def label_photo(text: str, *, angle: float = 0, height_px: int = 28) -> np.ndarray:
    """Return a photo (H W 3) uint8 of 480 x 640 px: a white plate with black letters of this height, turned [deg]."""
    font = ImageFont.load_default(size=height_px / 0.73)
    left, top, right, bottom = (int(end) for end in font.getbbox(text))
    plate = Image.new("RGB", (right - left + height_px, bottom - top + height_px), PLATE)
    ImageDraw.Draw(plate).text((height_px // 2 - left, height_px // 2 - top), text, font=font, fill=INK)
    turned = plate.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=BACK)
    noise = np.random.default_rng(0).normal(0, 4, (480, 640, 1))
    photo = Image.new("RGB", (640, 480), BACK)
    photo.paste(turned, ((640 - turned.width) // 2, (480 - turned.height) // 2))
    return np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8)
