"""What else a camera stores beside the temperatures: the photo, its alignment, the palette, the pose, texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class Alignment:
    """Where a pixel of the thermal picture lies in the photo: ``photo = thermal * scale + offset`` [px of each].

    ``source`` says where it comes from: "picture-in-picture record", "hand", "centred (assumed)".
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    source: str


@dataclass(frozen=True)
class VisualPhoto:
    """The photo of the same view, as the camera stored it: JPEG, PNG or BMP bytes, not yet decoded.

    ``colours`` says what the three channels are: some cameras store luma and colour differences as if they were RGB.
    `isotherm.formats.photos.photo_pixels` decodes it.
    """

    data: bytes = field(repr=False)
    origin: str = "embedded"
    alignment: Alignment | None = None
    colours: Literal["rgb", "ycbcr"] = "rgb"


@dataclass(frozen=True)
class Pose:
    """How a drone's or pan-tilt camera looked, in degrees and metres; None where the file does not say."""

    yaw_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    relative_altitude_m: float | None = None
    target_distance_m: float | None = None


@dataclass(frozen=True, eq=False)
class CameraPalette:
    """The colours of the camera's own palette, low to high: (K 3) uint8 sRGB."""

    name: str
    colours: UInt8[np.ndarray, "K 3"]


@dataclass(frozen=True)
class Annotation:
    """A text that stands in a file beside the picture.

    Parameters
    ----------
    source
        Where it stands: "FLIR text annotation", "EXIF ImageDescription", "XMP dc:title", "JPEG comment" ...
    text
        One line of printable letters.
    label
        What it is about, where the file says so ("Equipment").
    automatic
        Whether the camera's program writes it into every file, whatever the picture shows.
    """

    source: str
    text: str
    label: str = ""
    automatic: bool = False

    def __str__(self) -> str:
        return f"{self.label}: {self.text}" if self.label else self.text
