"""``isotherm convert``: what is written is what was read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import isotherm
from isotherm.cli.main import main
from isotherm.core.errors import DataError
from isotherm.formats import read_bytes
from isotherm.workflows.convert import HOTTEST_PNG16_C, TARGETS, target_names, to_csv, to_png16, to_tiff
from thermal_files import FlirFile, encoded, exif_block, npy

IN_CELSIUS = {270: "temperature in degrees Celsius"}
SUFFIX = {"tiff": ".tiff", "png16": ".png", "csv": ".csv"}
# What each target may lose [K]: nothing but float32 rounding, half a step, half of the last decimal.
LOSS_K = {"tiff": 4e-5, "png16": 0.0051, "csv": 1e-4}


@pytest.fixture
def flir(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "IR_1.jpg"
    path.parent.mkdir()
    path.write_bytes(FlirFile(gps=(-33.5, 151.25, 58.0)).jpeg(exif=exif_block(maker="FLIR Systems AB", gps=False)))
    return path


@pytest.mark.parametrize("target", SUFFIX)
def test_round_trip(target: str, flir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(flir), "-o", str(tmp_path / "out"), "--to", target]) == 0
    written = tmp_path / "out" / f"IR_1{SUFFIX[target]}"
    assert capsys.readouterr().out == f"IR_1.jpg -> {written}\n"
    source, again = isotherm.read(flir), isotherm.read(written)
    np.testing.assert_allclose(again.celsius(), source.celsius(), atol=LOSS_K[target])
    assert again.notes == ()
    if target != "csv":
        assert again.camera.maker == "FLIR Systems AB"
        assert again.camera.taken_at == "2024-05-06T07:08:09+02:00"
        assert again.position is not None
        assert again.position.latitude_deg == pytest.approx(-33.5)
        assert again.position.altitude_m == pytest.approx(58.0)


def test_tiff_is_read_by_others(flir: Path, tmp_path: Path) -> None:
    main(["convert", str(flir), "-o", str(tmp_path), "--to", "tiff"])
    with tifffile.TiffFile(tmp_path / "IR_1.tiff") as file:
        assert file.pages[0].dtype == np.float32
        np.testing.assert_array_equal(file.pages[0].asarray(), isotherm.read(flir).celsius())
    with Image.open(tmp_path / "IR_1.tiff") as image:
        np.testing.assert_array_equal(np.array(image), isotherm.read(flir).celsius())
        assert image.getexif().get_ifd(0x8825)[1] == "S"


def test_png16_is_centikelvin_and_says_so(flir: Path, tmp_path: Path) -> None:
    main(["convert", str(flir), "-o", str(tmp_path), "--to", "png16"])
    with Image.open(tmp_path / "IR_1.png") as image:
        counts = np.array(image)
        assert json.loads(image.text["isotherm"]) == {"scale": 0.01, "offset": 0.0, "unit": "k"}
        assert image.getexif().get_ifd(0x8825)[3] == "E"
    np.testing.assert_allclose(counts / 100 - 273.15, isotherm.read(flir).celsius(), atol=0.0051)


def test_csv_is_plain_numbers(flir: Path, tmp_path: Path) -> None:
    main(["convert", str(flir), "-o", str(tmp_path), "--to", "csv"])
    np.testing.assert_allclose(
        np.loadtxt(tmp_path / "IR_1.csv", delimiter=","), isotherm.read(flir).celsius(), atol=1e-4
    )


def test_npz_holds_temperatures_counts_and_facts(flir: Path, tmp_path: Path) -> None:
    main(["convert", str(flir), "-o", str(tmp_path), "--to", "npz", "--emissivity", "0.7"])
    with np.load(tmp_path / "IR_1.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["counts"], isotherm.read(flir).counts)
        about = json.loads(str(found["about"]))
        assert found["celsius"].dtype == np.float32
        assert found["celsius"].max() > isotherm.read(flir).celsius().max()
    assert about["parameters"]["emissivity"] == {
        "value": 0.7,
        "unit": "1",
        "source": "user",
        "sigma": 0.02,
        "sigma_reason": "type B, value from user",
    }


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_turned_picture_keeps_its_pixels_in_place(orientation: int) -> None:
    exif = exif_block(orientation=orientation)
    thermogram = read_bytes(FlirFile().jpeg(exif=exif))
    for encode in (to_tiff, to_png16):
        again = read_bytes(encode(thermogram))
        np.testing.assert_allclose(again.celsius(), thermogram.celsius(), atol=0.0051)
        assert again.notes == ()


def test_pixels_without_temperature_survive(tmp_path: Path) -> None:
    celsius = np.array([[20.0, np.nan], [-40.0, 300.0]], np.float32)
    thermogram = read_bytes(npy(celsius))
    for encode in (to_tiff, to_png16, to_csv):
        again = read_bytes(encode(thermogram)).celsius()
        np.testing.assert_allclose(again, celsius, atol=0.0051)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    low=st.floats(-100, 140),
    span=st.floats(0, 200),
)
def test_any_temperatures_survive(seed: int, height: int, width: int, low: float, span: float) -> None:
    celsius = np.random.default_rng(seed).uniform(low, low + span, (height, width)).astype(np.float32)
    thermogram = read_bytes(encoded(celsius, "TIFF", tiffinfo=IN_CELSIUS))
    for encode, loss in ((to_tiff, 4e-5), (to_png16, 0.0051), (to_csv, 1e-4)):
        np.testing.assert_allclose(read_bytes(encode(thermogram)).celsius(), celsius, atol=loss)


def test_furnaces_stay_celsius_in_tiff_and_are_refused_by_png16(tmp_path: Path) -> None:
    furnace = read_bytes(encoded(np.full((3, 4), 900, np.float32), "TIFF", tiffinfo=IN_CELSIUS))
    again = read_bytes(to_tiff(furnace))
    assert again.celsius()[0, 0] == pytest.approx(900, abs=1e-3)
    assert again.notes == ()
    with pytest.raises(DataError, match=r"900\.0 °C does not fit into png16 \(at most 382\.20 °C\)"):
        to_png16(furnace)
    assert pytest.approx(382.2) == HOTTEST_PNG16_C


def test_pictures_without_temperatures_are_refused_in_their_row(
    flir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (flir.parent / "photo.png").write_bytes(encoded(np.zeros((3, 4), np.uint8), "PNG"))
    (flir.parent / "text.jpg").write_text("text")
    assert main(["convert", str(flir.parent), "-o", str(tmp_path / "out"), "--to", "csv"]) == 3
    text = capsys.readouterr().out
    assert "photo.png failed: this picture holds no temperatures" in text
    assert "text.jpg failed: of no known format" in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["IR_1.csv"]
    assert main(["convert", str(flir.parent / "photo.png"), "-o", str(tmp_path / "out"), "--to", "csv"]) == 1


def test_two_inputs_of_one_stem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"IMG.csv": 20, "IMG.txt": 30}.items():
        (tmp_path / name).write_text(f"{value},{value}\n{value},{value}\n")
    out = tmp_path / "out"
    assert main(["convert", str(tmp_path / "IMG.csv"), str(tmp_path / "IMG.txt"), "-o", str(out), "--to", "tiff"]) == 0
    assert isotherm.read(out / "IMG.tiff").celsius()[0, 0] == pytest.approx(20, abs=1e-4)
    assert isotherm.read(out / "IMG-2.tiff").celsius()[0, 0] == pytest.approx(30, abs=1e-4)
    assert "note: written as IMG-2.tiff, because another input is called IMG too" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "b.jpg"], ["a.x", "b.x"]),
        (["a.jpg", "A.png", "a-2.jpg", "a.tif"], ["a.x", "A-3.x", "a-2.x", "a-4.x"]),
        (["d/a.jpg", "e/a.jpg"], ["d/a.x", "e/a.x"]),
        (["a.b.jpg", "a.c.jpg", "plain"], ["a.b.x", "a.c.x", "plain.x"]),
    ],
)
def test_names(names: list[str], expected: list[str]) -> None:
    assert target_names(names, ".x") == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("aA-2.", min_size=1, max_size=5).filter(lambda name: name.strip(".")), max_size=8))
def test_no_two_outputs_share_a_name(names: list[str]) -> None:
    found = [name.casefold() for name in target_names(names, ".x")]
    assert len(set(found)) == len(names)


def test_an_input_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("68,70\n72,74\n")
    assert main(["convert", str(path), "-o", str(tmp_path), "--to", "csv", "--unit", "f"]) == 1
    assert "is an input and is not overwritten" in capsys.readouterr().out
    assert path.read_text() == "68,70\n72,74\n"


def test_what_is_there_already_is_replaced_only_when_asked(
    flir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", str(flir), "-o", str(tmp_path), "--to", "npz"]
    (tmp_path / "IR_1.npz").write_bytes(b"mine")
    assert main(arguments) == 1
    assert "IR_1.npz is there already" in capsys.readouterr().out
    assert (tmp_path / "IR_1.npz").read_bytes() == b"mine"
    assert main([*arguments, "--overwrite"]) == 0
    # The same once more changes nothing; other temperatures would.
    assert main(arguments) == 0
    assert main([*arguments, "--emissivity", "0.5"]) == 1


def test_an_output_that_cannot_be_written(flir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["convert", str(flir), "-o", str(tmp_path / "file"), "--to", "csv"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("isotherm: cannot create the folder")
    assert captured.err.count("\n") == 1


def test_unknown_targets_name_the_known_ones(flir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["convert", str(flir), "-o", "out", "--to", "xlsx"])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in TARGETS)


def test_long_and_foreign_names(tmp_path: Path) -> None:
    names = ["é ü 図", "x" * 200]
    for name in names:
        (tmp_path / f"{name}.csv").write_text("20,21\n22,23\n")
    out = tmp_path / "out"
    assert main(["convert", *(str(tmp_path / f"{name}.csv") for name in names), "-o", str(out), "--to", "png16"]) == 0
    assert {path.stem for path in out.iterdir()} == set(names)
