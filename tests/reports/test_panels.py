from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from isotherm.core.findings import Finding
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.hotspots.measure import measure_mask
from isotherm.reports import drawing, panels
from isotherm.reports.drawing import ANOMALY, HOTSPOT, Fit, Span, elided, font
from isotherm.reports.panels import BOX, Expectation, View, draw_panel


def scene(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    spot = 40 * np.exp(-(((x / width - 0.3) / 0.05) ** 2 + ((y / height - 0.4) / 0.05) ** 2))
    return (20 + 5 * x / width + spot).astype(np.float32)


def view(values: np.ndarray, *, model: bool = False, reference: bool = True, radiometric: bool = True) -> View:
    mask = np.nan_to_num(values, nan=0) > 40
    thermogram = Thermogram(np.nan_to_num(values), None, assumed_scene(), "test")
    findings: tuple[Finding, ...] = measure_mask(thermogram, mask, kind="hotspot", origin="otsu")
    expectation = None
    if model:
        findings += measure_mask(thermogram, mask, kind="anomaly", origin="patchcore")
        expected = np.full((3, 16, 16), 22, dtype=np.float32) if reference else None
        expectation = Expectation((np.nan_to_num(values) - 20).astype(np.float32), 12.0, expected, "Nearest normal")
    return View("IR_0326.jpg", "Anomaly", values, radiometric, mask, findings=findings, expectation=expectation)


def opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(np.asarray(picture).reshape(-1, 3), axis=0).tolist()}


@pytest.mark.parametrize(
    ("height", "width"), [(40, 24), (60, 80), (480, 640), (640, 480), (1920, 3077), (1, 1), (2000, 3), (3, 2000)]
)
@pytest.mark.parametrize("model", [False, True])
def test_any_size_gives_a_sensible_panel(height: int, width: int, model: bool) -> None:
    picture = opened(draw_panel(view(scene(height, width), model=model)))

    assert picture.mode == "RGB"
    assert 600 <= picture.width <= 2 * (BOX + 100)
    assert picture.height <= 2 * BOX + 200


def test_a_model_adds_a_second_row() -> None:
    with_model = opened(draw_panel(view(scene(60, 80), model=True)))
    without = opened(draw_panel(view(scene(60, 80))))
    lacking = opened(draw_panel(view(scene(60, 80), model=True, reference=False)))

    assert with_model.height == lacking.height
    assert with_model.height > 1.5 * without.height


def test_outlines_are_drawn_for_hotspots_and_anomalies() -> None:
    # The anomaly covers the same pixels: its outline lies below the hotspot's, its tint remains.
    assert HOTSPOT in colours(opened(draw_panel(view(scene(60, 80)))))
    plain = view(scene(60, 80), model=True)
    only_anomalies = View(**{**vars(plain), "findings": tuple(f for f in plain.findings if f.kind == "anomaly")})
    assert ANOMALY in colours(opened(draw_panel(only_anomalies)))
    assert HOTSPOT not in colours(opened(draw_panel(only_anomalies)))


def test_the_same_view_gives_the_same_bytes() -> None:
    assert draw_panel(view(scene(60, 80), model=True)) == draw_panel(view(scene(60, 80), model=True))


def test_pixels_without_a_temperature_are_grey_and_nothing_fails_where_all_are() -> None:
    values = scene(60, 80)
    values[:10, :10] = np.nan
    assert drawing.palette.INVALID in colours(opened(draw_panel(view(values))))

    values[:] = np.nan
    assert opened(draw_panel(view(values, model=True))).width > 600


def test_a_coloured_picture_is_shown_in_its_colours() -> None:
    red = np.zeros((30, 40, 3), dtype=np.uint8)
    red[...] = (200, 10, 10)
    grey = np.full((30, 40), 70, dtype=np.float32)
    shown = View("a.png", "", grey, False, np.zeros((30, 40), dtype=np.bool_), colour=red)

    assert (200, 10, 10) in colours(opened(draw_panel(shown)))


def test_a_coloured_reference_is_shown_in_its_colours() -> None:
    reference = np.zeros((3, 8, 8), dtype=np.float32)
    reference[1] = 180.4
    reference[2] = 300  # a network may overshoot
    grey = np.full((30, 40), 70, dtype=np.float32)
    expectation = Expectation(np.zeros_like(grey), 1.0, reference, "Reconstruction")
    shown = View("a.png", "", grey, False, np.zeros((30, 40), dtype=np.bool_), expectation=expectation)

    assert (0, 180, 255) in colours(opened(draw_panel(shown)))


