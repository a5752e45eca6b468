"""The photo beside the temperatures, decoded."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin  # noqa: F401 (plug-ins for what cameras embed)

from isotherm.core.capture import VisualPhoto
from isotherm.core.errors import FormatError
from isotherm.formats.colours import rgb_of_ycbcr
from isotherm.formats.raster import open_picture, plain_picture

_WHAT = "embedded photo"


def photo_pixels(photo: VisualPhoto, *, least_px: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Return a photo's RGB pixels; raises FormatError where it is damaged.

    The alignment of the photo refers to these pixels, but with `least_px`: then a JPEG may be decoded to a half, a
    quarter or an eighth of its size, in a fraction of the time, as long as both sides keep that many pixels.
    """
    opened = _opened(photo)
    if least_px is not None and photo.colours == "rgb":
        opened.draft("RGB", (least_px, least_px))
    picture = plain_picture(opened, _WHAT)
    if picture.colour is None:
        return np.repeat(picture.luma[..., None], 3, axis=-1)
    return rgb_of_ycbcr(picture.colour) if photo.colours == "ycbcr" else picture.colour


def photo_size(photo: VisualPhoto) -> tuple[int, int] | None:
    """Return a photo's height and width without decoding it; None where its header is damaged."""
    try:
        image = _opened(photo)
    except FormatError:
        return None
    return image.size[1], image.size[0]


def _opened(photo: VisualPhoto) -> Image.Image:
    return open_picture(photo.data, _WHAT, ("JPEG", "PNG", "BMP"))
