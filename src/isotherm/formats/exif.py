"""Camera and position from an EXIF block, and the part of a block that can travel into another file (Exif 2.32)."""

from __future__ import annotations

from dataclasses import dataclass, field

from isotherm.core.thermogram import Camera, Position
from isotherm.formats.cursor import Cursor, Order
from isotherm.formats.ifd import (
    BYTE,
    RATIONAL,
    Directory,
    encode,
    layout_of,
    numbers_entry,
    read_directory,
    swapped,
    text_entry,
)

DESCRIPTION, MAKE, MODEL, ORIENTATION, EXIF_IFD, GPS_IFD = 0x010E, 0x010F, 0x0110, 0x0112, 0x8769, 0x8825
_TAKEN_AT, _OFFSET_TIME, _SERIAL, _LENS, _DIGITAL_ZOOM = 0x9003, 0x9011, 0xA431, 0xA434, 0xA404
# Texts of Windows' file properties (as in Exiftool's Exif.pm): title, comment, keywords, subject.
XP_TEXTS = {0x9C9B: "XPTitle", 0x9C9C: "XPComment", 0x9C9E: "XPKeywords", 0x9C9F: "XPSubject"}
# Besides those: software, date, artist, copyright. All describe the capture, not the pixels.
_SHARED_TAGS = (DESCRIPTION, MAKE, MODEL, ORIENTATION, 0x0131, 0x0132, 0x013B, 0x8298, *XP_TEXTS)
# A maker's note holds offsets that break when it moves; interoperability and pixel sizes belong to the old picture.
_LEFT_OUT = (0x927C, 0xA005, 0xA002, 0xA003)


@dataclass(frozen=True)
class Capture:
    """The directories of a block that describe the capture, in one byte order."""

    order: Order = "<"
    main: Directory = field(default_factory=dict)
    nested: dict[int, Directory] = field(default_factory=dict)

    def in_order(self, order: Order) -> Capture:
        """Return the same directories in another byte order."""
        if order == self.order:
            return self
        nested = {tag: swapped(directory) for tag, directory in self.nested.items()}
        return Capture(order, swapped(self.main), nested)

    def block(self) -> bytes:
        """Return them as a block of their own; empty where there is nothing to say."""
        return encode(self.order, self.main, self.nested) if self.main or self.nested else b""


@dataclass(frozen=True)
class Exif:
    """What isotherm itself uses of an EXIF block; ``zoom`` is the digital zoom of what the camera showed."""

    camera: Camera = field(default_factory=Camera)
    position: Position | None = None
    orientation: int = 1
    zoom: float = 1.0


def read_capture(block: bytes) -> Capture:
    """Return what a TIFF structure says of the capture; whatever is damaged in it is left out."""
    layout = layout_of(block)
    if layout is None or len(block) < 16:
        return Capture()
    cursor, order = Cursor(block, layout.order, "EXIF"), layout.order
    found = read_directory(cursor, layout, layout.first(cursor))
    main = {tag: found[tag] for tag in _SHARED_TAGS if tag in found}
    nested = {}
    for tag in (EXIF_IFD, GPS_IFD):
        offset = _number(found, tag, order)
        inner = read_directory(cursor, layout, int(offset)) if offset is not None else {}
        inner = {inner_tag: entry for inner_tag, entry in inner.items() if inner_tag not in _LEFT_OUT}
        if inner:
            nested[tag] = inner
    return Capture(order, main, nested)


def read_exif(block: bytes) -> Exif:
    """Return camera, position and orientation; whatever is damaged is left out, for it decides no temperature."""
    capture = read_capture(block)
    orientation = _number(capture.main, ORIENTATION, capture.order) or 1
    zoom = _number(capture.nested.get(EXIF_IFD, {}), _DIGITAL_ZOOM, capture.order) or 1.0
    return Exif(
        camera=_camera(capture),
        position=_position(capture.nested.get(GPS_IFD, {}), capture.order),
        orientation=int(orientation) if orientation in range(1, 9) else 1,
        zoom=zoom if 1 <= zoom <= 100 else 1.0,
    )


