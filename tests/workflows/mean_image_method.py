"""A very small anomaly method for tests: how far a picture is from the mean of the normal ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isotherm.anomaly.method import AnomalyMaps, Images, Inputs
from isotherm.core.config import setting
from isotherm.core.progress import Progress


@dataclass(frozen=True)
class MeanImageConfig:
    """One setting, so that its flag can be tested."""

    gain: float = setting(1.0, "factor of all distances", low=0.0)


class MeanImageDetector:
    """Distance to the mean picture."""

    def __init__(self, mean: np.ndarray, gain: float) -> None:
        self.mean, self.gain = mean, gain

    def predict(self, inputs: Inputs) -> AnomalyMaps:
        """Score N images; maps have a quarter of the input's sides, and 0 where something is ignored."""
        away = self.gain * np.abs(inputs.pixels - self.mean).mean(axis=1) * ~inputs.ignored()
        rows, columns = away.shape[1] // 4, away.shape[2] // 4
        maps = away.reshape(len(inputs), rows, 4, columns, 4).mean(axis=(2, 4)).astype(np.float32)
        return AnomalyMaps(maps=maps, scores=maps.max(axis=(1, 2)))

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the mean picture."""
        return {"mean": self.mean}


class MeanImage:
    """The method."""

    name = "mean-image"
    config_type = MeanImageConfig

    def fit(self, images: Images, config: MeanImageConfig, seed: int, progress: Progress) -> MeanImageDetector:
        """Average the normal images."""
        pictures = np.concatenate([inputs.pixels for inputs in images.batches(8)])
        return MeanImageDetector(pictures.mean(axis=0), config.gain)

    def load(self, arrays: Mapping[str, np.ndarray], config: MeanImageConfig) -> MeanImageDetector:
        """Take the mean picture back."""
        return MeanImageDetector(arrays["mean"], config.gain)


METHOD = MeanImage()
