"""The photo that belongs to a thermal picture: in its file, or beside it by the makers' rules for names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from isotherm.core.capture import Alignment
from isotherm.core.errors import ConfigError, DataError, FormatError, IsothermError, UsageError
from isotherm.core.thermogram import Thermogram
from isotherm.formats.photos import photo_pixels, photo_size
from isotherm.formats.reading import load, read_bytes
from isotherm.reports.photos import Nudge, Pixels, PlacedPhoto, centred, decode_photo, resized

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
LATEST_S = 5
"""Two lenses of one drone save the same shot within this time [s]."""
# FLIR names a photo by the number after the thermal picture's; some models by the same number.
_FLIR = re.compile(r"IR_(\d+)", re.IGNORECASE)
# DJI: T thermal, W wide, V visual, Z zoom, S the single visual lens; older models R (radiometric) and V.
_LENSES = {"t": "wvsz", "r": "vw"}
_DJI = re.compile(r"(.*)_([TR])", re.IGNORECASE)
_DJI_SHOT = re.compile(r"DJI_(\d{14})_(\d{4,})_([A-Z])", re.IGNORECASE)


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

    Raises
    ------
    DataError, FormatError
        The chosen photo cannot be read.
    """
    if chosen is not None:
        return _placed(decode_photo(load(chosen)), None, thermogram, nudge, origin=f"photo {chosen.name}"), ""
    notes: list[str] = []
    for origin, decoded, alignment in _candidates(thermogram, path, least_px):
        try:
            pixels = decoded()
        except IsothermError as error:
            notes.append(f"{origin} cannot be shown: {error}")
            continue
        if pixels is not None:
            return _placed(pixels, alignment, thermogram, nudge, origin=origin), " ".join(notes)
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


def _candidates(
    thermogram: Thermogram, path: Path, least_px: int | None = None
) -> Iterator[tuple[str, Callable[[], Pixels | None], Alignment | None]]:
    """Yield where a photo may be, what decodes it (None: it is no photo), and how it is known to lie."""
    if thermogram.visual is not None:
        yield (
            "photo in the file",
            partial(photo_pixels, thermogram.visual, least_px=least_px),
            thermogram.visual.alignment,
        )
    for partner in partners(path):
        yield f"photo {partner.name}", partial(_photo_beside, partner, least_px), None


def _photo_beside(path: Path, least_px: int | None) -> Pixels | None:
    data = load(path)
    return None if _holds_temperatures(data) else decode_photo(data, least_px=least_px)


def _holds_temperatures(data: bytes) -> bool:
    try:
        return read_bytes(data).radiometric
    except FormatError:
        return False


def _placed(
    pixels: Pixels, known: Alignment | None, thermogram: Thermogram, nudge: Nudge | None, *, origin: str
) -> PlacedPhoto:
    height, width = pixels.shape[:2]
    alignment = centred((height, width), thermogram.size)
    if known is not None:
        stored = thermogram.visual and photo_size(thermogram.visual)
        alignment = resized(known, stored or (height, width), (height, width))
    if nudge is not None:
        alignment = nudge.applied(alignment, thermogram.size)
    return PlacedPhoto(pixels, alignment, origin)


def partners(path: Path) -> list[Path]:
    """Return the files beside a thermal picture that are called as its photo would be, the likeliest first."""
    stem = path.stem
    if not (_FLIR.fullmatch(stem) or _DJI.fullmatch(stem)):
        return []
    beside = {file.name.casefold(): file for file in _pictures(path.parent) if file.name != path.name}
    names = [f"{partner}{suffix}".casefold() for partner in _partner_stems(stem) for suffix in PICTURES]
    found = [beside[name] for name in names if name in beside]
    return found or _same_shot(stem, list(beside.values()))


def _pictures(folder: Path) -> Iterator[Path]:
    try:
        yield from (file for file in folder.iterdir() if file.suffix.lower() in PICTURES and file.is_file())
    except OSError:
        # A folder that may be entered but not listed has no pairs; the thermal picture itself can be read.
        return


def _partner_stems(stem: str) -> Iterator[str]:
    if flir := _FLIR.fullmatch(stem):
        number = flir[1]
        yield from (f"DC_{int(number) + step:0{len(number)}d}" for step in (1, 0))
    elif dji := _DJI.fullmatch(stem):
        yield from (f"{dji[1]}_{lens}" for lens in _LENSES[dji[2].lower()])


def _same_shot(stem: str, beside: list[Path]) -> list[Path]:
    """Return photos of other lenses with the same shot number, saved within a few seconds."""
    shot = _DJI_SHOT.fullmatch(stem)
    if shot is None:
        return []
    lenses = _LENSES.get(shot[3].lower(), "")
    found = []
    for file in beside:
        other = _DJI_SHOT.fullmatch(file.stem)
        if other and other[2] == shot[2] and other[3].lower() in lenses:
            apart = _seconds_between(shot[1], other[1])
            if apart is not None and apart <= LATEST_S:
                found.append((lenses.index(other[3].lower()), apart, file))
    return [file for *_, file in sorted(found)]


def _seconds_between(one: str, other: str) -> float | None:
    try:
        first, second = (datetime.strptime(text, "%Y%m%d%H%M%S") for text in (one, other))
    except ValueError:
        return None
    return abs((first - second).total_seconds())


def check_one_photo(chosen: Path | None, nudge: Nudge | None, files: int) -> None:
    """Raise UsageError where one photo or one alignment is named for several pictures."""
    if files > 1 and (chosen is not None or nudge is not None):
        raise UsageError(f"--photo and --align are for one picture, not for {files}")
