"""The photo that belongs to a thermal picture: in its file, or beside it by the makers' rules for names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from isotherm.core.capture import Alignment, VisualPhoto
from isotherm.core.errors import (
    ConfigError,
    DataError,
    ForbiddenError,
    FormatError,
    IsothermError,
    UnreachableError,
    UsageError,
)
from isotherm.core.thermogram import Thermogram
from isotherm.formats.photos import sized_photo
from isotherm.formats.reader import MAX_FILE_BYTES
from isotherm.formats.reading import load, read_bytes
from isotherm.reports.photos import Nudge, Pixels, PlacedPhoto, centred, decode_photo, resized
from isotherm.workflows.photo_names import Pictures, partners
from isotherm.workflows.remote_inputs import here, pictures_beside


def parse_nudge(text: str) -> Nudge:
    """Read ``dx,dy`` or ``dx,dy,scale``: the photo's way right and down [thermal px], and its enlargement.

    Raises
    ------
    ConfigError
        Not two or three numbers, or a scale outside 0.05 .. 20.
    """
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    right, down, zoom = (*parts, 1.0)[:3] if len(parts) in (2, 3) else (0.0, 0.0, 0.0)
    if not (0.05 <= zoom <= 20 and abs(right) <= 1e5 and abs(down) <= 1e5):
        raise ConfigError(
            "--align is dx,dy or dx,dy,scale: how far the photo moves right and down [px of the thermal picture] and "
            f"how much it grows (0.05 to 20), such as 4,-2,1.05; not {text!r}"
        )
    return Nudge(right, down, zoom)


def photo_of(
    thermogram: Thermogram,
    path: Path,
    *,
    chosen: Path | None = None,
    nudge: Nudge | None = None,
    least_px: int | None = None,
    beside: Pictures | None = None,
) -> tuple[PlacedPhoto | None, str]:
    """Return the photo of the same view, placed, and a note where one is there that cannot be used.

    Parameters
    ----------
    thermogram, path
        The thermal picture and its file.
    chosen
        A photo that the user names; else the one in the file, else one beside it by its name.
    nudge
        How the user moves it.
    least_px
        A photo may be smaller than it is stored, if both sides keep that many pixels; None for the whole one.
    beside
        The pictures of its folder in a bucket, where they are known; else that is listed.

    Raises
    ------
    DataError, FormatError
        The chosen photo cannot be read.
    UnreachableError, ForbiddenError
        The bucket of the picture cannot be used.
    """
    if chosen is not None:
        pixels = decode_photo(load(chosen))
        return _placed(pixels, None, thermogram, nudge, origin=f"photo {chosen.name}"), ""
    notes: list[str] = []
    for origin, decoded in _candidates(thermogram, path, beside, least_px):
        try:
            found = decoded()
        except (UnreachableError, ForbiddenError):
            # A bucket that fails is no fault of this photo.
            raise
        except IsothermError as error:
            notes.append(f"{origin} cannot be shown: {error}")
            continue
        if found is not None:
            return _placed(*found, thermogram, nudge, origin=origin), " ".join(notes)
    return None, " ".join(notes)


def required_photo(
    thermogram: Thermogram, path: Path, *, chosen: Path | None = None, nudge: Nudge | None = None
) -> PlacedPhoto:
    """Return the photo as `photo_of` does; raises DataError that says where one was looked for where there is none."""
    photo, note = photo_of(thermogram, path, chosen=chosen, nudge=nudge)
    if photo is None:
        why = note or (
            "the file holds none, and no photo beside it has the name that goes with it (IR_0001 and DC_0002, "
            "..._T and ..._V or ..._W, ..._R and ..._V); name one with --photo"
        )
        raise DataError(f"{path}: there is no photo of the same view: {why}")
    return photo


_Found = tuple[Pixels, Alignment | None]
"""A photo, and how it is known to lie."""


def _candidates(
    thermogram: Thermogram, path: Path, beside: Pictures | None, least_px: int | None
) -> Iterator[tuple[str, Callable[[], _Found | None]]]:
    """Yield where a photo may be, and what decodes it (None: it is no photo)."""
    if thermogram.visual is not None:
        yield "photo in the file", partial(_photo_within, thermogram.visual, least_px)
    for partner in partners(path, beside or pictures_beside(path)):
        yield f"photo {partner.name}", partial(_photo_beside, partner, least_px)


def _photo_within(photo: VisualPhoto, least_px: int | None) -> _Found:
    pixels, stored = sized_photo(photo, least_px=least_px)
    known = photo.alignment
    return pixels, None if known is None else resized(known, stored, (pixels.shape[0], pixels.shape[1]))


def _photo_beside(path: Path, least_px: int | None) -> _Found | None:
    with here(path, most_bytes=MAX_FILE_BYTES) as file:
        data = load(file)
    return None if _holds_temperatures(data) else (decode_photo(data, least_px=least_px), None)


def _holds_temperatures(data: bytes) -> bool:
    try:
        return read_bytes(data).radiometric
    except FormatError:
        return False


def _placed(
    pixels: Pixels, known: Alignment | None, thermogram: Thermogram, nudge: Nudge | None, *, origin: str
) -> PlacedPhoto:
    alignment = known or centred((pixels.shape[0], pixels.shape[1]), thermogram.size)
    if nudge is not None:
        alignment = nudge.applied(alignment, thermogram.size)
    return PlacedPhoto(pixels, alignment, origin)


def check_one_photo(chosen: Path | None, nudge: Nudge | None, files: int) -> None:
    """Raise UsageError where one photo or one alignment is named for several pictures."""
    if files > 1 and (chosen is not None or nudge is not None):
        raise UsageError(f"--photo and --align are for one picture, not for {files}")
