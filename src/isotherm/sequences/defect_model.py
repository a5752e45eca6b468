"""A network that has learnt what defects look like in maps of a sequence, with all that is needed to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from isotherm.core.config import from_mapping, setting, to_mapping, validate
from isotherm.core.errors import ConfigError, ModelError
from isotherm.runtime.bundle import MANIFEST, NETWORK, read_network, write_network
from isotherm.runtime.onnx_network import OnnxNetwork
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import Segmentation, cleaned

KIND = "defect network"
SHIPPED = Path(__file__).parent / "pretrained"
"""Models that come with the package, by name."""
ROUNDING = 1e-4
FAR = 1.5
"""A pixel so many times larger or smaller than all that a model was taught with is said to be unknown to it."""


@dataclass(frozen=True)
class LearnedConfig:
    """How the probability that a network gives becomes a mask."""

    threshold: float | None = setting(
        None, "probability from which on a pixel is a defect; the model's where not given", low=0.001, high=0.999
    )
    clean_px: int = setting(12, "smallest region above the threshold that is kept [px]", low=1)
    rim_px: int = setting(0, "width of the rim of the picture where nothing is a defect [px]", low=0, high=1000)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class _Needs:
    """What a manifest must say of the network beside its channels."""

    threshold: float = setting(0.5, "", low=0.001, high=0.999)
    multiple: int = setting(16, "", low=1, high=1024)
    window_px: int = setting(1024, "", low=16, high=16384)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, eq=False)
class DefectModel:
    """A defect network in memory.

    Parameters
    ----------
    name
        Of its folder.
    network
        Maps to the probability of a defect.
    features
        The maps that it was taught with.
    channels
        Their names.
    threshold
        Probability from which on a pixel is called a defect; chosen on validation specimens.
    manifest
        Where it comes from, and what it has never seen; what ``manifest.json`` says.
    """

    name: str
    network: OnnxNetwork
    features: FeaturesConfig
    channels: tuple[str, ...]
    threshold: float
    manifest: Mapping[str, Any]

    @classmethod
    def load(cls, model: str | Path) -> DefectModel:
        """Read a model: its folder, or the name of one that comes with the package (`shipped_models`).

        Raises
        ------
        ModelError
            It is missing, altered, or of another kind.
        """
        folder = folder_of(model)
        manifest, data = read_network(folder)
        if manifest.get("kind") != KIND:
            raise ModelError(f"is no {KIND}", folder)
        try:
            features = from_mapping(FeaturesConfig, _object(manifest["features"]))
            needs = from_mapping(_Needs, {name: manifest[name] for name in to_mapping(_Needs())})
            channels = _names(manifest["channels"])
        except (KeyError, ValueError, ConfigError) as error:
            raise ModelError(f"its manifest does not say what is needed: {error}", folder) from error
        try:
            network = OnnxNetwork(data, channels=len(channels), multiple=needs.multiple, window_px=needs.window_px)
        except ModelError as error:
            raise ModelError(error.reason, folder) from error
        return cls(folder.resolve().name, network, features, channels, needs.threshold, manifest)

    @property
    def card(self) -> tuple[str, ...]:
        """What it is for and what it has never seen, in lines."""
        found = self.manifest.get("card")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def described(self) -> dict[str, Any]:
        """Return which model it is, for results."""
        files = self.manifest.get("files")
        known = files.get("network.onnx") if isinstance(files, dict) else None
        return {"model": self.name, "sha256": known.get("sha256") if isinstance(known, dict) else None}

    def unknown(self, *, pixel_mm: float | None) -> tuple[str, ...]:
        """Return notes on what of a recording is unlike all that the model was taught with."""
        data = self.manifest.get("data")
        ends = data.get("pixel_mm") if isinstance(data, dict) else None
        try:
            low, high = map(float, ends or ())
        except (TypeError, ValueError):
            return ()
        if pixel_mm is None or low / FAR <= pixel_mm <= high * FAR:
            return ()
        taught = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return (
            f"a pixel of {pixel_mm:g} mm is far from the {taught} mm that the model was taught with: defects have "
            "another size in pixels than it knows",
        )

    def segment(self, maps: Float32[np.ndarray, "K H W"], config: LearnedConfig | None = None) -> Segmentation:
        """Return mask and probability; pixels that have no number in some map are never a defect.

        Parameters
        ----------
        maps
            (K H W) of `features`.
        config
            How the probability becomes a mask.

        Raises
        ------
        ModelError
            The maps are not those that it was taught with.
        """
        if len(maps) != len(self.channels):
            raise ModelError(f"the model takes {len(self.channels)} maps, not {len(maps)}")
        config = config or LearnedConfig()
        known = np.isfinite(maps).all(axis=0)
        score = self.network.run(np.where(np.isfinite(maps), maps, np.float32(0)))
        if not (score.min() >= -ROUNDING and score.max() <= 1 + ROUNDING):
            raise ModelError(f"its network answers with {score.min():g} to {score.max():g}, which is no probability")
        score = np.where(known, np.clip(score, 0, 1), np.float32(np.nan))
        limit = self.threshold if config.threshold is None else config.threshold
        with np.errstate(invalid="ignore"):
            above = np.asarray(score >= limit)
        mask = cleaned(above, min_area_px=config.clean_px, border_px=config.rim_px)
        return Segmentation(mask, score, (f"model {self.name}: probability of {limit:.3f} and more",))


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"no JSON object: {str(value)[:60]!r}")
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(f"channels are a list of names, not {str(value)[:60]!r}")
    return tuple(value)


def save_model(folder: Path, network: bytes, manifest: Mapping[str, Any], features: FeaturesConfig) -> None:
    """Write a model folder; see `DefectModel.load` for what the manifest must hold, and `write_bundle` for errors."""
    write_network(folder, manifest={"kind": KIND, "features": to_mapping(features), **manifest}, network=network)


def shipped_models() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) if SHIPPED.is_dir() else []


def is_defect_model(path: Path) -> bool:
    """Say whether a path is the folder of such a model, sound or damaged, or the name of one that is shipped."""
    folder = SHIPPED / str(path) if not path.exists() and str(path) in shipped_models() else path
    return (folder / NETWORK).is_file() and (folder / MANIFEST).is_file()


def folder_of(model: str | Path) -> Path:
    """Return the folder of a model: that of this path, else of the one of this name that comes with the package."""
    if not Path(model).exists() and str(model) in shipped_models():
        return SHIPPED / str(model)
    if not Path(model).exists():
        known = ", ".join(shipped_models()) or "none"
        raise ModelError(f"there is no such folder; models that come with the package: {known}", Path(model))
    return Path(model)
