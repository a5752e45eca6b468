"""One FLIR frame to a thermogram: what R-JPEG and FFF files and the frames of SEQ and CSQ have in common."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt16

from isotherm.core.errors import FormatError
from isotherm.core.thermogram import Position, Thermogram
from isotherm.formats import fff, flir_camera, flir_pixels
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import read_exif
from isotherm.formats.reader import ALL_PARAMETERS, FormatCard, ReadHints

NAME = "flir"
CARD = FormatCard(
    makers="FLIR; DJI Zenmuse XT, XT2, XTR",
    suffixes=".jpg .fff .seq .csq",
    numbers="counts with Planck constants",
    evidence="proven",
    changeable=ALL_PARAMETERS,
    frames=True,
    extras=("position",),
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
        The frame is damaged, or holds no pixels or no calibration.
    """
    container = fff.read_container(cursor)
    record = fff.marked(container.record(fff.CAMERA, "camera data"), 2)
    scene, notes = flir_camera.scene(record)
    calibration = flir_camera.calibration(record, hints.formula)
    counts = flir_pixels.counts(container.record(fff.RAW, "raw pixels"))
    exif = read_exif(exif_block)
    return Thermogram(
        counts=counts,
        calibration=calibration,
        scene=scene,
        format=NAME,
        camera=flir_camera.camera(record, exif.camera),
        position=_position(container) or exif.position,
        display_span=flir_camera.display_span(record),
        notes=(*notes, *_range_note(counts, calibration.raw_min, calibration.raw_max)),
        exif=exif_block,
    )


def _position(container: fff.Container) -> Position | None:
    record = container.records.get(fff.GPS)
    try:
        return flir_camera.position(record) if record else None
    except FormatError:
        # A damaged position decides no temperature.
        return None


def _range_note(counts: UInt16[np.ndarray, "H W"], low: int | None, high: int | None) -> tuple[str, ...]:
    if low is None or high is None:
        return ()
    outside = int(np.count_nonzero((counts < low) | (counts > high)))
    return (f"{outside} px outside the camera's calibrated range (counts {low} to {high})",) if outside else ()
