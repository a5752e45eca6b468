"""Pictures without temperatures: the colour scale is found on any side, in any palette, and inverted."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, FormatError
from isotherm.formats import ReadHints, estimating
from isotherm.formats.colour_inversion import invert, palette_of
from isotherm.formats.colour_scale import find_colour_scale
from isotherm.formats.picture import READER
from isotherm.formats.reader import CoarseHints
from scale_pictures import PALETTES, ScalePicture, paint, scene
from thermal_files import encoded

SCALE = ReadHints(scale="10.0,60.0", unit="c")
SIDES = ("left", "right", "top", "bottom")


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("side", SIDES)
def test_the_bar_is_found_to_the_pixel_on_any_side_in_any_palette(side: str, palette: str) -> None:
    picture = ScalePicture(side=side, palette=palette)
    found = find_colour_scale(picture.pixels())
    assert found is not None
    assert found.bar.upright == (side in ("left", "right"))
    bar = (found.bar.top, found.bar.bottom, found.bar.left, found.bar.right)
    assert np.abs(np.subtract(bar, picture.bar())).max() <= 2
    assert found.colours.shape[0] == found.bar.length


@pytest.mark.parametrize("frame", [(0, 0, 0), (255, 255, 255), (128, 128, 128)])
def test_the_frame_is_not_part_of_the_scale(frame: tuple[int, int, int]) -> None:
    picture = ScalePicture(frame=frame)
    found = find_colour_scale(picture.pixels())
    assert found is not None
    assert np.abs(np.subtract((found.bar.top, found.bar.bottom), picture.bar()[:2])).max() <= 2


def test_low_is_at_the_bottom_and_at_the_left() -> None:
    for side in SIDES:
        found = find_colour_scale(ScalePicture(side=side).pixels())
        assert found is not None
        assert found.colours[0].sum() < 60
        assert found.colours[-1].sum() > 600


@pytest.mark.parametrize(
    "picture",
    [
        paint(scene()),
        np.zeros((120, 160, 3), np.uint8),
        np.zeros((20, 400, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["scene alone", "black", "flat", "one pixel"],
)
def test_a_picture_without_a_bar_has_no_scale(picture: np.ndarray) -> None:
    assert find_colour_scale(picture) is None


def test_noise_has_no_scale() -> None:
    assert find_colour_scale(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)) is None


@pytest.mark.parametrize("palette", PALETTES)
def test_places_come_back_within_a_hundredth(palette: str) -> None:
    picture = ScalePicture(palette=palette)
    colours = picture.pixels()
    found = find_colour_scale(colours)
    assert found is not None
    inverted = invert(colours, palette_of(found))
    away = np.ones(colours.shape[:2], bool)
    away[:, 295:] = False
    error = (inverted.place - picture.places)[away]
    assert np.abs(error).max() < 0.02
    assert np.sqrt(np.mean(error**2)) < 0.006


def test_temperatures_are_estimated_and_say_so() -> None:
    picture = ScalePicture()
    thermogram = READER.decode(picture.encoded(), SCALE)
    assert thermogram.estimated
    assert thermogram.radiometric
    assert thermogram.display_span_c() == pytest.approx((10.0, 60.0), abs=1e-3)
    assert any("estimated from colours, not measured" in note for note in thermogram.notes)
    celsius = thermogram.celsius()
    inside = np.isfinite(celsius)
    # A linear scale lies between the two laws, at most 1.3 K away at this span.
    truth = 10 + 50 * picture.places
    assert np.abs(celsius - truth)[inside].max() < 2.5
    assert inside.mean() > 0.85


def test_the_bar_itself_has_no_temperature() -> None:
    picture = ScalePicture()
    top, bottom, left, right = picture.bar()
    assert np.isnan(READER.decode(picture.encoded(), SCALE).celsius()[top:bottom, left:right]).all()


def test_print_and_foreign_colours_have_no_temperature() -> None:
    picture = ScalePicture(text="38.0 C", low="10.0", high="60.0")
    colours = picture.pixels()
    printed = np.abs(colours.astype(int) - ScalePicture().pixels()).max(axis=2) > 60
    celsius = READER.decode(picture.encoded(), SCALE).celsius()
    assert np.isnan(celsius[printed]).mean() > 0.97
    foreign = ScalePicture().places.copy()
    pixels = ScalePicture(places=foreign).pixels()
    pixels[100:120, 40:60] = (0, 255, 0)
    target = READER.decode(encoded(pixels, "PNG"), SCALE).celsius()
    assert np.isnan(target[100:120, 40:60]).all()


@pytest.mark.parametrize("quality", [60, 85, 95])
def test_the_stated_uncertainty_covers_jpeg(quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the part for equalised colours, which would cover nearly everything.
    monkeypatch.setattr(estimating, "shift_sigma", lambda places: np.zeros(2))
    picture = ScalePicture(palette="rainbow")
    thermogram = READER.decode(picture.encoded("JPEG", quality=quality), SCALE)
    error = thermogram.kelvin() - thermogram.calibration.kelvin(picture.places, thermogram.scene)
    sigma = thermogram.calibration.sigma_k(thermogram.counts)
    inside = np.isfinite(error)
    assert inside.mean() > 0.6
    # Two thirds within one standard uncertainty, and nearly all within three.
    assert np.mean(np.abs(error[inside]) <= sigma[inside]) > 0.6
    assert np.mean(np.abs(error[inside]) <= 3 * sigma[inside]) > 0.97


def test_without_a_bar_the_picture_stays_qualitative_and_says_why() -> None:
    thermogram = READER.decode(encoded(paint(scene()), "PNG"), SCALE)
    assert not thermogram.radiometric
    assert "no temperatures estimated: no colour scale was found in this picture" in thermogram.notes


def test_a_picture_that_is_too_large_stays_qualitative() -> None:
    data = encoded(np.zeros((4001, 4000), np.uint8), "PNG")
    thermogram = READER.decode(data, SCALE)
    assert not thermogram.radiometric
    assert any("16004000 pixels; at most 16000000 are estimated" in note for note in thermogram.notes)


def test_nobody_who_does_not_ask_gets_degrees() -> None:
    assert READER.decode(ScalePicture().encoded(), ReadHints()).calibration is None


def test_the_unit_of_the_typed_ends_counts() -> None:
    fahrenheit = READER.decode(ScalePicture().encoded(), ReadHints(scale="50,140", unit="f"))
    celsius = READER.decode(ScalePicture().encoded(), ReadHints(scale="10,60"))
    np.testing.assert_allclose(fahrenheit.celsius(), celsius.celsius(), atol=1e-3)
    assert any("taken as °C" in note for note in celsius.notes)


def test_a_coarse_reader_still_sees_the_scale() -> None:
    big = ScalePicture(places=scene(960, 1280), width_px=24)
    hints = CoarseHints(scale="10,60", picture_side=100)
    assert READER.decode(big.encoded("JPEG", quality=95), hints).estimated


def test_a_large_picture_is_found_in_a_reduced_one_and_read_at_its_own_size() -> None:
    picture = ScalePicture(places=scene(1500, 2000), width_px=30)
    found = find_colour_scale(picture.pixels())
    assert found is not None
    bar = (found.bar.top, found.bar.bottom, found.bar.left, found.bar.right)
    assert np.abs(np.subtract(bar, picture.bar())).max() <= 6


@pytest.mark.parametrize("scale", ["10", "60,10", "a,b", "nan,5", ""])
def test_ends_that_make_no_scale_are_refused(scale: str) -> None:
    with pytest.raises(ConfigError, match="low and the high end"):
        ReadHints(scale=scale)


@settings(deadline=None, max_examples=12)
@given(
    side=st.sampled_from(SIDES),
    palette=st.sampled_from(sorted(PALETTES)),
    low=st.floats(-40, 60),
    span=st.floats(2, 300),
)
def test_the_ends_are_the_coldest_and_the_hottest(side: str, palette: str, low: float, span: float) -> None:
    picture = ScalePicture(side=side, palette=palette)
    hints = ReadHints(scale=f"{low:.2f},{low + span:.2f}")
    celsius = READER.decode(picture.encoded(), hints).celsius()
    assert np.nanmin(celsius) >= low - 0.02
    assert np.nanmax(celsius) <= low + span + 0.02


SMALL = [
    ScalePicture(places=scene(64, 96), width_px=6, side=side, palette=palette).encoded(kind)
    for side, palette, kind in (("right", "iron", "JPEG"), ("bottom", "rainbow", "PNG"), ("left", "grey", "GIF"))
]


@settings(deadline=None, max_examples=30)
@given(
    sample=st.sampled_from(SMALL),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=8)), max_size=5),
    cut=st.integers(0, 10_000),
)
def test_damaged_pictures_are_estimated_or_not_or_fail_as_format_errors(
    sample: bytes, edits: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(sample)
    for place, patch in edits:
        start = place % len(data)
        data[start : start + len(patch)] = patch
    with suppress(FormatError):
        thermogram = READER.decode(bytes(data[: max(1, len(data) - cut % 2000)]), SCALE)
        assert thermogram.values().shape == thermogram.counts.shape


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "scale", "cold", "hot"),
    [
        # Read by eye from the pictures: sky, and the hottest body (its printed spot, where there is one).
        ("T1/faulty/T1_faulty_004.jpg", "14.8,52.6", (14.8, 25), (51.5, 1.0)),
        ("T1/faulty/T1_faulty_019.jpg", "21.8,47.9", (21.8, 25), (46.1, 1.0)),
    ],
)
def test_printed_spots_come_back(
    data: Path, name: str, scale: str, cold: tuple[float, float], hot: tuple[float, float]
) -> None:
    spots = {"T1/faulty/T1_faulty_004.jpg": (473, 285), "T1/faulty/T1_faulty_019.jpg": (249, 258)}
    thermogram = READER.decode((data / "transformers/images" / name).read_bytes(), ReadHints(scale=scale))
    celsius = thermogram.celsius()
    x, y = spots[name]
    assert np.nanmedian(celsius[y - 2 : y + 3, x - 2 : x + 3]) == pytest.approx(hot[0], abs=hot[1])
    assert cold[0] - 0.1 <= np.nanmin(celsius) <= cold[1]


@pytest.mark.real_data
def test_every_transformer_picture_has_its_scale(data: Path) -> None:
    files = sorted((data / "transformers/images").glob("T[2345]/*/*1.*"))
    assert files
    for file in files:
        assert READER.decode(file.read_bytes(), ReadHints(scale="20,60")).estimated, file
