"""Channels, spans of single pictures, and pictures without what is drawn into them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from overlaid_scenes import RAINBOW, Drawing, coloured, overlaid, temperatures
from test_inputs import Kelvin, warm

from isotherm.anomaly.channels import gradient, local_contrast, three_channels
from isotherm.anomaly.filling import resized_without
from isotherm.anomaly.inputs import InputChoices, InputSpec, shrink, visible
from isotherm.anomaly.tiles import Frame
from isotherm.core.errors import ModelError
from isotherm.core.scene import ZERO_CELSIUS_K, assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.overlays import OverlayModel, find

FRAME = Frame((192, 256), (192, 256))


def scene(seed: int, offset: float = 0.0, scale: float = 40.0) -> Thermogram:
    return warm(offset + scale * temperatures(seed))


def picture(values: np.ndarray) -> Thermogram:
    return Thermogram(values[..., 0].copy(), None, assumed_scene(), "test", colour=values)


# --- channels ---------------------------------------------------------------------------------------------------------


def test_local_contrast_does_not_know_the_weather() -> None:
    plane = temperatures(0).astype(np.float32)
    assert local_contrast(plane, None) == pytest.approx(local_contrast(3 * plane + 7, None), abs=2e-3)


def test_local_contrast_is_the_distance_from_the_neighbourhood_in_its_deviations() -> None:
    plane = np.random.default_rng(0).normal(20, 2, (96, 96)).astype(np.float32)
    plane[48, 48] = 40
    found = local_contrast(plane, None)
    assert found[48, 48] == pytest.approx(10, rel=0.15)
    assert np.std(np.delete(found.ravel(), 48 * 96 + 48)) == pytest.approx(1, rel=0.1)


def test_what_is_ignored_does_not_change_the_contrast_of_its_neighbours() -> None:
    plane = temperatures(1).astype(np.float32)
    kept = np.ones(plane.shape, np.bool_)
    kept[:40] = False
    changed = plane.copy()
    changed[:40] = 9
    assert local_contrast(plane, kept)[kept] == pytest.approx(local_contrast(changed, kept)[kept], abs=1e-3)


def test_noise_of_a_flat_picture_is_not_stretched() -> None:
    plane = np.random.default_rng(0).normal(0.5, 0.001, (64, 64)).astype(np.float32)
    assert np.abs(local_contrast(plane, None)).max() < 0.3


def test_the_gradient_of_a_slope_is_its_steepness() -> None:
    rows, columns = np.mgrid[:20, :30].astype(np.float32)
    assert gradient(0.3 * rows + 0.4 * columns) == pytest.approx(0.5, rel=1e-5)


def test_grey_is_the_picture_three_times_and_colours_stay() -> None:
    one = temperatures(0)[None].astype(np.float32)
    assert np.array_equal(three_channels(one, None, names="grey", steepest=1), np.repeat(one, 3, axis=0))
    three = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    assert np.array_equal(three_channels(three, None, names="grey", steepest=1), three)
    assert three_channels(three, None, names="local", steepest=1).shape == (3, 8, 8)


def test_local_channels_lie_in_about_0_to_1() -> None:
    spec = InputSpec.learn([scene(seed) for seed in range(4)], FRAME, InputChoices(channels="local"))
    pixels = spec.prepare(scene(9)).pixels
    for channel in range(3):
        assert -0.2 < np.percentile(pixels[:, channel], 1) < np.percentile(pixels[:, channel], 99) < 1.3
    # A reference is shown by its first channel.
    back = spec.unscale(pixels[0])
    assert np.array_equal(back[0], back[2])
    assert back[0] == pytest.approx(shrink(scene(9), FRAME).values[0], abs=1e-3)


# --- spans ------------------------------------------------------------------------------------------------------------


def test_the_span_of_the_image_takes_the_weather_out() -> None:
    spec = InputSpec.learn([scene(seed) for seed in range(4)], FRAME, InputChoices(span="image"))
    assert spec.prepare(scene(5, offset=25)).pixels == pytest.approx(spec.prepare(scene(5)).pixels, abs=1e-4)
    fixed = InputSpec.learn([scene(seed) for seed in range(4)], FRAME)
    assert np.abs(fixed.prepare(scene(5, offset=25)).pixels - fixed.prepare(scene(5)).pixels).min() > 0.3


def test_a_hot_spot_lies_beyond_the_span_of_its_image() -> None:
    values = 20 + 5 * temperatures(3)
    values[100:110, 100:110] = 60
    spec = InputSpec.learn([scene(seed, 20, 5) for seed in range(4)], FRAME, InputChoices(span="image"))
    assert spec.prepare(warm(values)).pixels.max() > 3
    shrunk = spec.shrink(warm(values))
    assert spec.unscale(spec.inputs(shrunk).pixels[0], spec.span_of(shrunk)) == pytest.approx(
        np.repeat(shrunk.values, 3, axis=0), abs=1e-3
    )


def test_a_plain_sky_is_not_stretched() -> None:
    spec = InputSpec.learn([scene(seed) for seed in range(4)], FRAME, InputChoices(span="image"))
    sky = np.random.default_rng(0).normal(-20, 0.05, (240, 320))
    assert spec.prepare(warm(sky)).pixels.std() < 0.02


def test_one_image_does_not_depend_on_others() -> None:
    spec = InputSpec.learn([scene(0), scene(1)], FRAME, InputChoices("image", "local"))
    alone = spec.prepare(scene(2)).pixels
    spec.prepare(scene(3, offset=80))
    assert np.array_equal(spec.prepare(scene(2)).pixels, alone)


def test_each_site_has_its_span_and_a_new_site_that_of_its_images() -> None:
    def at(site: str, seed: int, offset: float) -> Thermogram:
        return replace(scene(seed, offset, 10), site=site)

    pictures = [at("desert", seed, 50) for seed in range(3)] + [at("coast", seed, 5) for seed in range(3)]
    spec = InputSpec.learn(pictures, FRAME, InputChoices(span="site"))
    assert set(spec.sites) == {"desert", "coast"}
    desert, coast = (spec.prepare(at(*place)).pixels for place in (("desert", 7, 50.0), ("coast", 7, 5.0)))
    assert desert == pytest.approx(coast, abs=0.01)
    # A warm day stays one at a site that is known, and cannot be told at a new one.
    assert spec.prepare(at("coast", 7, 12)).pixels.mean() > coast.mean() + 0.3
    new = [spec.prepare(at("new", 7, offset)).pixels for offset in (5.0, 12.0)]
    assert new[0] == pytest.approx(new[1], abs=1e-4)


# --- overlays ---------------------------------------------------------------------------------------------------------


def test_what_is_drawn_is_ignored_and_leaves_no_trace() -> None:
    drawing = overlaid(0, RAINBOW)
    clean = picture(coloured(temperatures(0), RAINBOW))
    spec = InputSpec.learn([clean], FRAME)
    with_print, without = spec.prepare(picture(drawing.picture)), spec.prepare(clean)
    assert without.ignore is None
    assert with_print.ignore is not None
    assert 0.03 < with_print.ignore.mean() < 0.25
    kept = ~with_print.ignore[0]
    assert np.quantile(np.abs(with_print.pixels - without.pixels)[0][:, kept], 0.998) < 0.05
    reading = InputSpec.learn([clean], FRAME, InputChoices(overlays="off")).prepare(picture(drawing.picture))
    assert reading.ignore is None
    # What fills the ignored places is much nearer to the scene behind than what was drawn.
    filled, drawn = (np.abs(each.pixels - without.pixels)[0][:, ~kept].mean() for each in (with_print, reading))
    assert filled < 0.3 * drawn


def test_auto_looks_for_overlays_in_pictures_and_not_in_temperatures() -> None:
    assert InputSpec.learn([scene(0)], FRAME).overlays is None
    assert InputSpec.learn([scene(0)], FRAME, InputChoices(overlays="on")).overlays is not None
    drawing = Drawing.on((30 + 190 * temperatures(0)).astype(np.uint8))
    drawing.text((20, 20), "12.03.2026", size=18)
    exported = warm(drawing.picture.astype(np.float64))
    spec = InputSpec.learn([exported], FRAME, InputChoices(overlays="on"))
    assert spec.prepare(exported).ignored().any()
    assert not InputSpec.learn([exported], FRAME).prepare(exported).ignored().any()


def test_gaps_are_ignored_beside_overlays() -> None:
    drawing = Drawing.on((30 + 190 * temperatures(0)).astype(np.uint8))
    drawing.text((20, 20), "12.03.2026", size=18)
    values = drawing.picture.astype(np.float64)
    values[200:220, 200:220] = np.nan
    spec = InputSpec.learn([warm(values)], FRAME, InputChoices(overlays="on"))
    ignored = spec.prepare(warm(values)).ignored()[0]
    assert ignored[165:170, 165:170].all()
    assert ignored[16:30, 20:60].any()


@pytest.mark.parametrize("colours", [1, 3])
def test_filling_sees_the_surroundings_only(colours: int) -> None:
    values = np.full((120, 160, colours), 100, np.uint8)
    hidden = np.zeros((120, 160), np.bool_)
    hidden[30:70, 40:90] = True
    values[hidden] = 255
    whole = values[..., 0] if colours == 1 else values
    found, ignore = resized_without(whole, hidden, (64, 64))
    assert found.shape[:2] == (64, 64)
    assert np.abs(found.astype(int) - 100).max() <= 1
    assert ignore.mean() == pytest.approx(hidden.mean(), abs=0.02)
    everything, ignored = resized_without(whole, np.ones_like(hidden), (64, 64))
    assert ignored.all()
    assert np.isfinite(everything).all()


def test_what_a_picture_looks_like() -> None:
    celsius = np.array([[20.0, np.nan], [30.0, 40.0]])
    assert visible(warm(celsius)).tolist() == [[0, 0], [128, 255]]
    deep = Thermogram(np.array([[0, 257]], np.uint16), None, assumed_scene(), "test")
    assert visible(deep).tolist() == [[0, 255]]
    empty = Thermogram(np.full((2, 2), np.nan) + ZERO_CELSIUS_K, Kelvin(), assumed_scene(), "test")
    assert visible(empty).tolist() == [[0, 0], [0, 0]]


# --- stored with the model --------------------------------------------------------------------------------------------


def stored() -> InputSpec:
    drawing = overlaid(1, RAINBOW)
    model = OverlayModel(find(drawing.picture))
    return InputSpec("picture", 0, 255, FRAME, "site", 12.5, "local", 0.25, model, {"a": (1.0, 90.5)})


def test_everything_is_stored_with_the_model() -> None:
    spec = stored()
    found = InputSpec.from_mapping(spec.to_mapping())
    assert (found.span, found.least, found.channels, found.steepest) == ("site", 12.5, "local", 0.25)
    assert found.sites == {"a": (1.0, 90.5)}
    assert found.overlays is not None
    assert spec.overlays is not None
    assert np.array_equal(found.overlays.constant, spec.overlays.constant)


@pytest.mark.parametrize(
    "change",
    [
        {"span": "best"},
        {"channels": "red"},
        {"least": 0},
        {"steepest": float("nan")},
        {"overlays": {}},
        {"overlays": 3},
    ],
    ids=str,
)
def test_a_damaged_description_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="description of its"):
        InputSpec.from_mapping(stored().to_mapping() | change)
