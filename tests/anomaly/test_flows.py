"""FastFlow and CFLOW: their graphs against torch, what they find, what they leave out, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from isotherm.anomaly import cflow, fastflow, feature_cache
from isotherm.anomaly.cflow import CFlowConfig
from isotherm.anomaly.fastflow import FastFlowConfig
from isotherm.anomaly.feature_cache import CachedMaps
from isotherm.anomaly.flow_graph import place_encoding
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.patches import Taps, choose_taps
from isotherm.core.errors import DataError, ModelError
from isotherm.core.progress import silent
from isotherm.nn.flows import FibreSubnet, Flow, MapSubnet
from isotherm.testing.anomaly import BatchImages, faulty_pictures, normal_pictures
from random_weights import add_random

FAST = FastFlowConfig(couplings=2, steps=30, batch_size=4, learning_rate=3e-3, blur_px=0.0)
CONDITIONAL = CFlowConfig(couplings=2, width=16, steps=60, batch_size=64, learning_rate=3e-3, blur_px=0.0)
METHODS = [(fastflow.METHOD, FAST), (cflow.METHOD, CONDITIONAL)]
SQUARE = (64, 64)
CHANNELS = {8: 40, 16: 112}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def source(pictures: np.ndarray, ignore: np.ndarray | None = None) -> BatchImages:
    return BatchImages(Inputs(pictures, ignore))


def tap(stride: int) -> Taps:
    return choose_taps("efficientnet_lite0", (stride,))


def normals(count: int, seed: int) -> np.ndarray:
    return normal_pictures(count, seed=seed, size=SQUARE).pixels


def faulty(count: int, seed: int) -> np.ndarray:
    return faulty_pictures(count, seed=seed, size=SQUARE).pixels


@cache
def fitted(method: Any, config: Any, count: int = 8) -> Any:
    return method.fit(source(normals(count, 1)), config, 0, silent)


def torch_flow(name: str, stride: int, arrays: dict[str, np.ndarray], config: Any) -> Flow:
    """Build the flow of one scale in torch from a detector's arrays."""
    subnets: list[Callable[[int, int], torch.nn.Module]]
    if name == "cflow":
        subnets = [partial(FibreSubnet, encoding=cflow.ENCODING, width=config.width)] * config.couplings
    else:
        width = CHANNELS[stride] // 2
        subnets = [partial(MapSubnet, kernel=side, width=width) for side in (3, 1)]
    flow = Flow(CHANNELS[stride], subnets, torch.Generator())
    state = {key: torch.from_numpy(arrays[f"{stride}.{key.removeprefix('steps.')}"]) for key in flow.state_dict()}
    flow.load_state_dict(state)
    return flow


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_the_graph_agrees_with_torch(method: Any, config: Any) -> None:
    detector = fitted(method, config)
    arrays = dict(detector.arrays())
    asked = np.concatenate([normals(1, 4), faulty(1, 5)])
    found = detector.predict(Inputs(asked))
    total = np.zeros((2, 8, 8))
    for stride in (8, 16):
        graph = CachedMaps(source(asked), tap(stride), 0.5, 0, silent)._compiled
        features = torch.from_numpy(np.stack([maps for (maps,) in graph.run(asked)])).permute(0, 3, 1, 2)
        mean, deviation = (torch.from_numpy(arrays[f"{stride}.{key}"]) for key in ("mean", "deviation"))
        values = (features - mean[None, :, None, None]) / deviation[None, :, None, None]
        flow = torch_flow(method.name, stride, arrays, config)
        with torch.no_grad():
            if method.name == "cflow":
                fibres = values.permute(0, 2, 3, 1).reshape(-1, values.shape[1])
                places = torch.from_numpy(place_encoding(tuple(values.shape[2:]), cflow.ENCODING)).repeat(2, 1)
                surprise = flow.surprise(fibres, places).reshape(2, *values.shape[2:])
            else:
                surprise = flow.surprise(values)
            middle, spread = arrays[f"{stride}.typical"]
            surprise = (surprise - middle) / spread
            total += functional.interpolate(surprise[:, None], (8, 8), mode="bilinear")[:, 0].numpy() / 2
    np.testing.assert_allclose(found.maps, total, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.scores, total.max(axis=(1, 2)), rtol=1e-3)


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_learning_raises_the_likelihood_of_pictures_that_were_not_seen(method: Any, config: Any) -> None:
    short, long = fitted(method, replace(config, steps=1)), fitted(method, config)
    for stride in (8, 16):
        first, last = (detector.arrays()[f"{stride}.typical"][0] for detector in (short, long))
        assert last < first - 0.05
    unseen = long.predict(Inputs(normals(4, 9))).maps
    # In deviations of normal cells that were not seen.
    assert abs(unseen.mean()) < 0.7
    assert 0.3 < unseen.std() < 2


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_what_is_ignored_is_not_learnt_and_raises_no_score(method: Any, config: Any) -> None:
    # A logo that is always there, always different, and always ignored.
    rng = np.random.default_rng(0)
    pictures, ignore = normals(8, 1), np.zeros((8, *SQUARE), np.bool_)
    ignore[:, :16] = True
    blotted = pictures.copy()
    blotted[:, :, :16] = rng.uniform(0, 4, (8, 3, 16, 64))
    detector = method.fit(source(blotted, ignore), config, 0, silent)
    for stride in (8, 16):
        cache = CachedMaps(source(blotted, ignore), tap(stride), 0.25, 0, silent)
        kept = cache.validation[1]
        assert not kept[:, : 16 // stride].any()
        assert kept[:, 16 // stride :].all()
    shown = Inputs(blotted[:2], ignore[:2])
    maps = detector.predict(shown).maps
    assert (maps[:, :2] <= maps[:, 2:].min(axis=(1, 2))[:, None, None]).all()
    seen = detector.predict(Inputs(blotted[:2])).scores
    assert (detector.predict(shown).scores < seen).all()


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_outliers_far_beyond_the_span_stay_finite_and_rank(method: Any, config: Any) -> None:
    detector = fitted(method, config)
    pictures = normals(1, 3).repeat(3, axis=0)
    for picture, value in zip(pictures, (1.5, 1e3, -1e8), strict=True):
        picture[:, 24:40, 24:40] = value
    scores = detector.predict(Inputs(pictures)).scores
    assert np.isfinite(scores).all()
    assert scores.min() > detector.predict(Inputs(normals(4, 7))).scores.max()


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_oblong_pictures(method: Any, config: Any) -> None:
    pictures = np.concatenate([normals(4, 1), normals(4, 2)], axis=3)
    detector = method.fit(source(pictures), config, 0, silent)
    asked = pictures[:1].copy()
    asked[:, :, 40:56, 96:112] += 0.8
    maps = detector.predict(Inputs(asked)).maps
    assert maps.shape == (1, 8, 16)
    row, column = np.unravel_index(maps[0].argmax(), maps.shape[1:])
    assert 4 <= row <= 7
    assert 11 <= column <= 14


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_a_set_larger_than_the_cache_is_computed_again(
    method: Any, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = source(normals(40, 1))
    whole = CachedMaps(pictures, tap(8), 0.1, 0, silent)
    monkeypatch.setattr(feature_cache, "CACHE_BYTES", 2 * 8 * 8 * 40 * 12)
    parts = CachedMaps(pictures, tap(8), 0.1, 0, silent)
    assert [len(values) for values, _ in parts.chunks()] != [36]
    for one, other in zip(whole.chunks(), [tuple(map(np.concatenate, zip(*parts.chunks(), strict=True)))], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert np.array_equal(whole.mean, parts.mean)
    assert np.array_equal(whole.validation[0], parts.validation[0])
    assert np.isfinite(method.fit(pictures, replace(config, steps=12), 0, silent).predict(pictures.inputs).scores).all()


def test_features_are_standardised_over_what_is_learnt_from() -> None:
    cache = CachedMaps(source(normals(10, 1)), tap(16), 0.2, 3, silent)
    ((values, kept),) = cache.chunks()
    assert values.dtype == np.float16
    assert values.shape == (8, 4, 4, 112)
    assert len(cache.validation[0]) == 2
    vectors = values[kept].astype(np.float64)
    assert cache.mean == pytest.approx(vectors.mean(axis=0), abs=1e-5)
    variance = vectors.var(axis=0)
    assert cache.deviation**2 == pytest.approx(variance + 0.01 * variance.mean(), rel=1e-4)


def test_places_have_different_encodings() -> None:
    table = place_encoding((5, 7), 64)
    assert table.shape == (35, 64)
    assert np.abs(table).max() <= 1
    # The column's half is the same all down a column, the row's half along a row.
    grid = table.reshape(5, 7, 64)
    assert np.array_equal(grid[0, :, :32], grid[4, :, :32])
    assert np.array_equal(grid[:, 0, 32:], grid[:, 6, 32:])
    assert grid[2, 3, 0] == pytest.approx(np.sin(3), abs=1e-6)
    assert grid[2, 3, 32] == pytest.approx(np.sin(2), abs=1e-6)
    distances = np.linalg.norm(table[:, None] - table[None], axis=2) + 9 * np.eye(35)
    assert distances.min() > 0.5


def test_flat_pictures_and_copies_of_one() -> None:
    copies, flat = np.repeat(normals(1, 1), 4, axis=0), np.full((4, 3, *SQUARE), 0.5, np.float32)
    for (method, config), pictures in zip(METHODS, (copies, flat), strict=True):
        detector = method.fit(source(pictures), replace(config, steps=10), 0, silent)
        scores = detector.predict(Inputs(np.concatenate([pictures[:1], faulty(1, 3)]))).scores
        assert np.isfinite(scores).all()
        assert scores[0] < scores[1]


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_another_network(method: Any, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOTHERM_CACHE", str(tmp_path / "cache"))
    add_random("resnet18", tmp_path)
    config = replace(config, backbone="resnet18", strides="16,32", steps=4)
    detector = method.fit(source(normals(4, 1)), config, 0, silent)
    assert detector.arrays()["32.mean"].shape == (512,)
    found = method.load(detector.arrays(), config).predict(Inputs(faulty(1, 2)))
    assert found.maps.shape == (1, 4, 4)
    assert np.array_equal(found.scores, detector.predict(Inputs(faulty(1, 2))).scores)


@pytest.mark.parametrize(("method", "config"), METHODS)
def test_one_picture_is_too_few(method: Any, config: Any) -> None:
    with pytest.raises(DataError, match="at least 2 normal images"):
        fitted(method, config, count=1)


def test_loading_needs_no_torch_and_fitting_says_so_before_it_reads() -> None:
    code = """
import sys
sys.modules["torch"] = None
from isotherm.anomaly import cflow, fastflow
from isotherm.core.errors import MissingExtraError
for module in (cflow, fastflow):
    method = module.METHOD
    config = method.config_type()
    for ask in (config.check_weights, lambda: method.fit(None, config, 0, print)):
        try:
            ask()
        except MissingExtraError as error:
            print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pip install 'isotherm[train]'") == 4


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("8.0.order", np.zeros(40, np.int32)),
        ("8.deviation", np.zeros(40, np.float32)),
        ("16.typical", np.zeros(2, np.float32)),
        ("8.mean", np.full(40, np.nan, np.float32)),
        ("16.1.subnet.last.weight", np.zeros((3, 3), np.float32)),
        ("size", np.array([64, 60], np.int32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: np.ndarray) -> None:
    for method, config in METHODS:
        arrays = dict(fitted(method, config).arrays())
        method.load(arrays, config)
        with pytest.raises(ModelError):
            method.load(arrays | {name: array}, config)
