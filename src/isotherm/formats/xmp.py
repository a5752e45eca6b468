"""XMP of a JPEG file: what a drone says of its place, its camera's pose and its rangefinder.

The packet is read by its attributes and plain elements, not as XML: DJI's own packets are not always well-formed (the
Zenmuse XT S declares one name space twice), and nothing in them is worth an XML parser that strangers can feed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from isotherm.core.capture import Pose
from isotherm.core.thermogram import Position
from isotherm.formats import jpeg

_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
# DJI's prefixes (as in Exiftool's DJI.pm); the older one is the XT S's.
_ATTRIBUTE = re.compile(r'\b(?:drone-dji|DJI):([A-Za-z]{1,64})\s{0,8}=\s{0,8}"([^"<>]{0,256})"')
_ELEMENT = re.compile(r"<(?:drone-dji|DJI):([A-Za-z]{1,64})>([^<>]{0,256})</")


@dataclass(frozen=True)
class DroneData:
    """What DJI's XMP says of the capture; None where it does not.

    ``rangefinder_m`` is the distance of the laser rangefinder's target, where its status is "Normal".
    """

    position: Position | None = None
    pose: Pose | None = None
    rangefinder_m: float | None = None


def drone(data: bytes) -> DroneData:
    """Return a JPEG file's drone data; what is damaged or absent is None, for it decides no pixel."""
    found = properties(data)
    if not found:
        return DroneData()
    distance = _rangefinder(found)
    return DroneData(_position(found), _pose(found, distance), distance)


def properties(data: bytes) -> dict[str, str]:
    """Return the texts of DJI's XMP properties by their local names, the first of each."""
    found: dict[str, str] = {}
    for segment in jpeg.segments(data):
        if segment.marker == jpeg.APP1 and segment.payload.startswith(_PREFIX):
            text = segment.payload[len(_PREFIX) :].decode("utf-8", "replace")
            for pattern in (_ATTRIBUTE, _ELEMENT):
                for name, value in pattern.findall(text):
                    found.setdefault(name, value.strip())
    return found


def _number(found: Mapping[str, str], *names: str) -> float | None:
    text = next((found[name] for name in names if name in found), "")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _position(found: Mapping[str, str]) -> Position | None:
    latitude = _number(found, "GpsLatitude", "Latitude")
    # "Longtitude" is how DJI spelt it in the firmware of several drones.
    longitude = _number(found, "GpsLongitude", "GpsLongtitude", "Longitude")
    if latitude is None or longitude is None or not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    if latitude == longitude == 0:
        # What is written without a fix.
        return None
    return Position(latitude, longitude, _number(found, "AbsoluteAltitude"))


def _pose(found: Mapping[str, str], distance_m: float | None) -> Pose | None:
    pose = Pose(
        yaw_deg=_number(found, "GimbalYawDegree"),
        pitch_deg=_number(found, "GimbalPitchDegree"),
        roll_deg=_number(found, "GimbalRollDegree"),
        relative_altitude_m=_number(found, "RelativeAltitude"),
        target_distance_m=distance_m,
    )
    return None if pose == Pose() else pose


def _rangefinder(found: Mapping[str, str]) -> float | None:
    distance = _number(found, "LRFTargetDistance")
    normal = found.get("LRFStatus", "").casefold() == "normal"
    return distance if normal and distance is not None and 0 < distance <= 100_000 else None
