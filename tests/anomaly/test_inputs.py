"""From thermograms to network inputs and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.anomaly.inputs import InputSpec, resize
from isotherm.anomaly.tiles import Frame
from isotherm.core.errors import DataError, ModelError
from isotherm.core.scene import ZERO_CELSIUS_K, Scene, assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.radiometry.estimated import EstimatedCalibration

SQUARE = Frame((64, 64), (64, 64))


class Kelvin:
    """Counts that are kelvin already."""

    kind = "test"
    supports: frozenset[str] = frozenset()

    def kelvin(self, counts: np.ndarray, scene: Scene) -> np.ndarray:
        return counts.astype(np.float32)

    def describe(self) -> dict[str, object]:
        return {}


def warm(celsius: np.ndarray) -> Thermogram:
    return Thermogram(celsius.astype(np.float64) + ZERO_CELSIUS_K, Kelvin(), assumed_scene(), "test")


def grey(values: np.ndarray) -> Thermogram:
    return Thermogram(values.astype(np.uint8), None, assumed_scene(), "test")


def coloured(values: np.ndarray) -> Thermogram:
    rgb = values.astype(np.uint8)
    return Thermogram(rgb[..., 0].copy(), None, assumed_scene(), "test", colour=rgb)


def noise(shape: tuple[int, ...], low: float, high: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape)


def test_the_span_is_fixed_by_the_training_set_and_nothing_is_clamped() -> None:
    spec = InputSpec.learn([warm(noise((40, 50), 20, 30)), warm(noise((70, 30), 25, 40, 1))], SQUARE)
    assert spec.kind == "temperature"
    assert spec.low == pytest.approx(20, abs=0.1)
    assert spec.high == pytest.approx(40, abs=0.1)
    # A hot object keeps its distance, a finer step than 8 bits is kept.
    hot = spec.prepare(warm(np.full((64, 64), 100.0))).pixels
    assert hot.mean() == pytest.approx((100 - spec.low) / (spec.high - spec.low), rel=1e-5)
    warmer, cooler = (spec.prepare(warm(np.full((64, 64), value))).pixels for value in (30.01, 30.0))
    step = warmer - cooler
    assert step.mean() == pytest.approx(0.01 / (spec.high - spec.low), rel=1e-2)


def test_one_dead_pixel_does_not_stretch_the_span() -> None:
    picture = noise((60, 60), 20, 22)
    picture[3, 5] = -60
    assert InputSpec.learn([warm(picture)], SQUARE).low > 19.9


def test_a_flat_set_gets_the_narrowest_span() -> None:
    spec = InputSpec.learn([warm(np.full((8, 8), 21.0))], SQUARE)
    assert (spec.low, spec.high) == pytest.approx((20.5, 21.5), abs=1e-4)


def test_gaps_are_filled_by_the_median() -> None:
    picture = np.full((64, 64), 30.0)
    picture[:32] = 20.0
    spec = InputSpec.learn([warm(picture)], SQUARE)
    picture[40:50] = np.nan
    picture[0, 0], picture[0, 1] = np.inf, -np.inf
    inputs = spec.prepare(warm(picture))
    found = spec.unscale(inputs.pixels[0])
    assert np.isfinite(found).all()
    assert found[0, 45, 5] == pytest.approx(np.median(picture[np.isfinite(picture)]), abs=1e-3)


def test_nothing_but_gaps_is_refused() -> None:
    empty = warm(np.full((8, 8), np.nan))
    with pytest.raises(DataError, match="no image with a temperature"):
        InputSpec.learn([empty], SQUARE)
    with pytest.raises(DataError, match="no pixel of this image has a temperature"):
        InputSpec("temperature", 0, 1, SQUARE).prepare(empty)


def test_pictures_of_any_size_grey_and_colour() -> None:
    pictures = [grey(noise((24, 40), 0, 256)), coloured(noise((90, 30, 3), 0, 256)), grey(noise((64, 64), 0, 256))]
    spec = InputSpec.learn(pictures, SQUARE)
    assert (spec.kind, spec.low, spec.high) == ("picture", 0, 255)
    for picture in pictures:
        found = spec.prepare(picture).pixels[0]
        assert found.shape == (3, 64, 64)
        assert found.dtype == np.float32
        assert 0 <= found.min() < found.max() <= 1
    assert spec.prepare(pictures[2]).pixels[0] == pytest.approx(
        np.repeat(pictures[2].counts[None] / 255, 3, 0), abs=1e-6
    )
    red = spec.prepare(coloured(np.tile(np.array([255, 0, 51]), (10, 10, 1)))).pixels[0]
    assert red.mean(axis=(1, 2)) == pytest.approx([1, 0, 0.2], abs=1e-6)


def test_grey_levels_of_16_bits_keep_their_steps_and_their_span() -> None:
    counts = (30_000 + 10 * np.arange(64 * 64, dtype=np.uint16) % 2_000).astype(np.uint16).reshape(64, 64)
    picture = Thermogram(counts, None, assumed_scene(), "test")
    spec = InputSpec.learn([picture], SQUARE)
    values = spec.prepare(picture).pixels[0]

    assert spec.kind == "picture"
    assert (spec.low, spec.high) == (pytest.approx(30_000 / 257, abs=0.1), pytest.approx(32_000 / 257, abs=0.1))
    assert len(np.unique(values)) == len(np.unique(counts))
    # In order, too: nothing wraps round.
    assert np.all(np.diff(values[0].ravel()[np.argsort(counts.ravel(), kind="stable")]) >= 0)
    # Together with 8-bit pictures the whole range is the span.
    flat = Thermogram(np.full((8, 8), 7, np.uint8), None, assumed_scene(), "test")
    assert InputSpec.learn([picture, flat], SQUARE).high == 255


def test_estimates_are_never_mixed_with_measurements() -> None:
    calibration = EstimatedCalibration(280.0, 320.0, 0.03, np.full(8, 0.01))
    estimate = Thermogram(np.full((8, 8), 0.5, np.float32), calibration, assumed_scene(), "test")
    with pytest.raises(DataError, match=r"1 temperature images .* and 1 images with estimated temperatures .* mixed"):
        InputSpec.learn([estimate, warm(np.zeros((8, 8)))], SQUARE)
    with pytest.raises(DataError, match=r"1 images with estimated temperatures .* and 1 plain pictures .* mixed"):
        InputSpec.learn([grey(np.zeros((8, 8))), estimate], SQUARE)
    spec = InputSpec.learn([estimate], SQUARE)
    assert spec.kind == "estimate"
    assert spec.celsius
    assert InputSpec.from_mapping(spec.to_mapping()) == spec
    with pytest.raises(DataError, match="learnt from images with estimated temperatures, but this image is a temp"):
        spec.prepare(warm(np.zeros((8, 8))))
    with pytest.raises(DataError, match="learnt from temperature images, but this image is an image with estimated"):
        InputSpec("temperature", 0, 1, SQUARE).prepare(estimate)


def test_mixed_kinds_are_refused() -> None:
    pictures = [grey(np.zeros((8, 8))), warm(np.zeros((8, 8))), warm(np.zeros((8, 8)))]
    with pytest.raises(DataError, match=r"2 temperature images .* and 1 plain pictures .* are mixed"):
        InputSpec.learn(pictures, SQUARE)
    with pytest.raises(DataError, match="learnt from temperature images, but this image is a plain picture"):
        InputSpec("temperature", 0, 1, SQUARE).prepare(pictures[0])
    with pytest.raises(DataError, match="no image"):
        InputSpec.learn([], SQUARE)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 1000))
def test_resizing_keeps_the_range_and_flat_pictures(height: int, width: int, seed: int) -> None:
    values = noise((height, width), -5, 5, seed).astype(np.float32)
    found = resize(values, (32, 48))
    assert found.shape == (32, 48)
    assert values.min() - 1e-5 <= found.min() <= found.max() <= values.max() + 1e-5
    assert resize(np.full((height, width), 7.5, np.float32), (32, 48)) == pytest.approx(7.5)


def test_a_map_returns_to_its_place() -> None:
    values = np.zeros((8, 8), np.float32)
    values[6, 1] = 1
    found = InputSpec("picture", 0, 255, SQUARE).restore_map(values, (480, 640))
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (row, column) == (pytest.approx(6.5 * 60, abs=1), pytest.approx(1.5 * 80, abs=1))


def test_there_and_back() -> None:
    spec = InputSpec("temperature", -12.5, 80.25, SQUARE)
    assert InputSpec.from_mapping(spec.to_mapping()) == spec


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "smell"},
        {"low": 90.0},
        {"high": "warm"},
        {"size": 0},
        {"size": [0, 64]},
        {"size": [128, 64]},
        {"canvas": [1 << 20, 64]},
        {"low": float("nan")},
    ],
)
def test_damaged_descriptions_are_refused(change: dict[str, object]) -> None:
    values = InputSpec("temperature", -12.5, 80.25, SQUARE).to_mapping() | change
    with pytest.raises(ModelError, match="its inputs"):
        InputSpec.from_mapping(values)
    with pytest.raises(ModelError):
        InputSpec.from_mapping({})


def test_the_added_border_is_ignored_and_repeats_the_edge() -> None:
    spec = InputSpec("temperature", 0, 100, Frame((64, 96), (64, 96)))
    inputs = spec.prepare(warm(np.full((50, 50), 30.0)))
    assert inputs.pixels == pytest.approx(0.3, abs=1e-4)
    ignored = inputs.ignored()[0]
    assert ignored[:, :16].all()
    assert ignored[:, 80:].all()
    assert not ignored[:, 16:80].any()


def test_gaps_are_ignored() -> None:
    picture = np.full((64, 64), 30.0)
    picture[10:20, 40:50] = np.nan
    ignored = InputSpec("temperature", 0, 100, SQUARE).prepare(warm(picture)).ignored()[0]
    assert ignored.sum() == 100
    assert ignored[10:20, 40:50].all()


def test_a_large_picture_becomes_tiles_whose_maps_are_joined_again() -> None:
    spec = InputSpec("picture", 0, 255, Frame((128, 192), (64, 64)))
    values = noise((128, 192), 0, 255)
    inputs = spec.prepare(grey(values))
    assert inputs.pixels.shape == (len(spec.frame.tiles), 3, 64, 64)
    joined = spec.join([tile[0] for tile in inputs.pixels], (128, 192))
    assert joined == pytest.approx(values.astype(np.uint8) / 255, abs=1e-5)
