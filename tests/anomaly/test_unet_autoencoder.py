"""The denoising U-Net as an anomaly method: OpenVINO against torch, without torch, and that it does not copy faults."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from isotherm.anomaly.method import Inputs
from isotherm.anomaly.unet_autoencoder import METHOD, UnetAutoencoderConfig
from isotherm.core.errors import DataError, ModelError
from isotherm.core.progress import silent
from isotherm.nn.denoising import Denoiser, with_noise
from isotherm.nn.lessons import Lesson
from isotherm.testing.anomaly import BatchImages

QUICK = UnetAutoencoderConfig(epochs=20, patience=20, batch_size=4, width=8, learning_rate=3e-3, bfloat16=False)
SIZE = (64, 96)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def stripes(count: int, seed: int) -> np.ndarray:
    """Pictures that differ more than a network can know by heart: stripes of any phase and brightness."""
    rng = np.random.default_rng(seed)
    phase, level = rng.uniform(0, 2 * np.pi, (count, 1, 1)), rng.uniform(0.35, 0.5, (count, 1, 1))
    grey = level + 0.15 * np.sin(2 * np.pi * np.arange(64)[None, None] / 16 + phase)
    grey = grey + rng.normal(0, 0.01, (count, 64, 64))
    return np.repeat(grey[:, None], 3, axis=1).astype(np.float32)


def random_network() -> Denoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Denoiser(3, 3, QUICK.shape.widths, skips=True)
        # Batch statistics of real pictures make the folded weights realistic.
        network.train()(torch.rand(4, 3, *SIZE))
    return network.eval()


def test_openvino_agrees_with_torch() -> None:
    network = random_network()
    detector = METHOD.load({"size": np.array(SIZE, np.int32), **network.arrays("unet")}, replace(QUICK, blur_px=0.0))
    pictures = np.random.default_rng(1).uniform(-0.3, 1.5, (3, 3, *SIZE)).astype(np.float32)
    result = detector.predict(Inputs(pictures))
    with torch.no_grad():
        drawn = network(torch.from_numpy(pictures).clamp(0, 1)).numpy()
    assert float(drawn.std()) > 0.01
    np.testing.assert_allclose(result.references, drawn, atol=2e-5)
    error = ((pictures - drawn) ** 2).mean(axis=1).reshape(3, 16, 4, 24, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(result.maps, error, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result.scores, result.maps.max(axis=(1, 2)))


def test_noise_in_training_keeps_it_from_copying_faults() -> None:
    """Of a warm spot within the span the network that saw noise draws little; the one that did not copies it."""
    rows, columns = np.mgrid[:64, :64]
    spot = 0.35 * np.exp(-((rows - 40.0) ** 2 + (columns - 28.0) ** 2) / 50)
    clean = stripes(6, 1)
    faulty = (clean + spot).astype(np.float32)
    taken, apart = {}, {}
    for noise in (0.2, 0.0):
        config = replace(QUICK, noise=noise)
        detector = METHOD.fit(BatchImages(Inputs(stripes(24, 0))), config, 0, silent)
        good, bad = detector.predict(Inputs(clean)), detector.predict(Inputs(faulty))
        assert good.references is not None
        assert bad.references is not None
        drawn = (bad.references - good.references)[:, :, spot > 0.15].mean()
        taken[noise] = 1 - float(drawn) / float(spot[spot > 0.15].mean())
        apart[noise] = float((bad.scores - good.scores).mean())
    assert taken[0.2] > 0.8
    assert taken[0.0] < 0.4
    assert apart[0.2] > 3 * apart[0.0]


def test_noise_is_grey_on_grey_pictures_and_leaves_what_is_wanted_alone() -> None:
    grey = torch.full((16, 3, *SIZE), 0.5)
    coloured = grey.clone()
    coloured[:, 1] = 0.6
    for pictures, same in ((grey, True), (coloured, False)):
        lesson = Lesson(pictures, pictures, torch.ones(16, 1, *SIZE))
        noisy = with_noise(0.2, lesson, torch.Generator().manual_seed(0))
        assert noisy.wanted is pictures
        assert 0 <= float(noisy.shown.min()) <= float(noisy.shown.max()) <= 1
        noise = noisy.shown - pictures
        assert torch.allclose(noise[:, 0], noise[:, 1], atol=1e-6) == same
        # Strengths differ from picture to picture, and are about the setting's on average.
        deviations = noise[:, 0].flatten(1).std(dim=1)
        assert float(deviations.max() / deviations.min()) > 3
    assert torch.equal(with_noise(0.0, lesson, torch.Generator().manual_seed(0)).shown, coloured)


def test_loading_and_predicting_need_no_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.method import Inputs
from isotherm.core.errors import MissingExtraError
method = ANOMALY_METHODS.get("unet_autoencoder")
config = method.config_type(width=4)
arrays = {name: np.zeros(shape, np.float32) for name, shape in config.shape.arrays("unet")}
arrays["size"] = np.array([64, 96], np.int32)
result = method.load(arrays, config).predict(Inputs(np.full((1, 3, 64, 96), 2.5, np.float32)))
assert abs(float(result.scores[0]) - 4) < 1e-5, result.scores
try:
    method.fit([1, 2], config, 0, print)
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install 'isotherm[train]'" in done.stdout


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = {"size": np.array(SIZE, np.int32), **random_network().arrays("unet")}
    assert set(METHOD.load(arrays, QUICK).arrays()) == set(arrays)
    with pytest.raises(ModelError, match=r"'unet\.down\.0\.weight' has the shape \(8, 3, 3, 3\), not \(16 3 3 3\)"):
        METHOD.load(arrays, replace(QUICK, width=16))
    with pytest.raises(ModelError, match=r"'unet\.up\.4\.bias' is missing"):
        METHOD.load({name: array for name, array in arrays.items() if name != "unet.up.4.bias"}, QUICK)


def test_one_image_is_too_few() -> None:
    with pytest.raises(DataError, match="at least 2 normal images to learn from, not 1"):
        METHOD.fit(BatchImages(Inputs(stripes(1, 0))), QUICK, 0, silent)
