"""IRG files of InfiRay's C and P series, HTI, Autel and relatives: temperatures, a coarse picture, often a photo.

Layout as in the package infiray_irg (MIT), read anew from files of two cameras: a header of three sections, each with
length, rows, columns and a flag (the coarse picture u8, the temperatures u16, the photo as JPEG), then emissivity, two
temperatures and distance in ten-thousandths. The steps of the temperatures differ by magic: 1/16 K or 0.1 K.

Of one HTI file the camera's own screen is known: on a thin pipe it shows 1.9 to 2.4 K less than the file, at the
coldest place 0.5 K more. The file's picture is a smaller one with each pixel doubled; smoothed over about one pixel of
the smaller one it shows what the screen does, to 0.12 K.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt16

from isotherm.core.capture import VisualPhoto
from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import Param, Scene, Source, assumed_scene
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.experimental import NOTE, plane
from isotherm.formats.reader import MAX_PIXELS, FormatCard, ReadHints
from isotherm.radiometry.linear import linear

_END = b"\xac\xca"
_SHORTEST = 78
_COARSE, _FINE, _PHOTO = 4, 13, 22
_EMISSIVITY, _DISTANCE, _HIGH_GAIN = 30, 42, 74
_AUTEL = 1
_DOUBLED = "each pixel is stored four times; a camera that smooths its screen shows less there at small hot spots"


@dataclass(frozen=True)
class _Kind:
    """What a magic stands for: the step of a count [K], the kelvin of 0 °C, and whether the header ends in a mark."""

    maker: str
    step_k: float
    zero_k: float
    ends_marked: bool = True


_KINDS = {
    b"\xca\xac": _Kind("InfiRay", 1 / 16, 273.15),
    b"\xba\xab": _Kind("HTI or another maker", 0.1, 273.15),
    # Seen in one P200 file by the author of infiray_irg; 273.2 is that package's finding.
    b"\x04\xa0": _Kind("InfiRay P200", 0.1, 273.2, ends_marked=False),
}


class IrgReader:
    """The temperatures as the camera computed them; emissivity and distance are kept, but change nothing."""

    name = "irg"
    card = FormatCard(
        makers="InfiRay C200, P200; HTI; Autel",
        suffixes=".irg",
        numbers="temperatures, 1/16 K or 0.1 K a count",
        evidence="proven",
        extras=("photo", "sensor size"),
        source="package infiray_irg (MIT), equal on files of two cameras; an HTI's own screen shows smoothed values",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether the file begins with one of three magics and a header whose sections fit together."""
        if data[:2] not in _KINDS or len(data) < _SHORTEST:
            return False
        cursor = Cursor(data, "<", "IRG file")
        return _SHORTEST <= cursor.u16(2) <= 1024 and cursor.u32(_COARSE) == cursor.u16(8) * cursor.u16(10) > 0

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's signature)
        """Decode the temperatures, the photo and what the header says of the scene."""
        cursor = Cursor(data, "<", "IRG file")
        kind = _KINDS.get(cursor.take(0, 2))
        if kind is None:
            raise cursor.error(f"begins with {data[:2].hex()}, not with caac, baab or 04a0", 0)
        length = cursor.u16(2)
        header = cursor.part(0, length, "IRG header")
        if kind.ends_marked and header.take(length - 2, 2) != _END:
            raise header.error("does not end with acca", length - 2)
        step_k = 0.1 if kind.maker == "InfiRay" and header.data[12] == _AUTEL else kind.step_k
        rows, columns = _size(header)
        scene = _scene(header)
        counts = plane(cursor, length + rows * columns, (rows, columns), "<u2")
        sensor = _sensor(counts)
        return Thermogram(
            counts=counts,
            calibration=replace(linear(step_k, 273.15 - kind.zero_k, "k"), kind="vendor"),
            scene=scene,
            format=self.name,
            camera=Camera(maker=kind.maker),
            visual=_photo(cursor, header, length + 3 * rows * columns),
            notes=(*_notes(header, kind, scene), *[_DOUBLED] * (sensor is not None)),
            sensor_size=sensor,
        )


def _size(header: Cursor) -> tuple[int, int]:
    rows, columns = header.u16(8), header.u16(10)
    if rows * columns == 0:
        raise header.error(f"{columns} x {rows} pixels hold nothing", 8)
    if rows * columns > MAX_PIXELS:
        raise TooLargeError(f"{columns} x {rows} pixels; at most {MAX_PIXELS} are decoded", header.place(8))
    if header.u32(_COARSE) != rows * columns:
        raise header.error(f"coarse picture of {header.u32(_COARSE)} bytes for {columns} x {rows} pixels", _COARSE)
    return rows, columns


def _sensor(counts: UInt16[np.ndarray, "H W"]) -> tuple[int, int] | None:
    """Return half the height and width where all pixels come in equal squares of four, though not all are equal."""
    rows, columns = counts.shape
    if rows % 2 or columns % 2 or (counts == counts[0, 0]).all():
        return None
    same = (counts[::2] == counts[1::2]).all() and (counts[:, ::2] == counts[:, 1::2]).all()
    return (rows // 2, columns // 2) if same else None


def _scene(header: Cursor) -> Scene:
    """Return the scene with the camera's emissivity and distance, where they make sense."""
    scene = assumed_scene()
    emissivity, distance = header.u32(_EMISSIVITY) / 1e4, header.u32(_DISTANCE) / 1e4
    if 0.01 <= emissivity <= 1:
        scene = replace(scene, emissivity=Param(emissivity, "1", Source.FILE))
    if distance <= 100_000:
        scene = replace(scene, distance_m=Param(distance, "m", Source.FILE))
    return scene


def _photo(cursor: Cursor, header: Cursor, place: int) -> VisualPhoto | None:
    """Return the photo behind the temperatures; None where there is none, or where it is cut: it decides no pixel."""
    try:
        data = cursor.take(place, header.u32(_PHOTO))
    except FormatError:
        return None
    return VisualPhoto(data) if data.startswith(jpeg.SIGNATURE) else None


def _notes(header: Cursor, kind: _Kind, scene: Scene) -> tuple[str, ...]:
    used = f"emissivity {scene.emissivity.value:g} and distance {scene.distance_m.value:g} m"
    known = scene.emissivity.source is scene.distance_m.source is Source.FILE
    notes = [f"temperatures as the camera computed them{f' (with {used})' if known else ''}: nothing changes them"]
    if not kind.ends_marked:
        notes.append(NOTE)
    if kind.maker == "InfiRay" and header.u32(_HIGH_GAIN) == 0:
        notes.append("low gain: other readers report that its temperatures near room temperature and below are off")
    return tuple(notes)


READER = IrgReader()
