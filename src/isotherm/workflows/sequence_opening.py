"""A recording of a heated part, opened and prepared as the user asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError, FormatError
from isotherm.measurement.reference import parse_box
from isotherm.sequences.stack import ThermalSequence

Wanted = Literal["cooling", "whole"]
"""What a map method works on: the frames behind the flash, or the whole recording."""


@dataclass(frozen=True)
class PrepareSettings:
    """How a recording is opened, and what is done with its frames before anything is computed."""

    variable: str | None = setting(None, "which array of a file with several")
    order: Literal["THW", "HWT"] | None = setting(None, "what the axes are: frames first (THW) or last (HWT)")
    frame_rate_hz: float | None = setting(
        None, "frames a second; in place of the file's times [Hz]", low=1e-6, high=1e6
    )
    unit: Literal["K", "C", "counts", "au"] | None = setting(
        None, "unit of the numbers, where the file does not say: kelvin, °C, counts, or arbitrary ones"
    )
    heated: str | None = setting(
        None, "frames in which the heat came, FIRST or FIRST,LAST, from 0; found where not given"
    )
    cold: str = setting(
        "auto",
        "what is subtracted: first, last, first_mean:N, last_mean:N, before_flash, none; auto is before_flash where "
        "there are frames before it, else none",
    )
    stabilise: bool = setting(False, "take small movements of the camera out")
    crop: str | None = setting(None, "part of the picture, as x,y,width,height [px]")
    window: str | None = setting(None, "from and to, as T0,T1 [s]; behind the flash for methods of the cooling")
    every: int = setting(1, "take every N-th frame", low=1)
    log_bins: int = setting(0, "mean of the frames in this many bins, even in log time; 0 takes all frames", low=0)

    def __post_init__(self) -> None:
        validate(self)
        self.heated_frames()
        self.window_s()
        if self.crop is not None:
            parse_box(self.crop)

    def heated_frames(self) -> tuple[int, int] | None:
        """Return the first and the last heated frame; None where they are to be found."""
        if self.heated is None:
            return None
        first, _, last = self.heated.partition(",")
        try:
            return int(first), int(last or first)
        except ValueError:
            raise ConfigError(f"--heated is FIRST or FIRST,LAST (frames from 0), not {self.heated!r}") from None

    def window_s(self) -> tuple[float, float] | None:
        """Return the window [s]; None where there is none."""
        if self.window is None:
            return None
        start, _, end = self.window.partition(",")
        try:
            return float(start), float(end)
        except ValueError:
            raise ConfigError(f"--window is T0,T1 [s], such as 0.1,5; not {self.window!r}") from None


def open_recording(path: Path, settings: PrepareSettings) -> ThermalSequence:
    """Open and check a recording, and subtract its cold frame.

    Raises
    ------
    DataError, FormatError
        It cannot be opened or used; the message says why and what would help.
    ConfigError
        A setting is wrong.
    """
    sequence = _opened(path, settings)
    if heated := settings.heated_frames():
        sequence = sequence.heated(*heated)
    if settings.stabilise:
        sequence = sequence.stabilised()
    if settings.crop is not None:
        sequence = sequence.crop(parse_box(settings.crop))
    return sequence.cold(_cold(sequence, settings.cold))


def _opened(path: Path, settings: PrepareSettings) -> ThermalSequence:
    """Open and check; what is damaged in a packed file may show only when its numbers are read."""
    unit = "°C" if settings.unit == "C" else settings.unit
    try:
        return ThermalSequence.open(
            path, order=settings.order, variable=settings.variable, frame_rate_hz=settings.frame_rate_hz, unit=unit
        ).checked()
    except FormatError as error:
        if str(path) in error.reason:
            raise
        raise FormatError(f"{path}: {error.reason}", error.offset) from error


def _cold(sequence: ThermalSequence, asked: str) -> str:
    if asked != "auto":
        return asked
    pulse = sequence.pulse()
    return "before_flash" if pulse is not None and pulse.first > 0 else "none"


def prepared(sequence: ThermalSequence, wanted: Wanted, settings: PrepareSettings) -> ThermalSequence:
    """Return the frames that a method works on: cut, thinned and binned as asked."""
    if wanted == "cooling":
        sequence = sequence.cooling()
    if window := settings.window_s():
        sequence = sequence.window(*window)
    if settings.every > 1:
        sequence = sequence.every(settings.every)
    return sequence.log_bins(settings.log_bins) if settings.log_bins else sequence
