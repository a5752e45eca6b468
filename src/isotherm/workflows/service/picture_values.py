"""A picture's values on their way from the process that decoded it to one with models: plain bytes, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.core.scene import Scene, assumed_scene
from isotherm.core.thermogram import Counts, Temperatures, Thermogram

_TYPES = {"float32": "<f4", "uint8": "u1", "uint16": "<u2"}


@dataclass(frozen=True)
class ReceivedCalibration:
    """The counts are kelvin already; ``kind`` is that of the calibration by which they were computed."""

    kind: str
    supports: frozenset[str] = field(default=frozenset())

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:  # noqa: ARG002 (the protocol's signature)
        """Return the counts."""
        return counts.astype(np.float32)

    def describe(self) -> dict[str, Any]:
        """Return the kind, ready for JSON."""
        return {"kind": self.kind}


def packed_picture(thermogram: Thermogram) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what `received_picture` needs: plain values, and parts of bytes.

    Temperatures are float32 kelvin, whatever the counts were; pictures without temperatures are as they are.
    """
    calibration = thermogram.calibration
    counts = thermogram.counts if calibration is None else thermogram.kelvin()
    if calibration is None and counts.dtype not in (np.uint8, np.uint16):
        counts = thermogram.values()
    plain = {
        "size": list(thermogram.size),
        "type": counts.dtype.name,
        "calibration": None if calibration is None else calibration.kind,
        "format": thermogram.format,
        "digest": thermogram.digest,
    }
    parts = {"counts": np.ascontiguousarray(counts, _TYPES[counts.dtype.name]).tobytes()}
    if thermogram.colour is not None:
        parts["colour"] = np.ascontiguousarray(thermogram.colour).tobytes()
    return plain, parts


def received_picture(plain: Mapping[str, Any], parts: Mapping[str, bytes], *, site: str = "") -> Thermogram:
    """Return a thermogram with the same values, kind, colours and digest; its scene and camera are not those.

    Raises
    ------
    FormatError
        The parts do not fit together.
    """
    try:
        height, width = plain["size"]
        counts = np.frombuffer(parts["counts"], _TYPES[plain["type"]]).reshape(height, width)
        colour = np.frombuffer(parts["colour"], np.uint8).reshape(height, width, 3) if "colour" in parts else None
        kind = plain["calibration"]
        return Thermogram(
            counts=counts.astype(counts.dtype.newbyteorder("=")),
            calibration=None if kind is None else ReceivedCalibration(str(kind)),
            scene=assumed_scene(),
            format=str(plain["format"]),
            colour=colour,
            digest=str(plain["digest"]),
            site=site,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"the values of a decoded picture are not as expected: {error}") from error
