"""Camera and position from an EXIF block (TIFF structure; Exif 2.32, JEITA CP-3451)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from isotherm.core.errors import FormatError
from isotherm.core.thermogram import Camera, Position
from isotherm.formats.cursor import Cursor, Order

Value = str | tuple[float, ...]
Tags = dict[int, Value]

MAKE, MODEL, ORIENTATION, SOFTWARE, EXIF_IFD, GPS_IFD = 0x010F, 0x0110, 0x0112, 0x0131, 0x8769, 0x8825
TAKEN_AT, OFFSET_TIME, SERIAL, LENS = 0x9003, 0x9011, 0xA431, 0xA434
_MAX_ENTRIES = 512
# Type of a value -> size of one item [bytes]; 2 is text, 7 is bytes that are not wanted here.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 9: 4, 10: 8, 11: 4, 12: 8}


@dataclass(frozen=True)
class Exif:
    """What isotherm uses of an EXIF block."""

    camera: Camera = field(default_factory=Camera)
    position: Position | None = None
    orientation: int = 1


def read_exif(block: bytes) -> Exif:
    """Return what a block says; whatever is damaged in it is left out, for it decides no temperature."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return Exif()
    cursor = Cursor(block, cast(Order, order), "EXIF")
    main = _directory(cursor, _first_offset(cursor))
    detail = _sub_directory(cursor, main, EXIF_IFD)
    orientation = _number(main, ORIENTATION) or 1
    return Exif(
        camera=_camera(main, detail),
        position=_position(_sub_directory(cursor, main, GPS_IFD)),
        orientation=int(orientation) if orientation in range(1, 9) else 1,
    )


def _first_offset(cursor: Cursor) -> int:
    return cursor.u32(4) if len(cursor) >= 8 else len(cursor)


def _sub_directory(cursor: Cursor, tags: Tags, tag: int) -> Tags:
    offset = _number(tags, tag)
    return {} if offset is None else _directory(cursor, int(offset))


def _directory(cursor: Cursor, offset: int) -> Tags:
    tags: Tags = {}
    try:
        for index in range(min(cursor.u16(offset), _MAX_ENTRIES)):
            entry = offset + 2 + 12 * index
            value = _value(cursor, entry)
            if value is not None:
                tags[cursor.u16(entry)] = value
    except FormatError:
        # A directory that is cut short: what was read before the cut is still good.
        return tags
    return tags


def _value(cursor: Cursor, entry: int) -> Value | None:
    kind, count = cursor.u16(entry + 2), cursor.u32(entry + 4)
    size = _SIZES.get(kind, 0) * count
    offset = entry + 8 if size <= 4 else cursor.u32(entry + 8)
    if size == 0 or count > 4096 or offset + size > len(cursor):
        return None
    if kind == 2:
        return cursor.text(offset, size)
    return tuple(_item(cursor, kind, offset + _SIZES[kind] * index) for index in range(min(count, 16)))


def _item(cursor: Cursor, kind: int, offset: int) -> float:
    if kind in (5, 10):
        read = cursor.u32 if kind == 5 else cursor.i32
        below = read(offset + 4)
        return read(offset) / below if below else float("nan")
    if kind == 1:
        return cursor.take(offset, 1)[0]
    readers = {3: cursor.u16, 4: cursor.u32, 9: cursor.i32, 11: cursor.f32, 12: cursor.f64}
    return readers[kind](offset)


def _text(tags: Tags, tag: int) -> str:
    value = tags.get(tag, "")
    return value if isinstance(value, str) else ""


def _number(tags: Tags, tag: int) -> float | None:
    value = tags.get(tag)
    return value[0] if isinstance(value, tuple) and value and value[0] == value[0] else None


def _camera(main: Tags, detail: Tags) -> Camera:
    return Camera(
        maker=_text(main, MAKE),
        model=_text(main, MODEL),
        serial=_text(detail, SERIAL),
        lens=_text(detail, LENS),
        taken_at=iso_time(_text(detail, TAKEN_AT), _text(detail, OFFSET_TIME)),
    )


def iso_time(text: str, zone: str = "") -> str:
    """Return EXIF's ``YYYY:MM:DD hh:mm:ss`` as ISO 8601, empty where it is no date."""
    date, _, time = text.partition(" ")
    digits = date.replace(":", "")
    if len(digits) != 8 or not digits.isdigit() or digits == "00000000":
        return ""
    return (
        f"{digits[:4]}-{digits[4:6]}-{digits[6:]}T{time}{zone}" if time else f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    )


def _position(gps: Tags) -> Position | None:
    latitude = _degrees(gps.get(2), negative=_text(gps, 1).upper() == "S", limit=90)
    longitude = _degrees(gps.get(4), negative=_text(gps, 3).upper() == "W", limit=180)
    if latitude is None or longitude is None:
        return None
    altitude = _number(gps, 6)
    if altitude is not None and _number(gps, 5) == 1:
        altitude = -altitude
    return Position(latitude, longitude, altitude)


def _degrees(value: Value | None, *, negative: bool, limit: float) -> float | None:
    if not isinstance(value, tuple) or len(value) < 3:
        return None
    degrees = value[0] + value[1] / 60 + value[2] / 3600
    if not 0 <= degrees <= limit:
        return None
    return -degrees if negative else degrees
