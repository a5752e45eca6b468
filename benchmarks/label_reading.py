"""What share of printed tags is read in drawn photos, and how many are taken for another of 1,000 tags.

Each photo (1280 x 960 px) is a blend of smooth noise, boxes and lines with one label on it; its tag is one of SG-0001
to SG-1000, which all are known as tags of assets. Prints one line for each way in which labels are drawn, then the
processor time.

    python benchmarks/label_reading.py --each 4
"""

from __future__ import annotations

import argparse
import io
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from isotherm.formats import lettering
from isotherm.workflows.service.matching import LETTERS, Rule, Rules, match

WIDTH, HEIGHT = 1280, 960
PLATES = (((245, 245, 240), (15, 15, 15)), ((250, 215, 40), (10, 10, 10)), ((20, 60, 140), (245, 245, 245)))
TAGS = [f"SG-{number:04d}" for number in range(1, 1001)]


@dataclass(frozen=True)
class Way:
    """How a label is drawn: height of its capitals [px], angle [deg], sigma of blur [px] and of noise [levels]."""

    height_px: int
    angle: float = 0.0
    blur_px: float = 0.7
    noise: float = 6.0


WAYS = (
    *(Way(height) for height in (5, 6, 7, 8, 10, 14, 20, 30)),
    *(Way(20, angle) for angle in (5, 15, 30, 60, 90, 180)),
    *(Way(20, 3, blur) for blur in (1.5, 2.5, 3, 4)),
    Way(14, noise=35),
)


def photo(tag: str, way: Way, random: np.random.Generator) -> np.ndarray:
    """Return a photo (H W 3) uint8 of a label, as JPEG makes it."""
    image = background(random)
    plate, mask = label(tag, way, random)
    corner = int(random.integers(0, WIDTH - plate.width)), int(random.integers(0, HEIGHT - plate.height))
    image.paste(plate, corner, mask)
    image = image.filter(ImageFilter.GaussianBlur(way.blur_px))
    noisy = np.asarray(image) + random.normal(0, way.noise, (HEIGHT, WIDTH, 1))
    stream = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=88)
    return np.asarray(Image.open(stream).convert("RGB"))


def background(random: np.random.Generator) -> Image.Image:
    """Return smooth noise of four sizes with boxes and lines on it."""
    blend = np.zeros((HEIGHT, WIDTH, 3))
    for cells, share in ((3, 0.45), (8, 0.25), (24, 0.18), (90, 0.12)):
        small = Image.fromarray(random.integers(0, 256, (max(2, cells * 3 // 4), cells, 3), np.uint8))
        blend += share * np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), float)
    image = Image.fromarray(blend.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, across, down = (int(random.integers(0, end)) for end in (WIDTH, HEIGHT, WIDTH // 4, HEIGHT // 4))
        colour = tuple(int(level) for level in random.integers(20, 230, 3))
        if random.random() < 0.5:
            draw.rectangle((x, y, x + across, y + down), outline=colour, width=3)
        else:
            draw.line((x, y, x + across, y - down), fill=colour, width=int(random.integers(2, 9)))
    return image


def label(tag: str, way: Way, random: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Return a label and what of its picture is label, drawn four times as large and made smaller."""
    back, ink = PLATES[int(random.integers(len(PLATES)))]
    height = 4 * way.height_px
    font = ImageFont.load_default(size=height / 0.73)
    left, top, right, bottom = (int(end) for end in font.getbbox(tag))
    plate = Image.new("RGB", (right - left + height, bottom - top + height), back)
    ImageDraw.Draw(plate).text((height // 2 - left, height // 2 - top), tag, font=font, fill=ink)
    mask = Image.new("L", plate.size, 255)
    turned = [each.rotate(way.angle, expand=True, resample=Image.Resampling.BICUBIC) for each in (plate, mask)]
    small, mask = (each.reduce(4) for each in turned)
    return small, mask


def main() -> None:
    """Draw, read and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=4, help="photos for each way (4)")
    arguments = parser.parse_args()
    random, rules = np.random.default_rng(0), Rules([Rule(asset_id=tag, asset=tag, tag=tag) for tag in TAGS])
    lettering.read_twice(photo(TAGS[0], Way(20), random))
    seconds, totals = 0.0, np.zeros(3, int)
    for way in WAYS:
        counts = np.zeros(3, int)
        for tag in random.choice(TAGS, arguments.each):
            drawn = photo(str(tag), way, random)
            started = time.process_time()
            letters = lettering.read_twice(drawn)
            seconds += time.process_time() - started
            found = match(rules, "x.jpg", {"letters": letters})
            assert found.by in ("", LETTERS)
            counts[0 if found.asset_id == tag else 2 if found.asset_id or found.note else 1] += 1
        totals += counts
        print(way, "right, none, wrong:", *counts, flush=True)
    print(f"in all right, none, wrong: {totals.tolist()}; {seconds / totals.sum():.2f} s of processor time a photo")


if __name__ == "__main__":
    main()
