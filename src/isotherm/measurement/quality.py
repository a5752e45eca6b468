"""What should be known before a reading is believed: saturation, low emissivity, too few pixels, guessed distances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isotherm.core.findings import Finding
from isotherm.core.regions import Mask
from isotherm.core.scene import Param, Scene, Source
from isotherm.core.thermogram import Thermogram
from isotherm.measurement.readings import Area, whole
from isotherm.radiometry.planck import PlanckCalibration

LOW_EMISSIVITY = 0.5
LEAST_SIDE_PX = 3
DRONE_MAKERS = ("dji", "autel", "parrot", "yuneec", "sensefly", "skydio")
DRONE_DEFAULT_M = 5.0


@dataclass(frozen=True)
class Caution:
    """One thing to know: a short code, the region it is about (empty: the picture), and a sentence."""

    code: str
    label: str
    text: str

    def __str__(self) -> str:
        return f"{self.label}: {self.text}" if self.label else self.text


def cautions(
    thermogram: Thermogram, areas: Sequence[Area], *, judged: bool, load_percent: float | None
) -> list[Caution]:
    """Return what should be known about the readings of a thermogram's regions.

    Parameters
    ----------
    thermogram, areas
        What was measured; the region called "image" stands for the picture.
    judged
        Whether differences are compared or judged, for which the load counts.
    load_percent
        The load of the equipment [% of its rating]; None where it is not known.
    """
    found = [*_of_picture(thermogram), *(item for area in areas for item in _of_area(thermogram, area))]
    if judged and load_percent is None:
        text = "the load of the equipment is not known: at a higher load the differences are larger"
        found.append(Caution("unknown-load", "", text))
    return found


def finding_cautions(thermogram: Thermogram, findings: Sequence[Finding]) -> list[Caution]:
    """Return what should be known about the findings of a picture, each once.

    What the reader's notes say anyway (estimated, enlarged) and what verdicts say (the load) is left out.
    """
    if not thermogram.radiometric:
        return []
    found = [*_of_drone_distance(thermogram), *_of_emissivity(thermogram, thermogram.scene, "")]
    # Readers that know the camera's range have said it already.
    if not any("saturated" in note for note in thermogram.notes):
        found += _of_saturation(thermogram, whole(thermogram.size).mask, "")
    return [*found, *_of_small(thermogram, findings)]


def _of_small(thermogram: Thermogram, findings: Sequence[Finding]) -> Iterator[Caution]:
    areas = [_sensor_pixels(thermogram, finding.region.area_px) for finding in findings]
    small = sum(area < LEAST_SIDE_PX**2 for area in areas)
    if small:
        which = f"{small} of {len(areas)} regions" if len(areas) > 1 else "the region"
        verb = "are" if small > 1 else "is"
        yield Caution("small", "", f"{which} {verb} {_too_small(thermogram)}")


def _too_small(thermogram: Thermogram) -> str:
    of_sensor = " of the sensor" if thermogram.sensor_size else ""
    size = f"{LEAST_SIDE_PX}x{LEAST_SIDE_PX} px{of_sensor}"
    return f"smaller than {size}: the lens blurs it, the reading is too near its surroundings"


def _of_saturation(thermogram: Thermogram, mask: Mask, label: str) -> Iterator[Caution]:
    saturated = saturated_px(thermogram, mask)
    if saturated:
        text = f"{saturated} px are saturated: hotter than the camera's range, the true maximum is higher"
        yield Caution("saturated", label, text)


def _of_picture(thermogram: Thermogram) -> Iterator[Caution]:
    if thermogram.estimated:
        yield Caution(
            "estimated", "", "temperatures are estimated from colours: near the truth at best, no measurement"
        )
    if thermogram.sensor_size is not None:
        (height, width), (sensor_height, sensor_width) = thermogram.size, thermogram.sensor_size
        text = (
            f"{width}x{height} px were enlarged from a sensor of {sensor_width}x{sensor_height}: details are not real"
        )
        yield Caution("upsampled", "", text)
    yield from _of_drone_distance(thermogram)


def _honours(thermogram: Thermogram, name: str) -> bool:
    return thermogram.calibration is not None and name in thermogram.calibration.supports


def is_drone(thermogram: Thermogram) -> bool:
    """Say whether the picture was taken from a drone, by its maker or because its pose knows a flying height."""
    pose = thermogram.pose
    flying = pose is not None and (pose.relative_altitude_m or 0) > LEAST_SIDE_PX
    words = f"{thermogram.camera.maker} {thermogram.camera.model}".lower()
    return flying or any(maker in words for maker in DRONE_MAKERS)


def _of_drone_distance(thermogram: Thermogram) -> Iterator[Caution]:
    distance = thermogram.scene.distance_m
    if not (_honours(thermogram, "distance_m") and is_drone(thermogram) and _is_default(distance)):
        return
    pose = thermogram.pose
    known = pose.target_distance_m if pose is not None else None
    hint = f"the rangefinder says {known:g} m" if known else "give --distance-m"
    text = f"the distance of {distance.value:g} m ({distance.source}) is a default, on a drone: {hint}"
    yield Caution("default-distance", "", text)


def _is_default(distance: Param) -> bool:
    if distance.source in (Source.CAMERA_DEFAULT, Source.ASSUMED):
        return True
    return distance.source == Source.FILE and distance.value <= DRONE_DEFAULT_M


def _of_area(thermogram: Thermogram, area: Area) -> Iterator[Caution]:
    label = "" if area.kind == "image" else area.label
    yield from _of_saturation(thermogram, area.mask, label)
    if area.kind == "image" or "emissivity" in area.overridden:
        yield from _of_emissivity(thermogram, area.scene(thermogram.scene), label)
    if area.kind in ("image", "half"):
        return
    pixels = int(area.mask.sum())
    if area.kind != "line" and _sensor_pixels(thermogram, pixels) < LEAST_SIDE_PX**2:
        yield Caution("small", label, _too_small(thermogram))
    if area.cut_px:
        yield Caution("cut", label, f"{area.cut_px} px of it lie outside the picture")


def _of_emissivity(thermogram: Thermogram, scene: Scene, label: str) -> Iterator[Caution]:
    value = scene.emissivity.value
    if value < LOW_EMISSIVITY and _honours(thermogram, "emissivity"):
        text = f"emissivity {value:g} is below {LOW_EMISSIVITY:g}: mostly the reflection is seen"
        yield Caution("low-emissivity", label, f"{text}; use tape or paint of known emissivity")


def _sensor_pixels(thermogram: Thermogram, pixels: int) -> float:
    if thermogram.sensor_size is None:
        return pixels
    sensor = thermogram.sensor_size[0] * thermogram.sensor_size[1]
    return pixels * sensor / (thermogram.size[0] * thermogram.size[1])


def saturated_px(thermogram: Thermogram, mask: Mask) -> int:
    """Return how many pixels of a region (H W) are at the end of the camera's range, or of their number type."""
    counts, calibration = thermogram.counts, thermogram.calibration
    if isinstance(calibration, PlanckCalibration) and calibration.raw_max is not None:
        end = float(calibration.raw_max)
    elif counts.dtype.kind == "u" and counts.dtype.itemsize > 1:
        end = float(np.iinfo(counts.dtype).max)
    else:
        return 0
    # Hardly any picture has one, and its maximum is quickly found.
    return int(np.count_nonzero(counts[mask] >= end)) if counts.size and counts.max() >= end else 0
