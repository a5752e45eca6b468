"""Every registered anomaly method keeps the seam's promises, and the check notices broken ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.anomalydino import AnomalyDinoConfig
from isotherm.anomaly.cflow import CFlowConfig
from isotherm.anomaly.dfm import DfmConfig
from isotherm.anomaly.draem import DraemConfig
from isotherm.anomaly.efficientad import EfficientAdConfig
from isotherm.anomaly.fastflow import FastFlowConfig
from isotherm.anomaly.method import AnomalyMaps, Inputs
from isotherm.anomaly.padim import METHOD as PADIM
from isotherm.anomaly.padim import PadimConfig
from isotherm.anomaly.patchcore import PatchCoreConfig
from isotherm.anomaly.unet_autoencoder import UnetAutoencoderConfig
from isotherm.core.errors import UnknownNameError
from isotherm.testing.anomaly import check_anomaly_method

CONFIGS: dict[str, list[object]] = {
    "patchcore": [
        PatchCoreConfig(),
        PatchCoreConfig(neighbours=5, coreset_ratio=0.5),
        PatchCoreConfig(max_rows=16, precision="bf16", blur_px=0.0),
    ],
    # On a DINO transformer: test_anomalydino.py.
    "anomalydino": [AnomalyDinoConfig(backbone="efficientnet_lite0"), AnomalyDinoConfig("efficientnet_lite2", "8")],
    "padim": [PadimConfig(), PadimConfig(dimensions=20, precision="bf16", blur_px=0.0)],
    "dfm": [DfmConfig(), DfmConfig(score="nll", max_components=5), DfmConfig(score="fre", blur_px=0.0)],
    "fastflow": [FastFlowConfig(couplings=2, steps=30, batch_size=4, learning_rate=3e-3)],
    "unet_autoencoder": [UnetAutoencoderConfig(epochs=6, batch_size=4, width=4, learning_rate=3e-3, bfloat16=False)],
    "draem": [DraemConfig(epochs=6, batch_size=4, redraw_width=4, judge_width=4, learning_rate=3e-3, bfloat16=False)],
    "efficientad": [EfficientAdConfig(epochs=6, batch_size=4, width=8, narrow=16, learning_rate=3e-3, bfloat16=False)],
    "cflow": [CFlowConfig(couplings=2, width=16, steps=60, batch_size=64, learning_rate=3e-3)],
}


def configs(name: str) -> list[object]:
    """Return the configurations to check: those above, or a method's own defaults."""
    return CONFIGS.get(name) or [ANOMALY_METHODS.get(name).config_type()]


CASES = [(name, config) for name in ANOMALY_METHODS.names() if name != "autoencoder" for config in configs(name)]


@pytest.mark.parametrize(("name", "config"), CASES)
def test_the_promises_of_the_seam(name: str, config: object) -> None:
    check_anomaly_method(ANOMALY_METHODS.get(name), config)


@pytest.mark.slow
def test_the_promises_of_the_autoencoder() -> None:
    method = ANOMALY_METHODS.get("autoencoder")
    check_anomaly_method(method, method.config_type(epochs=15, patience=15))


def test_the_default_configuration_is_taken() -> None:
    check_anomaly_method(ANOMALY_METHODS.get("padim"))


class Broken:
    """PaDiM with one promise broken."""

    name = "broken"
    config_type = PadimConfig

    def __init__(self, fault: str) -> None:
        self.fault, self.fits = fault, 0

    def fit(self, images: Any, config: Any, seed: int, progress: Any) -> Any:
        self.fits += 1
        if self.fault == "inputs":
            next(images.batches(1)).pixels[:] = 0
        report = (lambda *_: None) if self.fault == "progress" else progress
        seed = self.fits if self.fault == "seed" else seed
        return BrokenDetector(PADIM.fit(images, config, seed, report), self.fault)

    def load(self, arrays: Any, config: Any) -> Any:
        if self.fault == "missing arrays" and "mean" not in arrays:
            return None
        return BrokenDetector(PADIM.load(arrays, config), "scores" if self.fault == "load" else self.fault)


class BrokenDetector:
    """Its detector."""

    def __init__(self, detector: Any, fault: str) -> None:
        self.detector, self.fault = detector, fault

    def predict(self, images: Inputs) -> AnomalyMaps:
        found = self.detector.predict(images)
        changes: dict[str, Any] = {
            "neighbours": {"scores": found.scores * len(images)},
            "scores": {"scores": found.scores + 1},
            "blind": {"scores": -found.scores},
            "place": {"maps": found.maps[:, ::-1, ::-1]},
            "overlay": {"scores": self.detector.predict(Inputs(images.pixels)).scores},
            "large": {"maps": np.repeat(np.repeat(found.maps, 16, 1), 16, 2)},
        }
        return replace(found, **changes.get(self.fault, {}))

    def arrays(self) -> Any:
        return self.detector.arrays()


@pytest.mark.parametrize(
    ("fault", "promise"),
    [
        ("inputs", "leave the images alone"),
        ("progress", "report its progress"),
        ("seed", "the same seed"),
        ("missing arrays", "'mean' is missing"),
        ("load", "the same scores"),
        ("neighbours", "neighbours"),
        ("blind", "must score higher"),
        ("place", "highest at the defect"),
        ("large", "larger than the input"),
        ("overlay", "what is ignored must not raise"),
    ],
)
def test_a_broken_promise_is_named(fault: str, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_anomaly_method(Broken(fault), PadimConfig(dimensions=20))


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'patchcor' \(did you mean 'patchcore'\?\); known: .*padim"):
        ANOMALY_METHODS.get("patchcor")
