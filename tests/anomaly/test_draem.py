"""DRAEM as an anomaly method: OpenVINO against torch, without torch, and what it finds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from isotherm.anomaly.draem import METHOD, DraemConfig
from isotherm.anomaly.method import Inputs
from isotherm.core.errors import DataError, ModelError
from isotherm.core.progress import silent
from isotherm.nn.draem import Draem
from isotherm.testing.anomaly import DEFECT, BatchImages, normal_pictures

SIZE = (64, 96)
QUICK = DraemConfig(
    epochs=20, patience=20, batch_size=4, redraw_width=8, judge_width=8, learning_rate=3e-3, bfloat16=False
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_network() -> Draem:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Draem(QUICK.redraw.widths, QUICK.judge.widths)
        # Batch statistics of real pictures make the folded weights realistic.
        network.train()(torch.rand(4, 3, *SIZE))
    return network.eval()


def stored() -> dict[str, np.ndarray]:
    return {"size": np.array(SIZE, np.int32), **random_network().arrays()}


def test_openvino_agrees_with_torch() -> None:
    detector = METHOD.load(stored(), replace(QUICK, blur_px=0.0))
    pictures = np.random.default_rng(1).uniform(-0.3, 1.5, (3, 3, *SIZE)).astype(np.float32)
    result = detector.predict(Inputs(pictures))
    with torch.no_grad():
        drawn, logits = random_network()(torch.from_numpy(pictures).clamp(0, 1))
    np.testing.assert_allclose(result.references, drawn.numpy(), atol=2e-5)
    strange = torch.sigmoid(logits)[:, 0].numpy() + ((pictures - pictures.clip(0, 1)) ** 2).mean(axis=1)
    expected = strange.reshape(3, 16, 4, 24, 4).mean(axis=(2, 4))
    assert expected.std() > 0.005
    np.testing.assert_allclose(result.maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result.scores, result.maps.max(axis=(1, 2)))


def test_it_finds_a_warm_square_within_the_span_that_it_never_saw() -> None:
    detector = METHOD.fit(BatchImages(normal_pictures(16, seed=1)), QUICK, 0, silent)
    clean = normal_pictures(4, seed=2)
    pixels = clean.pixels.copy()
    pixels[:, :, DEFECT, DEFECT] += 0.3
    assert pixels.max() < 1
    result = detector.predict(Inputs(pixels))
    assert result.scores.min() > detector.predict(clean).scores.max()
    for values in result.maps:
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert DEFECT.start - 4 <= 4 * row <= DEFECT.stop + 4
        assert DEFECT.start - 4 <= 4 * column <= DEFECT.stop + 4


def test_what_is_hotter_than_the_span_always_raises_the_score() -> None:
    detector = METHOD.load(stored(), QUICK)
    scores = []
    for level in (1.0, 1.3, 2.0, 4.0):
        pixels = np.full((1, 3, *SIZE), 0.5, np.float32)
        pixels[:, :, 20:40, 20:40] = level
        scores.append(float(detector.predict(Inputs(pixels)).scores[0]))
    assert scores == sorted(scores)
    assert scores[3] - scores[2] > 1


def test_loading_and_predicting_need_no_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.method import Inputs
from isotherm.core.errors import MissingExtraError
method = ANOMALY_METHODS.get("draem")
config = method.config_type(redraw_width=4, judge_width=4)
shapes = [*config.redraw.arrays("redraw"), *config.judge.arrays("judge")]
arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes}
arrays["size"] = np.array([64, 96], np.int32)
result = method.load(arrays, config).predict(Inputs(np.full((1, 3, 64, 96), 3, np.float32)))
assert abs(float(result.scores[0]) - 4.5) < 1e-5, result.scores
try:
    method.fit([1, 2], config, 0, print)
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install 'isotherm[train]'" in done.stdout


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = stored()
    assert set(METHOD.load(arrays, QUICK).arrays()) == set(arrays)
    with pytest.raises(ModelError, match=r"'judge\.down\.0\.weight' has the shape \(8, 6, 3, 3\), not \(16 6 3 3\)"):
        METHOD.load(arrays, replace(QUICK, judge_width=16))
    with pytest.raises(ModelError, match="not finite"):
        METHOD.load({**arrays, "redraw.up.4.bias": np.full(3, np.nan, np.float32)}, QUICK)


def test_one_image_is_too_few() -> None:
    with pytest.raises(DataError, match="DRAEM needs at least 2 normal images to learn from, not 1"):
        METHOD.fit(BatchImages(normal_pictures(1, seed=0)), QUICK, 0, silent)
