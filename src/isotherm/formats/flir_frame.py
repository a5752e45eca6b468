"""One FLIR frame to a thermogram: what R-JPEG and FFF files and the frames of SEQ and CSQ have in common."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt16

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.thermogram import Position, Thermogram
from isotherm.formats import fff, flir_camera, flir_extras, flir_pixels
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import read_exif
from isotherm.formats.flir_sensor import sensor_size
from isotherm.formats.reader import ALL_PARAMETERS, FormatCard, ReadHints

NAME = "flir"
CARD = FormatCard(
    makers="FLIR; DJI Zenmuse XT, XT2, XTR",
    suffixes=".jpg .fff .seq .csq",
    numbers="counts with Planck constants",
    evidence="proven",
    hints=("formula",),
    changeable=ALL_PARAMETERS,
    frames=True,
    extras=("photo", "alignment", "position", "camera regions", "palette", "texts", "sensor size"),
    source="Exiftool's FLIR.pm; FLIR's user manuals",
)


def decode_frame(cursor: Cursor, exif_block: bytes, hints: ReadHints) -> Thermogram:
    """Return the frame at the start of `cursor`.

    Parameters
    ----------
    cursor
        The bytes of a container; what follows its last record is not looked at.
    exif_block
        The EXIF block of the file that holds it; empty where there is none.
    hints
        The formula to use.

    Raises
    ------
    FormatError
        The frame is damaged or cut short, or holds no pixels or no calibration.
    """
    try:
        return _decoded(cursor, exif_block, hints)
    except TooLargeError:
        raise
    except FormatError as error:
        missing = fff.cut_short(cursor)
        if not missing:
            raise
        reason = f"{cursor.what}: cut short: {missing}"
        raise FormatError(reason, cursor.place(len(cursor))) from error


def _decoded(cursor: Cursor, exif_block: bytes, hints: ReadHints) -> Thermogram:
    container = fff.read_container(cursor)
    record = fff.marked(container.record(fff.CAMERA, "camera data"), 2)
    scene, notes = flir_camera.scene(record)
    calibration = flir_camera.calibration(record, hints.formula)
    raw = container.record(fff.RAW, "raw pixels")
    counts = flir_pixels.counts(raw)
    size = int(counts.shape[0]), int(counts.shape[1])
    exif = read_exif(exif_block)
    camera = flir_camera.camera(record, exif.camera)
    # Cameras that enlarge their pictures pack them; looking costs too much where plain samples need no decoding.
    sensor, sensor_note = sensor_size(camera.model, counts, look=flir_pixels.packed(raw))
    return Thermogram(
        counts=counts,
        calibration=calibration,
        scene=scene,
        format=NAME,
        camera=camera,
        position=_position(container) or exif.position,
        display_span=flir_camera.display_span(record),
        notes=(*notes, *range_notes(counts, calibration.raw_min, calibration.raw_max), *filter(None, [sensor_note])),
        exif=exif_block,
        visual=flir_extras.photo(container, size, exif.zoom),
        regions=flir_extras.tools(container, size),
        palette=flir_extras.palette(container),
        sensor_size=sensor,
        annotations=flir_extras.texts(container),
    )


def _position(container: fff.Container) -> Position | None:
    record = container.get(fff.GPS)
    try:
        return flir_camera.position(record) if record else None
    except FormatError:
        # A damaged position decides no temperature.
        return None


def range_notes(counts: UInt16[np.ndarray, "H W"], low: int | None, high: int | None) -> tuple[str, ...]:
    """Say how many pixels lie outside the counts between which the camera is calibrated."""
    if low is None or high is None or (low <= counts.min() and counts.max() <= high):
        return ()
    above, below = int(np.count_nonzero(counts > high)), int(np.count_nonzero(counts < low))
    notes = (
        (above, f"{above} px saturated: above the camera's calibrated range (counts over {high}), too hot to be exact"),
        (below, f"{below} px under the camera's calibrated range (counts below {low}), too cold to be exact"),
    )
    return tuple(note for count, note in notes if count)
