"""Fusion: its yardsticks and its sums, against their definitions, with members that are easy to follow."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from isotherm.anomaly import fusion
from isotherm.anomaly.fusion import METHOD, PRIOR, FusionConfig, Part
from isotherm.anomaly.graphs import GraphDetector, finished, graph_inputs, keep_out, largest
from isotherm.anomaly.method import Inputs
from isotherm.core.errors import ConfigError, ModelError, UnknownNameError
from isotherm.core.progress import silent
from isotherm.testing.anomaly import BatchImages

SIZE = (64, 96)
SHARP = FusionConfig(members="grey", smooth_px=0.0)


@dataclass(frozen=True)
class NoConfig:
    """No settings."""


class Grey:
    """A method whose map is the mean grey level of each cell."""

    config_type = NoConfig

    def __init__(self, name: str, cell_px: int) -> None:
        self.name, self.cell_px = name, cell_px

    def fit(self, images: Any, config: NoConfig, seed: int, progress: Any) -> GraphDetector:
        progress(1, 1, "looking")
        return self.load({"count": np.array([len(images)], np.int32)}, config)

    def load(self, arrays: Any, config: NoConfig) -> GraphDetector:
        return GraphDetector(arrays, self._model)

    def _model(self) -> ov.Model:
        pixels, ignore = graph_inputs(SIZE)
        cell = [self.cell_px, self.cell_px]
        first = ops.avg_pool(pixels, cell, [0, 0], [0, 0], cell, True)
        grid = (SIZE[0] // self.cell_px, SIZE[1] // self.cell_px)
        maps = keep_out(ops.reduce_mean(first, np.array([1]), False), ignore, SIZE, grid)
        return finished((pixels, ignore), maps=maps, scores=largest(maps))


MEMBERS = {"grey": Grey("grey", 8), "coarse": Grey("coarse", 16)}


@pytest.fixture(autouse=True)
def easy_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "ANOMALY_METHODS", SimpleNamespace(get=MEMBERS.__getitem__))


def pictures(count: int, *, seed: int = 0) -> Inputs:
    """Return noise around .5, five times as strong in the upper 16 rows, which are also brighter."""
    rng = np.random.default_rng(seed)
    grey = 0.5 + 0.1 * rng.standard_normal((count, 1, *SIZE))
    grey[:, :, :16] += 0.5 + 0.5 * rng.standard_normal((count, 1, 16, SIZE[1]))
    return Inputs(np.repeat(grey, 3, axis=1).astype(np.float32))


def cells(inputs: Inputs, cell_px: int) -> np.ndarray:
    height, width = (side // cell_px for side in SIZE)
    blocks = inputs.pixels.astype(np.float64).reshape(-1, 3, height, cell_px, width, cell_px)
    means: np.ndarray = blocks.mean(axis=(1, 3, 5))
    return means


def fitted(inputs: Inputs, config: FusionConfig = SHARP) -> GraphDetector:
    return METHOD.fit(BatchImages(inputs), config, 0, silent)


def expected_yardstick(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count, variance = len(maps), maps.var(axis=0)
    mean = (maps.sum(axis=0) + PRIOR * maps.mean()) / (count + PRIOR)
    return mean, np.sqrt((count * variance + PRIOR * variance.mean()) / (count + PRIOR))


def test_the_yardstick_is_mean_and_spread_at_each_place() -> None:
    normal = pictures(30)
    arrays = fitted(normal).arrays()
    mean, spread = expected_yardstick(cells(normal, 8))
    np.testing.assert_allclose(arrays["grey.place_mean"], mean, rtol=1e-4)
    np.testing.assert_allclose(arrays["grey.place_spread"], spread, rtol=1e-3)


def test_the_yardstick_can_be_averaged_over_neighbours() -> None:
    smooth = fitted(pictures(30), FusionConfig(members="grey", smooth_px=16.0)).arrays()
    sharp = fitted(pictures(30)).arrays()
    along_rows = [arrays["grey.place_spread"].std(axis=1).mean() for arrays in (smooth, sharp)]
    assert along_rows[0] < 0.5 * along_rows[1]
    assert smooth["grey.place_mean"][0].mean() > smooth["grey.place_mean"][-1].mean() + 0.2


def test_a_loud_place_does_not_hide_a_defect() -> None:
    detector, unseen, faulty = fitted(pictures(30)), pictures(10, seed=1), pictures(10, seed=2)
    faulty.pixels[:, :, 40:48, 40:48] += 0.2
    plain = MEMBERS["grey"].fit(BatchImages(unseen), NoConfig(), 0, silent)
    assert plain.predict(faulty).scores.min() < plain.predict(unseen).scores.max()
    found = detector.predict(faulty)
    assert found.scores.min() > detector.predict(unseen).scores.max()
    assert {int(values.argmax()) for values in found.maps} == {5 * 12 + 5}


def test_members_are_joined_in_units_of_their_spread() -> None:
    normal, asked = pictures(30), pictures(3, seed=1)
    found = fitted(normal, FusionConfig(members="grey, coarse", smooth_px=0.0)).predict(asked)
    standardised = []
    for cell_px in (8, 16):
        mean, spread = expected_yardstick(cells(normal, cell_px))
        standardised.append((cells(asked, cell_px) - mean) / spread)
    peaks = np.mean([values.max(axis=(1, 2)) for values in standardised], axis=0)
    np.testing.assert_allclose(found.scores, peaks, rtol=1e-3)
    assert found.maps.shape == (3, 8, 12)
    # Between the centres of coarse cells their values are mixed; in a corner the nearest one stands alone.
    corner = (standardised[0][:, 0, 0] + standardised[1][:, 0, 0]) / 2
    np.testing.assert_allclose(found.maps[:, 0, 0], corner, rtol=1e-3)


def test_members_are_looked_at_with_pictures_they_have_not_learnt_from() -> None:
    learnt: list[np.ndarray] = []

    class Recording(Grey):
        def fit(self, images: Any, config: NoConfig, seed: int, progress: Any) -> GraphDetector:
            learnt.append(np.concatenate([batch.pixels[:, 0, 0, 0] for batch in images.batches(2)]))
            return super().fit(images, config, seed, progress)

    MEMBERS["recording"] = Recording("recording", 8)
    normal = pictures(7)
    fitted(normal, FusionConfig(members="recording", parts=3))
    first = normal.pixels[:, 0, 0, 0]
    assert [sorted(np.flatnonzero(np.isin(first, part)).tolist()) for part in learnt] == [
        list(range(7)),
        [3, 4, 5, 6],
        [0, 1, 2, 5, 6],
        [0, 1, 2, 3, 4],
    ]


def test_ignored_places_are_not_part_of_the_yardstick() -> None:
    normal = pictures(30)
    ignore = normal.ignored().copy()
    ignore[::2, 16:24, 16:24] = True
    normal.pixels[::2, :, 16:24, 16:24] = 9.0
    arrays = fitted(Inputs(normal.pixels, ignore)).arrays()
    own = cells(normal, 8)[1::2, 2, 2]
    assert abs(arrays["grey.place_mean"][2, 2] - own.mean()) < 0.05
    assert arrays["grey.place_spread"][2, 2] < 0.1


def test_a_part_keeps_the_order_and_the_ignored_places() -> None:
    normal = pictures(5)
    ignore = normal.ignored().copy()
    ignore[3] = True
    part = Part(BatchImages(Inputs(normal.pixels, ignore)), np.array([False, True, False, True, True]))
    batches = list(part.batches(2))
    assert len(part) == sum(map(len, batches)) == 3
    np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in batches]), normal.pixels[[1, 3, 4]])
    assert [bool(batch.ignored()[place].all()) for batch in batches for place in range(len(batch))] == [
        False,
        True,
        False,
    ]


def test_one_picture_is_enough_to_get_finite_scores() -> None:
    found = fitted(pictures(1)).predict(pictures(2, seed=1))
    assert np.isfinite(found.scores).all()
    assert np.isfinite(found.maps).all()


@pytest.mark.parametrize("members", ["", " , ", "grey,grey", "fusion", "grey,fusion"])
def test_members_must_be_different_methods(members: str) -> None:
    with pytest.raises(ConfigError, match="members must be different methods other than fusion"):
        FusionConfig(members=members)


def test_an_unknown_member_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(UnknownNameError, match=r"'patchcor' \(did you mean 'patchcore'"):
        FusionConfig(members="patchcor").methods()


def test_a_member_without_a_graph_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(Grey):
        def fit(self, images: Any, config: NoConfig, seed: int, progress: Any) -> Any:
            detector = super().fit(images, config, seed, progress)
            return SimpleNamespace(predict=detector.predict, arrays=detector.arrays)

    monkeypatch.setitem(MEMBERS, "plain", Plain("plain", 8))
    with pytest.raises(ConfigError, match="plain is no graph and cannot be joined"):
        fitted(pictures(4), FusionConfig(members="plain"))


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("grey.place_spread", np.zeros((8, 12), np.float32), "spread that is not positive"),
        ("grey.place_spread", np.ones((8, 11), np.float32), "shape"),
        ("grey.place_mean", np.full((8, 12), np.nan, np.float32), "not finite"),
        ("size", np.array([64, 97], np.int32), "makes no sense"),
    ],
)
def test_damaged_arrays_are_refused(name: str, values: np.ndarray, reason: str) -> None:
    arrays = {**fitted(pictures(4)).arrays(), name: values}
    with pytest.raises(ModelError, match=reason):
        METHOD.load(arrays, SHARP)


def test_a_yardstick_of_another_size_is_refused() -> None:
    arrays = dict(fitted(pictures(4)).arrays())
    arrays["grey.place_mean"] = arrays["grey.place_spread"] = np.ones((4, 6), np.float32)
    with pytest.raises(ModelError, match="grey: its maps are 8 x 12 cells, its yardstick 4 x 6"):
        METHOD.load(arrays, SHARP)