def test_many_hotspots_are_counted_but_not_all_numbered() -> None:
    values = np.full((60, 80), 20, dtype=np.float32)
    values[::4, ::4] = 50

    caption = panels._overlay_caption(view(values), 300)

    assert caption == "Overlay   300 hotspots, 20 numbered"
    assert opened(draw_panel(view(values))).width > 600


@given(st.lists(st.tuples(st.integers(0, 319), st.integers(0, 239)), min_size=2, max_size=2))
@example([(0, 49), (0, 39)])
@settings(deadline=None, max_examples=60)
def test_two_labels_cover_neither_each_other_nor_leave_the_picture(peaks: list[tuple[int, int]]) -> None:
    fit = Fit.into((240, 320), 432)
    draw = ImageDraw.Draw(Image.new("RGB", (fit.width, fit.height)))
    taken: list[tuple[float, float, float, float]] = []
    for label, peak in zip(("1", "A1"), peaks, strict=True):
        taken.append(drawing._free_place(draw, label, peak, fit, taken)[2])

    assert not drawing._meet(*taken)
    assert all(left >= 0 and right <= fit.width and top >= 0 and low <= fit.height for left, top, right, low in taken)


def test_small_pictures_grow_by_whole_factors_and_large_ones_shrink() -> None:
    assert Fit.into((60, 80), 432) == Fit(400, 300, 5.0)
    assert Fit.into((480, 640), 432) == Fit(432, 324, 0.675)
    assert Fit.into((240, 320), 432) == Fit(320, 240, 1.0)


def test_span_is_robust_but_keeps_the_hottest_pixel_of_a_tiny_picture() -> None:
    large = np.full((400, 400), 20, dtype=np.float32)
    large[::2] = 30
    large[0, 0] = 500
    tiny = np.full((6, 8), 20, dtype=np.float32)
    tiny[2, 3] = 90

    assert Span.of(large, least=0.5) == Span(20.0, 30.0)
    assert Span.of(tiny, least=0.5).high == 90
    assert Span.of(np.full((4, 4), 21, dtype=np.float32), least=0.5) == Span(20.75, 21.25)
    assert Span.of(np.full((4, 4), np.nan, dtype=np.float32), least=0.5) == Span(0.0, 0.5)


def test_span_places_values_and_ignores_what_is_none() -> None:
    values = np.array([[10, 20, 30, np.nan, np.inf, -np.inf]], dtype=np.float32)

    assert Span(10, 30).bytes(values).tolist() == [[0, 127, 255, 0, 255, 0]]


def test_scale_ticks_are_round_numbers_within_the_span() -> None:
    assert drawing._ticks(Span(17.3, 68.1)) == [20, 30, 40, 50, 60]
    assert drawing._ticks(Span(-0.25, 0.25)) == pytest.approx([-0.2, -0.1, 0, 0.1, 0.2])


def test_long_and_odd_names_are_cut_to_fit() -> None:
    face = font(16, bold=True)
    short = elided("a" * 200 + "END.jpg", 300, face)

    assert face.getlength(short) <= 300
    assert short.startswith("aaa")
    assert short.endswith("END.jpg")
    assert "…" in short
    assert elided("two\nlines\x1b[31m", 900, face) == "two�lines�[31m"
    assert elided("IR_1.jpg", 300, face) == "IR_1.jpg"


def test_the_font_has_the_characters_of_a_report() -> None:
    face = font(13)
    assert isinstance(face, ImageFont.FreeTypeFont)
    missing = face.getmask("\U0010ffff").getbbox()

    assert all(face.getmask(character).getbbox() != missing for character in "°ΔüßŁЖµ²·…")


def test_without_matplotlib_the_font_is_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)
    face = drawing.font.__wrapped__(13)

    assert face.getlength("20 °C") > 10


def test_drawing_imports_no_matplotlib() -> None:
    code = "import sys, isotherm.reports.panels, isotherm.reports.html_writer; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("corner", [(0, 0), (0, 39), (29, 0), (29, 39)])
def test_the_cross_on_a_peak_in_a_corner_is_seen_whole(corner: tuple[int, int]) -> None:
    values = np.full((30, 40), 20.0, np.float32)
    values[corner] = 90.0
    thermogram = Thermogram(values, None, assumed_scene(), "test")
    (finding,) = measure_mask(thermogram, values > 50, kind="hotspot", origin="otsu")
    # At its own size, where a pixel of the picture is smaller than the cross.
    canvas = Image.new("RGB", (40, 30), (90, 90, 90))
    drawing.draw_labels(ImageDraw.Draw(canvas), [("", finding)], Fit(40, 30, 1.0))
    white = (np.asarray(canvas) == 255).all(axis=-1)
    assert white.any(axis=0).sum() == white.any(axis=1).sum() == 7
