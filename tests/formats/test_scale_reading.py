"""The numbers of a colour scale: from what OCR reads to its two ends."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import FormatError
from isotherm.formats import ReadHints, lettering
from isotherm.formats.colour_scale import Bar
from isotherm.formats.picture import READER
from isotherm.formats.scale_reading import Printed, ends_from_labels, ends_from_ticks, tick_at
from scale_pictures import ScalePicture, paint, scene
from thermal_files import encoded

UPRIGHT = Bar(top=100, bottom=300, left=400, right=410, upright=True)
LEVEL = Bar(top=200, bottom=210, left=100, right=300, upright=False)


def ticks(bar: Bar, *texts: tuple[str, float, float]):
    found = (tick_at(Printed(words, x, y, 10.0 * len(words), 20.0), bar) for words, x, y in texts)
    return [tick for tick in found if tick is not None]


def test_labels_next_to_the_ends_are_the_ends() -> None:
    ends = ends_from_labels(ticks(UPRIGHT, ("52.6", 405, 85), ("7.8", 405, 315), ("38.0°C", 390, 40)), UPRIGHT)
    assert ends is not None
    assert (ends.low, ends.high, ends.law) == (7.8, 52.6, "unknown")
    # Rounded to a tenth: 0.1 / sqrt(12).
    assert ends.sigma == pytest.approx(0.0289, abs=1e-4)


def test_the_coarser_rounding_of_both_ends_counts() -> None:
    ends = ends_from_labels(ticks(UPRIGHT, ("127", 405, 85), ("26.7", 405, 315)), UPRIGHT)
    assert ends is not None
    assert ends.sigma == pytest.approx(0.2887, abs=1e-4)


def test_a_level_scale_has_its_ends_left_and_right() -> None:
    ends = ends_from_labels(ticks(LEVEL, ("9", 75, 205), ("33", 330, 205)), LEVEL)
    assert ends is not None
    assert (ends.low, ends.high) == (9.0, 33.0)


@pytest.mark.parametrize(
    "texts",
    [
        [("52.6", 405, 85)],
        [("7.8", 405, 85), ("52.6", 405, 315)],
        [("52.6", 405, 20), ("7.8", 405, 315)],
        [("52.6", 200, 85), ("7.8", 405, 315)],
        [("FLIR", 405, 85), ("7.8", 405, 315)],
        [("20251124", 405, 85), ("7.8", 405, 315)],
    ],
    ids=["one end only", "falling", "the line above", "beside another thing", "no number", "a date"],
)
def test_what_is_not_both_ends_is_not_guessed(texts: list[tuple[str, float, float]]) -> None:
    assert ends_from_labels(ticks(UPRIGHT, *texts), UPRIGHT) is None


def test_symbols_before_a_number_are_passed_over() -> None:
    # A lock that OCR takes for an 8.
    ends = ends_from_labels(ticks(UPRIGHT, ("8 48.0", 405, 85), ("8 21,8", 405, 315)), UPRIGHT)
    assert ends is not None
    assert (ends.low, ends.high) == (21.8, 48.0)


def test_a_lock_that_is_stuck_to_a_number_is_taken_off_where_the_other_end_shows_one() -> None:
    ends = ends_from_labels(ticks(UPRIGHT, ("844.0", 405, 85), ("日 20.5", 405, 315)), UPRIGHT)
    assert ends is not None
    assert (ends.low, ends.high) == (20.5, 44.0)


@pytest.mark.parametrize("texts", [("844.0", "20.5"), ("848.0", "821.8"), ("1844.0", "8 20.5")])
def test_a_number_that_no_camera_prints_is_not_believed(texts: tuple[str, str]) -> None:
    assert ends_from_labels(ticks(UPRIGHT, (texts[0], 405, 85), (texts[1], 405, 315)), UPRIGHT) is None


@settings(deadline=None, max_examples=40)
@given(low=st.integers(-40, 80), step=st.integers(1, 20), count=st.integers(3, 9), dash=st.booleans())
def test_ticks_in_equal_steps_give_the_ends(low: int, step: int, count: int, dash: bool) -> None:
    values = [low + step * number for number in range(count)]
    if dash and values[0] < 0:
        dash = False
    # Middle of each text, so that the first tick is at 15 % of the scale and the last at 85 %.
    places = np.linspace(0.15, 0.85, count)
    texts = [
        (f"{'-' if dash else ''}{value}", 430.0, 299.5 - 200 * place)
        for value, place in zip(values, places, strict=True)
    ]
    ends = ends_from_ticks(ticks(UPRIGHT, *texts))
    assert ends is not None
    slope = (values[-1] - values[0]) / 0.7
    assert ends.law == "temperature"
    assert ends.low == pytest.approx(low - 0.15 * slope, abs=0.02)
    assert ends.high == pytest.approx(values[-1] + 0.15 * slope, abs=0.02)


def test_a_misread_tick_is_left_out() -> None:
    texts = [("20", 430, 280), ("30", 430, 220), ("48", 430, 160), ("50", 430, 100)]
    ends = ends_from_ticks(ticks(UPRIGHT, *texts))
    assert ends is not None
    assert ends.low == pytest.approx(16.75, abs=0.02)


def test_numbers_without_order_are_no_ticks() -> None:
    texts = [("20", 430, 280), ("90", 430, 220), ("48", 430, 160), ("50", 430, 100), ("3", 430, 120)]
    assert ends_from_ticks(ticks(UPRIGHT, *texts)) is None


def test_two_ticks_are_too_few() -> None:
    assert ends_from_ticks(ticks(UPRIGHT, ("20", 430, 280), ("30", 430, 220))) is None


def test_without_the_engine_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    lettering.engine.cache_clear()
    real = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name == "rapidocr":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(FormatError, match=r"needs the extra 'ocr'.*isotherm\[ocr\]"):
        READER.decode(ScalePicture().encoded(), ReadHints(scale="auto"))


def test_without_a_scale_the_engine_is_not_asked() -> None:
    thermogram = READER.decode(encoded(paint(scene()), "PNG"), ReadHints(scale="auto"))
    assert not thermogram.radiometric


class TestEngine:
    """With the engine itself, where it is installed."""

    @pytest.fixture(autouse=True)
    def _engine(self) -> None:
        pytest.importorskip("rapidocr")

    def test_painted_ends_are_read(self) -> None:
        picture = ScalePicture(places=scene(480, 640), low="12.5", high="64.0", text="Sp1 38.0 °C")
        thermogram = READER.decode(picture.encoded(), ReadHints(scale="auto"))
        assert thermogram.estimated
        assert thermogram.display_span_c() == pytest.approx((12.5, 64.0), abs=1e-3)
        assert any("12.5 to 64 °C (read by OCR)" in note for note in thermogram.notes)

    def test_unreadable_ends_are_said(self) -> None:
        thermogram = READER.decode(ScalePicture().encoded(), ReadHints(scale="auto"))
        assert not thermogram.radiometric
        assert any("could not be read; type them as low,high" in note for note in thermogram.notes)

    @pytest.mark.real_data
    @pytest.mark.parametrize(
        ("name", "low", "high", "within"),
        [
            # Printed ends and the ends that the printed ticks give, read by eye.
            ("transformers/images/T1/faulty/T1_faulty_001.jpg", 7.8, 52.6, 1e-3),
            ("transformers/images/T4/faulty/T4_faulty_001.png", 18.3, 55.0, 0.2),
        ],
    )
    def test_printed_ends_are_read(self, data: Path, name: str, low: float, high: float, within: float) -> None:
        thermogram = READER.decode((data / name).read_bytes(), ReadHints(scale="auto"))
        assert thermogram.display_span_c() == pytest.approx((low, high), abs=within)
