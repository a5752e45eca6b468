"""The FLIR reader on synthetic files: both byte orders, both packings, split segments, and damage."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import Source
from isotherm.formats import ReadHints, read_bytes
from isotherm.formats.fff import block, read_container
from thermal_files import PLANCK, FlirFile, encoded, exif_block, ramp, segment

WAYS = [
    pytest.param(
        FlirFile(directory_order=directory, record_order=record, packed=packed), id=f"{directory}{record}{packed}"
    )
    for directory in "<>"
    for record in "<>"
    for packed in (False, True)
]


@pytest.mark.parametrize("file", WAYS, ids=lambda file: f"{file.directory_order}{file.record_order}{file.packed}")
def test_counts_are_those_recorded(file: FlirFile) -> None:
    for data in (file.fff(), file.jpeg(), file.jpeg(part_bytes=300)):
        thermogram = read_bytes(data)
        assert thermogram.format == "flir"
        assert thermogram.counts.dtype == np.uint16
        np.testing.assert_array_equal(thermogram.counts, file.counts)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
    packed=st.booleans(),
    part_bytes=st.integers(100, 4000),
)
def test_any_counts_survive(height: int, width: int, seed: int, packed: bool, part_bytes: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 65536, (height, width)).astype(np.uint16)
    file = FlirFile(counts=counts, packed=packed)
    np.testing.assert_array_equal(read_bytes(file.jpeg(part_bytes=part_bytes)).counts, counts)


def test_the_scene_is_the_files() -> None:
    file = FlirFile(emissivity=0.8, distance_m=12.5, reflected_k=280, atmosphere_k=285, humidity=0.4, window_k=290)
    scene = read_bytes(replace(file, window_transmission=0.9).jpeg()).scene
    assert {name: param.value for name, param in scene.params().items()} == pytest.approx(
        {
            "emissivity": 0.8,
            "distance_m": 12.5,
            "reflected_k": 280,
            "atmosphere_k": 285,
            "humidity": 0.4,
            "window_transmission": 0.9,
            "window_k": 290,
        }
    )
    assert {param.source for param in scene.params().values()} == {Source.FILE}
    assert {param.sigma for param in scene.params().values()} == {None}
    # 0.8 and not 0.800000011920929: what the camera's float stands for.
    assert scene.emissivity.value == 0.8


def test_humidity_in_percent_is_understood() -> None:
    assert read_bytes(FlirFile(humidity=45.0).fff()).scene.humidity.value == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"emissivity": 0.0}, "emissivity"),
        ({"emissivity": 7.0}, "emissivity"),
        ({"distance_m": -1.0}, "distance_m"),
        ({"humidity": float("nan")}, "humidity"),
        ({"window_transmission": 0.0}, "window_transmission"),
        ({"atmosphere_k": float("inf")}, "atmosphere_k"),
    ],
)
def test_values_that_make_no_sense_are_replaced_and_said(change: dict[str, float], name: str) -> None:
    thermogram = read_bytes(FlirFile(**change).fff())
    assert thermogram.scene.params()[name].source is Source.ASSUMED
    assert any(note.startswith(f"{name} in the file is") for note in thermogram.notes)
    assert np.isfinite(thermogram.celsius()).all()


def test_camera_time_place_and_exif() -> None:
    exif = exif_block(maker="FLIR Systems AB")
    thermogram = read_bytes(FlirFile(gps=(49.5, 8.25, 120.5)).jpeg(exif=exif))
    camera = thermogram.camera
    assert (camera.maker, camera.model, camera.serial, camera.lens) == ("FLIR Systems AB", "Test T1", "S-0815", "L25")
    assert camera.field_of_view_deg == 25.0
    # 1,600,000,000 s and 250 ms after 1970, shown in the camera's zone, one hour east.
    assert camera.taken_at == "2020-09-13T13:26:40.250+01:00"
    assert thermogram.position is not None
    assert (thermogram.position.latitude_deg, thermogram.position.altitude_m) == (49.5, 120.5)
    assert thermogram.exif == exif


def test_what_the_record_does_not_say_is_taken_from_exif() -> None:
    thermogram = read_bytes(FlirFile(seconds=0).jpeg(exif=exif_block()))
    assert thermogram.camera.taken_at == "2024-05-06T07:08:09+02:00"
    assert thermogram.position is not None
    assert thermogram.position.latitude_deg == -10.5
    assert thermogram.position.longitude_deg == pytest.approx(-20.26)
    assert thermogram.position.altitude_m == -12.5


def test_the_camera_scale_is_read_as_counts_and_shown_as_temperatures() -> None:
    thermogram = read_bytes(FlirFile(median_and_range=(20_000, 5_001)).fff())
    assert thermogram.display_span == (17_499.5, 22_500.5)
    low, high = thermogram.display_span_c() or (0, 0)
    assert low < high
    assert read_bytes(FlirFile(median_and_range=(20_000, 0)).fff()).display_span is None


def test_pixels_outside_the_calibrated_range_are_said() -> None:
    above = int((ramp() > 20_000).sum())
    below = int((ramp() < 17_500).sum())
    notes = read_bytes(FlirFile(raw_range=(17_500, 20_000)).fff()).notes
    assert notes == (
        f"{above} px saturated: above the camera's calibrated range (counts over 20000), too hot to be exact",
        f"{below} px under the camera's calibrated range (counts below 17500), too cold to be exact",
    )
    assert read_bytes(FlirFile(raw_range=(17_000, 24_000)).fff()).notes == ()
    assert read_bytes(FlirFile(raw_range=(0, 0)).fff()).notes == ()


def test_the_formula_can_be_chosen() -> None:
    data = FlirFile(distance_m=20.0).fff()
    single, half = read_bytes(data).celsius(), read_bytes(data, ReadHints(formula="thermimage")).celsius()
    assert 0.1 < (half - single).max() < 2.0


def test_false_magic_inside_pixels_is_no_frame() -> None:
    pixels = np.frombuffer(b"FFF\0" * 96, np.uint16).reshape(12, 16)
    thermogram = read_bytes(FlirFile(counts=pixels).fff())
    np.testing.assert_array_equal(thermogram.counts, pixels)
    assert not any("sequence" in note for note in thermogram.notes)


def test_a_sequence_gives_its_first_frame() -> None:
    first, second = FlirFile(), FlirFile(counts=ramp(low=18_000))
    thermogram = read_bytes(first.fff() + second.fff())
    np.testing.assert_array_equal(thermogram.counts, first.counts)
    assert "frame 0 of 2 is read, counted from 0 (choose with --frame)" in thermogram.notes


def test_a_broken_preview_costs_nothing() -> None:
    thermogram = read_bytes(FlirFile().jpeg(preview=b"\xff\xdb\0\4ab\xff"))
    np.testing.assert_array_equal(thermogram.counts, FlirFile().counts)


def test_unknown_and_outlying_records_are_left_alone() -> None:
    file = FlirFile(extra_records=[(0x2A, b"abc"), (0x99, b""), (0x20, b"second camera record")])
    np.testing.assert_array_equal(read_bytes(file.fff()).counts, file.counts)


def patched(data: bytes, place: int, code: str, value: int) -> bytes:
    return data[:place] + struct.pack(code, value) + data[place + struct.calcsize(code) :]


def test_damage_is_told_with_its_place() -> None:
    whole = FlirFile().fff()
    raw_at, camera_at = struct.unpack(">I", whole[76:80])[0], struct.unpack(">I", whole[108:112])[0]
    cases = {
        "version of the container": (patched(whole, 0x14, ">I", 7), 0x14),
        "a directory of 4294967295 records": (patched(whole, 0x1C, ">I", 0xFFFFFFFF), 0x1C),
        "needs 2 bytes": (whole[:64] + patched(whole[64:], 16, ">I", 1), raw_at),
        "not with 2 in either byte order": (patched(whole, raw_at, "<H", 9), raw_at),
        "pixels hold nothing": (patched(whole, raw_at + 2, "<H", 0), raw_at + 2),
        "needs 131040 bytes": (patched(whole, raw_at + 4, "<H", 0x0FFF), raw_at + 32),
        "all must be above 0": (patched(whole, camera_at + 0x58, "<I", 0), camera_at + 0x58),
    }
    for reason, (data, place) in cases.items():
        with pytest.raises(FormatError, match=reason) as caught:
            read_bytes(data)
        assert caught.value.offset == place, reason


def test_places_are_those_in_the_jpeg_even_across_segments() -> None:
    file = FlirFile()
    whole = file.jpeg(part_bytes=300)
    cursor = block(whole)
    assert cursor is not None
    camera = read_container(cursor)[0x20]
    for offset in (0, 0x58, 0x338, 0x384):
        place = camera.place(offset)
        assert whole[place : place + 1] == camera.take(offset, 1)


def test_missing_records_are_named() -> None:
    with pytest.raises(FormatError, match=r"without raw pixels \(record 0x01\); records found: 0x20"):
        read_bytes(patched(FlirFile().fff(), 64, ">H", 0))
    with pytest.raises(FormatError, match="without camera data"):
        read_bytes(patched(FlirFile().fff(), 96, ">H", 0))


def test_huge_frames_are_refused_before_decoding() -> None:
    whole = FlirFile().fff()
    raw_at = struct.unpack(">I", whole[76:80])[0]
    with pytest.raises(TooLargeError, match="65535 x 65535"):
        read_bytes(patched(patched(whole, raw_at + 2, "<H", 65535), raw_at + 4, "<H", 65535))


def test_packings_that_cannot_be_read_say_why() -> None:
    head = struct.pack("<3H", 2, 16, 12).ljust(32, b"\0")

    class Odd(FlirFile):
        body = b""

        def raw_record(self) -> bytes:
            return head + self.body

    odd = Odd()
    for body, reason in {
        b"\xff\xd8\xff\xf7": "JPEG-LS",
        encoded(np.zeros((12, 16, 3), np.uint8), "PNG"): "mode RGB",
        encoded(np.zeros((12, 17), np.uint16), "PNG"): "17 x 12 pixels; 16 x 12 declared",
        b"\x89PNG\r\n": "FLIR raw PNG",
    }.items():
        odd.body = body
        with pytest.raises(FormatError, match=reason):
            read_bytes(odd.fff())


def test_a_jpeg_with_an_empty_flir_segment_is_a_picture() -> None:
    plain = encoded(np.zeros((8, 8), np.uint8), "JPEG")
    assert read_bytes(plain[:2] + segment(0xE1, b"FLIR\0\1\0\0") + plain[2:]).format == "picture"


def test_constants_come_from_the_file() -> None:
    hotter = FlirFile(planck={**PLANCK, "b": 1500.0})
    assert read_bytes(hotter.fff()).celsius().mean() > read_bytes(FlirFile().fff()).celsius().mean() + 10


@pytest.mark.parametrize("part_bytes", [65_000, 900])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_a_cut_r_jpeg_says_so_with_the_place(share: float, part_bytes: int) -> None:
    frame = FlirFile()
    length = int(len(frame.fff()) * share)
    whole = frame.jpeg(part_bytes=part_bytes)
    with pytest.raises(FormatError, match="FLIR block: cut short: ") as caught:
        read_bytes(whole[:length])
    assert caught.value.offset == length


def test_a_cut_frame_says_what_is_missing_and_where_it_ends() -> None:
    sample = FlirFile().fff()
    with pytest.raises(FormatError, match="cut short: needs 64 bytes here, but the file has 100") as caught:
        read_bytes(sample[:100])
    assert caught.value.offset == 64
    cuts = {
        128 + len(FlirFile().raw_record()) + 50: r"its camera data \(record 0x20\) reach to byte",
        200: r"its raw pixels \(record 0x01\) reach to byte",
    }
    for length, said in cuts.items():
        with pytest.raises(FormatError, match=f"cut short: {said}") as caught:
            read_bytes(sample[:length])
        assert caught.value.offset == length


def test_a_jpeg_that_is_cut_before_its_temperatures_says_so() -> None:
    sample = FlirFile().jpeg(exif=exif_block())
    with pytest.raises(FormatError, match="picture: cut short: the file ends before the JPEG's pixels begin") as caught:
        read_bytes(sample[:40])
    assert caught.value.offset == 40


def test_what_is_cut_behind_the_temperatures_costs_none() -> None:
    photo = (0x0E, b"\0" * 500)
    sample = FlirFile(extra_records=[photo]).jpeg(part_bytes=2000)
    records = FlirFile(extra_records=[photo]).fff()
    assert len(records) > 2000
    whole = read_bytes(sample)
    cut = read_bytes(sample[: len(sample) - 700])
    np.testing.assert_array_equal(cut.counts, whole.counts)
