"""The autoencoder as an anomaly method: OpenVINO against torch, without torch, and what it finds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage

from isotherm.anomaly.autoencoder import METHOD, AutoencoderConfig
from isotherm.anomaly.method import Detector, Inputs
from isotherm.core.errors import ConfigError, DataError, ModelError
from isotherm.core.progress import silent
from isotherm.nn.autoencoder import Autoencoder, folded_arrays
from isotherm.testing.anomaly import BatchImages

SIZE = 64


def detector_of(network: Autoencoder, config: AutoencoderConfig) -> Detector:
    return METHOD.load({"size": np.array([SIZE, SIZE], np.int32), **folded_arrays(network)}, config)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_network() -> Autoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Autoencoder()
        # Batch statistics of real pictures make the folded weights realistic.
        network.train()(torch.rand(4, 3, SIZE, SIZE))
    return network.eval()


def scenes(count: int, seed: int) -> np.ndarray:
    """A warm bar whose brightness and place vary, the same in all three channels."""
    rng = np.random.default_rng(seed)
    across = np.linspace(-1, 1, SIZE)
    bars = [rng.uniform(0.5, 0.7) * np.exp(-(((across - rng.normal(0, 0.05)) / 0.4) ** 2)) for _ in range(count)]
    grey = np.stack([np.tile(bar, (SIZE, 1)) for bar in bars]).astype(np.float32)
    return np.ascontiguousarray(np.repeat(grey[:, None], 3, axis=1))


def test_openvino_agrees_with_torch() -> None:
    network = random_network()
    detector = detector_of(network, AutoencoderConfig(blur_px=2.0))
    pictures = np.random.default_rng(1).uniform(-0.3, 1.5, (3, 3, SIZE, SIZE)).astype(np.float32)
    result = detector.predict(Inputs(pictures))
    with torch.no_grad():
        drawn = network(torch.from_numpy(pictures).clamp(0, 1)).numpy()
    np.testing.assert_allclose(result.references, drawn, atol=2e-5)
    error = ((pictures - drawn) ** 2).mean(axis=1)
    small = error.reshape(3, SIZE // 4, 4, SIZE // 4, 4).mean(axis=(2, 4))
    # Weights beyond the border are dropped: zeros there, and what they would have weighed is divided by.
    blur = partial(ndimage.gaussian_filter, sigma=2.0 / 4, mode="constant", truncate=8.0)
    expected = np.stack([blur(each) / blur(np.ones_like(each)) for each in small])
    np.testing.assert_allclose(result.maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result.scores, result.maps.max(axis=(1, 2)))


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    detector = detector_of(random_network(), AutoencoderConfig())
    pictures = scenes(3, 0)
    together = detector.predict(Inputs(pictures))
    alone = detector.predict(Inputs(pictures[1:2]))
    np.testing.assert_array_equal(together.maps[1:2], alone.maps)
    np.testing.assert_array_equal(together.scores[1:2], alone.scores)


def test_arrays_rebuild_the_same_detector() -> None:
    detector = detector_of(random_network(), AutoencoderConfig())
    rebuilt = METHOD.load(detector.arrays(), AutoencoderConfig())
    pictures = scenes(2, 0)
    np.testing.assert_array_equal(rebuilt.predict(Inputs(pictures)).maps, detector.predict(Inputs(pictures)).maps)


@pytest.mark.slow
def test_it_finds_a_spot_and_what_is_hotter_than_ever_seen() -> None:
    steps: list[tuple[int, int, str]] = []
    config = AutoencoderConfig(epochs=60, patience=60, bfloat16=False, learning_rate=3e-3)
    detector = METHOD.fit(BatchImages(Inputs(scenes(24, 0))), config, 0, lambda *step: steps.append(step))
    assert steps[-1][:2] == (60, 60)
    assert "epoch 60 loss" in steps[-1][2]
    normal = scenes(8, 1)
    spot = normal.copy()
    spot[:, :, 10:16, 40:46] += 0.5
    hotter = np.repeat(normal[:1], 2, axis=0)
    hotter[0, :, 20:40, 20:40] = 2.0
    hotter[1, :, 20:40, 20:40] = 3.0
    normal_scores, result = detector.predict(Inputs(normal)).scores, detector.predict(Inputs(spot))
    assert result.scores.min() > normal_scores.max()
    rows, columns = np.unravel_index(result.maps.reshape(8, -1).argmax(axis=1), result.maps.shape[1:])
    assert np.all(np.abs(rows * 4 + 1.5 - 12.5) <= 4)
    assert np.all(np.abs(columns * 4 + 1.5 - 42.5) <= 4)
    cold, hot = detector.predict(Inputs(hotter)).scores
    assert hot > cold > result.scores.max()


def test_loading_and_predicting_need_no_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.autoencoder import _shapes
from isotherm.anomaly.method import Inputs
from isotherm.core.errors import MissingExtraError
method = ANOMALY_METHODS.get("autoencoder")
arrays = {name: np.zeros(shape, np.float32) for name, shape in _shapes()}
arrays["size"] = np.array([64, 64], np.int32)
result = method.load(arrays, method.config_type()).predict(Inputs(np.ones((1, 3, 64, 64), np.float32)))
assert abs(float(result.scores[0]) - 0.25) < 1e-5, result.scores
try:
    method.fit([1, 2], method.config_type(), 0, print)
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install 'isotherm[train]'" in done.stdout


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = dict(detector_of(random_network(), AutoencoderConfig()).arrays())
    with pytest.raises(ModelError, match=r"array 'size' is missing"):
        METHOD.load({}, AutoencoderConfig())
    with pytest.raises(ModelError, match=r"'decoder\.4\.bias' has the shape \(4,\), not \(3\)"):
        METHOD.load({**arrays, "decoder.4.bias": np.zeros(4, np.float32)}, AutoencoderConfig())
    with pytest.raises(ModelError, match="not finite"):
        METHOD.load({**arrays, "decoder.4.bias": np.full(3, np.nan, np.float32)}, AutoencoderConfig())


def test_one_image_is_too_few_and_settings_have_bounds() -> None:
    with pytest.raises(DataError, match="at least 2 normal images to learn from, not 1"):
        METHOD.fit(BatchImages(Inputs(scenes(1, 0))), AutoencoderConfig(), 0, silent)
    with pytest.raises(ConfigError, match="epochs must be at least 1"):
        AutoencoderConfig(epochs=0)
