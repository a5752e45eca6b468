"""16-bit PNG, NPY and CSV."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import PngImagePlugin

from isotherm.core.errors import ConfigError, FormatError, TooLargeError
from isotherm.formats import FORMATS, ReadHints, read_bytes
from thermal_files import encoded, exif_block, npy, ramp

CELSIUS = np.array([[20.5, 21.25, -3.0], [30.0, 99.75, 0.0]])


def declared(counts: np.ndarray, text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("isotherm", text)
    return encoded(counts, "PNG", pnginfo=info)


def test_png_guessed() -> None:
    counts = ramp(low=28_000, high=33_000)
    thermogram = read_bytes(encoded(counts, "PNG", exif=exif_block()))
    np.testing.assert_allclose(thermogram.celsius(), counts / 100 - 273.15, atol=1e-3)
    assert "guessed: 0.01 K" in thermogram.notes[0]
    assert thermogram.camera.maker == "Maker"
    assert thermogram.position is not None


def test_png_declared_wins_over_the_guess_and_the_hint_over_both() -> None:
    counts = ramp(low=28_000, high=33_000)
    data = declared(counts, json.dumps({"scale": 0.005, "offset": -100, "unit": "c"}))
    np.testing.assert_allclose(read_bytes(data).celsius(), counts * 0.005 - 100, atol=1e-3)
    assert read_bytes(data).notes == ()
    hinted = read_bytes(data, ReadHints(step=0.01, unit="k")).celsius()
    np.testing.assert_allclose(hinted, counts / 100 - 273.15, atol=1e-3)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nonsense", '{"scale": "a", "offset": 0, "unit": "k"}', '{"scale": NaN, "offset": 0, "unit": "k"}',
     '{"scale": 1, "offset": 0, "unit": ["k"]}', "[" * 5000],
)  # fmt: skip
def test_png_with_a_declaration_that_makes_no_sense(text: str) -> None:
    assert "guessed" in read_bytes(declared(ramp(low=28_000, high=33_000), text)).notes[0]


def test_png_of_no_known_scale_keeps_sixteen_bits() -> None:
    counts = ramp(low=700, high=900)
    thermogram = read_bytes(encoded(counts, "PNG"))
    assert not thermogram.radiometric
    np.testing.assert_array_equal(thermogram.counts, counts)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_floats_are_celsius(dtype: str, order: str) -> None:
    array = np.array(CELSIUS, dtype=dtype, order=order)
    thermogram = read_bytes(npy(array))
    np.testing.assert_array_equal(thermogram.counts, CELSIUS.astype(dtype).astype(float))
    np.testing.assert_allclose(thermogram.celsius(), CELSIUS, atol=1e-4)


def test_npy_counts() -> None:
    assert "guessed: 0.04 K" in read_bytes(npy(ramp(low=7000, high=8000))).notes[0]
    assert "guessed: 0.01 K" in read_bytes(npy(ramp(low=29000, high=31000).astype(np.int64))).notes[0]
    assert not read_bytes(npy(ramp(low=0, high=65535))).radiometric
    grey = read_bytes(npy(np.arange(6, dtype=np.uint8).reshape(2, 3)))
    assert (grey.radiometric, grey.counts.dtype) == (False, np.uint8)
    with pytest.raises(FormatError, match="need a scale"):
        read_bytes(npy(np.arange(6).reshape(2, 3)))
    assert read_bytes(npy(np.arange(6).reshape(2, 3)), ReadHints(step=1.0, unit="c")).celsius()[1, 2] == pytest.approx(
        5
    )


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 3, 4, 5)), "two dimensions"),
        (np.zeros((20, 30, 3)), "two dimensions"),
        (np.zeros(5), "two dimensions"),
        (np.zeros((0, 4)), "two dimensions"),
        (np.zeros((2, 2), bool), "numbers"),
        (np.zeros((2, 2), complex), "numbers"),
        (np.array([["a", "b"]]), "numbers"),
        (np.zeros((2, 2), [("a", "f4")]), "numbers"),
    ],
)
def test_npy_of_other_shapes_and_types(array: np.ndarray, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        read_bytes(npy(array))


def test_npy_frames() -> None:
    frames = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    first = read_bytes(npy(frames))
    np.testing.assert_array_equal(first.counts, frames[0])
    assert first.notes[0] == "frame 0 of 2 is read, counted from 0 (choose with --frame)"
    np.testing.assert_array_equal(read_bytes(npy(frames), ReadHints(frame=-1)).counts, frames[1])
    np.testing.assert_array_equal(read_bytes(npy(frames[:1])).counts, frames[0])
    with pytest.raises(FormatError, match="no frame 2; the sequence has 2"):
        read_bytes(npy(frames), ReadHints(frame=2))


def test_npy_never_unpickles() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([[print]]), allow_pickle=True)
    with pytest.raises(FormatError, match="numbers"):
        read_bytes(stream.getvalue())


def npy_header(text: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


def test_npy_sizes_are_bounded_before_allocation() -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s, %s)}"
    with pytest.raises(TooLargeError, match="at most"):
        read_bytes(npy_header(header % (10**9, 10**9)))
    with pytest.raises(FormatError, match="needs 8000000 bytes"):
        read_bytes(npy_header(header % (1000, 1000)))
    with pytest.raises(FormatError, match="header of 65535 bytes"):
        read_bytes(b"\x93NUMPY\x01\x00\xff\xff")
    with pytest.raises(FormatError, match="no description"):
        read_bytes(npy_header("__import__('os').system('true')"))
    with pytest.raises(FormatError, match=r"shape \(True, 3\) makes no sense"):
        read_bytes(npy_header(header % (True, 3), bytes(64)))


CSV_WAYS = [
    pytest.param("20.5,21.25,-3.0\n30.0,99.75,0.0\n", id="commas"),
    pytest.param("20.5, 21.25, -3.0\r\n30.0, 99.75, 0.0", id="commas and blanks, CRLF"),
    pytest.param("20.5,21.25,-3.0,\n30.0,99.75,0.0,\n", id="comma at the end"),
    pytest.param("20,5;21,25;-3\n30;99,75;0\n", id="semicolons and decimal commas"),
    pytest.param("20.5;21.25;-3\n30;99.75;0\n", id="semicolons and points"),
    pytest.param("20,5\t21,25\t-3\n30\t99,75\t0\n", id="tabs and decimal commas"),
    pytest.param("20.5 21.25 -3\n30   99.75 0\n", id="blanks"),
    pytest.param("20,5 21,25 -3\n30 99,75 0\n", id="blanks and decimal commas"),
    pytest.param('"20,5";"21,25";"-3"\n"30";"99,75";"0"\n', id="quotes"),
    pytest.param("Camera X\nTemperatures in °C\n\n20.5,21.25,-3.0\n30.0,99.75,0.0\n", id="header"),
    pytest.param(",1,2,3\n1,20.5,21.25,-3.0\n2,30.0,99.75,0.0\n", id="numbered lines and columns"),
    pytest.param(",0,1,2\n0,20.5,21.25,-3.0\n1,30.0,99.75,0.0\n", id="numbered from 0"),
    pytest.param("0,1,2\n20.5,21.25,-3.0\n30.0,99.75,0.0\n", id="numbered columns"),
    pytest.param("20.5,21.25,-3.0\n30.0,99.75,0.0\nend of export\n", id="footer"),
    pytest.param("2.05e1,21.25,-3\n3e1,99.75,0", id="exponents"),
]


@pytest.mark.parametrize("text", CSV_WAYS)
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_csv_ways_of_writing_a_matrix(text: str, coding: str) -> None:
    thermogram = read_bytes(text.encode(coding))
    assert thermogram.format == "csv"
    np.testing.assert_allclose(thermogram.celsius(), CELSIUS, atol=1e-4)


@pytest.mark.parametrize(
    ("header", "kelvin_of"),
    [
        ("All temperatures in °C.", lambda number: number + 273.15),
        ("unit: Celsius", lambda number: number + 273.15),
        ("Temperature [K]", lambda number: number),
        ("kelvin", lambda number: number),
        ("All temperatures in °F.", lambda number: (number + 459.67) / 1.8),
        ("Fahrenheit", lambda number: (number + 459.67) / 1.8),
        ("deg F", lambda number: (number + 459.67) / 1.8),
    ],
)
def test_csv_units_by_header(header: str, kelvin_of) -> None:
    thermogram = read_bytes(f"{header}\n70.0;80\n90;100\n".encode())
    expected = kelvin_of(np.array([[70.0, 80], [90, 100]]))
    np.testing.assert_allclose(thermogram.kelvin(), expected, rtol=1e-6)


def test_csv_hint_wins_over_the_header() -> None:
    thermogram = read_bytes("in °C\n300;301\n302;303".encode(), ReadHints(unit="k"))
    assert thermogram.kelvin()[0, 0] == 300


def test_csv_numbers_that_look_like_kelvin_are_celsius_and_doubted() -> None:
    thermogram = read_bytes(b"300;301\n302;303")
    assert thermogram.celsius()[0, 0] == pytest.approx(300, abs=1e-3)
    assert "taken as °C" in thermogram.notes[0]
    assert read_bytes("in °C\n300;301\n302;303".encode()).notes == ()
    assert read_bytes(b"300;301\n302;303", ReadHints(unit="k")).notes == ()


def test_csv_gaps_are_nan() -> None:
    celsius = read_bytes(b"1.5,,3\n4,nan,6\n7,8,\n").celsius()
    assert np.isnan(celsius).tolist() == [[False, True, False], [False, True, False], [False, False, True]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.5,2,3\n4,5,6\n7,8\n", "line 3 has 2 numbers; the lines above have 3"),
        ("1.5,2,3\n4,5,6\n7,8,9,10\n", "line 3 has 4 numbers"),
        ("1.5,2,3\n4,5,6\n7,x,9\n1,2,3\n", "line 3 is not all numbers: '7,x,9'"),
    ],
)
def test_csv_damage_is_told_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        read_bytes(text.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"just text\nof two lines",
        b"1\n2\n3",
        b"1,2\n",
        b"a,b\nc,d\n",
        b"1_0,2_0\n3_0,4_0\n",
        b'{\n"a": [1, 2]\n}',
        b"1,2\n\x003,4",
    ],
)
def test_text_without_a_matrix_is_no_csv(data: bytes) -> None:
    assert not FORMATS.get("csv").recognises(data)
    with pytest.raises(FormatError):
        read_bytes(data)


def test_one_line_of_a_known_sensor() -> None:
    frame = np.arange(768) / 10
    thermogram = read_bytes((",".join(map(str, frame)) + ",").encode())
    np.testing.assert_array_equal(thermogram.counts, frame.reshape(24, 32))
    assert "MLX90640" in thermogram.notes[0]
    assert read_bytes(",".join(["21.5"] * 20).encode()).size == (1, 20)


def test_a_long_csv_is_recognised_by_its_beginning() -> None:
    text = "\n".join(";".join(["21,5"] * 640) for _ in range(60))
    assert read_bytes(text.encode()).size == (60, 640)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(2, 12),
    width=st.integers(2, 12),
    separator=st.sampled_from([";", "\t", ","]),
    comma=st.booleans(),
)
def test_csv_any_matrix_survives(seed: int, height: int, width: int, separator: str, comma: bool) -> None:
    numbers = np.random.default_rng(seed).uniform(-40, 140, (height, width)).round(3)
    text = "\n".join(separator.join(f"{number:.3f}" for number in row) for row in numbers)
    if comma and separator != ",":
        text = text.replace(".", ",")
    np.testing.assert_array_equal(read_bytes(text.encode()).counts, numbers)


def test_an_offset_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="offset needs step"):
        ReadHints(offset=3.0)
