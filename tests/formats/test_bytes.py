"""The cursor, JPEG segments, TIFF directories and EXIF: no length is trusted, every place is told."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isotherm.core.errors import FormatError
from isotherm.core.thermogram import Camera, Position
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import GPS_IFD, Capture, completed, iso_time, read_capture, read_exif
from isotherm.formats.ifd import (
    LONG,
    SHORT,
    TEXT,
    Entry,
    Layout,
    directory_offsets,
    encode,
    layout_of,
    numbers_entry,
    read_directory,
    text_entry,
)
from thermal_files import encoded, exif_block, segment


def test_cursor_reads_both_orders() -> None:
    data = struct.pack(">HhIifd", 1, -2, 3, -4, 1.5, -2.5) + b"ab\0cd"
    cursor = Cursor(data, ">", "block")
    assert (cursor.u16(0), cursor.i16(2), cursor.u32(4), cursor.i32(8)) == (1, -2, 3, -4)
    assert (cursor.f32(12), cursor.f64(16), cursor.text(24, 5), len(cursor)) == (1.5, -2.5, "ab", 29)
    assert Cursor(data, "<", "block").u16(0) == 256


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (9, 2), (10, 1), (0, 11), (5, -1), (1 << 40, 4)])
def test_cursor_never_leaves_its_block(offset: int, length: int) -> None:
    cursor = Cursor(bytes(10), "<", "block")
    with pytest.raises(FormatError, match="block: needs"):
        cursor.take(offset, length)
    with pytest.raises(FormatError):
        cursor.part(offset, length, "part")


def test_cursor_tells_places_in_the_file() -> None:
    # Two pieces: bytes 0..9 from offset 100 of the file, 10..19 from offset 500.
    cursor = Cursor(bytes(20), "<", "joined", origins=((0, 100), (10, 500)))
    assert [cursor.place(offset) for offset in (0, 9, 10, 19)] == [100, 109, 500, 509]
    part = cursor.part(5, 10, "part")
    assert [part.place(offset) for offset in (0, 4, 5, 9)] == [105, 109, 500, 504]
    inner = part.part(6, 2, "inner")
    assert inner.place(0) == 501
    with pytest.raises(FormatError, match=r"inner: .* \(at byte 502\)"):
        inner.u16(1)


def test_text_drops_what_cannot_be_printed() -> None:
    assert Cursor(b" FL\x01IR\xff \0rest", "<", "block").text(0, 12) == "FLIR\ufffd"


def test_segments_of_a_jpeg() -> None:
    plain = encoded(np.zeros((8, 8), np.uint8), "JPEG")
    data = plain[:2] + segment(0xE1, b"one") + b"\xff" + segment(0xE2, b"two") + plain[2:]
    found = list(jpeg.segments(data))
    assert [(item.marker, item.payload) for item in found[:2]] == [(0xE1, b"one"), (0xE2, b"two")]
    assert all(data[item.offset : item.offset + len(item.payload)] == item.payload for item in found)


@pytest.mark.parametrize(
    "tail", [b"", b"\xff", b"\xff\xe1", b"\xff\xe1\0\1", b"\xff\xe1\xff\xff", b"noise", b"\xff\xd9"]
)
def test_a_broken_chain_ends_quietly(tail: bytes) -> None:
    assert [item.payload for item in jpeg.segments(b"\xff\xd8" + segment(0xE1, b"one") + tail)] == [b"one"]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_segments_of_noise_lie_inside_it(noise: bytes) -> None:
    data = b"\xff\xd8\xff" + noise
    for item in jpeg.segments(data):
        assert data[item.offset : item.offset + len(item.payload)] == item.payload


@pytest.mark.parametrize("order", ["<", ">"])
def test_directories_are_written_as_they_are_read(order) -> None:
    main = {1: numbers_entry(order, SHORT, 7), 3: text_entry("a longer text"), 2: numbers_entry(order, LONG, 1, 2, 3)}
    nested = {0x8825: {4: numbers_entry(order, SHORT, 9, 8)}, 0x8769: {}}
    data = encode(order, main, nested, body=b"odd")
    layout = layout_of(data)
    assert layout == Layout(order)
    cursor = Cursor(data, order, "TIFF")
    assert cursor.take(8, 3) == b"odd"
    found = read_directory(cursor, layout, layout.first(cursor))
    assert {tag: found[tag] for tag in main} == main
    inner = read_directory(cursor, layout, int(found[0x8825].numbers(order)[0]))
    assert inner == nested[0x8825]
    assert read_directory(cursor, layout, int(found[0x8769].numbers(order)[0])) == {}


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_of_every_type(order) -> None:
    def entry(kind: int, code: str, *values: float) -> Entry:
        return Entry(kind, 2 if kind not in (5, 10) else len(values) // 2, struct.pack(order + code, *values))

    assert entry(1, "2B", 1, 255).numbers(order) == (1, 255)
    assert entry(3, "2H", 1, 65535).numbers(order) == (1, 65535)
    assert entry(9, "2i", -1, 2).numbers(order) == (-1, 2)
    assert entry(11, "2f", 0.5, -0.25).numbers(order) == (0.5, -0.25)
    assert entry(12, "2d", 0.1, 0.2).numbers(order) == (0.1, 0.2)
    assert entry(5, "2I", 1, 4).numbers(order) == (0.25,)
    assert entry(10, "4i", -1, 4, 1, 0).numbers(order)[0] == -0.25
    assert np.isnan(entry(10, "4i", -1, 4, 1, 0).numbers(order)[1])
    assert Entry(TEXT, 2, b"a\0").numbers(order) == ()
    assert numbers_entry(order, SHORT, 5).text() == ""


def test_damaged_entries_are_left_out() -> None:
    good = encode("<", {1: numbers_entry("<", SHORT, 7), 2: text_entry("text that is kept")}, {})
    start = struct.unpack("<I", good[4:8])[0]
    far = good[: start + 2 + 12 + 8] + struct.pack("<I", 1 << 30) + good[start + 2 + 24 :]
    assert set(read_directory(Cursor(far, "<", "EXIF"), Layout("<"), start)) == {1}
    many = good[:start] + b"\xff\xff" + good[start + 2 :]
    assert {1, 2} <= set(read_directory(Cursor(many, "<", "EXIF"), Layout("<"), start))
    assert read_directory(Cursor(good, "<", "EXIF"), Layout("<"), 1 << 30) == {}
    unknown = good[: start + 2 + 2] + b"\x63" + good[start + 2 + 3 :]
    assert set(read_directory(Cursor(unknown, "<", "EXIF"), Layout("<"), start)) == {2}


def test_a_chain_of_directories_ends_at_damage_and_circles() -> None:
    data = encode("<", {1: numbers_entry("<", SHORT, 7)}, {})
    assert directory_offsets(Cursor(data, "<", "TIFF"), Layout("<")) == [8]
    circle = data[:-4] + struct.pack("<I", 8)
    assert directory_offsets(Cursor(circle, "<", "TIFF"), Layout("<")) == [8]
    astray = data[:-4] + struct.pack("<I", 1 << 20)
    assert directory_offsets(Cursor(astray, "<", "TIFF"), Layout("<")) == [8]
    assert directory_offsets(Cursor(data[:9], "<", "TIFF"), Layout("<")) == []


def test_a_block_in_the_other_byte_order_says_the_same() -> None:
    block = exif_block(maker="ACME")
    assert block[:2] == b"MM"
    turned = read_capture(block).in_order("<")
    assert turned.block()[:2] == b"II"
    assert read_exif(turned.block()) == read_exif(block)
    assert turned.in_order(">").block() == read_capture(block).block()
    assert turned.in_order("<") is turned


def test_exif_by_an_independent_writer() -> None:
    exif = read_exif(exif_block(maker="ACME", orientation=8))
    assert exif.camera == Camera("ACME", "Model", "123", "", None, "2024-05-06T07:08:09+02:00")
    assert exif.position is not None
    assert (exif.position.latitude_deg, exif.position.altitude_m) == (-10.5, -12.5)
    assert exif.position.longitude_deg == pytest.approx(-20.26)
    assert exif.orientation == 8


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 400))
def test_damaged_exif_never_raises(edits: list[tuple[int, int]], cut: int) -> None:
    block = bytearray(exif_block())
    for place, value in edits:
        block[place % len(block)] = value
    read_exif(bytes(block))
    read_exif(bytes(block[:cut]))
    read_capture(bytes(block)).block()


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2024:05:06 07:08:09", "+02:00", "2024-05-06T07:08:09+02:00"),
        ("2024:05:06 07:08:09", "", "2024-05-06T07:08:09"),
        ("2024:05:06", "", "2024-05-06"),
        ("0000:00:00 00:00:00", "", ""),
        ("    :  :     :  :  ", "", ""),
        ("", "", ""),
        ("yesterday", "", ""),
    ],
)
def test_times(text: str, zone: str, expected: str) -> None:
    assert iso_time(text, zone) == expected


def test_what_travels_is_read_by_others() -> None:
    capture = read_capture(exif_block(maker="ACME"))
    exif = Image.Exif()
    exif.load(capture.block())
    assert exif[0x010F] == "ACME"
    assert exif.get_ifd(0x8825)[1] == "S"
    assert exif.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"


def test_makers_notes_and_pixel_sizes_stay_behind() -> None:
    exif = Image.Exif()
    exif[0x0100] = 640
    exif.get_ifd(0x8769).update({0x927C: b"maker's secret with offsets", 0xA002: 640, 0xA431: "123"})
    capture = read_capture(exif.tobytes().removeprefix(b"Exif\0\0"))
    assert set(capture.nested[0x8769]) == {0xA431}
    assert 0x0100 not in capture.main


@settings(deadline=None, max_examples=40)
@given(
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    altitude=st.none() | st.floats(-400, 9000),
    order=st.sampled_from(["<", ">"]),
)
def test_any_place_survives(latitude: float, longitude: float, altitude: float | None, order) -> None:
    block = completed(Capture(order), Camera("ACME", "X1"), Position(latitude, longitude, altitude)).block()
    found = read_exif(block)
    assert found.position is not None
    assert found.position.latitude_deg == pytest.approx(latitude, abs=1e-9)
    assert found.position.longitude_deg == pytest.approx(longitude, abs=1e-9)
    assert found.position.altitude_m == (None if altitude is None else pytest.approx(altitude, abs=0.001))
    assert (found.camera.maker, found.camera.model) == ("ACME", "X1")


def test_what_the_file_says_is_not_replaced() -> None:
    capture = completed(read_capture(exif_block(maker="ACME")), Camera("Other", "Y"), Position(1.0, 2.0))
    found = read_exif(capture.block())
    assert found.camera.maker == "ACME"
    assert found.position is not None
    assert found.position.latitude_deg == -10.5
    assert GPS_IFD in capture.nested
    assert Capture().block() == b""
