"""DJI R-JPEG of the drones' own cameras (M2EA ... M4T, H20, H30, XT S): temperatures through an optional reader.

The raw data lies in APP3 or APP4 segments and its processing is DJI's secret, so that temperatures come from another
program or library (`dji_program`, `dji_library`). Where neither is there the picture is shown, and a note says what to
install. The preview picture decides nothing: in some files it is cut short.
"""

from __future__ import annotations

import os
from dataclasses import replace

from PIL import JpegImagePlugin  # noqa: F401 (the plug-in for the previews)

from isotherm.core.errors import FormatError
from isotherm.core.scene import ZERO_CELSIUS_K, Param, Scene, Source, assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats import dji_library, dji_program, jpeg, xmp
from isotherm.formats.dji_backend import Backend, Unreadable
from isotherm.formats.dji_calibration import DjiCalibration, DjiSource
from isotherm.formats.exif import read_exif
from isotherm.formats.raster import open_picture, plain_picture
from isotherm.formats.reader import FormatCard, ReadHints

_RAW_BYTES = 20_000
# What DJI's cameras write where nobody has set a distance.
_DEFAULT_M = 5.0
_INSTALL = (
    "DJI R-JPEG: only the picture is shown, its temperatures need an optional reader: "
    "pip install 'isotherm[dji]' (dji-thermal-cli, AGPL-3.0, Python 3.12 or newer; found on the PATH or named by "
    "ISOTHERM_DJI_READER), or DJI's own Thermal SDK named by ISOTHERM_DJI_SDK=/path/to/libdirp.so"
)


class DjiReader:
    """Raw counts, and temperatures computed by whatever of the two optional readers is there."""

    name = "dji"
    card = FormatCard(
        makers="DJI M2EA, M30T, M3T, H20N, H20T, H30T, XT S; M3TD and M4T as the reader says",
        suffixes=".jpg",
        numbers="counts; temperatures from an optional reader",
        evidence="proven",
        changeable=("emissivity", "reflected_k", "humidity", "distance_m", "atmosphere_k"),
        extras=("position", "pose", "rangefinder"),
        needs="program dji-thermal-cli (extra dji), or DJI's Thermal SDK",
        source="Exiftool's DJI.pm; dirp_api.h of DJI's Thermal SDK",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether this is a JPEG of a DJI camera with raw data in APP3 or APP4 segments."""
        if not data.startswith(jpeg.SIGNATURE):
            return False
        raw = sum(len(item.payload) for item in jpeg.segments(data) if item.marker in (jpeg.APP3, jpeg.APP4))
        return raw > _RAW_BYTES and read_exif(jpeg.exif_block(data)).camera.maker.upper().startswith("DJI")

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:  # noqa: ARG002 (the seam's signature)
        """Decode to temperatures where a reader is there, else to the picture with a note."""
        block = jpeg.exif_block(data)
        exif, drone = read_exif(block), xmp.drone(data)
        thermogram = _decoded(data, exif.camera.model, drone.rangefinder_m)
        return replace(
            thermogram, camera=exif.camera, position=drone.position or exif.position, pose=drone.pose, exif=block
        )


def find_backend() -> Backend | None:
    """Return what computes DJI's temperatures on this machine: the user's library, else the program, else None."""
    library, program = dji_library.find(), dji_program.find()
    if library is not None:
        return dji_library.LibraryBackend(library)
    return None if program is None else dji_program.ProgramBackend(program)


def _decoded(data: bytes, model: str, rangefinder_m: float | None) -> Thermogram:
    """Return temperatures where a reader is there and knows the file, else the picture and why."""
    backend = find_backend()
    if backend is None:
        return _picture(data, _absent())
    described = backend.describe(data)
    if isinstance(described, Unreadable):
        said = " ".join(described.reason.split())
        return _picture(data, f"DJI R-JPEG: only the picture is shown, the optional reader says: {said}")
    return _temperatures(DjiSource(data, backend, described, model), rangefinder_m)


def _absent() -> str:
    """Say what to install, and which variable names nothing that is there."""
    named = {variable: os.environ.get(variable, "") for variable in (dji_library.VARIABLE, dji_program.VARIABLE)}
    wrong = [f"{variable}={value} names no such file" for variable, value in named.items() if value not in ("", "none")]
    return "; ".join([_INSTALL, *wrong])


def _temperatures(source: DjiSource, rangefinder_m: float | None) -> Thermogram:
    """Return the thermogram with the file's own parameters, but the rangefinder's distance where there is one."""
    calibration = DjiCalibration(source)
    scene, notes = _scene(source, calibration.supports)
    if rangefinder_m is None or "distance_m" not in calibration.supports:
        return _thermogram(calibration, scene, notes)
    ranged = replace(scene, distance_m=Param(rangefinder_m, "m", Source.RANGEFINDER))
    kept = f"the rangefinder's, in place of the file's {scene.distance_m.value:g} m"
    try:
        said = [*notes, f"distance {rangefinder_m:g} m is {kept}", *calibration.outside(ranged)]
        return _thermogram(calibration, ranged, said)
    except FormatError as error:
        said = [*notes, f"the rangefinder's distance {rangefinder_m:g} m is not used ({error.reason})"]
        return _thermogram(calibration, scene, said)


def _thermogram(calibration: DjiCalibration, scene: Scene, notes: list[str]) -> Thermogram:
    return Thermogram(
        counts=calibration.measure(scene),
        calibration=calibration,
        scene=scene,
        format=DjiReader.name,
        notes=tuple(notes),
    )


def _scene(source: DjiSource, supports: frozenset[str]) -> tuple[Scene, list[str]]:
    """Return the scene of the file, and notes: XT S and H20T compute with fixed values whatever their files say."""
    described = source.description
    given, assumed = described.conditions, assumed_scene()
    fixed = described.layout == "dirp"
    origin = Source.CAMERA_DEFAULT if fixed else Source.FILE
    emissivity = given.emissivity / 100 if given.emissivity > 1.5 else given.emissivity
    scene = replace(
        assumed,
        emissivity=Param(emissivity, "1", origin),
        humidity=Param(given.humidity_percent / 100, "1", origin),
        reflected_k=Param(given.reflected_c + ZERO_CELSIUS_K, "K", origin),
        distance_m=Param(given.distance_m, "m", Source.CAMERA_DEFAULT if given.distance_m == _DEFAULT_M else origin),
    )
    if given.ambient_c is not None and "atmosphere_k" in supports:
        scene = replace(scene, atmosphere_k=Param(given.ambient_c + ZERO_CELSIUS_K, "K", origin))
    notes = []
    if fixed:
        notes.append(
            f"this camera computes with fixed values ({given.distance_m:g} m, {given.humidity_percent:g} %, emissivity "
            f"{emissivity:.2f}, reflected {given.reflected_c:g} °C) whatever its file says"
        )
    if "distance_m" not in supports:
        notes.append("this camera ignores distance")
    return scene, notes


def _picture(data: bytes, reason: str) -> Thermogram:
    """Return the preview as a picture without temperatures, and say why there are none."""
    try:
        # An end-of-image mark: where the preview is cut short, what is there is shown.
        picture = plain_picture(open_picture(data + b"\xff\xd9", "DJI preview", ("JPEG", "MPO")), "DJI preview")
    except FormatError as error:
        raise FormatError(f"{error.reason}; {reason}", error.offset) from error
    return Thermogram(
        counts=picture.luma,
        calibration=None,
        scene=assumed_scene(),
        format=DjiReader.name,
        colour=picture.colour,
        notes=(reason, *picture.notes),
    )


READER = DjiReader()
