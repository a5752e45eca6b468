"""Print on labels, read by OCR: what is found, what is not kept, and what happens without the engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from isotherm.core.errors import MissingExtraError
from isotherm.formats import lettering, read, read_bytes
from isotherm.formats.lettering import Lettered, read_twice
from isotherm.formats.photos import photo_pixels
from isotherm.formats.tags import letters_of, need_print_reader
from label_pictures import label_photo
from thermal_files import FlirFile, encoded, ramp


@pytest.fixture
def engine() -> None:
    pytest.importorskip("rapidocr")


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("angle", [0, 8, 90, 180])
def test_a_printed_tag_is_read_at_any_angle(angle: int) -> None:
    found = letters_of(read_bytes(encoded(label_photo("SG-0017", angle=angle), "JPEG")))
    assert list(found) == ["SG-0017"]
    assert 0.8 <= found["SG-0017"] <= 1


@pytest.mark.usefixtures("engine")
def test_words_without_a_digit_are_not_kept() -> None:
    assert letters_of(read_bytes(encoded(label_photo("JOHN SMITH"), "JPEG"))) == {}


def test_what_is_read_only_once_or_doubtfully_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [("SG-0017", 0.99), ("SG-0018", 0.7), ("K 1", 1.0)]
    second = [("SG-0011", 0.99), ("SG-0018", 0.99), ("k1", 0.9)]
    looks = iter([[Lettered(text, score, 0, 0, 9, 9) for text, score in look] for look in (first, second)])
    monkeypatch.setattr(lettering, "lettering", lambda *_args, **_options: next(looks))
    assert read_twice(np.zeros((30, 40, 3), np.uint8)) == {"K 1": 0.9}


def test_temperatures_without_a_photo_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "engine", lambda *_args: pytest.fail("the engine was asked"))
    assert letters_of(read_bytes(FlirFile(counts=ramp(24, 32)).jpeg())) == {}


def test_without_the_engine_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotherm.formats.lettering.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"reading the letters on labels.*isotherm\[ocr\]"):
        need_print_reader()


def test_a_large_photo_is_read_in_quarters_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []

    def seen(look: np.ndarray, **_options: object) -> list[Lettered]:
        sizes.append(look.shape[:2])
        # Only in the last quarter, in both of its readings.
        return [Lettered("K-12", 0.9, 0, 0, 9, 9)] if len(sizes) > 8 else []

    monkeypatch.setattr(lettering, "lettering", seen)
    assert read_twice(np.zeros((1000, 1500, 3), np.uint8)) == {"K-12": 0.9}
    assert sizes == [(640, 960), (493, 739)] + 4 * [(550, 825), (424, 635)]


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_a_line_of_pixels_is_not_enlarged_to_gigabytes(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    given: list[tuple[int, ...]] = []
    nothing = SimpleNamespace(txts=None, boxes=None)
    monkeypatch.setattr(lettering, "engine", lambda _threads: lambda look, **_: given.append(look.shape[:2]) or nothing)

    assert lettering.lettering(np.zeros((*size, 3), np.uint8)) == []
    assert read_twice(np.zeros((*size, 3), np.uint8)) == {}

    assert [min(one) / max(one) for one in given[:1]] == [1 / 8]
    assert len(given) > 1
    assert all(min(one) / max(one) >= 0.5 for one in given[1:])


@pytest.mark.real_data
@pytest.mark.usefixtures("engine")
def test_small_print_in_a_real_photo_is_not_misread(data: Path) -> None:
    """By eye: the signs DANGER, which one reading takes for GANGER, and CAST STAGING, which one takes for CASY."""
    thermogram = read(data / "camera_files/thermal_parser/FLIR_T640.jpg")
    assert thermogram.visual is not None
    photo = photo_pixels(thermogram.visual)
    found = read_twice(photo[:, photo.shape[1] // 2 :])
    assert set(found) <= {"DANGER", "CAST", "STAGING"}
    assert "CAST" in found
