"""From a recording to defects, by a method or a taught network: mask, score, table, and a picture to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.files import csv_of, npz_of
from isotherm.core.progress import Progress, silent
from isotherm.reports.figures_sequences import defects_figure
from isotherm.reports.plain import dumps
from isotherm.reports.png import encode_png
from isotherm.sequences.defect_model import DefectModel, LearnedConfig
from isotherm.sequences.defects import COLUMNS, Defect, DefectRules, find_defects, table_row
from isotherm.sequences.departure import Maps
from isotherm.sequences.features import Features, FeaturesConfig
from isotherm.sequences.maps import MapStack
from isotherm.sequences.region_depths import RegionDepths
from isotherm.sequences.segment import SEGMENT_METHODS, Segmentation
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr import Tsr, TsrConfig
from isotherm.workflows.remote_inputs import recording_here
from isotherm.workflows.run_place import open_place
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording, prepared

METHOD = "mahalanobis"
_DECIDING = ("cold", "window", "every", "log_bins")
"""What of the preparation changes maps."""


@dataclass(frozen=True)
class DepthSettings:
    """What depths are worked out with."""

    diffusivity_m2_s: float | None = setting(
        None, "through the thickness; with it defects get a depth [m2/s]", low=1e-9, high=1e-2
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class SegmentSettings:
    """Everything about a segmentation but its input and its folder.

    Parameters
    ----------
    method, config
        A name of `isotherm.sequences.segment.SEGMENT_METHODS` and its configuration (None: the defaults).
    model, learned
        A taught network in place of the method, and how it is used; it brings its own features.
    features
        The maps that the method works on.
    """

    method: str = METHOD
    config: Any = None
    model: DefectModel | None = None
    learned: LearnedConfig = field(default_factory=LearnedConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    rules: DefectRules = field(default_factory=DefectRules)
    depth: DepthSettings = field(default_factory=DepthSettings)

    def method_config(self) -> Any:
        """Return the configuration of the method."""
        return self.config if self.config is not None else SEGMENT_METHODS.get(self.method).config_type()

    def used_features(self) -> FeaturesConfig:
        """Return the maps that are worked on."""
        return self.features if self.model is None else self.model.features

    def segment(self, maps: Maps) -> Segmentation:
        """Return what the method or the network finds in maps."""
        if self.model is None:
            return SEGMENT_METHODS.get(self.method).segment(maps, self.method_config())
        return self.model.segment(maps, self.learned)

    def described(self) -> dict[str, Any]:
        """Return the settings as plain values in groups."""
        by = {"name": self.method, **to_mapping(self.method_config())}
        if self.model is not None:
            by = {"name": "network", **self.model.described(), **to_mapping(self.learned)}
        return {
            "method": by,
            "features": to_mapping(self.used_features()),
            "prepare": to_mapping(self.prepare),
            "defects": to_mapping(self.rules),
            "depth": to_mapping(self.depth),
        }


@dataclass(frozen=True, eq=False)
class Segmented:
    """What was found in one recording; `probability` says that the score is that, by a taught network."""

    name: str
    maps: MapStack
    found: Segmentation
    depth_mm: Float32[np.ndarray, "H W"] | None
    defects: tuple[Defect, ...]
    notes: tuple[str, ...]
    probability: bool = False


def segment_recording(path: Path, settings: SegmentSettings, *, progress: Progress = silent) -> Segmented:
    """Prepare a recording, make its maps, find the defects in them and measure each.

    Raises
    ------
    DataError, FormatError
        The recording cannot be used; the message says why.
    ConfigError, UnknownNameError
        A setting or a name is wrong.
    """
    with recording_here(path) as file:
        return _segmented(file, settings, progress)


def _segmented(path: Path, settings: SegmentSettings, progress: Progress) -> Segmented:
    sequence = prepared(open_recording(path, settings.prepare), "cooling", settings.prepare)
    progress(1, 4, "maps")
    maps = Features().maps(sequence, settings.used_features())
    progress(2, 4, settings.method if settings.model is None else "network")
    found = settings.segment(maps.values)
    progress(3, 4, "defects")
    depth_mm = _depth_mm(sequence, settings.depth)
    diffusivity = settings.depth.diffusivity_m2_s
    defects = find_defects(
        found.mask,
        settings.rules,
        maps=dict(zip(maps.names, maps.values, strict=True)),
        score=found.score,
        depths=None if diffusivity is None else RegionDepths(sequence, diffusivity),
    )
    progress(4, 4, "defects")
    notes = dict.fromkeys((*sequence.notes, *maps.notes, *found.notes, *_unlike_taught(settings)))
    return Segmented(
        sequence.name, maps, found, depth_mm, defects, tuple(notes), probability=settings.model is not None
    )


def _unlike_taught(settings: SegmentSettings) -> tuple[str, ...]:
    """Return notes on how a recording is unlike those that the network was taught with."""
    if settings.model is None:
        return ()
    taught = settings.model.manifest.get("prepare")
    now = to_mapping(settings.prepare)
    changed = [name for name in _DECIDING if isinstance(taught, dict) and taught.get(name, now[name]) != now[name]]
    return (
        *settings.model.unknown(pixel_mm=settings.rules.pixel_mm),
        *(f"{name} is {now[name]}, but the model was taught with {taught[name]}" for name in changed if taught),
    )


def _depth_mm(sequence: ThermalSequence, settings: DepthSettings) -> Float32[np.ndarray, "H W"] | None:
    if settings.diffusivity_m2_s is None:
        return None
    return Tsr().maps(sequence, TsrConfig(at=0, diffusivity_m2_s=settings.diffusivity_m2_s))["tsr_depth"]


def write_segmentation(result: Segmented, folder: Path, settings: SegmentSettings) -> list[Path]:
    """Write ``mask.png``, ``maps.npz``, ``defects.csv``, ``defects.json`` and ``defects.png``.

    Of a network also ``probability.png`` (255 is 1); its probability stands in ``maps.npz`` as ``probability``.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    files = {
        "defects.csv": _table(result),
        "defects.json": _json(result, settings),
        "defects.png": defects_figure(
            result.name,
            result.found.score,
            result.found.mask,
            defects=result.defects,
            probability=result.probability,
        ),
        "mask.png": encode_png(result.found.mask.astype(np.uint8) * np.uint8(255)),
        "maps.npz": _npz(result),
    }
    if result.probability:
        files["probability.png"] = encode_png(np.nan_to_num(result.found.score * 255).round().astype(np.uint8))
    place = open_place(folder)
    place.prepare()
    for name, data in files.items():
        place.write(name, data)
    return [folder / name for name in files]


def _table(result: Segmented) -> bytes:
    return csv_of(COLUMNS, (short(table_row(defect)) for defect in result.defects))


def short(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a table with six digits for each number."""
    return {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}


def _json(result: Segmented, settings: SegmentSettings) -> bytes:
    about = {
        "recording": result.name,
        "settings": settings.described(),
        "notes": result.notes,
        "defects": [_plain(defect) for defect in result.defects],
    }
    return (dumps(about, indent=1) + "\n").encode("utf-8")


def _plain(defect: Defect) -> dict[str, Any]:
    return {**table_row(defect), "outline": defect.region.contour, "cnr_of": _known(defect.cnr)}


def _known(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in numbers.items()}


def _npz(result: Segmented) -> bytes:
    arrays: dict[str, Any] = dict(zip(result.maps.names, result.maps.values, strict=True))
    if result.depth_mm is not None:
        arrays["depth_mm"] = result.depth_mm
    if result.probability:
        arrays["probability"] = result.found.score
    return npz_of({"score": result.found.score, "mask": result.found.mask, **arrays}, deflated=True)
