"""The photo of a thermal picture: which one is taken, and where it lies."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import isotherm
from isotherm.core.capture import Alignment, VisualPhoto
from isotherm.core.errors import ConfigError, DataError, FormatError, UsageError
from isotherm.reports.photos import Nudge
from isotherm.workflows import photo_names
from isotherm.workflows.photo_names import partners
from isotherm.workflows.visual import check_one_photo, parse_nudge, photo_of, required_photo
from thermal_files import FlirFile, encoded

PHOTO = encoded(np.full((24, 32, 3), 90, np.uint8), "JPEG")


def named(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(PHOTO)


@pytest.mark.parametrize(
    ("thermal", "beside", "found"),
    [
        ("IR_0001.jpg", ["DC_0002.jpg", "DC_0001.jpg", "IR_0003.jpg"], ["DC_0002.jpg", "DC_0001.jpg"]),
        ("IR_0999.jpg", ["DC_1000.JPG"], ["DC_1000.JPG"]),
        ("ir_12.jpg", ["dc_13.png"], ["dc_13.png"]),
        ("DJI_0001_T.JPG", ["DJI_0001_W.JPG", "DJI_0001_V.JPG", "DJI_0001_Z.JPG", "DJI_0002_W.JPG"],
         ["DJI_0001_W.JPG", "DJI_0001_V.JPG", "DJI_0001_Z.JPG"]),
        ("DJI_0001_R.JPG", ["DJI_0001_V.jpg"], ["DJI_0001_V.jpg"]),
        ("DJI_20240102101112_0007_T.JPG", ["DJI_20240102101114_0007_W.JPG", "DJI_20240102101113_0007_V.JPG",
         "DJI_20240102103000_0007_W.JPG", "DJI_20240102101112_0008_W.JPG"],
         ["DJI_20240102101114_0007_W.JPG", "DJI_20240102101113_0007_V.JPG"]),
        ("DJI_20249999999999_0007_T.JPG", ["DJI_20240102101114_0007_W.JPG"], []),
        # A picture with the same stem is the camera's own screenshot more often than a photo.
        ("p1.irg", ["p1.jpg"], []),
    ],
)  # fmt: skip
def test_photos_are_paired_by_the_makers_names(
    tmp_path: Path, thermal: str, beside: list[str], found: list[str]
) -> None:
    named(tmp_path, thermal, *beside)
    assert [path.name for path in partners(tmp_path / thermal)] == found


def test_a_folder_called_as_a_photo_hides_none(tmp_path: Path) -> None:
    named(tmp_path, "DC_0002.jpg")
    # Some of them are listed after the photo, in whatever order that is.
    for letters in product("Dd", "Cc", ["_0002."], "Jj", "Pp", "Gg"):
        if "".join(letters) != "DC_0002.jpg":
            (tmp_path / "".join(letters)).mkdir()
    assert partners(tmp_path / "IR_0001.jpg") == [tmp_path / "DC_0002.jpg"]


def test_a_folder_that_has_settled_is_listed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(tmp_path, "DC_0002.jpg")
    os.utime(tmp_path, (1e9, 1e9))
    listings: list[Path] = []
    listed = photo_names._listed
    monkeypatch.setattr(photo_names, "_listed", lambda folder: listings.append(folder) or listed(folder))

    for number in range(1, 50):
        assert partners(tmp_path / f"IR_{number:04}.jpg") == ([tmp_path / "DC_0002.jpg"] if number in (1, 2) else [])
    assert len(listings) == 1

    named(tmp_path, "DC_0030.jpg")
    assert partners(tmp_path / "IR_0030.jpg") == [tmp_path / "DC_0030.jpg"]
    (tmp_path / "DC_0030.jpg").unlink()
    assert partners(tmp_path / "IR_0030.jpg") == []


@pytest.fixture
def flir(tmp_path: Path) -> Path:
    path = tmp_path / "IR_0001.jpg"
    path.write_bytes(FlirFile().jpeg())
    return path


def test_the_photo_in_the_file_comes_first(flir: Path) -> None:
    named(flir.parent, "DC_0002.jpg")
    placed = Alignment(2.0, 2.0, 1.0, 1.0, "picture-in-picture record")
    thermogram = replace(isotherm.read(flir), visual=VisualPhoto(PHOTO, alignment=placed))
    photo, note = photo_of(thermogram, flir)
    assert photo is not None
    assert (photo.origin, photo.alignment, note) == ("photo in the file", placed, "")


def test_a_damaged_photo_gives_way_to_the_next_and_is_told(flir: Path) -> None:
    named(flir.parent, "DC_0002.jpg")
    thermogram = replace(isotherm.read(flir), visual=VisualPhoto(b"\xff\xd8 damaged"))
    photo, note = photo_of(thermogram, flir)
    assert photo is not None
    assert photo.origin == "photo DC_0002.jpg"
    assert photo.alignment.source == "centred (assumed)"
    assert note.startswith("photo in the file cannot be shown: ")


def test_a_thermal_picture_is_nobodys_photo(flir: Path) -> None:
    (flir.parent / "DC_0002.jpg").write_bytes(FlirFile().jpeg())
    assert photo_of(isotherm.read(flir), flir) == (None, "")


def test_the_chosen_photo_wins_and_moves(flir: Path) -> None:
    named(flir.parent, "DC_0002.jpg", "other.jpg")
    photo, _ = photo_of(isotherm.read(flir), flir, chosen=flir.parent / "other.jpg", nudge=Nudge(1, 2, 1.0))
    assert photo is not None
    assert (photo.origin, photo.alignment.source) == ("photo other.jpg", "hand")


def test_a_chosen_photo_that_is_none_is_an_error(flir: Path) -> None:
    (flir.parent / "text.jpg").write_bytes(b"no picture")
    with pytest.raises(FormatError, match="photo: the header is damaged"):
        photo_of(isotherm.read(flir), flir, chosen=flir.parent / "text.jpg")


def test_without_a_photo_the_message_says_where_one_was_looked_for(flir: Path) -> None:
    with pytest.raises(DataError, match=r"no photo of the same view: .*IR_0001 and DC_0002.*--photo"):
        required_photo(isotherm.read(flir), flir)


def test_nudges_are_read_and_checked() -> None:
    assert parse_nudge("4,-2.5") == Nudge(4, -2.5, 1.0)
    assert parse_nudge("0,0,1.1") == Nudge(0, 0, 1.1)
    for wrong in ("", "1", "1,2,3,4", "a,b", "1,2,0", "1,2,nan", "inf,0"):
        with pytest.raises(ConfigError, match="--align is dx,dy or dx,dy,scale"):
            parse_nudge(wrong)


def test_one_photo_is_for_one_picture() -> None:
    check_one_photo(Path("a"), None, 1)
    with pytest.raises(UsageError, match="for one picture, not for 3"):
        check_one_photo(Path("a"), None, 3)


@pytest.mark.real_data
def test_real_files_hold_their_photo_aligned(data: Path) -> None:
    path = data / "camera_files" / "thermal_parser" / "FLIR_T640.jpg"
    photo, note = photo_of(isotherm.read(path), path)
    assert photo is not None
    assert (photo.pixels.shape[2], note) == (3, "")
    assert photo.alignment.source == "picture-in-picture record"
