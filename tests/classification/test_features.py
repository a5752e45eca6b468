"""Features of whole pictures: what becomes of the maps of a network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import openvino as ov
import pytest

from isotherm.classification.features import FeatureConfig, FeatureSpec
from isotherm.core.errors import ConfigError, ModelError, UnknownNameError, UsageError
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled, Precision
from random_weights import add_random

SIZE = (64, 96)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).random((3, 3, *SIZE), np.float32)


def maps_of(pixels: np.ndarray, strides: tuple[int, ...]) -> list[np.ndarray]:
    """Return the maps of the network as they are."""
    node = ov.opset13.parameter([len(pixels), *pixels.shape[1:]], np.float32)
    nodes = BACKBONES.get("efficientnet_lite0").loaded().graph(node, strides)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    found = ov.Core().compile_model(ov.Model(nodes, [node]), "CPU", settings)([pixels])
    return [np.asarray(found[place]) for place in range(len(strides))]


def test_average(pixels: np.ndarray) -> None:
    spec = FeatureConfig(maps="8,32", pooling="average").chosen(SIZE)
    fine, deep = maps_of(pixels, (8, 32))
    expected = np.concatenate([fine.mean(axis=(2, 3)), deep.mean(axis=(2, 3))], axis=1)
    assert spec.length == expected.shape[1] == 40 + 320
    assert spec.of(pixels) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_spread(pixels: np.ndarray) -> None:
    spec = FeatureConfig(maps="16", pooling="spread").chosen(SIZE)
    (deep,) = maps_of(pixels, (16,))
    expected = np.concatenate([deep.mean(axis=(2, 3)), deep.std(axis=(2, 3))], axis=1)
    assert spec.length == expected.shape[1] == 224
    assert spec.of(pixels) == pytest.approx(expected, rel=1e-2, abs=2e-3)


def test_flatten(pixels: np.ndarray) -> None:
    spec = FeatureConfig(pooling="flatten").chosen(SIZE)
    (deep,) = maps_of(pixels, (32,))
    assert spec.length == 320 * 2 * 3
    assert spec.of(pixels) == pytest.approx(deep.reshape(3, -1), rel=1e-3, abs=1e-4)


def test_a_picture_does_not_depend_on_its_neighbours(pixels: np.ndarray) -> None:
    spec = FeatureConfig().chosen(SIZE)
    assert np.array_equal(spec.of(pixels)[1], spec.of(pixels[1:2])[0])
    assert spec.of(pixels[:0]).shape == (0, spec.length)


def test_the_published_features_of_vgg16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOTHERM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="isotherm backbones fetch vgg16"):
        FeatureConfig("vgg16").chosen((224, 224))
    add_random("vgg16", tmp_path)
    assert FeatureConfig("vgg16", pooling="flatten").chosen((224, 224)).length == 25_088
    small = FeatureConfig("vgg16", pooling="flatten").chosen((32, 32))
    assert small.of(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 512)


def test_there_and_back() -> None:
    spec = FeatureConfig(maps="16,32", pooling="average").chosen(SIZE)
    assert FeatureSpec.from_mapping(spec.to_mapping()) == spec


@pytest.mark.parametrize(
    "change",
    [{"size": [33, 64]}, {"size": [0, 64]}, {"pooling": "best"}, {"strides": [7]}, {"strides": []},
     {"backbone": "vgg99"}, {"size": 3}],
)  # fmt: skip
def test_damaged_descriptions_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        FeatureSpec.from_mapping(FeatureConfig().chosen(SIZE).to_mapping() | change)


def test_weights_that_are_not_here_are_asked_for() -> None:
    spec = FeatureSpec.from_mapping(FeatureConfig().chosen(SIZE).to_mapping() | {"digest": "ab" * 32})
    with pytest.raises(ModelError, match="abababababab"):
        spec.check()


def test_too_many_features_are_refused() -> None:
    with pytest.raises(UsageError, match="at most"):
        FeatureConfig(maps="4", pooling="flatten").chosen((1024, 1024)).check()


@pytest.mark.parametrize("maps", ["7", "8,8", "8;16", "eight"])
def test_maps_that_do_not_exist(maps: str) -> None:
    with pytest.raises(ConfigError, match="efficientnet_lite0"):
        FeatureConfig(maps=maps)


def test_a_network_that_does_not_exist() -> None:
    with pytest.raises(UnknownNameError, match="vgg16"):
        FeatureConfig("vgg19")


def test_threads_that_begin_together_compile_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    made, together = list[ov.Model](), Barrier(4)

    def counted(model: ov.Model, precision: Precision) -> Compiled:
        made.append(model)
        return Compiled(model, precision)

    def first(_: int) -> np.ndarray:
        together.wait()
        return spec.of(np.zeros((1, 3, 32, 96), np.float32))

    spec = FeatureConfig().chosen((32, 96))
    monkeypatch.setattr("isotherm.classification.features.Compiled", counted)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(first, range(4)))
    assert len(made) == 1
    assert all((each == answers[0]).all() for each in answers)
