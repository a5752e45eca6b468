"""Plain pictures of 8 bits a channel: grey levels and colours; degrees only as an estimate, and only where asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats import jpeg
from isotherm.formats.exif import read_exif
from isotherm.formats.raster import open_picture, plain_picture
from isotherm.formats.reader import CoarseHints, FormatCard, ReadHints

_PNG = b"\x89PNG\r\n\x1a\n"
_SIGNATURES = (_PNG, jpeg.SIGNATURE, b"BM", b"GIF87a", b"GIF89a")
_LEAST_KNOWN = 0.5
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")


class PictureReader:
    """JPEG, PNG, BMP, GIF and WebP as *qualitative* pictures.

    What was a thermal file once, and has lost its temperatures, is shown as the picture that is left; a note says so.
    """

    name = "picture"
    card = FormatCard(
        makers="any",
        suffixes=".jpg .png .bmp .gif .webp",
        numbers="grey levels and colours; °C estimated by a visible colour scale",
        evidence="documented",
        hints=("scale", "unit"),
        extras=("position",),
        source="the picture formats' specifications",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like a picture."""
        return data.startswith(_SIGNATURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode to luma and colour; see `isotherm.formats.raster.plain_picture` for what is dropped."""
        image = _opened(data)
        block = jpeg.exif_block(data) if data.startswith(jpeg.SIGNATURE) else _exif_of(image.info)
        exif = read_exif(block)
        stored_size = _reduce(image, hints)
        picture = plain_picture(image, "picture")
        notes = [*picture.notes, *_maker_note(data)]
        if stored_size is not None:
            notes.append(f"decoded at {picture.luma.shape[0]} of {stored_size[0]} rows")
        if data.startswith(_PNG) and data[24:25] == b"\x10":
            notes.append("16 bits a channel reduced to 8")
        if exif.orientation != 1:
            notes.append(
                f"EXIF orientation {exif.orientation} is not applied: positions are those of the stored pixels"
            )
        thermogram = Thermogram(
            counts=picture.luma,
            calibration=None,
            scene=assumed_scene(),
            format=self.name,
            colour=picture.colour,
            camera=exif.camera,
            position=exif.position,
            notes=tuple(notes),
            exif=block,
            stored_size=stored_size,
        )
        if hints.scale is None:
            return thermogram
        # Only who asks for it pays for the search.
        from isotherm.formats.estimating import estimate

        return _warned(estimate(thermogram, hints))


def _warned(estimated: Thermogram) -> Thermogram:
    """Return estimates with a warning before all other notes where most pixels have none.

    They are not refused: a picture whose background is black, as the scale is nowhere, has good estimates of the rest.
    """
    known = float(np.isfinite(estimated.counts).mean())
    if estimated.calibration is None or known >= _LEAST_KNOWN:
        return estimated
    warning = (
        f"warning: only {known:.1%} of the pixels have an estimate, and minimum, mean and maximum are theirs alone: "
        "look whether the scale that was found is this picture's"
    )
    return replace(estimated, notes=(warning, *estimated.notes))


def _opened(data: bytes) -> Image.Image:
    try:
        return open_picture(data, "picture", _FORMATS)
    except TooLargeError:
        raise
    except FormatError as error:
        if jpeg.torn(data) is None:
            raise
        raise FormatError("picture: cut short: the file ends before the JPEG's pixels begin", len(data)) from error


def _reduce(image: Image.Image, hints: ReadHints) -> tuple[int, int] | None:
    """Have a JPEG decoded smaller where that is asked for, and return its whole height and width; else None.

    The inverse cosine transform of the blocks is done at the smaller size, which is quicker and averages as a box does.
    """
    width, height = image.size
    if not isinstance(hints, CoarseHints) or image.format != "JPEG" or hints.scale is not None:
        # A colour scale is a few pixels wide.
        return None
    step = hints.reduction(height, width)
    if step == 1:
        return None
    image.draft(None, (width // step, height // step))
    return height, width


def _exif_of(info: dict[str | tuple[int, int], object]) -> bytes:
    block = info.get("exif", b"")
    return block.removeprefix(jpeg.EXIF_PREFIX) if isinstance(block, bytes) else b""


def _maker_note(data: bytes) -> tuple[str, ...]:
    """Say where a picture was a thermal file once: programs that export or shorten it keep the header."""
    if not data.startswith(jpeg.SIGNATURE):
        return ()
    marked = any(item.marker == jpeg.APP2 and item.payload[4:9] == b"IJPEG" for item in jpeg.segments(data))
    return ("InfiRay IJPEG without its temperatures: only its picture is left",) if marked else ()


READER = PictureReader()
