"""DJI R-JPEG: without a reader, through stand-ins of the program and the library, and the truth of seven cameras."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dji_stubs import CONDITIONS, LIMITS, StubBackend, celsius_of, library, program
from drone_files import dji, xmp

import isotherm
from isotherm.core.errors import DataError, FormatError
from isotherm.core.scene import SceneEdit, Source
from isotherm.formats import ReadHints, dji_backend, dji_library, dji_program, read_bytes
from isotherm.formats import dji as reader
from isotherm.formats.dji_backend import Description, Measured, Unreadable
from isotherm.formats.xmp import drone
from isotherm.testing.formats import check_image_reader
from isotherm.workflows.reading import read_many
from thermal_files import encoded, ramp

COUNTS = np.arange(4600, 4612, dtype=np.uint16).reshape(3, 4)
DRONE = {"GpsLatitude": "+49.5", "GpsLongitude": "-8.4", "AbsoluteAltitude": "+120.5", "RelativeAltitude": "+30.1",
         "GimbalYawDegree": "+91.3", "GimbalPitchDegree": "-89.9", "GimbalRollDegree": "+0.0"}  # fmt: skip
RANGE = {"LRFStatus": "Normal", "LRFTargetDistance": "12.9"}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> StubBackend:
    stub = StubBackend()
    monkeypatch.setattr(reader, "find_backend", lambda: stub)
    return stub


# Without a reader.


def test_without_a_reader_the_picture_is_shown_and_the_note_says_what_to_install() -> None:
    thermogram = read_bytes(dji())
    assert thermogram.format == "dji"
    assert not thermogram.radiometric
    assert thermogram.size == (8, 8)
    assert "pip install 'isotherm[dji]'" in thermogram.notes[0]
    assert "ISOTHERM_DJI_READER" in thermogram.notes[0]
    assert "ISOTHERM_DJI_SDK" in thermogram.notes[0]


@pytest.mark.parametrize("variable", ["ISOTHERM_DJI_READER", "ISOTHERM_DJI_SDK"])
def test_a_variable_that_names_nothing_is_said(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "/nowhere/at/all")
    assert f"{variable}=/nowhere/at/all names no such file" in read_bytes(dji()).notes[0]


def test_a_preview_cut_short_is_still_shown() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
    whole = dji(preview=encoded(noise, "JPEG"))
    assert read_bytes(whole[:-22]).size == (48, 64)


def test_a_damaged_preview_without_a_reader_says_both() -> None:
    with pytest.raises(FormatError, match=r"DJI preview.*isotherm\[dji\]"):
        read_bytes(dji(preview=b"\xff\xd8\xff\xd9"))


def test_hints_that_cannot_be_used_are_said() -> None:
    assert any("not used" in note for note in read_bytes(dji(), ReadHints(scale="10,30")).notes)
    assert not any("not used" in note for note in read_bytes(dji()).notes)


def test_a_picture_of_another_maker_is_no_dji_file() -> None:
    assert read_bytes(dji().replace(b"DJI\0", b"XYZ\0")).format == "picture"


# Drone data.


def test_position_and_pose_come_from_xmp(backend: StubBackend) -> None:
    thermogram = read_bytes(dji(packet=xmp(**DRONE)))
    assert thermogram.position is not None
    assert thermogram.position == isotherm.core.thermogram.Position(49.5, -8.4, 120.5)
    assert thermogram.pose is not None
    assert (thermogram.pose.yaw_deg, thermogram.pose.pitch_deg, thermogram.pose.relative_altitude_m) == (
        91.3,
        -89.9,
        30.1,
    )


def test_without_xmp_the_position_is_that_of_exif(backend: StubBackend) -> None:
    thermogram = read_bytes(dji())
    assert thermogram.position is not None
    assert thermogram.position.latitude_deg == -10.5
    assert thermogram.pose is None


@pytest.mark.parametrize("spelt", ["GpsLongitude", "GpsLongtitude"])
def test_both_spellings_of_longitude_are_known(spelt: str) -> None:
    found = drone(dji(packet=xmp(GpsLatitude="1.5", **{spelt: "2.5"}))).position
    assert found is not None
    assert found.longitude_deg == 2.5


@pytest.mark.parametrize(("latitude", "longitude"), [("91", "0"), ("0", "0"), ("nan", "8"), ("x", "8"), ("8", "181")])
def test_places_that_make_no_sense_are_left_out(latitude: str, longitude: str) -> None:
    assert drone(dji(packet=xmp(GpsLatitude=latitude, GpsLongitude=longitude))).position is None


@pytest.mark.parametrize(("status", "distance"), [("", "12.9"), ("Invalid", "12.9"), ("Normal", "0"), ("Normal", "?")])
def test_a_rangefinder_that_saw_nothing_counts_for_nothing(status: str, distance: str, backend: StubBackend) -> None:
    thermogram = read_bytes(dji(packet=xmp(LRFStatus=status, LRFTargetDistance=distance)))
    assert thermogram.scene.distance_m.value == 5
    assert thermogram.scene.distance_m.source is Source.CAMERA_DEFAULT


def test_the_rangefinder_beats_the_default_distance_and_is_shown(backend: StubBackend) -> None:
    thermogram = read_bytes(dji(packet=xmp(**DRONE, **RANGE)))
    assert (thermogram.scene.distance_m.value, thermogram.scene.distance_m.source) == (12.9, Source.RANGEFINDER)
    assert backend.asked == [replace(CONDITIONS, distance_m=12.9)]
    assert any("12.9 m is the rangefinder's, in place of the file's 5 m" in note for note in thermogram.notes)
    assert thermogram.pose is not None
    assert thermogram.pose.target_distance_m == 12.9


def test_a_rangefinder_distance_that_the_reader_refuses_is_not_used(
    backend: StubBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choosy(stub: StubBackend, data: bytes, conditions: dji_backend.Conditions) -> Measured:
        if conditions.distance_m > 10:
            raise FormatError("refused")
        return plain(stub, data, conditions)

    plain = StubBackend.measure
    monkeypatch.setattr(StubBackend, "measure", choosy)
    thermogram = read_bytes(dji(packet=xmp(**RANGE)))
    assert thermogram.scene.distance_m.value == 5
    assert "the rangefinder's distance 12.9 m is not used (refused)" in thermogram.notes


def test_a_distance_beyond_the_cameras_formula_is_clamped_and_said(backend: StubBackend) -> None:
    thermogram = read_bytes(dji(packet=xmp(LRFStatus="Normal", LRFTargetDistance="79.6")))
    assert backend.asked[0].distance_m == 25
    assert any("distance_m 79.6 is outside" in note and "25 is used" in note for note in thermogram.notes)


# The scene.


def test_temperatures_and_scene_come_from_the_reader(backend: StubBackend) -> None:
    thermogram = read_bytes(dji(COUNTS))
    np.testing.assert_array_equal(thermogram.counts, COUNTS)
    np.testing.assert_allclose(thermogram.celsius(), celsius_of(COUNTS, CONDITIONS), atol=1e-4)
    scene = thermogram.scene
    assert (scene.emissivity.value, scene.humidity.value, scene.reflected_k.value) == (0.95, 0.5, 298.15)
    assert scene.emissivity.source is Source.FILE
    assert thermogram.calibration is not None
    described = json.loads(json.dumps(thermogram.calibration.describe()))
    assert (described["kind"], described["reader"], described["layout"]) == ("vendor", "stub", "iirp")


def test_an_edit_computes_the_temperatures_anew_and_keeps_them(backend: StubBackend) -> None:
    thermogram = read_bytes(dji(COUNTS))
    edited = thermogram.edited(SceneEdit(emissivity=0.8, distance_m=20, reflected_c=10))
    wanted = replace(CONDITIONS, emissivity=0.8, distance_m=20.0, reflected_c=10.0)
    for _ in range(3):
        np.testing.assert_allclose(edited.celsius(), celsius_of(COUNTS, wanted), atol=1e-4)
        np.testing.assert_allclose(thermogram.celsius(), celsius_of(COUNTS, CONDITIONS), atol=1e-4)
    assert backend.asked == [CONDITIONS, wanted]


def test_a_value_outside_the_limits_is_clamped_and_said(backend: StubBackend) -> None:
    edited = read_bytes(dji()).edited(SceneEdit(distance_m=400))
    assert backend.asked[-1].distance_m == 25
    assert any(
        "distance_m 400 is outside what this camera takes (1 to 25): 25 is used" in note for note in edited.notes
    )


def test_only_newer_layouts_honour_the_air(backend: StubBackend) -> None:
    assert read_bytes(dji()).unsupported(SceneEdit(atmosphere_c=10)) == ["atmosphere_k"]
    backend.description = Description(CONDITIONS, LIMITS, "iirp", 0x300)
    thermogram = read_bytes(dji())
    assert thermogram.unsupported(SceneEdit(atmosphere_c=10)) == []
    assert thermogram.scene.atmosphere_k.value == 298.15
    thermogram.edited(SceneEdit(atmosphere_c=10))
    assert backend.asked[-1].ambient_c == 10


def test_cameras_with_fixed_values_say_so(backend: StubBackend) -> None:
    limits = {name: ends for name, ends in LIMITS.items() if name != "ambient_c"}
    fixed = replace(CONDITIONS, emissivity=1.0, humidity_percent=70.0, reflected_c=23.0, ambient_c=None)
    backend.description = Description(fixed, limits, "dirp", 1)
    thermogram = read_bytes(dji(model="ZH20T"))
    assert thermogram.scene.emissivity.source is Source.CAMERA_DEFAULT
    assert any("fixed values (5 m, 70 %, emissivity 1.00, reflected 23 °C)" in note for note in thermogram.notes)
    assert thermogram.unsupported(SceneEdit(distance_m=10, window_transmission=0.9)) == ["window_transmission"]
    assert "distance_m 5.4: this camera takes whole metres" in thermogram.edited(SceneEdit(distance_m=5.4)).notes
    ignoring = read_bytes(dji(model="XT S"))
    assert "this camera ignores distance" in ignoring.notes
    assert ignoring.unsupported(SceneEdit(distance_m=10)) == ["distance_m"]


def test_emissivity_in_percent_is_a_fraction(backend: StubBackend) -> None:
    backend.description = Description(replace(CONDITIONS, emissivity=100.0), LIMITS, "iirp", 0x200)
    assert read_bytes(dji()).scene.emissivity.value == 1.0
    assert backend.asked[0].emissivity == 1.0


def test_parameters_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(FormatError, match="DJI file: humidity_percent is nan"):
        replace(CONDITIONS, humidity_percent=float("nan"))


def test_counts_between_those_of_the_picture_lie_between(backend: StubBackend) -> None:
    thermogram = read_bytes(dji(np.array([[4600, 4700]], np.uint16)))
    assert thermogram.calibration is not None
    found = thermogram.calibration.kelvin(np.array([[4650, 4600, 4599, 4701]], np.uint16), thermogram.scene)
    low, high = celsius_of(np.array([4600, 4700]), CONDITIONS)
    assert found[0, 0] == pytest.approx(273.15 + (low + high) / 2, abs=1e-3)
    assert found[0, 1] == pytest.approx(273.15 + low, abs=1e-3)
    assert np.isnan(found[0, 2:]).all()


def test_temperatures_that_depend_on_the_place_are_kept_as_they_are(
    backend: StubBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    kelvin = np.array([[300, 301, 302]], np.float32)
    same = np.full((1, 3), 4600, np.uint16)
    monkeypatch.setattr(StubBackend, "measure", lambda *_: Measured(same, kelvin))
    thermogram = read_bytes(dji())
    np.testing.assert_array_equal(thermogram.kelvin(), kelvin)
    assert thermogram.calibration is not None
    with pytest.raises(DataError, match="whole pictures only"):
        thermogram.calibration.kelvin(same[:, :2], thermogram.scene)


def test_what_the_reader_does_not_know_is_a_picture_with_its_reason(backend: StubBackend) -> None:
    backend.description = Unreadable("plugin 'xirp' is not supported")
    thermogram = read_bytes(dji())
    assert not thermogram.radiometric
    assert "the optional reader says: plugin 'xirp' is not supported" in thermogram.notes[0]


def test_the_seam_is_kept_with_a_backend(backend: StubBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(stub: StubBackend, data: bytes, conditions: dji_backend.Conditions) -> Measured:
        try:
            return StubBackend.measure(stub, data, conditions)
        except ValueError as error:
            raise FormatError("stub: damaged") from error

    class Careful(StubBackend):
        measure = guarded

    monkeypatch.setattr(reader, "find_backend", Careful)
    check_image_reader(reader.READER, dji(packet=xmp(**DRONE, **RANGE)))


# The program.


@pytest.fixture
def stub_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = program(tmp_path)
    monkeypatch.setenv(dji_program.VARIABLE, str(path))
    return path


def test_the_program_is_found_by_variable_path_and_beside_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path)
    monkeypatch.setenv(dji_program.VARIABLE, str(path))
    assert dji_program.find() == path
    monkeypatch.setenv(dji_program.VARIABLE, str(tmp_path / "absent"))
    assert dji_program.find() is None
    monkeypatch.setenv(dji_program.VARIABLE, "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dji_program.find() is None
    monkeypatch.delenv(dji_program.VARIABLE)
    assert dji_program.find() == path
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert dji_program.find() == path


def test_a_relative_path_of_the_program_will_do(stub_program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stub_program.parent)
    monkeypatch.setenv(dji_program.VARIABLE, f"./{stub_program.name}")
    assert read_bytes(dji(COUNTS)).radiometric


def test_the_program_gives_counts_temperatures_and_scene(stub_program: Path) -> None:
    thermogram = read_bytes(dji(ramp(low=4000, high=6000), packet=xmp(**RANGE)))
    wanted = replace(CONDITIONS, distance_m=12.9)
    np.testing.assert_array_equal(thermogram.counts, ramp(low=4000, high=6000))
    np.testing.assert_allclose(thermogram.celsius(), celsius_of(thermogram.counts, wanted), atol=1e-4)
    edited = thermogram.edited(SceneEdit(emissivity=0.8, humidity_percent=60))
    np.testing.assert_allclose(edited.celsius(), celsius_of(edited.counts, replace(wanted, emissivity=0.8)), atol=1e-4)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("crash", "ended with 9: Traceback: the program fell over"),
        ("garbage", "ended with 0"),
        ("strange", "description of the file is not as expected"),
        ("damaged", "thermal data damaged: short"),
        ("half", "counts: the DJI reader wrote none"),
        ("short", r"counts of \(3, 4\) for temperatures of \(2, 4\)"),
        ("bomb", "at most|30000 x 30000 pixels"),
    ],
)
def test_whatever_the_program_does_is_one_clear_failure(
    mode: str, message: str, stub_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", mode)
    with pytest.raises(FormatError, match=message):
        read_bytes(dji(COUNTS))


@pytest.mark.parametrize(
    ("mode", "reason"), [("unsupported", "'xirp' is not supported"), ("other", "no DJI thermal data")]
)
def test_what_the_program_does_not_read_is_a_picture(
    mode: str, reason: str, stub_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", mode)
    thermogram = read_bytes(dji(COUNTS))
    assert not thermogram.radiometric
    assert reason in thermogram.notes[0]


def test_a_camera_without_the_airs_temperature_is_not_told_one(
    stub_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "fixed")
    thermogram = read_bytes(dji(COUNTS))
    assert thermogram.unsupported(SceneEdit(atmosphere_c=10)) == ["atmosphere_k"]
    assert thermogram.scene.emissivity.source is Source.CAMERA_DEFAULT
    np.testing.assert_allclose(thermogram.celsius(), celsius_of(COUNTS, CONDITIONS), atol=1e-4)


def test_absolute_zero_means_no_temperature(stub_program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "floor")
    celsius = read_bytes(dji(COUNTS)).celsius()
    assert np.isnan(celsius[0, 0])
    assert np.isfinite(celsius.ravel()[1:]).all()


def test_a_program_that_hangs_is_stopped(stub_program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "slow")
    monkeypatch.setattr(dji_backend, "TIME_LIMIT_S", 0.3)
    with pytest.raises(FormatError, match=r"took more than 0\.3 s and was stopped"):
        read_bytes(dji(COUNTS))


def test_a_program_that_cannot_start_is_a_clear_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dji-thermal-cli"
    path.write_bytes(b"\0\1\2")
    path.chmod(0o755)
    monkeypatch.setenv(dji_program.VARIABLE, str(path))
    with pytest.raises(FormatError, match="cannot be started"):
        read_bytes(dji(COUNTS))


def test_the_program_sees_a_private_folder_and_not_our_python(
    stub_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB", "seen")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    with pytest.raises(FormatError, match=r"False \['picture.jpg', 'stderr', 'stdout'\]"):
        read_bytes(dji(COUNTS))


def test_nothing_is_left_in_the_temporary_folder(
    stub_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    read_bytes(dji(COUNTS))
    assert list(place.iterdir()) == []


def test_a_refused_scene_is_a_row_with_its_reason(stub_program: Path, tmp_path: Path) -> None:
    picture = tmp_path / "DJI_0001_R.JPG"
    picture.write_bytes(dji(COUNTS))
    (outcome,) = read_many([picture], edit=SceneEdit(emissivity=0.15), jobs=1)
    assert outcome.thermogram is None
    assert "refused: no usable temperature range" in outcome.error


# The library.


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = library(tmp_path_factory.mktemp("dirp"))
    if path is None:
        pytest.skip("needs a C compiler")
    return path


@pytest.fixture
def stub_library(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(dji_library.VARIABLE, str(compiled))
    return compiled


def test_a_library_that_the_user_names_is_asked_in_a_child_process(stub_library: Path) -> None:
    thermogram = read_bytes(dji(COUNTS))
    np.testing.assert_array_equal(thermogram.counts, COUNTS)
    np.testing.assert_allclose(thermogram.celsius(), celsius_of(COUNTS, CONDITIONS), atol=1e-3)
    assert thermogram.calibration is not None
    assert thermogram.calibration.supports == {"emissivity", "reflected_k", "humidity", "distance_m", "atmosphere_k"}
    edited = thermogram.edited(SceneEdit(distance_m=20))
    np.testing.assert_allclose(edited.celsius(), celsius_of(COUNTS, replace(CONDITIONS, distance_m=20)), atol=1e-3)
    with pytest.raises(DataError, match="dirp_set_measurement_params returned -16"):
        thermogram.edited(SceneEdit(emissivity=0.15))
    assert not any("libdirp" in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_a_library_that_crashes_takes_only_its_process_along(stub_library: Path) -> None:
    with pytest.raises(FormatError, match="its process ended with -6"):
        read_bytes(dji(np.zeros((666, 1), np.uint16)))


def test_a_picture_that_the_library_does_not_know_is_shown(stub_library: Path) -> None:
    thermogram = read_bytes(dji(np.zeros((7, 1), np.uint16)))
    assert not thermogram.radiometric
    assert "dirp_create_from_rjpeg returned -7" in thermogram.notes[0]


def test_a_file_that_is_no_library_is_a_clear_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "libdirp.so"
    path.write_bytes(b"not a library")
    monkeypatch.setenv(dji_library.VARIABLE, str(path))
    with pytest.raises(FormatError, match=r"DJI library: .*libdirp\.so"):
        read_bytes(dji(COUNTS))
