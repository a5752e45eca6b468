"""EfficientAD as an anomaly method: OpenVINO against torch, without torch, what it finds, and its scale."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as ops

from isotherm.anomaly.efficientad import METHOD, EfficientAdConfig, quantiles, teacher_node
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.patches import choose_taps, parameter
from isotherm.core.errors import ConfigError, DataError, ModelError
from isotherm.core.progress import silent
from isotherm.nn.students import Students
from isotherm.testing.anomaly import DEFECT, BatchImages, normal_pictures

SIZE = (64, 96)
QUICK = EfficientAdConfig(epochs=12, batch_size=4, width=8, narrow=16, learning_rate=3e-3, bfloat16=False, blur_px=0.0)
TAPS = choose_taps("efficientnet_lite0", (8, 16))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_network() -> Students:
    shape = QUICK.students(TAPS.dimensions, SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Students(shape.features, SIZE, shape.trunk, shape.dilations, shape.narrow)
        # Batch statistics of real pictures make the folded weights realistic; their running means are slow.
        for _ in range(30):
            network.train()(torch.rand(4, 3, *SIZE))
    return network.eval()


def stored() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "size": np.array(SIZE, np.int32),
        **TAPS.arrays(),
        **random_network().arrays(),
        "feature_mean": rng.normal(size=TAPS.dimensions).astype(np.float32),
        "feature_deviation": rng.uniform(0.5, 2, TAPS.dimensions).astype(np.float32),
        "quantiles": np.array([[0.5, 1.5], [0.1, 0.3]], np.float32),
    }


def teacher_of(pictures: np.ndarray) -> np.ndarray:
    pixels = parameter(SIZE)
    model = ov.Model([ops.result(teacher_node(TAPS, pixels, SIZE))], [pixels])
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled([pictures])[0])


def test_openvino_agrees_with_torch() -> None:
    arrays = stored()
    pictures = np.random.default_rng(1).uniform(-0.3, 1.5, (3, 3, *SIZE)).astype(np.float32)
    result = METHOD.load(arrays, QUICK).predict(Inputs(pictures))
    shown = pictures.clip(0, 1)
    with torch.no_grad():
        local, imitated, rebuilt = (part.numpy() for part in random_network()(torch.from_numpy(shown)))
    mean, deviation = (arrays[name][:, None, None] for name in ("feature_mean", "feature_deviation"))
    truth = (teacher_of(shown) - mean) / deviation
    first = ((truth - local) ** 2).mean(axis=1)
    second = ((rebuilt - imitated) ** 2).mean(axis=1)
    beyond = ((pictures - shown) ** 2).mean(axis=1).reshape(3, 8, 8, 12, 8).mean(axis=(2, 4))
    expected = 0.05 * (first - 0.5) / 1.0 + 0.05 * (second - 0.1) / 0.2 + beyond
    assert second.std() > 1e-4
    np.testing.assert_allclose(result.maps, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(result.scores, result.maps.max(axis=(1, 2)))


def test_the_teacher_is_the_joined_features_on_one_grid() -> None:
    features = teacher_of(normal_pictures(2, seed=0).pixels)
    assert features.shape == (2, 40 + 112, 8, 12)
    assert float(features.std()) > 0.1


def test_it_finds_a_warm_square_within_the_span() -> None:
    steps: list[tuple[int, int, str]] = []
    images = BatchImages(normal_pictures(16, seed=1))
    detector = METHOD.fit(images, QUICK, 0, lambda *step: steps.append(step))
    assert steps[-1][:2] == (12, 12)
    clean = normal_pictures(4, seed=2)
    pixels = clean.pixels.copy()
    pixels[:, :, DEFECT, DEFECT] += 0.3
    result = detector.predict(Inputs(pixels))
    assert result.scores.min() > 2 * detector.predict(clean).scores.max()
    for values in result.maps:
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert DEFECT.start - 8 <= 8 * row <= DEFECT.stop
        assert DEFECT.start - 8 <= 8 * column <= DEFECT.stop


def test_what_is_hotter_than_the_span_always_raises_the_score() -> None:
    detector = METHOD.load(stored(), QUICK)
    scores = []
    for level in (1.0, 1.3, 2.0, 4.0):
        pixels = np.full((1, 3, *SIZE), 0.5, np.float32)
        pixels[:, :, 24:40, 24:40] = level
        scores.append(float(detector.predict(Inputs(pixels)).scores[0]))
    assert scores == sorted(scores)
    assert scores[3] - scores[2] == pytest.approx(9 - 1, rel=0.01)


def test_quantiles_make_the_scale() -> None:
    local, whole = np.linspace(0, 1, 1001, dtype=np.float32), np.zeros(1001, np.float32)
    found = quantiles(local, whole)
    np.testing.assert_allclose(found[0], [0.9, 0.995], rtol=1e-5)
    assert found[1, 1] > found[1, 0] == 0


def test_loading_and_predicting_need_no_torch() -> None:
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from isotherm.anomaly.efficientad import METHOD, EfficientAdConfig
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.patches import choose_taps
from isotherm.core.errors import MissingExtraError
config = EfficientAdConfig(width=4, narrow=8)
taps = choose_taps("efficientnet_lite0", (8, 16))
shapes = config.students(taps.dimensions, (64, 96)).arrays()
arrays = {"size": np.array([64, 96], np.int32), **taps.arrays()}
arrays |= {name: np.zeros(shape, np.float32) for name, shape in shapes}
arrays |= {name: np.ones(taps.dimensions, np.float32) for name in ("feature_mean", "feature_deviation")}
arrays["quantiles"] = np.array([[0, 1], [0, 1]], np.float32)
result = METHOD.load(arrays, config).predict(Inputs(np.full((1, 3, 64, 96), 3, np.float32)))
assert result.scores[0] > 4, result.scores
try:
    METHOD.fit([1, 2], config, 0, print)
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install 'isotherm[train]'" in done.stdout


def test_arrays_and_settings_that_do_not_fit_are_refused() -> None:
    arrays = stored()
    assert set(METHOD.load(arrays, QUICK).arrays()) == set(arrays)
    with pytest.raises(ModelError, match=r"'halve\.0\.weight' has the shape \(8, 3, 3, 3\), not \(16 3 3 3\)"):
        METHOD.load(arrays, replace(QUICK, width=16))
    with pytest.raises(ModelError, match="deviations and the differences of the quantiles must be larger than 0"):
        METHOD.load({**arrays, "quantiles": np.ones((2, 2), np.float32)}, QUICK)
    with pytest.raises(ConfigError, match="strides must be some of"):
        EfficientAdConfig(strides="7")


def test_one_image_is_too_few() -> None:
    with pytest.raises(DataError, match="EfficientAD needs at least 2 normal images to learn from, not 1"):
        METHOD.fit(BatchImages(normal_pictures(1, seed=0)), QUICK, 0, silent)


def test_the_students_of_oblong_pictures_see_all_of_them() -> None:
    network = partial(Students, 4, (96, 160), (4, 4, 8), (1,), 8)()
    assert network.arrays()["squeeze.0.weight"].shape == (8, 8, 3, 5)
