"""PatchCore: what it computes, against the definitions written out in numpy and torch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from isotherm.anomaly import memory, patchcore
from isotherm.anomaly.coreset import greedy_coreset
from isotherm.anomaly.graphs import GraphDetector
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.patchcore import METHOD, PatchCoreConfig
from isotherm.anomaly.patches import choose_taps, compile_patches
from isotherm.anomaly.smoothing import smoothing
from isotherm.core.errors import ConfigError, ModelError
from isotherm.core.progress import silent
from isotherm.testing import anomaly as made_up
from isotherm.testing.anomaly import BatchImages

SMALL = PatchCoreConfig(coreset_ratio=0.2)
SQUARE = (64, 64)
LITE0 = choose_taps("efficientnet_lite0", patchcore.STRIDES)


def normal_pictures(count: int, *, seed: int) -> np.ndarray:
    return made_up.normal_pictures(count, seed=seed, size=SQUARE).pixels


def faulty_pictures(count: int, *, seed: int) -> np.ndarray:
    return made_up.faulty_pictures(count, seed=seed, size=SQUARE).pixels


def learnt(pictures: np.ndarray, config: PatchCoreConfig = SMALL) -> GraphDetector:
    return METHOD.fit(BatchImages(Inputs(pictures)), config, 0, silent)


def fitted(config: PatchCoreConfig = SMALL, count: int = 6) -> GraphDetector:
    return learnt(normal_pictures(count, seed=1), config)


def cells_of(pictures: np.ndarray) -> np.ndarray:
    graph = compile_patches(LITE0, pictures.shape[2:], "f32", average=patchcore.AVERAGE)
    return np.stack([cells for (cells,) in graph.run(pictures)])


def test_cells_are_local_means_joined_on_the_finer_grid() -> None:
    import torch
    from torch.nn import functional

    from isotherm.anomaly.patches import Compiled, parameter

    pictures = normal_pictures(1, seed=3)
    images = parameter(SQUARE)
    ov = pytest.importorskip("openvino")
    maps = Compiled(ov.Model(LITE0.feature_maps(images), [images]), "f32").run(pictures)
    fine, coarse = (torch.from_numpy(item)[None] for item in next(iter(maps)))
    means = [functional.avg_pool2d(item, 3, 1, 1) for item in (fine, coarse)]
    coarse = functional.interpolate(means[1], size=(8, 8), mode="bilinear", align_corners=False)
    expected = torch.cat([means[0], coarse], 1)[0].permute(1, 2, 0).reshape(64, 152).numpy()
    assert cells_of(pictures)[0] == pytest.approx(expected, abs=1e-4)


def test_the_bank_is_the_core_set_of_all_cells() -> None:
    detector = fitted()
    cells = cells_of(normal_pictures(6, seed=1)).reshape(-1, LITE0.dimensions)
    assert detector.arrays()["mean"] == pytest.approx(cells.mean(axis=0), abs=1e-4)
    rows = (cells - cells.mean(axis=0)).astype(np.float32)
    start = int(np.random.default_rng(0).integers(len(rows)))
    chosen = np.sort(greedy_coreset(rows, round(0.2 * len(rows)), start=start))
    assert detector.arrays()["bank"] == pytest.approx(rows[chosen], abs=1e-4)
    kept = np.unique(chosen // 64)
    assert np.array_equal(kept[detector.arrays()["owners"]], chosen // 64)


def test_distances_scores_and_maps() -> None:
    detector = fitted(PatchCoreConfig(coreset_ratio=0.2, blur_px=6))
    pictures = np.concatenate([normal_pictures(2, seed=5), faulty_pictures(2, seed=6)])
    found = detector.predict(Inputs(pictures))
    blur = smoothing(8, 8, 6)
    for cells, values, score in zip(cells_of(pictures), found.maps, found.scores, strict=True):
        distances = cdist(cells - detector.arrays()["mean"], detector.arrays()["bank"]).min(axis=1)
        assert score == pytest.approx(distances.max(), rel=1e-4)
        assert values == pytest.approx(blur @ distances.reshape(8, 8) @ blur.T, rel=1e-3)


def test_reweighting_is_the_papers() -> None:
    plain, weighted = fitted(), fitted(PatchCoreConfig(coreset_ratio=0.2, neighbours=4))
    pictures = faulty_pictures(3, seed=6)
    for cells, score, expected in zip(
        cells_of(pictures),
        weighted.predict(Inputs(pictures)).scores,
        plain.predict(Inputs(pictures)).scores,
        strict=True,
    ):
        rows = cells - weighted.arrays()["mean"]
        between = cdist(rows, weighted.arrays()["bank"])
        worst = between.min(axis=1).argmax()
        nearest = between[worst].argmin()
        around = np.argsort(cdist(weighted.arrays()["bank"][nearest][None], weighted.arrays()["bank"])[0])[:4]
        powers = np.exp(between[worst][around])
        weight = 1 - np.exp(between[worst].min()) / powers.sum()
        assert score == pytest.approx(expected * weight, rel=1e-3)


def test_one_neighbour_in_a_bank_of_one_row_is_no_neighbour() -> None:
    flat = np.full((2, 3, 64, 64), 0.5, np.float32)
    detector = learnt(flat, PatchCoreConfig(coreset_ratio=0.0001, neighbours=9))
    assert len(detector.arrays()["bank"]) == 1
    assert np.isfinite(detector.predict(Inputs(faulty_pictures(1, seed=0))).scores).all()


def test_the_bank_has_an_upper_bound() -> None:
    assert len(fitted(PatchCoreConfig(coreset_ratio=1.0, max_rows=50)).arrays()["bank"]) == 50


def test_a_small_pool_is_reduced_and_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted(count=12)
    sizes: list[int] = []
    original = memory.greedy_coreset

    def spy(points: np.ndarray, count: int, **options: object) -> np.ndarray:
        sizes.append(len(points))
        return original(points, count, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(memory, "greedy_coreset", spy)
    monkeypatch.setattr(memory, "POOL_BYTES", 400 * 4 * LITE0.dimensions)
    pooled = fitted(count=12)
    assert len(sizes) > 1
    assert max(sizes) <= 400
    assert len(pooled.arrays()["bank"]) == len(whole.arrays()["bank"]) == round(0.2 * 12 * 64)
    pictures = np.concatenate([normal_pictures(8, seed=5), faulty_pictures(2, seed=6)])
    one, other = whole.predict(Inputs(pictures)).scores, pooled.predict(Inputs(pictures)).scores
    assert other == pytest.approx(one, rel=0.25)
    assert other[8:].min() > 1.5 * other[:8].max()


def test_the_reference_is_the_normal_picture_that_owns_the_nearest_patches() -> None:
    dark, bright = normal_pictures(3, seed=1) - 0.3, normal_pictures(3, seed=2) + 0.3
    bright[:, 0] += 0.2
    detector = learnt(np.concatenate([dark, bright]), SMALL)
    shown = detector.predict(Inputs(np.stack([bright[1], dark[2]]))).references
    assert shown is not None
    assert shown.shape == (2, 3, 64, 64)
    assert np.abs(shown[0] - bright[1]).mean() < 0.1
    assert np.abs(shown[1] - dark[2]).mean() < 0.1


def test_thumbnails_are_few_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_THUMBNAILS", 3)
    detector = fitted(count=8)
    assert detector.arrays()["thumbnails"].shape == (3, 1, 64, 64)
    assert set(detector.arrays()["owners"].tolist()) == {-1, 0, 1, 2}
    assert detector.predict(Inputs(normal_pictures(1, seed=9))).references is not None


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("size", np.array([64], np.int32)),
        ("size", np.array([65, 64], np.int32)),
        ("size", np.array([64, 1 << 20], np.int32)),
        ("mean", np.zeros(3, np.float32)),
        ("bank", np.zeros((2, 152), np.float32)),
        ("bank", np.zeros((0, 152), np.float32)),
        ("owners", np.full(77, 9, np.int32)),
        ("owners", np.full(77, -1, np.int32)),
        ("owners", np.full(77, 0.0, np.float32)),
        ("thumbnails", np.zeros((1, 2, 8, 8), np.float16)),
        ("thumbnails", np.full((6, 1, 8, 8), np.nan, np.float16)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: np.ndarray) -> None:
    arrays = dict(fitted().arrays())
    assert len(arrays["owners"]) == 77
    with pytest.raises(ModelError):
        METHOD.load(arrays | {name: array}, SMALL)


@pytest.mark.parametrize("change", [{"coreset_ratio": 0.0}, {"max_rows": 0}, {"neighbours": 0}, {"blur_px": -1.0}])
def test_settings_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        PatchCoreConfig(**change)  # type: ignore[arg-type]


def test_smoothing_keeps_flat_maps_and_mass_in_the_middle() -> None:
    blur = smoothing(16, 8, 12)
    assert blur.sum(axis=1) == pytest.approx(1, abs=1e-6)
    spot = np.zeros((16, 16))
    spot[8, 8] = 1
    smooth = blur @ spot @ blur.T
    assert smooth.sum() == pytest.approx(1, rel=0.02)
    offset = np.arange(16) - 8
    assert np.sqrt((smooth.sum(axis=0) / smooth.sum()) @ offset**2) * 8 == pytest.approx(12, rel=0.05)
    assert np.array_equal(smoothing(4, 8, 0), np.eye(4))


@pytest.mark.parametrize("sigma_px", [1, 2, 4, 8, 16, 32])
def test_smoothing_has_no_weights_that_make_it_slow(sigma_px: float) -> None:
    blur = smoothing(256, 1, sigma_px)
    places = np.arange(256.0)
    whole = np.exp(-0.5 * ((places[:, None] - places) / sigma_px) ** 2)
    np.testing.assert_allclose(blur, whole / whole.sum(axis=1, keepdims=True), atol=1e-9)
    # Nor has the product of two, which a picture is multiplied with.
    assert blur[blur > 0].min() ** 2 > np.finfo(np.float32).tiny


def test_what_is_ignored_is_not_in_the_bank() -> None:
    pixels = normal_pictures(6, seed=1)
    ignore = np.zeros((6, *SQUARE), np.bool_)
    ignore[:, :32] = True
    detector = METHOD.fit(BatchImages(Inputs(pixels, ignore)), PatchCoreConfig(coreset_ratio=1.0), 0, silent)
    assert len(detector.arrays()["bank"]) == 6 * 32


def test_the_network_input_need_not_be_square() -> None:
    pictures = made_up.normal_pictures(4, seed=1, size=(64, 160))
    found = METHOD.fit(BatchImages(pictures), SMALL, 0, silent).predict(pictures)
    assert found.maps.shape == (4, 8, 20)
    assert found.references is not None
    assert found.references.shape == (4, 3, 51, 128)
