"""A network that has learnt what defects look like in maps of a sequence, with all that is needed to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import ConfigError, ModelError
from isotherm.runtime.bundle import read_network, write_network
from isotherm.runtime.onnx_network import OnnxNetwork
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import Segmentation, cleaned

KIND = "defect network"
SHIPPED = Path(__file__).parent / "pretrained"
"""Models that come with the package, by name."""


@dataclass(frozen=True, eq=False)
class DefectModel:
    """A defect network in memory.

    Parameters
    ----------
    network
        Maps to the probability of a defect.
    features
        The maps that it was taught with.
    threshold
        Probability from which on a pixel is called a defect; chosen on validation specimens.
    manifest
        Where it comes from, and what it has never seen; what ``manifest.json`` says.
    """

    network: OnnxNetwork
    features: FeaturesConfig
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
            features = from_mapping(FeaturesConfig, manifest["features"])
            threshold, channels = float(manifest["threshold"]), len(manifest["channels"])
            network = OnnxNetwork(
                data, channels=channels, multiple=int(manifest["multiple"]), window_px=int(manifest["window_px"])
            )
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ModelError(f"its manifest does not say what is needed: {error}", folder) from error
        if not 0 < threshold < 1:
            raise ModelError(f"its threshold is {threshold:g}, not between 0 and 1", folder)
        return cls(network, features, threshold, manifest)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the maps that it takes."""
        return tuple(self.manifest["channels"])

    def segment(
        self,
        maps: Float32[np.ndarray, "K H W"],
        *,
        threshold: float | None = None,
        min_area_px: int = 12,
        border_px: int = 0,
    ) -> Segmentation:
        """Return mask and probability; pixels that have no number in some map are never a defect.

        Parameters
        ----------
        maps
            (K H W) of `features`.
        threshold
            Probability; None: the model's.
        min_area_px
            Smallest region that is kept.
        border_px
            Width of the rim of the picture where nothing is a defect.

        Raises
        ------
        ModelError
            The maps are not those that it was taught with.
        """
        if len(maps) != len(self.channels):
            raise ModelError(f"the model takes {len(self.channels)} maps, not {len(maps)}")
        known = np.isfinite(maps).all(axis=0)
        score = self.network.run(np.where(np.isfinite(maps), maps, np.float32(0)))
        score[~known] = np.nan
        limit = self.threshold if threshold is None else threshold
        with np.errstate(invalid="ignore"):
            above = np.asarray(score >= limit)
        mask = cleaned(above, min_area_px=min_area_px, border_px=border_px)
        return Segmentation(mask, score, (f"network: probability of {limit:.2f} and more",))


def save_model(folder: Path, network: bytes, manifest: Mapping[str, Any], features: FeaturesConfig) -> None:
    """Write a model folder; see `DefectModel.load` for what the manifest must hold, and `write_bundle` for errors."""
    write_network(folder, manifest={"kind": KIND, "features": to_mapping(features), **manifest}, network=network)


def shipped_models() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) if SHIPPED.is_dir() else []


def folder_of(model: str | Path) -> Path:
    """Return the folder of a model: that of this path, else of the one of this name that comes with the package."""
    if not Path(model).exists() and str(model) in shipped_models():
        return SHIPPED / str(model)
    if not Path(model).exists():
        known = ", ".join(shipped_models()) or "none"
        raise ModelError(f"there is no such folder; models that come with the package: {known}", Path(model))
    return Path(model)
