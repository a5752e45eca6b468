"""Statistics of pictures against their definitions, and what they may not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from isotherm.anomaly import statistics as learning
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.picture_statistics import NAMES, Described, compressed, describe, opening, otsu
from isotherm.anomaly.statistics import METHOD, StatisticsConfig
from isotherm.core.errors import ModelError
from isotherm.core.progress import silent
from isotherm.testing.anomaly import BatchImages, normal_pictures

SIZE = (64, 96)


def inputs(grey: np.ndarray, ignore: np.ndarray | None = None) -> Inputs:
    pixels = np.repeat(grey[None, None].astype(np.float32), 3, axis=1)
    return Inputs(pixels, None if ignore is None else ignore[None])


def scene() -> np.ndarray:
    """Return a cold sky (0.1) over an object (0.5) with noise, on the lower half."""
    rng = np.random.default_rng(0)
    grey = 0.1 + 0.002 * rng.standard_normal(SIZE)
    grey[32:] += 0.4
    return grey


def statistics(grey: np.ndarray, ignore: np.ndarray | None = None) -> dict[str, float]:
    found = describe(inputs(grey, ignore))[0].statistics
    return dict(zip(NAMES, found.tolist(), strict=True))


def test_every_statistic_has_its_name() -> None:
    assert len(set(NAMES)) == len(NAMES) == describe(inputs(scene()))[0].statistics.size
    assert all(np.isfinite(value) for value in statistics(scene()).values())


def test_differences_of_percentiles_are_those_of_numpy() -> None:
    grey = scene()
    grey[40:44, 40:44] = 0.9
    expected = 100 * np.subtract(*np.percentile(grey.astype(np.float32), (99.9, 99)))
    assert statistics(grey)["p99.9-p99"] == pytest.approx(np.log1p(expected), rel=1e-4)


def test_hot_regions_are_counted_above_the_body() -> None:
    grey = scene()
    for column in (10, 40, 70):
        grey[50:54, column : column + 4] = 0.5 + 0.15
    grey[50:54, 80:90] = 0.5 + 0.15
    found = statistics(grey)
    assert found["regions_above_0.1"] == pytest.approx(np.log1p(4))
    assert found["regions_above_0.2"] == 0
    assert found["area_above_0.1"] == pytest.approx(np.log1p(100 * (3 * 16 + 40) / grey.size))
    assert found["largest_above_0.1"] == pytest.approx(np.log1p(100 * 40 / grey.size))
    assert found["body_share_above_0.1"] == pytest.approx(np.log1p(100 * (3 * 16 + 40) / (grey.size / 2)), rel=1e-3)
    assert found["body_share"] == pytest.approx(np.log1p(50), rel=1e-3)


def test_the_sky_does_not_matter() -> None:
    hot = scene()
    hot[50:54, 40:44] += 0.2
    colder = hot.copy()
    colder[:32] -= 0.5
    # The widest square reaches from the object into the sky.
    alike = ("contrast", "max_over", "tophat", "p99_over")
    mine = [name for name in NAMES if name.startswith(alike) and name != "tophat_33"]
    one, other = statistics(hot), statistics(colder)
    np.testing.assert_allclose([one[name] for name in mine], [other[name] for name in mine], rtol=0.05, atol=0.05)


def test_contrast_is_highest_at_what_is_hotter_than_its_object() -> None:
    grey = scene()
    grey[48:52, 60:64] += 0.1
    contrast = describe(inputs(grey))[0].contrast
    row, column = np.unravel_index(contrast.argmax(), contrast.shape)
    assert 48 <= row < 52
    assert 60 <= column < 64
    assert np.abs(contrast[:30]).max() == 0


@pytest.mark.parametrize("width", [3, 5, 8, 9, 17])
def test_opening_is_scipys(width: int) -> None:
    values = np.random.default_rng(width).random((40, 33)).astype(np.float32)
    expected = ndimage.grey_dilation(
        ndimage.grey_erosion(values, size=(width, width), mode="nearest"),
        size=(width, width),
        mode="nearest",
        origin=0 if width % 2 else -1,
    )
    if width % 2:
        np.testing.assert_array_equal(opening(values, width), expected)
    assert (opening(values, width) <= values.max()).all()


def test_otsu_parts_two_groups() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 0.1, 500), rng.normal(2, 0.1, 100)]).astype(np.float32)
    assert 0.3 < otsu(values) < 1.7


def test_large_differences_are_compressed_and_signs_kept() -> None:
    np.testing.assert_allclose(compressed(np.array([-1.0, 0.0, np.e - 1])), [-np.log(2), 0, 1])


def test_what_is_ignored_does_not_matter() -> None:
    grey, ignore = scene(), np.zeros(SIZE, np.bool_)
    ignore[44:60, 20:40] = True
    burnt = grey.copy()
    burnt[44:60, 20:40] = 3.0
    plain = grey.copy()
    plain[44:60, 20:40] = 0.2
    one, other = describe(inputs(burnt, ignore))[0], describe(inputs(plain, ignore))[0]
    np.testing.assert_allclose(one.statistics, other.statistics, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_flat_picture_gives_finite_numbers(value: float) -> None:
    assert np.isfinite(describe(inputs(np.full(SIZE, value)))[0].statistics).all()
    everything = np.ones(SIZE, np.bool_)
    assert np.isfinite(describe(inputs(np.full(SIZE, value), everything))[0].statistics).all()


def test_the_score_is_a_mahalanobis_distance() -> None:
    normal = normal_pictures(12, seed=1)
    detector = METHOD.fit(BatchImages(normal), StatisticsConfig(), 0, silent)
    rows = np.stack([each.statistics for each in describe(normal)])
    white = (rows - detector.normal.mean) @ detector.normal.whitening.T
    np.testing.assert_allclose(detector.predict(normal).scores, np.linalg.norm(white, axis=1), rtol=1e-4)
    # Shrinking and the floor make normal pictures look a little too near, never too far.
    assert 0 < np.mean(white**2) < 1.01


def test_damaged_arrays_are_refused() -> None:
    detector = METHOD.fit(BatchImages(normal_pictures(4, seed=1)), StatisticsConfig(), 0, silent)
    with pytest.raises(ModelError, match="shape"):
        METHOD.load({**detector.arrays(), "mean": detector.normal.mean[1:]}, StatisticsConfig())


def test_pictures_that_were_described_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[Inputs] = []

    def noted(one: Inputs) -> list[Described]:
        described.append(one)
        return describe(one)

    monkeypatch.setattr(learning, "describe", noted)
    monkeypatch.setattr(learning, "REMEMBERED", 5)
    remembered = learning._Remembered()

    def asked(given: Inputs) -> int:
        """Return how many were described, and check that all rows are those of these pictures."""
        described.clear()
        rows = list(remembered.rows(given))
        np.testing.assert_array_equal(rows, [each.statistics for each in describe(given)])
        return len(described)

    rng = np.random.default_rng(1)
    pictures = Inputs(np.repeat(rng.random((4, 1, *SIZE), dtype=np.float32), 3, axis=1))
    masked = Inputs(pictures.pixels, np.arange(SIZE[1]) < np.full((4, *SIZE), 8))
    turned = Inputs(np.ascontiguousarray(pictures.pixels.reshape(4, 3, SIZE[1], SIZE[0])))
    assert [asked(pictures), asked(pictures), asked(pictures[1:3])] == [4, 0, 0]
    assert [asked(masked[:1]), asked(turned[:1])] == [1, 1], "another mask, and another shape, are other pictures"
    assert [asked(pictures[1:4]), asked(pictures[:1])] == [0, 1], "the one not asked for the longest was forgotten"
