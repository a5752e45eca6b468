"""Readers whose layouts nobody here has seen in a real file: round trips, bounds, and that they say so."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from other_maker_files import (
    BoschFile,
    FlukeFile,
    HikvisionFile,
    InfraTecFile,
    TestoFile,
    UniTFile,
    celsius,
    hikvision_celsius_file,
    photo,
)

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import Source
from isotherm.formats import FORMATS, ReadHints, fluke_is2, infratec, read, read_bytes
from isotherm.formats.experimental import NOTE
from isotherm.formats.sequences import SEQUENCES, open_sequence
from isotherm.radiometry.two_point import TwoPointCalibration
from isotherm.testing.sequences import check_sequence_reader
from thermal_files import encoded, segment

FILES = {
    "bosch": BoschFile().data(),
    "fluke": FlukeFile().data(),
    "hikvision": HikvisionFile().data(),
    "infratec": InfraTecFile().data(),
    "testo": TestoFile().data(),
    "uni-t": UniTFile().data(),
}


@pytest.mark.parametrize("name", FILES)
def test_each_says_that_it_is_experimental(name: str) -> None:
    thermogram = read_bytes(FILES[name])
    assert thermogram.format == name
    assert thermogram.notes[0] == NOTE
    card = FORMATS.get(name).card
    assert (card.evidence, bool(card.source)) == ("experimental", True)


@pytest.mark.parametrize("name", FILES)
def test_another_makers_bytes_are_refused(name: str) -> None:
    reader = FORMATS.get(name)
    with pytest.raises(FormatError, match=r"no |behind"):
        reader.decode(encoded(np.zeros((4, 4), np.uint8), "PNG"), ReadHints())


# --- Testo


@pytest.mark.parametrize("measured", [True, False])
@settings(deadline=None, max_examples=20)
@given(height=st.integers(2, 9), width=st.integers(2, 9), low=st.floats(-40, 200, width=32), data=st.data())
def test_testo_round_trip(measured: bool, height: int, width: int, low: float, data: st.DataObject) -> None:
    span = data.draw(st.floats(1, 500, width=32))
    numbers = celsius(height, width, low, low + span)
    file = TestoFile(numbers, measured=measured, photo=data.draw(st.sampled_from([b"", photo()])))
    thermogram = read_bytes(file.data())
    np.testing.assert_array_equal(thermogram.counts, numbers)
    np.testing.assert_allclose(thermogram.celsius(), numbers, atol=1e-4)
    assert thermogram.notes == (NOTE,)


def test_testo_keeps_emissivity_scale_and_photo() -> None:
    thermogram = read_bytes(TestoFile(photo=photo()).data())
    assert thermogram.scene.emissivity.value == 0.93
    assert thermogram.scene.emissivity.source is Source.FILE
    assert thermogram.display_span_c() == pytest.approx((20.0, 55.0), abs=1e-4)
    assert thermogram.visual is not None
    assert thermogram.visual.data == photo()
    behind = read_bytes(TestoFile(measured=False, tail=encoded(np.zeros((8, 8, 3), np.uint8), "BMP")).data())
    assert behind.visual is not None
    assert behind.visual.data.startswith(b"BM")
    assert behind.scene.emissivity.source is Source.ASSUMED


def test_testo_takes_the_other_length_of_a_plain_record() -> None:
    file = TestoFile(measured=False, plain_length=12)
    np.testing.assert_array_equal(read_bytes(file.data()).counts, file.numbers)


def test_testo_doubts_a_picture_that_is_not_between_the_recorded_extremes() -> None:
    notes = read_bytes(TestoFile(recorded=(-5.0, 99.0)).data()).notes
    assert notes[1] == (
        "the file records -5.00 to 99.00 °C, its picture was decoded as 18.00 to 61.50 °C: "
        "the layout may be another one"
    )


def test_testo_pixels_without_a_number_are_nan() -> None:
    numbers = celsius()
    numbers[3, 4] = np.frombuffer(struct.pack("<I", 7), "<f4")[0]
    thermogram = read_bytes(TestoFile(numbers, recorded=(18.0, 61.5)).data())
    assert np.argwhere(np.isnan(thermogram.celsius())).tolist() == [[3, 4]]
    assert "1 px hold no temperature" in thermogram.notes


@pytest.mark.parametrize(
    "file",
    [
        TestoFile(numbers=np.full((4, 4), 20, np.float32)),
        TestoFile(numbers=celsius(high=1e6)),
        TestoFile(measured=False, plain_length=16),
    ],
)
def test_a_bmp_with_numbers_that_are_no_temperatures_stays_a_picture(file: TestoFile) -> None:
    assert read_bytes(file.data()).format == "picture"


def test_a_testo_file_of_heads_alone_takes_no_time() -> None:
    heads = struct.pack("<4I", 28, 12, 4000, 3000) * 10_000
    data = encoded(np.zeros((4, 4, 3), np.uint8), "BMP") + heads + bytes(48_000_000)
    start = time.process_time()
    assert not FORMATS.get("testo").recognises(data)
    assert time.process_time() - start < 3


# --- HIKMICRO, Hikvision


def test_hikvision_counts_are_estimated_between_the_recorded_extremes() -> None:
    file = HikvisionFile()
    thermogram = read_bytes(file.data())
    np.testing.assert_array_equal(thermogram.counts, file.counts)
    radiance = [1 / np.expm1(1438.777 / (celsius + 273.15)) for celsius in (18.0, 61.5)]
    wanted = radiance[0] + (file.counts - 5000.0) / 4000 * (radiance[1] - radiance[0])
    np.testing.assert_allclose(thermogram.kelvin(), 1438.777 / np.log1p(1 / wanted), atol=1e-3)
    assert thermogram.estimated
    assert "temperatures estimated" in thermogram.notes[1]
    assert thermogram.visual is not None
    assert thermogram.visual.data == photo()


def test_hikvision_scene_is_the_files() -> None:
    scene = read_bytes(HikvisionFile().data()).scene
    assert (scene.emissivity.value, scene.humidity.value) == (0.96, pytest.approx(0.55))
    assert scene.atmosphere_k.value == pytest.approx(294.15)
    assert scene.reflected_k.value == pytest.approx(297.15)
    assert scene.distance_m.source is Source.ASSUMED
    assert read_bytes(HikvisionFile(parameters=None).data()).scene.emissivity.source is Source.ASSUMED


@pytest.mark.parametrize("ends", [None, (30.0, 20.0), (float("nan"), 20.0), (20.0, 1e9)])
def test_hikvision_counts_without_ends_are_no_temperatures(ends: tuple[float, float] | None) -> None:
    data = HikvisionFile(ends_c=ends).data()
    thermogram = read_bytes(data)
    assert not thermogram.radiometric
    assert "not turned into temperatures" in thermogram.notes[1]
    given_ends = read_bytes(data, ReadHints(scale="50,140", unit="f"))
    assert given_ends.estimated
    assert float(given_ends.celsius().min()) == pytest.approx(10, abs=1e-3)
    assert float(given_ends.celsius().max()) == pytest.approx(60, abs=1e-3)
    stepped = read_bytes(data, ReadHints(step=0.01, offset=-30.0, unit="c"))
    np.testing.assert_allclose(stepped.celsius(), stepped.counts * 0.01 - 30, atol=1e-3)


def test_hikvision_temperatures() -> None:
    numbers = celsius(120, 160, -10, 140)
    thermogram = read_bytes(hikvision_celsius_file(numbers))
    np.testing.assert_allclose(thermogram.celsius(), numbers, atol=1e-4)
    assert not thermogram.estimated
    assert thermogram.visual is not None
    assert thermogram.visual.data == photo()


def test_hikvision_damage_is_told() -> None:
    data = HikvisionFile(ends_c=None, parameters=None).data()
    with pytest.raises(FormatError, match="needs 384 bytes at 44, but the block has 427"):
        read_bytes(data[:-1])
    numbers = celsius(120, 160)
    numbers[50, 50] = np.nan
    assert read_bytes(hikvision_celsius_file(numbers)).format == "picture"
    assert read_bytes(photo()).format == "picture"


# --- the estimate between two temperatures


def test_two_points_are_exact_and_the_curve_between_them_is_not() -> None:
    calibration = TwoPointCalibration(100, 300, 293.15, 353.15)
    counts = np.array([[100, 200, 300]], dtype=np.uint16)
    scene = read_bytes(FILES["hikvision"]).scene
    # By hand, with c2 / 10 µm = 1438.777 K: W(20 °C) = 0.007442, W(80 °C) = 0.017301; their mean is W(326.65 K).
    np.testing.assert_allclose(calibration.kelvin(counts, scene), [[293.15, 326.65, 353.15]], atol=0.01)
    sigma = calibration.sigma_k(counts)[0]
    assert sigma[0] == pytest.approx(0, abs=1e-6)
    assert sigma[2] == pytest.approx(0, abs=1e-6)
    assert sigma[1] == pytest.approx((326.65 - 323.15) / 3**0.5, abs=0.01)
    assert 0 < calibration.typical_sigma_k < sigma[1]
    assert calibration.supports == frozenset()
    assert calibration.describe()["kind"] == "estimated"


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        "resistive_circuit/IR_0341.jpg",
        "resistive_circuit/IR_0366.jpg",
        "camera_files/thermal_parser/FLIR_T640.jpg",
        "camera_files/thermal_parser/DJI_XT2.jpg",
        "camera_files/thermal_parser/FLIR_B60.jpg",
        "camera_files/thermimage/IR_2412.jpg",
    ],
)
def test_the_counts_of_cameras_with_a_known_curve_are_met_by_their_extremes_alone(data: Path, name: str) -> None:
    thermogram = read(data / name)
    kelvin, counts = thermogram.kelvin(), thermogram.counts
    ends = int(counts.min()), int(counts.max()), float(kelvin.min()), float(kelvin.max())
    estimate = TwoPointCalibration(*ends)
    half_width = estimate.sigma_k(counts) * 3**0.5
    assert half_width.max() > 0.15
    assert (np.abs(estimate.kelvin(counts, thermogram.scene) - kelvin) <= 0.1 * half_width + 0.01).all()


@settings(deadline=None, max_examples=30)
@given(low=st.floats(200, 400), span=st.floats(0.1, 400))
def test_the_estimates_uncertainty_grows_with_the_span(low: float, span: float) -> None:
    sigma = [TwoPointCalibration(0, 1, low, low + width).typical_sigma_k for width in (span, 2 * span)]
    assert 0 <= sigma[0] < sigma[1]


# --- InfraTec


@pytest.mark.parametrize("compression", [0, 1])
@settings(deadline=None, max_examples=20)
@given(height=st.integers(1, 9), width=st.integers(1, 40), seed=st.integers(0, 1000), run=st.sampled_from([1, 3, 255]))
def test_infratec_round_trip(compression: int, height: int, width: int, seed: int, run: int) -> None:
    rng = np.random.default_rng(seed)
    positions = np.sort(rng.integers(0, 65_281, height * width)).astype(np.uint16).reshape(height, width)
    file = InfraTecFile([positions], compression=compression, longest_run=run)
    wanted = np.interp(positions / 256, np.arange(256), file.table)
    np.testing.assert_allclose(read_bytes(file.data()).kelvin(), wanted, atol=1e-3)


def test_infratec_facts() -> None:
    thermogram = read_bytes(InfraTecFile().data())
    camera = thermogram.camera
    assert (camera.maker, camera.model, camera.serial, camera.lens) == ("InfraTec", "VARIOCAM", "S-0815", "Lens 1,0/30")
    # 45,000 days after the end of 1899, at noon.
    assert camera.taken_at == "2023-03-15T12:00:00.000"
    scene = thermogram.scene
    values = [scene.emissivity.value, scene.distance_m.value, scene.reflected_k.value, scene.atmosphere_k.value]
    assert values == pytest.approx([0.92, 3.5, 295.15, 294.15])


def test_infratec_says_what_is_outside_the_calibrated_range() -> None:
    notes = read_bytes(InfraTecFile(range_k=(263.15, 1000.0)).data()).notes
    assert notes[1] == "14 px outside the camera's calibrated range (-10 to 727 °C)"


@pytest.mark.parametrize("sequence", [False, True])
def test_infratec_frames(sequence: bool) -> None:
    file = InfraTecFile([np.full((2, 3), number * 256, np.uint16) for number in (10, 20, 30)], sequence=sequence)
    frames = [read_bytes(file.data(), ReadHints(frame=number)) for number in (0, 1, 2, -1)]
    assert [float(frame.kelvin()[0, 0]) for frame in frames] == pytest.approx(file.table[[10, 20, 30, 30]].tolist())
    with pytest.raises(FormatError, match="no frame 3; the sequence has 3"):
        read_bytes(file.data(), ReadHints(frame=3))


@pytest.mark.parametrize("compression", [0, 1])
def test_infratec_sequences_keep_the_promises_of_the_seam(compression: int) -> None:
    pictures = [np.arange(192, dtype=np.uint16).reshape(12, 16) * 300 + 256 * number for number in (10, 20, 30)]
    sample = InfraTecFile(pictures, compression=compression, sequence=True).data()
    check_sequence_reader(SEQUENCES.get("infratec"), sample)


def test_infratec_sequence_is_mapped(tmp_path: Path) -> None:
    file = InfraTecFile([np.full((2, 3), number * 256, np.uint16) for number in (10, 20, 30)], sequence=True)
    path = tmp_path / "a.irb"
    path.write_bytes(file.data())
    with open_sequence(path) as sequence:
        assert (len(sequence), sequence.size) == (3, (2, 3))
        assert sequence.times_s is not None
        np.testing.assert_allclose(sequence.times_s, [0, 0.04, 0.08], atol=1e-5)
        assert float(sequence.frame(-1).kelvin()[0, 0]) == pytest.approx(file.table[30])
        assert sequence.frame(0).digest != sequence.frame(1).digest
    assert "frame 2 of 3 is read, counted from 0 (choose with --frame)" in read(path, ReadHints(frame=-1)).notes


def test_infratec_picture_that_no_entry_names() -> None:
    file = InfraTecFile()
    head = (b"\xffIRB\0oSaveIRB" + b"\0" * 8 + struct.pack("<3I", 0, 64, 1)).ljust(64, b"\0")
    more = struct.pack("<8I", 4, 0, 0, 96, 64, 0, 0, 0)
    data = head + more + b"\0" * 64 + file.picture(file.positions[0])
    thermogram = read_bytes(data)
    np.testing.assert_array_equal(thermogram.kelvin(), read_bytes(file.data()).kelvin())
    assert thermogram.notes[-1] == "the directory names no picture: the one behind it was read"


def changed(data: bytes, place: int, patch: bytes) -> bytes:
    return data[:place] + patch + data[place + len(patch) :]


def test_infratec_damage_is_told() -> None:
    data = InfraTecFile().data()
    picture = 64 + 32
    with pytest.raises(FormatError, match=r"compression 2, which is not known; 0 and 1 are \(at byte 98\)"):
        read_bytes(changed(data, picture + 2, b"\2\0"))
    with pytest.raises(TooLargeError, match="65535 x 65535 pixels"):
        read_bytes(changed(data, picture + 4, b"\xff\xff\xff\xff"))
    with pytest.raises(FormatError, match="without a picture"):
        read_bytes(changed(data, 64, b"\3"))
    with pytest.raises(FormatError, match="needs 384 bytes at 1728"):
        read_bytes(data[:-1])
    with pytest.raises(FormatError, match="holds nothing"):
        read_bytes(changed(data, picture + 4, b"\0\0"))
    packed = InfraTecFile(compression=1).data()
    with pytest.raises(FormatError, match="run lengths for"):
        read_bytes(packed[:-2])


def test_infratec_directories_that_point_to_themselves_end() -> None:
    file = bytearray(InfraTecFile(sequence=True).data())
    struct.pack_into("<I", file, 64 + 32 + 12, 64)
    assert read_bytes(bytes(file)).size == (12, 16)
    struct.pack_into("<2I", file, 25, 64, 0xFFFFFFFF)
    assert read_bytes(bytes(file)).size == (12, 16)


def test_infratec_directories_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infratec, "_MOST_ENTRIES", 6)
    pictures = [np.zeros((2, 2), np.uint16)] * 3
    with pytest.raises(TooLargeError, match="more than 6 entries"):
        read_bytes(InfraTecFile(pictures, sequence=True).data())


# --- Bosch


@pytest.mark.parametrize(("model", "size", "step"), [(400, (120, 160), 0.01), (600, (192, 256), 0.1)])
@pytest.mark.parametrize("low", [-15.0, 20.0])
def test_bosch_round_trip(model: int, size: tuple[int, int], step: float, low: float) -> None:
    numbers = (np.round(celsius(*size, low, 150.0) / step) * step).astype(np.float32)
    thermogram = read_bytes(BoschFile(numbers, model).data())
    np.testing.assert_allclose(thermogram.celsius(), numbers, atol=1e-3)
    assert thermogram.notes == (NOTE,)
    assert thermogram.camera.model == f"GTC {model} C"
    assert thermogram.scene.emissivity.value == 0.94
    assert thermogram.scene.reflected_k.value == pytest.approx(292.15)


def test_bosch_pixels_run_on_in_the_next_segment_where_the_first_is_full() -> None:
    data = BoschFile(celsius(192, 256), 600).data()
    # The published place of the second segment's head: 65,500 bytes behind the first pixel, after a low byte.
    first_pixel = data.index(b"GTC_600C") + 24
    assert data[first_pixel + 65_501 : first_pixel + 65_503] == b"\xff\xe1"


def test_a_bosch_file_of_many_empty_segments_takes_no_time() -> None:
    data = b"\xff\xd8" + segment(0xEF, BoschFile().payload()[:40]) + segment(0xEF, b"") * 40_000
    start = time.process_time()
    assert FORMATS.get("bosch").recognises(data)
    assert time.process_time() - start < 3


def test_bosch_damage_is_told() -> None:
    body = BoschFile().payload()
    for cut in (len(body) - 1, 2000):
        data = b"\xff\xd8" + segment(0xEF, body[:cut]) + photo().removeprefix(b"\xff\xd8")
        with pytest.raises(FormatError, match="Bosch GTC data: needs"):
            read_bytes(data)
    notes = read_bytes(BoschFile(recorded=(0.0, 20.0), emissivity=7.0).data()).notes
    assert notes[1:] == (
        "emissivity in the file is 7: 0.95 assumed",
        "the file records 0.00 to 20.00 °C, its picture was decoded as 18.00 to 61.50 °C: "
        "the layout may be another one",
    )


# --- Uni-T


@pytest.mark.parametrize("turn", ["as shown", "upside down", "columns from the right"])
@pytest.mark.parametrize("gap", [0, 3])
def test_unit_grey_levels_are_turned_as_the_camera_showed_them(turn: str, gap: int) -> None:
    file = UniTFile(turn=turn, gap=gap)
    thermogram = read_bytes(file.data())
    np.testing.assert_array_equal(thermogram.counts, file.grey)
    np.testing.assert_array_equal(thermogram.colour, file.colours()[file.grey])
    assert thermogram.palette is not None
    np.testing.assert_array_equal(thermogram.palette.colours, file.colours())


def test_unit_has_no_temperatures_but_tells_the_cameras_readings() -> None:
    thermogram = read_bytes(UniTFile().data(), ReadHints(scale="10,20"))
    assert not thermogram.radiometric
    assert thermogram.scene.emissivity.value == 0.95
    assert thermogram.notes[1].startswith("the camera read 12.3 to 85.4 °C, 33.0 °C in the centre")
    assert "--scale is not used" in thermogram.notes[2]
    fahrenheit = read_bytes(UniTFile(fahrenheit=True, readings=(-40, 2120, 320)).data())
    assert "the camera read -20.0 to 100.0 °C, 0.0 °C in the centre" in fahrenheit.notes[1]


@pytest.mark.parametrize(
    "file", [UniTFile(emissivity=3), UniTFile(readings=(10, 5, 7)), UniTFile(readings=(10, 50, 70))]
)
def test_a_bmp_with_a_tail_that_makes_no_sense_stays_a_picture(file: UniTFile) -> None:
    assert read_bytes(file.data()).format == "picture"


def test_unit_survives_a_picture_in_front_that_cannot_be_decoded() -> None:
    data = bytearray(UniTFile().data())
    struct.pack_into("<H", data, 28, 77)
    np.testing.assert_array_equal(read_bytes(bytes(data)).counts, UniTFile().grey)


# --- Fluke


def test_fluke_round_trip() -> None:
    file = FlukeFile()
    thermogram = read_bytes(file.data())
    np.testing.assert_allclose(thermogram.celsius(), file.celsius(), atol=1e-3)
    assert thermogram.notes == (NOTE,)
    camera = thermogram.camera
    assert (camera.maker, camera.model, camera.serial) == ("Fluke", "Ti000", "SN-7")
    assert camera.taken_at == "2024-05-06T07:08:09"
    assert thermogram.scene.emissivity.value == 0.9
    assert thermogram.scene.reflected_k.value == pytest.approx(295.15)
    assert thermogram.visual is not None
    assert thermogram.visual.data == photo(48, 64)


def test_fluke_doubts_a_picture_that_is_not_between_the_recorded_extremes() -> None:
    good = FlukeFile().celsius()
    assert read_bytes(FlukeFile(extremes=(float(good.min()), float(good.max()))).data()).notes == (NOTE,)
    assert "the layout may be another one" in read_bytes(FlukeFile(extremes=(-3.0, 9.0)).data()).notes[1]


def test_fluke_never_writes_where_an_archive_wants_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = FlukeFile(extra={"../outside.txt": b"x", "/tmp/isotherm-outside.txt": b"x"}).data()
    assert read_bytes(data).size == (12, 16)
    assert list(tmp_path.iterdir()) == []
    assert not Path("/tmp/isotherm-outside.txt").exists()


def test_fluke_bombs_are_refused_before_anything_is_unpacked() -> None:
    for name in ("Images/Main/IR.data", "ImageProperties.json"):
        data = FlukeFile(extra={name: b"\0" * 30_000_000}).data()
        assert len(data) < 100_000
        with pytest.raises(TooLargeError, match="30000000 bytes; at most"):
            read_bytes(data)


def test_fluke_damage_is_told() -> None:
    reader = FORMATS.get("fluke")
    with pytest.raises(FormatError, match=r"without Images/Main/IRImageInfo\.gpbenc"):
        read_bytes(FlukeFile(left_out="Images/Main/IRImageInfo.gpbenc").data())
    with pytest.raises(FormatError, match="does not contain the expected format"):
        read_bytes(FlukeFile(extra={"CalibrationData.gpbenc": b"\0" * 40}).data())
    with pytest.raises(FormatError, match="cannot reshape"):
        read_bytes(FlukeFile(extra={"Images/Main/IR.data": b"\0" * 60}).data())
    data = bytearray(FlukeFile().data())
    data[data.index(b"IR.data") + 20] ^= 1
    with pytest.raises(FormatError, match=r"damaged \(size or check sum\)|damaged deflate data"):
        reader.decode(bytes(data), ReadHints())
    with pytest.raises(FormatError, match="no directory at its end"):
        reader.decode(bytes(data[:100]), ReadHints())


def test_fluke_without_the_package_says_which_extra_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FormatError, match=r"needs the extra 'formats': pip install 'isotherm\[formats\]'"):
        read_bytes(FlukeFile(background_c=17.0).data())


def test_fluke_files_that_take_too_long_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fluke_is2, "_PROGRAM", "import time; time.sleep(30)")
    monkeypatch.setattr(fluke_is2, "_SECONDS", 0.5)
    with pytest.raises(FormatError, match="took longer than"):
        read_bytes(FlukeFile(background_c=18.0).data())


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("print('no json')", "gave no facts"),
        ("print('[1]')", "gave no picture"),
        ("print('{\"size\": [3, 3]}')", "needs 36 bytes"),
        ("print('{\"size\": [1000000, 1000000]}')", "at most"),
        ("import os; os.kill(os.getpid(), 9)", "too much memory"),
    ],
)
def test_fluke_trusts_nothing_that_the_other_process_says(
    program: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fluke_is2, "_PROGRAM", program)
    fluke_is2._read.cache_clear()
    with pytest.raises(FormatError, match=words):
        read_bytes(FlukeFile(background_c=19.0).data())
