"""AnomalyDINO: what it computes, against its definition; weights are random ones in a cache of the test's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from isotherm.anomaly.anomalydino import METHOD, AnomalyDinoConfig
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.patches import choose_taps, compile_patches
from isotherm.cli.main import main
from isotherm.core.errors import ConfigError, ModelError
from isotherm.core.progress import silent
from isotherm.testing.anomaly import BatchImages, check_anomaly_method, faulty_pictures, normal_pictures
from random_weights import add_random

SIZE = (64, 96)
OFFLINE = AnomalyDinoConfig(backbone="efficientnet_lite0")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISOTHERM_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_promises_of_the_seam(cache: Path) -> None:
    add_random("dinov2_vits14", cache)
    check_anomaly_method(METHOD, AnomalyDinoConfig(max_rows=64))


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_distances_scores_and_maps(share: float) -> None:
    config = AnomalyDinoConfig(backbone="efficientnet_lite0", worst_share=share, blur_px=0.0)
    normal, asked = normal_pictures(4, seed=1, size=SIZE), faulty_pictures(2, seed=2, size=SIZE)
    found = METHOD.fit(BatchImages(normal), config, 0, silent).predict(asked)
    graph = compile_patches(choose_taps("efficientnet_lite0", (8, 16)), SIZE, "f32")
    bank = np.concatenate([cells for (cells,) in graph.run(normal.pixels)])
    for (cells,), values, score in zip(graph.run(asked.pixels), found.maps, found.scores, strict=True):
        expected = cdist(cells, bank, "cosine").min(axis=1)
        assert values.ravel() == pytest.approx(expected, abs=1e-5)
        assert score == pytest.approx(np.sort(expected)[-max(1, round(share * 96)) :].mean(), abs=1e-5)


def test_a_bank_that_is_too_large_is_a_core_set() -> None:
    normal = BatchImages(normal_pictures(4, seed=1, size=SIZE))
    config = AnomalyDinoConfig(backbone="efficientnet_lite0", max_rows=50)
    assert len(METHOD.fit(normal, config, 0, silent).arrays()["bank"]) == 50


def test_flat_pictures() -> None:
    flat = Inputs(np.zeros((2, 3, 64, 64), np.float32))
    detector = METHOD.fit(BatchImages(flat), OFFLINE, 0, silent)
    assert detector.predict(flat).scores == pytest.approx(0, abs=1e-5)
    assert np.isfinite(detector.predict(faulty_pictures(1, seed=1, size=(64, 64))).scores).all()


def test_without_weights_nothing_is_read(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / "normals").mkdir()
    for place in range(3):
        (cache / "normals" / f"{place}.npy").write_bytes(b"no picture at all")
    with pytest.raises(ModelError, match=r"'dinov2_vits14' are not here; isotherm backbones fetch dinov2_vits14"):
        METHOD.fit(BatchImages(normal_pictures(2, seed=1, size=SIZE)), AnomalyDinoConfig(), 0, silent)
    assert main(["train", str(cache / "normals"), "-o", str(cache / "model"), "--method", "anomalydino"]) == 1
    assert "the weights of the backbone 'dinov2_vits14' are not here" in capsys.readouterr().err


def test_settings() -> None:
    assert AnomalyDinoConfig().tapped() == (14,)
    with pytest.raises(ConfigError):
        AnomalyDinoConfig(strides="8")
    with pytest.raises(ConfigError):
        AnomalyDinoConfig(worst_share=1.5)
