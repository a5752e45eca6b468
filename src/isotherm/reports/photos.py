"""The photo beside the thermal picture: decoded within limits, its edges, and the two laid over one another."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageFilter, ImageOps

from isotherm.core.capture import Alignment
from isotherm.formats.raster import guarded, open_picture

PAGE_SIDE, QUALITY = 960, 80
"""Longest side [px] and JPEG quality of a photo in a page."""
FAINT = 0.12
"""Slopes below this share of the strong ones are texture, not edges."""
LEAST_SLOPE = 60.0
"""Slope of an edge of about 15 levels: in a dark photo, the noise is not its strongest edge."""
Pixels = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True, eq=False)
class PlacedPhoto:
    """A photo and where the thermal picture lies in it."""

    pixels: Pixels
    alignment: Alignment
    origin: str


def decode_photo(data: bytes, *, least_px: int | None = None) -> Pixels:
    """Return the pixels of a JPEG, PNG or BMP, turned upright as its EXIF says.

    With `least_px` a JPEG may be decoded smaller, as long as both sides keep that many pixels.

    Raises
    ------
    FormatError
        It is none of these, or damaged.
    TooLargeError
        It declares too many pixels.
    """
    picture = open_picture(data, "photo", ("JPEG", "PNG", "BMP"))
    with guarded("photo"):
        if least_px is not None:
            picture.draft("RGB", (least_px, least_px))
        picture.load()
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"))


def centred(photo: tuple[int, int], thermal: tuple[int, int]) -> Alignment:
    """Return the alignment of two pictures (height, width) whose middles agree, the thermal one within the photo."""
    scale = min(photo[0] / thermal[0], photo[1] / thermal[1])
    offset_y, offset_x = ((there - 1) / 2 - scale * (here - 1) / 2 for there, here in zip(photo, thermal, strict=True))
    return Alignment(scale, scale, offset_x, offset_y, "centred (assumed)")


@dataclass(frozen=True)
class Nudge:
    """How the user moved the photo: thermal pixels to the right and down, and its enlargement about the middle."""

    right_px: float
    down_px: float
    zoom: float

    def applied(self, base: Alignment, size: tuple[int, int]) -> Alignment:
        """Return the alignment of a photo moved so over a thermal picture of `size` (height, width)."""
        middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
        scale_x, scale_y = base.scale_x / self.zoom, base.scale_y / self.zoom
        offset_x = base.offset_x + base.scale_x * (middle_x - (middle_x + self.right_px) / self.zoom)
        offset_y = base.offset_y + base.scale_y * (middle_y - (middle_y + self.down_px) / self.zoom)
        return Alignment(scale_x, scale_y, offset_x, offset_y, "hand")


def reduced(photo: PlacedPhoto, share: float) -> PlacedPhoto:
    """Return the photo at `share` of its size (at most 1), with the alignment that belongs to it."""
    height, width = photo.pixels.shape[:2]
    if share >= 1:
        return photo
    new = max(1, round(width * share)), max(1, round(height * share))
    small = np.asarray(Image.fromarray(photo.pixels).resize(new, Image.Resampling.HAMMING, reducing_gap=3.0))
    return replace(photo, pixels=small, alignment=resized(photo.alignment, (height, width), (new[1], new[0])))


def resized(alignment: Alignment, before: tuple[int, int], after: tuple[int, int]) -> Alignment:
    """Return the alignment of a photo (height, width) that was made smaller or larger."""
    by_y, by_x = (new / old for new, old in zip(after, before, strict=True))
    # Pixel centres lie at whole numbers: the corner of the picture, at -0.5, stays where it is.
    return replace(
        alignment,
        scale_x=alignment.scale_x * by_x,
        scale_y=alignment.scale_y * by_y,
        offset_x=(alignment.offset_x + 0.5) * by_x - 0.5,
        offset_y=(alignment.offset_y + 0.5) * by_y - 0.5,
    )


def page_photo(photo: PlacedPhoto) -> dict[str, Any]:
    """Return a photo as a page carries it: a small JPEG, where the thermal picture lies in it, where it is from."""
    small = reduced(photo, PAGE_SIDE / max(photo.pixels.shape[:2]))
    at = small.alignment
    alignment = {name: getattr(at, name) for name in ("scale_x", "scale_y", "offset_x", "offset_y", "source")}
    return {"src": jpeg(small.pixels), "origin": photo.origin, "alignment": alignment}


def jpeg(pixels: Pixels) -> str:
    """Return pixels as the address of a JPEG that lies in the page itself."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def edges_of(pixels: Pixels) -> UInt8[np.ndarray, "H W"]:
    """Return how strong an edge each pixel is, 0..255: Sobel slopes of the smoothed luma; texture left out."""
    grey = Image.fromarray(pixels).convert("L").filter(ImageFilter.GaussianBlur(1))
    luma = np.asarray(grey, dtype=np.float32)
    slopes = _slopes(luma)
    strong = max(float(np.percentile(slopes, 99)), LEAST_SLOPE)
    return ((slopes / strong - FAINT).clip(0, 1) * 255).astype(np.uint8)


def _slopes(luma: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    around = np.pad(luma, 1, mode="edge")
    across = around[:, 2:] - around[:, :-2]
    along = around[2:] - around[:-2]
    x = across[:-2] + 2 * across[1:-1] + across[2:]
    y = along[:, :-2] + 2 * along[:, 1:-1] + along[:, 2:]
    slopes: Float32[np.ndarray, "H W"] = np.hypot(x, y)
    return slopes


def warped(
    layer: UInt8[np.ndarray, "h w *C"], alignment: Alignment, size: tuple[int, int], scale: float
) -> Image.Image:
    """Return a layer of the photo as it lies over the thermal picture shown at `scale`, in ``size`` = (w, h) px."""
    x, y = alignment.scale_x / scale, alignment.scale_y / scale
    left = alignment.offset_x + 0.5 - 0.5 * alignment.scale_x
    top = alignment.offset_y + 0.5 - 0.5 * alignment.scale_y
    return Image.fromarray(layer).transform(
        size, Image.Transform.AFFINE, (x, 0, left, 0, y, top), Image.Resampling.BILINEAR
    )
