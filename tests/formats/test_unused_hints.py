"""Hints that are given and not used, or used against the file's own word: a note says so."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from guide_files import guide
from other_maker_files import HikvisionFile, celsius, hikvision_celsius_file
from PIL import Image, PngImagePlugin

from isotherm.formats import ReadHints, read_bytes
from isotherm.formats.png16 import DECLARATION
from thermal_files import FlirFile, encoded

CSV = "in °F\n68;70\n72;74\n".encode()
KNOWN = "what the numbers of a flir file mean is known"


def notes(data: bytes, **hints: object) -> tuple[str, ...]:
    """Return the notes that these hints add."""
    without = read_bytes(data).notes
    return tuple(note for note in read_bytes(data, ReadHints(**hints)).notes if note not in without)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [FlirFile().jpeg(), FlirFile().fff()], ids=["jpeg", "fff"])
def test_flir_files_use_no_hint_but_the_formula(data: bytes) -> None:
    given = {"step": 0.1, "offset": 2.0, "unit": "f", "scale": "1,2"}
    assert notes(data, **given) == (f"--step and --offset and --unit and --scale are not used: {KNOWN}",)
    assert notes(data, unit="c") == (f"--unit is not used: {KNOWN}",)
    assert notes(data, formula="thermimage") == ()
    assert notes(data, frame=99) == ("frame 99 was asked for: this file holds one picture",)


def test_a_formula_is_for_flir_files() -> None:
    assert notes(guide(), formula="thermimage") == (
        "--formula is not used: what the numbers of a guide file mean is known",
    )


def test_a_picture_without_temperatures_uses_none() -> None:
    picture = encoded(np.zeros((8, 8), np.uint8), "PNG")
    assert notes(picture, unit="c", step=1.0) == (
        "--step and --unit are not used: no temperatures are read from this file",
    )


def test_a_unit_against_the_files_own_is_used_and_said() -> None:
    assert notes(CSV, unit="c") == ("--unit c is used, though the file says that its numbers are °F",)
    assert notes(CSV, unit="f") == ()
    assert notes(CSV, step=1.0, unit="f") == ("--step is used, though the file says that its numbers are °F",)
    assert read_bytes(CSV, ReadHints(unit="c")).celsius()[0, 0] == 68


def test_a_unit_alone_means_nothing_for_counts() -> None:
    counts = encoded(np.full((4, 4), 29315, np.uint16), "PNG")
    assert notes(counts, unit="f") == ("--unit is not used: counts have a unit only together with --step",)


def test_a_step_in_place_of_the_files_own_is_said() -> None:
    stream, declared = BytesIO(), PngImagePlugin.PngInfo()
    declared.add_text(DECLARATION, json.dumps({"scale": 0.02, "offset": 0.0, "unit": "k"}))
    Image.fromarray(np.full((4, 4), 15000, np.uint16)).save(stream, "PNG", pnginfo=declared)
    data = stream.getvalue()
    assert notes(data, step=0.01, unit="k") == ("--step is used in place of the file's own scale",)
    assert notes(data, unit="k") == ("--unit is not used: counts have a unit only together with --step",)


def test_hikvision_says_which_hint_its_kind_of_file_does_not_use() -> None:
    assert notes(hikvision_celsius_file(celsius(120, 160)), unit="f") == ("--unit is not used: this file holds °C",)
    counts = HikvisionFile().data()
    assert "--unit is not used: no --scale or --step is given" in notes(counts, unit="f")
    assert "--scale is not used: --step is" in notes(counts, step=0.01, unit="c", scale="1,2")
