"""FLIR's camera record: calibration, scene, camera, time (offsets as in Exiftool's FLIR.pm)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

from isotherm.core.errors import FormatError
from isotherm.core.scene import Param, Scene, Source, assumed_scene, shortest
from isotherm.core.thermogram import Camera, Position
from isotherm.formats.cursor import Cursor, Order
from isotherm.radiometry.atmosphere import Atmosphere
from isotherm.radiometry.planck import Formula, PlanckCalibration

# Scene parameter -> (offset, lowest, highest) in the record's units, which are the scene's own.
_SCENE = {
    "emissivity": (0x20, 0.01, 1.0),
    "distance_m": (0x24, 0.0, 100_000.0),
    "reflected_k": (0x28, 0.0, 3300.0),
    "atmosphere_k": (0x2C, 173.0, 473.0),
    "window_k": (0x30, 0.0, 3300.0),
    "window_transmission": (0x34, 0.01, 1.0),
    "humidity": (0x3C, 0.0, 100.0),
}

# The number 1 at the start of a GPS record says that it is valid, and its byte order.
_VALID: dict[bytes, Order] = {b"\1\0\0\0": "<", b"\0\0\0\1": ">"}


def calibration(record: Cursor, formula: Formula) -> PlanckCalibration:
    """Return the calibration; raises FormatError where a constant is missing or makes no sense."""
    raw_min, raw_max = record.u16(0x310), record.u16(0x312)
    known = raw_min < raw_max
    try:
        return PlanckCalibration(
            r1=record.f32(0x58),
            r2=record.f32(0x30C),
            b=record.f32(0x5C),
            f=record.f32(0x60),
            o=record.i32(0x308),
            atmosphere=Atmosphere(
                alpha1=record.f32(0x70),
                alpha2=record.f32(0x74),
                beta1=record.f32(0x78),
                beta2=record.f32(0x7C),
                x=record.f32(0x80),
            ),
            raw_min=raw_min if known else None,
            raw_max=raw_max if known else None,
            formula=formula,
        )
    except FormatError as error:
        if error.offset is not None:
            raise
        raise record.error(error.reason, 0x58) from error


def scene(record: Cursor) -> tuple[Scene, tuple[str, ...]]:
    """Return the scene, and a note for each value of the file that makes no sense and was replaced."""
    assumed = assumed_scene().params()
    params, notes = {}, []
    for name, (offset, low, high) in _SCENE.items():
        value = record.f32(offset)
        if not (math.isfinite(value) and low <= value <= high):
            params[name] = assumed[name]
            notes.append(f"{name} in the file is {value:g}: {assumed[name].value:g} assumed")
            continue
        if name == "humidity" and value > 2:
            # Some cameras write percent.
            value /= 100
        params[name] = Param(
            shortest(min(value, 1.0) if name == "humidity" else value), assumed[name].unit, Source.FILE
        )
    return Scene(**params), tuple(notes)


def camera(record: Cursor, exif: Camera) -> Camera:
    """Return what took the picture; what the record does not say is taken from the file's EXIF."""
    field_of_view = record.f32(0x1B4)
    return Camera(
        maker=exif.maker or "FLIR",
        model=record.text(0xD4, 32) or exif.model,
        serial=record.text(0x104, 16) or exif.serial,
        lens=record.text(0x170, 32) or exif.lens,
        field_of_view_deg=round(field_of_view, 3) if 0 < field_of_view < 360 else None,
        taken_at=moment.isoformat(timespec="milliseconds") if (moment := taken_at(record)) else exif.taken_at,
    )


def taken_at(record: Cursor) -> datetime | None:
    """Return the time in the camera's zone; None where the record holds none."""
    if len(record) < 0x38E:
        return None
    seconds, minutes_west = record.u32(0x384), record.i16(0x38C)
    milliseconds = record.u32(0x388) & 0xFFFF
    if seconds == 0 or abs(minutes_west) > 14 * 60:
        return None
    zone = timezone(timedelta(minutes=-minutes_west))
    moment = datetime.fromtimestamp(seconds, UTC) + timedelta(milliseconds=min(milliseconds, 999))
    return moment.astimezone(zone)


def display_span(record: Cursor) -> tuple[float, float] | None:
    """Return the counts at both ends of the colour scale that the camera showed; None where it has no width."""
    middle, width = record.u16(0x338), record.u16(0x33C)
    return (middle - width / 2, middle + width / 2) if width else None


def position(record: Cursor) -> Position | None:
    """Return the place from a GPS record; None where it does not say that it is valid."""
    order = _VALID.get(record.take(0, 4))
    if order is None:
        return None
    record = record.part(0, len(record), record.what, order=order)
    latitude, longitude, altitude = record.f64(0x10), record.f64(0x18), record.f32(0x20)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    # -1 was seen where a camera did not know the height.
    return Position(latitude, longitude, round(altitude, 3) if math.isfinite(altitude) and altitude != -1 else None)
