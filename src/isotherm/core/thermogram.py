"""The thermogram: what the camera recorded, and how to read it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Num, UInt8

from isotherm.core.capture import Annotation, CameraPalette, Pose, VisualPhoto
from isotherm.core.errors import DataError
from isotherm.core.scene import EDGE_NAMES, ZERO_CELSIUS_K, Scene, SceneEdit, Source
from isotherm.core.shapes import Marked

Counts = Num[np.ndarray, "H W"]
Temperatures = Float[np.ndarray, "H W"]


@runtime_checkable
class Calibration(Protocol):
    """Turns counts into the temperature of the object."""

    @property
    def kind(self) -> str:
        """The name shown to users: planck, linear, vendor, or estimated (from colours)."""
        ...

    @property
    def supports(self) -> frozenset[str]:
        """The names of the scene's parameters that this calibration honours."""
        ...

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:
        """Return float32 kelvin of shape (H W); NaN where a count has no temperature."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the constants, ready for JSON."""
        ...


@runtime_checkable
class ChecksScene(Protocol):
    """A calibration that takes only some values of the scene's parameters, beside its protocol."""

    def check(self, scene: Scene) -> tuple[str, ...]:
        """Return what a user should know about this scene, one sentence each; raises DataError where it is refused."""
        ...


@dataclass(frozen=True)
class Camera:
    """What took the picture; empty strings and None where the file does not say."""

    maker: str = ""
    model: str = ""
    serial: str = ""
    lens: str = ""
    field_of_view_deg: float | None = None
    taken_at: str = ""


@dataclass(frozen=True)
class Position:
    """Where the picture was taken (WGS 84), in degrees and metres."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float | None = None


@dataclass(frozen=True, eq=False)
class Thermogram:
    r"""Counts as recorded, the calibration that turns them into kelvin, and the scene.

    Temperatures are computed on demand and never stored, so they cannot go stale. An edit makes a new thermogram with a
    new scene; the counts never change.

    Parameters
    ----------
    counts
        (H W), as recorded, read-only. For a plain picture the luma, uint8 (uint16 where 16 grey bits were stored).
    calibration
        None for a picture that holds no temperatures (*qualitative*).
    scene
        The parameters of the measurement formula, each with its source.
    format
        The registry name of the reader that made it.
    colour
        (H W 3) uint8 for a coloured plain picture, else None.
    camera, position
        What took the picture, and where.
    display_span
        The counts at the low and high end of the colour scale that the camera showed; None where the file does not say.
    notes
        What a user should know about this reading ("scale of this TIFF guessed: 0.01 K"), one sentence each.
    exif
        The raw EXIF block (TIFF structure, without the ``Exif\0\0`` prefix), kept for export; empty where absent.
    digest
        sha256 of the file's bytes, hexadecimal; empty for an array made in memory.
    stored_size
        Height and width of the picture in the file where it was decoded smaller on purpose; else None.
    site
        The name of the place or plant that it belongs to; empty where not known.
    visual
        The photo of the same view, where the file holds one.
    regions
        The spots, boxes and lines that the camera's user drew, and later those of the user of isotherm.
    palette
        The colours in which the camera showed the picture.
    pose
        How a drone's camera looked.
    sensor_size
        Height and width of the sensor where the array is larger than that (enlarged by the camera); else None.
    annotations
        The texts that people, or the camera's program, wrote into the file.
    """

    counts: Counts
    calibration: Calibration | None
    scene: Scene
    format: str
    colour: UInt8[np.ndarray, "H W 3"] | None = None
    camera: Camera = field(default_factory=Camera)
    position: Position | None = None
    display_span: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    exif: bytes = field(default=b"", repr=False)
    digest: str = ""
    stored_size: tuple[int, int] | None = None
    site: str = ""
    visual: VisualPhoto | None = field(default=None, repr=False)
    regions: tuple[Marked, ...] = ()
    palette: CameraPalette | None = field(default=None, repr=False)
    pose: Pose | None = None
    sensor_size: tuple[int, int] | None = None
    annotations: tuple[Annotation, ...] = ()

    def __post_init__(self) -> None:
        self.counts.setflags(write=False)
        if self.colour is not None:
            self.colour.setflags(write=False)

    @property
    def radiometric(self) -> bool:
        """Whether the counts have temperatures."""
        return self.calibration is not None

    @property
    def estimated(self) -> bool:
        """Whether the temperatures are guessed from colours, or from counts between two known ones: no measurement."""
        return self.calibration is not None and self.calibration.kind == "estimated"

    @property
    def deep(self) -> bool:
        """Whether this is a plain picture with grey levels of more than 8 bits."""
        return not self.radiometric and self.counts.dtype != np.uint8

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px]."""
        height, width = self.counts.shape
        return height, width

    def kelvin(self) -> Temperatures:
        """Return float32 kelvin (H W), NaN where invalid; raises DataError for a qualitative picture."""
        if self.calibration is None:
            raise DataError("this picture holds no temperatures (only colours or grey levels)")
        return self.calibration.kelvin(self.counts, self.scene)

    def celsius(self) -> Temperatures:
        """Return float32 °C (H W), NaN where invalid; raises DataError for a qualitative picture."""
        return self.kelvin() - np.float32(ZERO_CELSIUS_K)

    def display_span_c(self) -> tuple[float, float] | None:
        """Return the ends [°C] of the colour scale that the camera showed, in this scene; None where not known."""
        if self.calibration is None or self.display_span is None:
            return None
        ends = self.calibration.kelvin(np.array([self.display_span]), self.scene) - np.float32(ZERO_CELSIUS_K)
        return float(ends[0, 0]), float(ends[0, 1])

    def values(self) -> Temperatures:
        """Return what the picture shows as float32 (H W): °C where it is radiometric, else the grey level 0..255.

        Grey levels of 16 bits keep their steps: 65535 becomes 255.0.
        """
        if self.radiometric:
            return self.celsius()
        levels = self.counts.astype(np.float32)
        return levels / np.float32(257) if self.counts.dtype == np.uint16 else levels

    def unsupported(self, edit: SceneEdit) -> list[str]:
        """Return the names of edited parameters that this calibration does not honour."""
        supports = self.calibration.supports if self.calibration else frozenset()
        return [name for name in edit.values() if name not in supports]

    def _not_used(self, names: list[str]) -> str:
        """Return the note on parameters that change no temperature here."""
        flags = {name.scene: "--" + edge.replace("_", "-") for edge, name in EDGE_NAMES.items()}
        camera = " ".join(part for part in (self.camera.maker, self.camera.model) if part)
        note = f"{', '.join(flags[name] for name in names)}: not used by {camera or self.format + ' files'}"
        over_air = "; a delta-T over ambient air is over the given one" if "atmosphere_k" in names else ""
        return f"{note}, no temperature changes{over_air}"

    def edited(self, edit: SceneEdit, source: Source = Source.USER) -> Thermogram:
        """Return the same counts seen through an edited scene.

        What this calibration does not honour is kept in the scene all the same (the air temperature is also the
        reference of a delta-T, the distance gives areas), but changes no temperature, and a note says so. Raises
        DataError where the calibration refuses a value.
        """
        if not edit.values():
            return self
        ignored = self.unsupported(edit)
        notes = self.notes
        if ignored:
            notes = (*notes, self._not_used(ignored))
        scene = self.scene.edited(edit, source)
        calibration: object = self.calibration
        if isinstance(calibration, ChecksScene):
            notes = (*notes, *calibration.check(scene))
        return replace(self, scene=scene, notes=notes)
