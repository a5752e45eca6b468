"""The seam of camera formats: bytes in, `Thermogram` out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError
from isotherm.core.thermogram import Thermogram

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded, in pixels; larger ones raise TooLargeError before any decoding."""
MAX_FILE_BYTES = 512 * 1024 * 1024
"""Largest file that is read, in bytes."""


@dataclass(frozen=True)
class ReadHints:
    """What a file cannot say by itself and the user may: the unit of its numbers and the scale of its counts.

    With ``step`` the temperature is ``counts * step + offset`` in ``unit``; with ``scale`` the colours of a picture are
    read by the colour scale that is drawn into it.
    """

    step: float | None = setting(None, "temperature step of one count, in the unit (16-bit TIFF and PNG)", low=1e-9)
    offset: float | None = setting(None, "temperature of count 0, in the unit; 0 where only a step is given")
    unit: Literal["c", "f", "k"] | None = setting(None, "unit of the file's numbers: c, f or k")
    scale: str | None = setting(
        None,
        "ends of the colour scale that is visible in a picture without temperatures, as low,high in the unit (°C where "
        "none is given), or auto to read them by OCR (extra ocr): its colours become estimated temperatures",
    )
    frame: int = setting(0, "which frame of a sequence is read, from 0; negative counts from the end")
    formula: Literal["single-path", "thermimage"] = setting(
        "single-path", "measurement formula of FLIR files; thermimage reproduces results of programs with half paths"
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.offset is not None and self.step is None:
            raise ConfigError("ReadHints: offset needs step (temperature = counts * step + offset)")
        self.scale_ends()

    def given(self) -> tuple[str, ...]:
        """Return the names among `HINTS` that are not what they are by themselves."""
        return tuple(name for name in HINTS if getattr(self, name) != getattr(ReadHints, name))

    def scale_ends(self) -> tuple[float, float] | None:
        """Return the low and the high end of the visible colour scale, in ``unit``; None for ``auto`` or not given.

        Raises
        ------
        ConfigError
            Not two rising numbers.
        """
        if self.scale is None or self.scale == "auto":
            return None
        low, _, high = self.scale.partition(",")
        try:
            ends = float(low), float(high)
        except ValueError:
            ends = math.nan, math.nan
        if not (math.isfinite(ends[0]) and math.isfinite(ends[1]) and ends[0] < ends[1]):
            raise ConfigError(
                f"ReadHints: scale is the low and the high end of the visible colour scale, such as 7.8,52.6; "
                f"not {self.scale!r} (the temperature step of one count is called step)"
            )
        return ends


HINTS = ("step", "offset", "unit", "scale", "formula")
"""The hints that decide what a file's numbers mean; ``frame`` decides which of them are read."""


@dataclass(frozen=True)
class CoarseHints(ReadHints):
    """For who needs a picture no larger than a network's input: its pixels, but not all of them."""

    picture_side: int = setting(
        256,
        "plain JPEG pictures are decoded at a half, a quarter or an eighth of their size where that still has as many "
        "pixels as a square of this side",
        low=1,
        high=100_000,
    )

    def reduction(self, height: int, width: int) -> int:
        """Return by how much the sides of a picture of this size are divided: 1, 2, 4 or 8."""
        return next((step for step in (8, 4, 2) if height * width >= (step * self.picture_side) ** 2), 1)


Evidence = Literal["proven", "documented", "inferred", "experimental"]


@dataclass(frozen=True)
class FormatCard:
    """What a reader supports, for ``isotherm formats`` and the documentation.

    Parameters
    ----------
    makers
        Cameras and programs that write the format.
    suffixes
        The usual ends of file names, with blanks between; they decide nothing.
    numbers
        What the numbers are: "counts with Planck constants", "°C", "grey levels, no temperatures" ...
    evidence
        "proven": equal to what another program or the camera gives for real files; "documented" by a specification;
        "inferred" from real files alone, with nothing to compare the temperatures with; or "experimental": the layout
        is known from other programs' source alone, no real file was at hand.
    hints
        Names of the `ReadHints` among `HINTS` that decide what its numbers mean; who gives another one is told in a
        note that it is not used.
    changeable
        Names of the scene's parameters that change temperatures; empty where none does.
    frames
        Whether one file may hold many frames.
    extras
        What else is read: "photo", "alignment", "position", "camera regions", "palette", "pose" ...
    needs
        The extra or program that it needs beside the base install; empty where nothing.
    source
        Where the layout is from.
    """

    makers: str
    suffixes: str
    numbers: str
    evidence: Evidence
    hints: tuple[str, ...] = ()
    changeable: tuple[str, ...] = ()
    frames: bool = False
    extras: tuple[str, ...] = ()
    needs: str = ""
    source: str = ""


ALL_PARAMETERS = (
    "emissivity",
    "reflected_k",
    "atmosphere_k",
    "humidity",
    "distance_m",
    "window_transmission",
    "window_k",
)


@runtime_checkable
class ImageReader(Protocol):
    """One maker's format, in one file, as one registry row.

    Recognition is by content, never by name. Everything a reader lets out is a `FormatError`, whatever the bytes.
    """

    name: str
    card: FormatCard

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes (a whole file) are of this format; never raises."""
        ...

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one file; raises FormatError (with the offset) and nothing else."""
        ...
