"""The seam of camera formats: bytes in, `Thermogram` out."""

from __future__ import annotations

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

    With ``scale`` the temperature is ``counts * scale + offset`` in ``unit``.
    """

    scale: float | None = setting(None, "temperature step of one count, in the unit (16-bit TIFF and PNG)", low=1e-9)
    offset: float | None = setting(None, "temperature of count 0, in the unit; 0 where only a scale is given")
    unit: Literal["c", "f", "k"] | None = setting(None, "unit of the file's numbers: c, f or k")
    formula: Literal["single-path", "thermimage"] = setting(
        "single-path", "measurement formula of FLIR files; thermimage reproduces results of programs with half paths"
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.offset is not None and self.scale is None:
            raise ConfigError("ReadHints: offset needs scale (temperature = counts * scale + offset)")


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


@runtime_checkable
class ImageReader(Protocol):
    """One maker's format, in one file, as one registry row.

    Recognition is by content, never by name. Everything a reader lets out is a `FormatError`, whatever the bytes.
    """

    name: str

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes (a whole file) are of this format; never raises."""
        ...

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one file; raises FormatError (with the offset) and nothing else."""
        ...
