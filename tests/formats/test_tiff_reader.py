from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.formats import ReadHints, read_bytes
from isotherm.formats.ifd import LONG, SHORT, Entry, encode, numbers_entry
from isotherm.formats.scaling import PLAUSIBLE_K
from thermal_files import encoded, ramp

CELSIUS = np.linspace(-20, 120, 12 * 16, dtype=np.float32).reshape(12, 16)
RGB = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8)


def tiff(array: np.ndarray, **options: object) -> bytes:
    """Return a TIFF by an independent writer."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **{"photometric": "minisblack", "metadata": None, **options})
    return stream.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"compression": "zlib"},
        {"tile": (16, 16)},
        {"rowsperstrip": 5},
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_layouts(options: dict[str, object], dtype: type) -> None:
    numbers = CELSIUS if dtype is np.float32 else ramp(low=29_000, high=31_000)
    thermogram = read_bytes(tiff(numbers, **options))
    np.testing.assert_array_equal(thermogram.counts, numbers)
    assert thermogram.counts.dtype == dtype


def test_deflate_that_unpacks_to_too_little_is_damage() -> None:
    with pytest.raises(FormatError, match=r"damaged deflate data|bytes of pixels"):
        read_bytes(tiff(CELSIUS.astype(np.float64), compression="zlib").replace(b"\x78\x9c", b"\x78\x9d", 1))


def packbits(numbers: np.ndarray, order: str, **tags: Entry) -> bytes:
    """Return a TIFF by hand whose strip is packed as literal runs, which isotherm leaves to Pillow."""
    raw = numbers.astype(numbers.dtype.newbyteorder(order)).tobytes()
    strip = b"".join(bytes([len(run) - 1]) + run for run in (raw[at : at + 128] for at in range(0, len(raw), 128)))
    height, width = numbers.shape
    kind, bits = {"f": 3, "u": 1, "i": 2}[numbers.dtype.kind], 8 * numbers.dtype.itemsize
    shorts = {0x100: width, 0x101: height, 0x102: bits, 0x103: 32773, 0x106: 1, 0x115: 1, 0x116: height, 0x153: kind}
    main = {tag: numbers_entry(order, SHORT, value) for tag, value in shorts.items()}
    main |= {0x111: numbers_entry(order, LONG, 8), 0x117: numbers_entry(order, LONG, len(strip))}
    return encode(order, main | {int(tag[1:], 16): entry for tag, entry in tags.items()}, {}, strip)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int16, np.int32])
def test_numbers_that_pillow_unpacks_are_in_the_right_byte_order(order: str, dtype: type) -> None:
    numbers = np.abs(CELSIUS).astype(dtype)
    thermogram = read_bytes(packbits(numbers, order), ReadHints(step=1.0, unit="c"))
    np.testing.assert_array_equal(thermogram.counts, numbers)
    assert thermogram.counts.dtype.isnative


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_said_and_not_applied(order: str, orientation: int) -> None:
    turned = {"x112": numbers_entry(order, SHORT, orientation)}
    for data in (packbits(CELSIUS, order, **turned), tiff(CELSIUS, extratags=[(274, 3, 1, orientation, True)])):
        thermogram = read_bytes(data)
        np.testing.assert_array_equal(thermogram.counts, CELSIUS)
        assert any("is not applied" in note for note in thermogram.notes) == (orientation != 1)
    picture = read_bytes(encoded(RGB, "TIFF", tiffinfo={274: orientation}))
    assert picture.colour is not None
    np.testing.assert_array_equal(picture.colour, RGB)


def test_floats_are_celsius_and_said_to_be_guessed() -> None:
    thermogram = read_bytes(tiff(CELSIUS))
    np.testing.assert_allclose(thermogram.celsius(), CELSIUS, atol=1e-4)
    assert thermogram.notes == ("unit of this TIFF guessed: °C (change it with --unit)",)
    grey = read_bytes(tiff((CELSIUS - CELSIUS.min()) / np.float32(140)))
    assert "perhaps no temperatures" in grey.notes[0]


def xmp(text: str) -> tuple[int, int, int, bytes, bool]:
    return (700, 1, len(text), text.encode(), True)


GDAL = "<GDALMetadata>{}</GDALMetadata>"


@pytest.mark.parametrize(
    ("tag", "kelvin_of_1000"),
    [
        (xmp("<Camera:TlinearGain>0.04</Camera:TlinearGain>"), 40.0),
        (xmp('<rdf:Description Camera:TlinearGain="0.4" Camera:Yaw="1/2"/>'), 400.0),
        ((42112, 2, 0, GDAL.format('<Item name="SCALE" sample="0" role="scale">0.1</Item><Item name="O" role="offset">'
         '-100</Item><Item name="U" sample="0" role="unittype">degC</Item>'), True), 273.15),
    ],
)  # fmt: skip
def test_a_declared_step_is_no_guess(tag: tuple[object, ...], kelvin_of_1000: float) -> None:
    counts = np.full((4, 5), 1000, np.uint16)
    found = read_bytes(tiff(counts, extratags=[tag]))
    assert found.kelvin()[0, 0] == pytest.approx(kelvin_of_1000, abs=1e-4)
    assert found.notes == ()
    assert read_bytes(tiff(counts, extratags=[tag]), ReadHints(step=0.3, unit="k")).kelvin()[0, 0] == pytest.approx(300)


def test_a_camera_that_was_not_in_its_temperature_mode_says_so() -> None:
    found = read_bytes(
        tiff(ramp(low=7000, high=8000), extratags=[xmp("<Camera:TlinearGain>0.00</Camera:TlinearGain>")])
    )
    assert not found.radiometric
    assert "not in its temperature mode" in found.notes[0]


@pytest.mark.parametrize("text", ["", "<Camera:TlinearGain>", "<Camera:TlinearGain>e-e</Camera:TlinearGain>"])
def test_a_declared_step_that_makes_no_sense_is_left_out(text: str) -> None:
    assert "guessed: 0.04 K" in read_bytes(tiff(ramp(low=7000, high=8000), extratags=[xmp(text or " ")])).notes[0]


@pytest.mark.parametrize(("description", "kelvin"), [("Temperature in kelvin", 20.0), ("unit: °F", 266.483)])
def test_a_description_may_name_the_unit(description: str, kelvin: float) -> None:
    found = read_bytes(tiff(np.full((4, 5), 20, np.float32), description=description.encode()))
    assert found.kelvin()[0, 0] == pytest.approx(kelvin, abs=1e-3)
    assert found.notes == ()


def test_the_three_conventions_of_cameras_cannot_be_mixed_up() -> None:
    steps = sorted(PLAUSIBLE_K)
    counts = [(PLAUSIBLE_K[step][0] / step, PLAUSIBLE_K[step][1] / step) for step in steps]
    assert all(later[1] < earlier[0] for earlier, later in pairwise(counts))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_packings(compression: str) -> None:
    np.testing.assert_array_equal(read_bytes(encoded(CELSIUS, "TIFF", compression=compression)).counts, CELSIUS)
    predicted = encoded(CELSIUS, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 3})
    np.testing.assert_array_equal(read_bytes(predicted).counts, CELSIUS)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f2", ">f4", ">u2", ">i2", "<i8", "<u8", "<u4", "i1"])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}])
def test_types_and_byte_orders(dtype: str, options: dict[str, object]) -> None:
    numbers = np.abs(CELSIUS).astype(dtype)
    byteorder = dtype[0] if dtype[0] in "<>" else "<"
    thermogram = read_bytes(tiff(numbers, byteorder=byteorder, **options), ReadHints(unit="c", step=1.0))
    np.testing.assert_array_equal(thermogram.counts, numbers)
    assert thermogram.counts.dtype.isnative


def test_doubles_are_celsius_and_may_be_guessed_as_kelvin() -> None:
    doubles = CELSIUS.astype(np.float64)
    np.testing.assert_allclose(read_bytes(tiff(doubles)).celsius(), CELSIUS, atol=1e-4)
    assert "guessed: kelvin" in read_bytes(tiff(doubles + 273.15)).notes[0]


def test_floats_all_above_150_are_guessed_as_kelvin_and_said() -> None:
    thermogram = read_bytes(tiff(CELSIUS + np.float32(273.15)))
    np.testing.assert_allclose(thermogram.celsius(), CELSIUS, atol=1e-3)
    assert "unit of this TIFF guessed: kelvin" in thermogram.notes[0]


@pytest.mark.parametrize(("unit", "numbers"), [("k", CELSIUS + 273.15), ("f", CELSIUS * 1.8 + 32), ("c", CELSIUS)])
def test_units_by_hint(unit: str, numbers: np.ndarray) -> None:
    thermogram = read_bytes(tiff(numbers.astype(np.float32)), ReadHints(unit=unit))
    np.testing.assert_allclose(thermogram.celsius(), CELSIUS, atol=1e-3)
    assert thermogram.notes == ()


def test_nan_infinity_and_the_declared_gap_stay_without_temperature() -> None:
    numbers = CELSIUS.copy()
    numbers[0, :5] = np.nan, np.inf, -np.inf, -9999.0, 55.0
    gap = (42113, 2, 5, "55.0", True)
    celsius = read_bytes(tiff(numbers, extratags=[gap])).celsius()
    assert np.isnan(celsius[0, :5]).all()
    assert np.isfinite(celsius[0, 5:]).all()
    assert np.isfinite(celsius[1:]).all()


@pytest.mark.parametrize("text", ["nan", "inf", "none", ""])
def test_declared_gaps_that_are_no_number_are_left_out(text: str) -> None:
    calibration = read_bytes(tiff(CELSIUS, extratags=[(42113, 2, len(text) + 1, text, True)])).calibration
    assert calibration is not None
    assert calibration.describe()["nodata"] is None


@pytest.mark.parametrize(("step", "low", "high"), [(0.01, 29_000, 35_000), (0.04, 7_000, 8_500), (0.40, 700, 900)])
def test_steps_are_guessed_and_said(step: float, low: int, high: int) -> None:
    counts = ramp(low=low, high=high)
    counts[0, 0], counts[0, 1] = 0, 65535
    thermogram = read_bytes(tiff(counts))
    np.testing.assert_allclose(thermogram.celsius()[1:], counts[1:] * step - 273.15, atol=1e-3)
    assert np.isnan(thermogram.celsius()[0, 0])
    assert thermogram.notes[0].startswith(f"scale of this TIFF guessed: {step:.2f} K")


def test_counts_of_no_known_scale_stay_sixteen_bit_grey_levels() -> None:
    counts = ramp(low=0, high=65535)
    thermogram = read_bytes(tiff(counts))
    assert not thermogram.radiometric
    np.testing.assert_array_equal(thermogram.counts, counts)
    assert thermogram.values().max() == 255.0
    assert len(np.unique(thermogram.values())) == len(np.unique(counts))
    assert "scale of this TIFF is not known" in thermogram.notes[0]


def test_hinted_scale_wins_over_the_guess() -> None:
    counts = ramp(low=1000, high=1700)
    thermogram = read_bytes(tiff(counts), ReadHints(step=0.1, offset=-100, unit="c"))
    np.testing.assert_allclose(thermogram.celsius(), counts * 0.1 - 100, atol=1e-3)
    assert thermogram.notes == ()
    assert "°C" in read_bytes(tiff(counts), ReadHints(step=0.1)).notes[0]


def test_whole_numbers_of_other_types_need_a_scale() -> None:
    counts = ramp().astype(np.int32) - 20_000
    with pytest.raises(FormatError, match="need a scale"):
        read_bytes(tiff(counts))
    celsius = read_bytes(tiff(counts.astype(np.int16)), ReadHints(step=0.1, unit="c")).celsius()
    np.testing.assert_allclose(celsius[counts > -2700], counts[counts > -2700] * 0.1, atol=1e-2)


def test_pages() -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for shift in range(3):
            writer.write(CELSIUS + shift, photometric="minisblack", metadata=None)
    thermogram = read_bytes(stream.getvalue())
    np.testing.assert_allclose(thermogram.celsius(), CELSIUS, atol=1e-4)
    assert thermogram.notes[0] == "frame 0 of 3 is read, counted from 0 (choose with --frame)"
    np.testing.assert_allclose(read_bytes(stream.getvalue(), ReadHints(frame=-1)).celsius(), CELSIUS + 2, atol=1e-4)
    with pytest.raises(FormatError, match="no frame 3; the sequence has 3"):
        read_bytes(stream.getvalue(), ReadHints(frame=3))
    assert read_bytes(tiff(CELSIUS), ReadHints(frame=3)).notes[0] == (
        "frame 3 was asked for: this file holds one picture"
    )


def test_eight_bits_are_a_picture() -> None:
    coloured, grey = read_bytes(encoded(RGB, "TIFF")), read_bytes(encoded(RGB[..., 0], "TIFF"))
    assert not coloured.radiometric
    assert coloured.colour is not None
    np.testing.assert_array_equal(coloured.colour, RGB)
    np.testing.assert_array_equal(grey.counts, RGB[..., 0])
    assert (coloured.format, grey.colour) == ("tiff", None)


def test_declared_size_is_checked_before_decoding() -> None:
    # A page of 30,000 x 30,000 whose strip is not there.
    data = bytearray(tiff(np.zeros((1, 1), np.uint16)))
    image = tifffile.TiffFile(io.BytesIO(bytes(data))).pages[0]
    for tag in ("ImageWidth", "ImageLength"):
        place = image.tags[tag].valueoffset
        data[place : place + 4] = (30_000).to_bytes(4, "little")
    with pytest.raises(TooLargeError, match="30000 x 30000"):
        read_bytes(bytes(data))


def test_a_circle_of_pages_ends() -> None:
    data = bytearray(tiff(CELSIUS))
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    data[first + 2 + 12 * entries : first + 6 + 12 * entries] = first.to_bytes(4, "little")
    np.testing.assert_array_equal(read_bytes(bytes(data)).counts, CELSIUS)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), height=st.integers(1, 20), width=st.integers(1, 20))
def test_any_matrix_survives(seed: int, height: int, width: int) -> None:
    numbers = np.random.default_rng(seed).uniform(-50, 149, (height, width)).astype(np.float32)
    np.testing.assert_array_equal(read_bytes(tiff(numbers)).counts, numbers)


@pytest.mark.parametrize("length", [4, 8, 30, 200])
def test_cut_short(length: int) -> None:
    with pytest.raises(FormatError):
        read_bytes(tiff(CELSIUS)[:length])


# Type 5 of an entry is a fraction, type 11 a float (TIFF 6.0, section 2).
@pytest.mark.parametrize("entry", [Entry(5, 1, bytes(8)), Entry(11, 1, np.float32(np.inf).tobytes())])
@pytest.mark.parametrize("tag", [0x100, 0x102, 0x111, 0x117])
def test_a_tag_that_holds_no_number_is_refused(tag: int, entry: Entry) -> None:
    with pytest.raises(FormatError):
        read_bytes(packbits(CELSIUS, "<", **{f"x{tag:x}": entry}))
