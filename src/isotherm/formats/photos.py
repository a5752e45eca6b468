"""The photo beside the temperatures, decoded."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin  # noqa: F401 (plug-ins for what cameras embed)

from isotherm.core.capture import VisualPhoto
from isotherm.formats.colours import rgb_of_ycbcr
from isotherm.formats.raster import open_picture, plain_picture

_WHAT = "embedded photo"
Pixels = UInt8[np.ndarray, "H W 3"]


def photo_pixels(photo: VisualPhoto, *, least_px: int | None = None) -> Pixels:
    """Return a photo's RGB pixels; raises FormatError where it is damaged. See `sized_photo`."""
    return sized_photo(photo, least_px=least_px)[0]


def sized_photo(photo: VisualPhoto, *, least_px: int | None = None) -> tuple[Pixels, tuple[int, int]]:
    """Return a photo's RGB pixels, and the height and width that it is stored with, which its alignment refers to.

    With `least_px` a JPEG may be decoded to a half, a quarter or an eighth of its size, in a fraction of the time, as
    long as both sides keep that many pixels.

    Raises
    ------
    FormatError
        It is damaged.
    """
    opened = open_picture(photo.data, _WHAT, ("JPEG", "PNG", "BMP"))
    width, height = opened.size
    if least_px is not None and photo.colours == "rgb":
        opened.draft("RGB", (least_px, least_px))
    picture = plain_picture(opened, _WHAT)
    if picture.colour is None:
        return np.repeat(picture.luma[..., None], 3, axis=-1), (height, width)
    return rgb_of_ycbcr(picture.colour) if photo.colours == "ycbcr" else picture.colour, (height, width)