def completed(capture: Capture, camera: Camera, position: Position | None) -> Capture:
    """Return the capture with maker, model and place added where it lacks them."""
    main, nested = dict(capture.main), dict(capture.nested)
    for tag, text in ((MAKE, camera.maker), (MODEL, camera.model)):
        if text:
            main.setdefault(tag, text_entry(text))
    if position is not None:
        nested.setdefault(GPS_IFD, _gps(position, capture.order))
    return Capture(capture.order, main, nested)


def _text(directory: Directory, tag: int) -> str:
    return directory[tag].text() if tag in directory else ""


def _numbers(directory: Directory, tag: int, order: Order) -> tuple[float, ...]:
    return directory[tag].numbers(order) if tag in directory else ()


def _number(directory: Directory, tag: int, order: Order) -> float | None:
    numbers = _numbers(directory, tag, order)
    # NaN is the only number that differs from itself.
    return numbers[0] if numbers and numbers[0] == numbers[0] else None


def _camera(capture: Capture) -> Camera:
    detail = capture.nested.get(EXIF_IFD, {})
    return Camera(
        maker=_text(capture.main, MAKE),
        model=_text(capture.main, MODEL),
        serial=_text(detail, _SERIAL),
        lens=_text(detail, _LENS),
        taken_at=iso_time(_text(detail, _TAKEN_AT), _text(detail, _OFFSET_TIME)),
    )


def iso_time(text: str, zone: str = "") -> str:
    """Return EXIF's ``YYYY:MM:DD hh:mm:ss`` as ISO 8601, empty where it is no date."""
    date, _, time = text.partition(" ")
    digits = date.replace(":", "")
    if len(digits) != 8 or not digits.isdigit() or digits == "00000000":
        return ""
    day = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return f"{day}T{time}{zone}" if time else day


def _position(gps: Directory, order: Order) -> Position | None:
    latitude = _degrees(_numbers(gps, 2, order), negative=_text(gps, 1).upper() == "S", limit=90)
    longitude = _degrees(_numbers(gps, 4, order), negative=_text(gps, 3).upper() == "W", limit=180)
    if latitude is None or longitude is None:
        return None
    altitude = _number(gps, 6, order)
    if altitude is not None and _number(gps, 5, order) == 1:
        altitude = -altitude
    return Position(latitude, longitude, altitude)


def _degrees(parts: tuple[float, ...], *, negative: bool, limit: float) -> float | None:
    if len(parts) < 3:
        return None
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    if not 0 <= degrees <= limit:
        return None
    return -degrees if negative else degrees


def _gps(position: Position, order: Order) -> Directory:
    found = {
        1: text_entry("S" if position.latitude_deg < 0 else "N"),
        2: numbers_entry(order, RATIONAL, *_sexagesimal(abs(position.latitude_deg))),
        3: text_entry("W" if position.longitude_deg < 0 else "E"),
        4: numbers_entry(order, RATIONAL, *_sexagesimal(abs(position.longitude_deg))),
    }
    if position.altitude_m is not None:
        found[5] = numbers_entry(order, BYTE, int(position.altitude_m < 0))
        found[6] = numbers_entry(order, RATIONAL, min(round(abs(position.altitude_m) * 1000), 0xFFFFFFFF), 1000)
    return found


def _sexagesimal(degrees: float) -> tuple[int, int, int, int, int, int]:
    """Return degrees, minutes and seconds as three fractions; seconds to 10 micrometres on the ground."""
    minutes, ten_millionths = divmod(round(degrees * 3600 * 10_000_000), 60 * 10_000_000)
    whole, minutes = divmod(minutes, 60)
    return whole, 1, minutes, 1, ten_millionths, 10_000_000
