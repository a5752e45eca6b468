"""What FLIR files hold beside temperatures, on synthetic files and on real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flir_files import JpegLsFrame, fpf, palette_record, photo_record, pip_record, tools_record
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import isotherm
from isotherm.core.capture import VisualPhoto
from isotherm.core.errors import FormatError
from isotherm.core.scene import Source
from isotherm.core.shapes import Box, Ellipse, Line, Marked, Spot
from isotherm.formats import ReadHints, read_bytes
from isotherm.formats.colours import rgb_of_ycbcr
from isotherm.formats.flir_sensor import enlargement, sensor_size
from isotherm.formats.photos import photo_pixels, sized_photo
from thermal_files import FlirFile, encoded, exif_block, ramp

GREY_PHOTO = np.full((120, 160, 3), 90, np.uint8)


def with_records(*records: tuple[int, bytes]) -> FlirFile:
    return FlirFile(extra_records=list(records))


def test_the_photo_and_its_alignment_are_read() -> None:
    jpeg = encoded(GREY_PHOTO, "JPEG")
    thermogram = read_bytes(with_records(photo_record(jpeg, 120, 160), pip_record(2.0, 7, -5)).fff())
    photo = thermogram.visual
    assert photo is not None
    assert photo.data == jpeg
    assert photo.alignment is not None
    # The photo's view is twice as wide, so that 80 of its pixels show what 16 thermal ones show.
    assert (photo.alignment.scale_x, photo.alignment.scale_y) == (5.0, 5.0)
    middle = (7.5 * 5 + photo.alignment.offset_x, 5.5 * 5 + photo.alignment.offset_y)
    assert middle == (79.5 + 7, 59.5 - 5)
    assert photo.alignment.source == "picture-in-picture record"
    assert sized_photo(photo)[1] == (120, 160)
    assert np.abs(photo_pixels(photo).astype(int) - 90).max() <= 2


def test_a_photo_without_alignment_is_kept() -> None:
    photo = read_bytes(with_records(photo_record(encoded(GREY_PHOTO, "JPEG"), 120, 160)).fff()).visual
    assert photo is not None
    assert photo.alignment is None


@pytest.mark.parametrize("wider", [0.0, -1.0, float("nan"), 1e9])
def test_an_alignment_that_makes_no_sense_is_left_out(wider: float) -> None:
    jpeg = encoded(GREY_PHOTO, "JPEG")
    photo = read_bytes(with_records(photo_record(jpeg, 120, 160), pip_record(wider, 0, 0)).fff()).visual
    assert photo is not None
    assert photo.alignment is None


def test_the_digital_zoom_of_the_screen_is_taken_out_of_the_alignment() -> None:
    records = photo_record(encoded(GREY_PHOTO, "JPEG"), 120, 160), pip_record(4.0, 0, 0)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA404] = 1.6
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    photo = read_bytes(with_records(*records).jpeg(exif=block)).visual
    assert photo is not None
    assert photo.alignment is not None
    assert photo.alignment.scale_x == pytest.approx(160 / (4.0 / 1.6) / 16)


def test_a_png_photo_holds_luma_and_colour_differences() -> None:
    levels = np.zeros((4, 6, 3), np.uint8)
    levels[:] = (76, 85, 255)  # red, by JFIF's own example
    png = encoded(levels, "PNG")
    photo = read_bytes(with_records(photo_record(png, 4, 6)).fff()).visual
    assert photo is not None
    assert photo.colours == "ycbcr"
    assert photo_pixels(photo)[0, 0].tolist() == [254, 0, 0]


def test_a_damaged_photo_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="embedded photo"):
        photo_pixels(VisualPhoto(b"\xff\xd8\xff\xe0 nothing"))


@pytest.mark.parametrize(
    ("levels", "rgb"),
    [((255, 128, 128), (255, 255, 255)), ((0, 128, 128), (0, 0, 0)), ((150, 44, 21), (0, 255, 1))],
)
def test_colours_follow_jfif(levels: tuple[int, ...], rgb: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(rgb_of_ycbcr(np.array([levels], np.uint8)), [rgb])


def test_the_palette_is_read_in_rgb() -> None:
    # Luma, red difference, blue difference: black, red, white.
    levels = np.array([[0, 128, 128], [76, 255, 85], [255, 128, 128]], np.uint8)
    palette = read_bytes(with_records(palette_record(levels, "Iron")).fff()).palette
    assert palette is not None
    assert palette.name == "Iron"
    assert palette.colours.tolist() == [[0, 0, 0], [254, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("order", "<>")
def test_the_tools_of_the_cameras_user_are_read(order: str) -> None:
    tools = (
        (1, (5, 6), "1"),
        (2, (2, 3, 8, 4), "2"),
        (3, (8, 6, 12, 6, 8, 9), "3"),
        (4, (0, 0, 15, 11), "Naht"),
        (6, (0, 1, 0, 1), "4"),
    )
    thermogram = read_bytes(with_records(tools_record(*tools, order=order)).fff())
    expected = [("Sp1", Spot(5, 6)), ("Bx2", Box(2, 3, 8, 4)), ("El3", Ellipse(8, 6, 4, 3))]
    if order == "<":
        # Labels are little-endian in every file that was seen.
        expected.append(("LiNaht", Line(0, 0, 15, 11)))
        assert thermogram.regions == tuple(Marked(label, shape, "camera") for label, shape in expected)
    else:
        assert [region.shape for region in thermogram.regions[:3]] == [shape for _, shape in expected]


def test_tools_outside_the_picture_and_unused_ones_are_left_out() -> None:
    tools = ((1, (16, 6), "1"), (2, (2, 3, 15, 4), "2"), (7, (0, 0), "3"), (1, (15, 11), "4"))
    assert [region.label for region in read_bytes(with_records(tools_record(*tools)).fff()).regions] == ["Sp4"]


def test_a_list_of_tools_that_is_cut_short_keeps_the_whole_ones() -> None:
    kind, body = tools_record((1, (5, 6), "1"), (1, (7, 8), "2"))
    assert [region.label for region in read_bytes(with_records((kind, body[:-9])).fff()).regions] == ["Sp1"]


@settings(deadline=None, max_examples=60)
@given(kind=st.sampled_from([0x0E, 0x21, 0x22, 0x2A, 0x2B]), body=st.binary(min_size=1, max_size=200))
def test_whatever_such_a_record_holds_the_temperatures_come(kind: int, body: bytes) -> None:
    thermogram = read_bytes(with_records((kind, body)).fff())
    np.testing.assert_array_equal(thermogram.counts, ramp())


def enlarged(factor: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    sensor = rng.normal(20_000, 60, (120, 160)).astype(np.float32)
    size = round(160 * factor), round(120 * factor)
    return np.asarray(Image.fromarray(sensor).resize(size, Image.Resampling.BICUBIC)).round().astype(np.uint16)


@pytest.mark.parametrize("factor", [1.5, 3.0, 4.0])
def test_enlarged_pictures_are_told_from_measured_ones(factor: float) -> None:
    assert enlargement(enlarged(1.0)) is None
    period = enlargement(enlarged(factor))
    # The trace alone cannot tell 3 from 1.5; the smaller enlargement is reported.
    assert period == pytest.approx(min(factor, factor / (factor - 1)), abs=0.02)


def test_the_sensor_of_a_known_model_is_compared_with_the_array() -> None:
    counts = np.zeros((240, 320), np.uint16)
    assert sensor_size("FLIR C2", counts, look=False) == (
        (60, 80),
        "the camera's sensor has 80 x 60 pixels: 320 x 240 are enlarged from it",
    )
    assert sensor_size("FLIR E60", counts, look=False) == (None, "")
    assert sensor_size("FLIR E60", counts.T, look=False) == (None, "")
    assert sensor_size("FLIR unheard of", counts, look=True) == (None, "")


def test_an_enlarged_picture_of_an_unknown_model_says_so() -> None:
    thermogram = read_bytes(JpegLsFrame(counts=enlarged(1.5)).fff())
    assert thermogram.sensor_size == (120, 160)
    assert any("look enlarged by the camera" in note for note in thermogram.notes)


CELSIUS = np.linspace(18, 60, 192, dtype=np.float32).reshape(12, 16)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_fpf_temperatures_are_read(order: str, kind: str) -> None:
    thermogram = read_bytes(fpf((CELSIUS + 273.15).astype(kind), order=order))
    assert thermogram.format == "flir-fpf"
    np.testing.assert_allclose(thermogram.celsius(), CELSIUS, atol=1e-3)
    assert thermogram.notes[:2] == (
        "experimental: this layout was never checked against a real file",
        "unit of the temperatures guessed: K (--unit)",
    )
    assert thermogram.camera.model == "SC 3000X"
    assert thermogram.camera.taken_at == "2009-05-14T13:07:09.042"
    assert thermogram.scene.emissivity.value == 0.9
    assert thermogram.scene.emissivity.source is Source.FILE
    assert thermogram.calibration is not None
    assert thermogram.calibration.supports == frozenset()


def test_fpf_in_celsius_is_guessed_and_the_guess_can_be_changed() -> None:
    np.testing.assert_allclose(read_bytes(fpf(CELSIUS)).celsius(), CELSIUS, atol=1e-3)
    fahrenheit = read_bytes(fpf(CELSIUS), ReadHints(unit="f"))
    np.testing.assert_allclose(fahrenheit.celsius(), (CELSIUS - 32) / 1.8, atol=1e-3)


def test_fpf_without_temperatures_is_refused_with_the_reason() -> None:
    with pytest.raises(FormatError, match="differences or signals"):
        read_bytes(fpf(CELSIUS, kind=2))
    whole = (CELSIUS * 10).astype(np.int16)
    with pytest.raises(FormatError, match="--step"):
        read_bytes(fpf(whole))
    scaled = read_bytes(fpf(whole), ReadHints(step=0.1, unit="c"))
    np.testing.assert_allclose(scaled.celsius(), CELSIUS, atol=0.11)
    with pytest.raises(FormatError, match="needs 768 bytes"):
        read_bytes(fpf(CELSIUS)[:-1])


@pytest.mark.real_data
def test_what_real_cameras_printed_agrees_with_their_tools(data: Path) -> None:
    folder = data / "camera_files"
    # "max 199 °F" of the box is printed into the picture.
    t640 = isotherm.read(folder / "thermal_parser/FLIR_T640.jpg")
    assert t640.regions == (Marked("Bx1", Box(64, 98, 313, 279), "camera"),)
    assert t640.celsius()[98 : 98 + 279, 64 : 64 + 313].max() * 1.8 + 32 == pytest.approx(199, abs=0.5)
    # "19.0 °F" at the cross.
    b60 = isotherm.read(folder / "thermal_parser/FLIR_B60.jpg")
    assert b60.regions == (Marked("Sp1", Spot(90, 90), "camera"),)
    assert b60.celsius()[90, 90] * 1.8 + 32 == pytest.approx(19.0, abs=0.1)
    # "Avg. 28.1" of the box.
    heron = isotherm.read(folder / "thermimage/IR_2412.jpg")
    assert heron.regions == (Marked("Bx1", Box(210, 157, 219, 166), "camera"),)
    assert heron.celsius()[157 : 157 + 166, 210 : 210 + 219].mean() == pytest.approx(28.1, abs=0.05)


# File -> photo's height and width, and how many of its pixels a thermal pixel covers: from what exiftool prints (width
# of the photo / Real2IR / thermal width; for the T640 times the digital zoom 1.6 of its EXIF). FLIR, B60 and T640: at
# these scales the edges of both pictures correlate best, tried at 0.9 to 1.1 times of them.
ALIGNED = {
    "FLIR.jpg": ((640, 480), 1.4245),
    "FLIR_AX8.jpg": ((480, 640), 6.8822),
    "FLIR_B60.jpg": ((480, 480), 1.5515),
    "FLIR_T640.jpg": ((1944, 2592), 1.8534),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", ALIGNED)
def test_real_photos_are_found(name: str, data: Path) -> None:
    photo = isotherm.read(data / "camera_files/thermal_parser" / name).visual
    assert photo is not None
    assert photo.alignment is not None
    assert sized_photo(photo, least_px=1)[1] == ALIGNED[name][0]
    assert photo.alignment.scale_x == pytest.approx(ALIGNED[name][1], abs=0.001)


@pytest.mark.real_data
def test_real_palettes_are_those_of_the_printed_pictures(data: Path) -> None:
    for name, label in {"thermal_parser/FLIR_T640.jpg": "Iron", "thermimage/IR_2412.jpg": "Iron"}.items():
        path = data / "camera_files" / name
        palette = isotherm.read(path).palette
        assert palette is not None
        assert palette.name == label
        printed = np.asarray(Image.open(path).convert("RGB"))[::9, ::9].reshape(-1, 1, 3).astype(float)
        nearest = np.sqrt(((printed - palette.colours[None].astype(float)) ** 2).sum(-1)).min(axis=1)
        assert np.median(nearest) < 4


@pytest.mark.real_data
def test_only_the_picture_of_a_phone_camera_looks_enlarged(data: Path) -> None:
    sizes = {}
    for path in sorted((data / "camera_files").glob("*/*.jpg")):
        try:
            thermogram = isotherm.read(path)
        except FormatError:
            continue
        if thermogram.format == "flir":
            sizes[path.name] = thermogram.sensor_size
    assert sizes.pop("FLIR.jpg") == (192, 144)
    assert len(sizes) >= 7
    assert set(sizes.values()) == {None}


def test_a_file_without_extras_has_none() -> None:
    thermogram = read_bytes(replace(FlirFile(), gps=None).jpeg(exif=exif_block()))
    assert thermogram.visual is None
    assert thermogram.regions == ()
    assert thermogram.palette is None
    assert thermogram.sensor_size is None
