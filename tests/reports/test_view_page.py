"""The page of ``isotherm view`` in Chromium: what it shows is what numpy says, and every hand can use it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright

import isotherm
from isotherm.cli.main import main
from isotherm.core.capture import CameraPalette
from isotherm.core.scene import SceneEdit, assumed_scene
from isotherm.core.shapes import Box, Ellipse, Line, Marked, Polygon, Shape, Spot
from isotherm.core.thermogram import Thermogram
from isotherm.measurement.materials import materials
from isotherm.measurement.readings import Pictures, area_of, read_area
from isotherm.measurement.severity import load_table
from isotherm.measurement.shapes import profile
from isotherm.reports import palette
from isotherm.reports.photos import Nudge, PlacedPhoto, centred
from isotherm.reports.view_data import Looks
from isotherm.reports.view_page import render_page
from isotherm.workflows.sidecar import parse_sidecar
from thermal_files import FlirFile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium)")
HEIGHT, WIDTH = 48, 64


def counts() -> np.ndarray:
    """Return a picture with a smooth slope, noise and two hot places, as counts of a synthetic camera."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(4).integers(0, 60, (HEIGHT, WIDTH))
    hot = 4000 * (np.hypot(x - 40, y - 20) < 6) + 2500 * (np.hypot(x - 12, y - 33) < 4)
    return (17000 + 20 * x + 9 * y + noise + hot).astype(np.uint16)


@pytest.fixture(scope="module")
def flir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "IR_1.jpg"
    path.write_bytes(FlirFile(counts=counts()).jpeg())
    return path


@pytest.fixture(scope="module")
def celsius(flir: Path) -> np.ndarray:
    return isotherm.read(flir).celsius()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Opened:
    """A page that is open, and what the browser complained about."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        self.page: Page = browser.new_page(**({"viewport": {"width": 1280, "height": 900}} | options))
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.set_default_timeout(15_000)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("thermal-view[ready]")
        self.view: Locator = self.page.locator("thermal-view")
        self.stage: Locator = self.view.locator(".stage")
        self.size: list[int] = self.js("e => [e.session.plane.width, e.session.plane.height]")

    def js(self, function: str, argument: Any = None) -> Any:
        return self.view.evaluate(function, argument)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where the middle of a thermal pixel is on the screen."""
        self.stage.scroll_into_view_if_needed()
        box = self.stage.bounding_box()
        assert box is not None
        return box["x"] + (x + 0.5) * box["width"] / self.size[0], box["y"] + (y + 0.5) * box["height"] / self.size[1]

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        self.page.mouse.move(*self.place(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.place(*end), steps=2)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        self.view.get_by_role("button", name=name, exact=True).click()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def drawn(self) -> None:
        """Wait until the next picture is on the screen."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def text(self) -> str:
        """Return what can be read in the page and in the element."""
        self.drawn()
        return self.page.inner_text("main") + self.view.locator(".layout").inner_text()

    def reading(self) -> str:
        self.drawn()
        return self.view.locator("#reading").inner_text()

    def colour(self, x: int, y: int) -> list[int]:
        self.drawn()
        return self.js(
            "(e, [x, y]) => [...e.shadowRoot.querySelector('.picture').getContext('2d').getImageData(x, y, 1, 1).data]",
            [x, y],
        )[:3]

    def regions(self) -> list[dict[str, Any]]:
        return self.js("e => e.session.sidecar().regions ?? []")


@pytest.fixture
def shown(browser: Browser, flir: Path, tmp_path: Path) -> Iterator[Opened]:
    assert main(["view", str(flir), "-o", str(tmp_path / "page.html")]) == 0
    opened = Opened(browser, tmp_path / "page.html")
    yield opened
    assert opened.complaints == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    opened.page.close()


def open_thermogram(browser: Browser, folder: Path, thermogram: Thermogram, looks: Looks | None = None) -> Opened:
    page = folder / "page.html"
    page.write_bytes(render_page("picture", thermogram, looks or Looks()))
    return Opened(browser, page)


def test_the_value_under_the_pointer_is_that_of_numpy(shown: Opened, celsius: np.ndarray) -> None:
    for x, y in np.random.default_rng(1).integers(0, (WIDTH, HEIGHT), (25, 2)).tolist():
        shown.page.mouse.move(*shown.place(x, y))
        text = shown.reading()
        assert text.startswith(f"x {x}, y {y}: ")
        assert float(text.split(": ")[1].split()[0]) == pytest.approx(celsius[y, x], abs=0.005001)


def test_every_pixel_arrives_exactly(shown: Opened, celsius: np.ndarray) -> None:
    np.testing.assert_array_equal(np.float32(shown.js("e => [...e.session.plane.values]")), celsius.ravel())


@pytest.mark.parametrize("many", [False, True])
def test_arrays_with_holes_arrive_exactly(browser: Browser, tmp_path: Path, many: bool) -> None:
    # More than 65,536 different values travel as floats.
    values = np.random.default_rng(2).normal(30, 20, (300, 300) if many else (9, 7)).astype(np.float32)
    values[3, 4] = np.nan
    np.save(tmp_path / "in.npy", values)
    assert main(["view", str(tmp_path / "in.npy"), "-o", str(tmp_path / "page.html")]) == 0
    opened = Opened(browser, tmp_path / "page.html")
    expected = isotherm.read(tmp_path / "in.npy").celsius()
    assert opened.js("e => e.session.data.plane.encoding") == ("float32" if many else "table")
    found = [np.nan if value is None else value for value in opened.js("e => [...e.session.plane.values]")]
    np.testing.assert_array_equal(np.float32(found), expected.ravel())
    opened.page.mouse.move(*opened.place(4, 3))
    assert opened.reading() == "x 4, y 3: no value"
    opened.page.close()


def random_shapes(number: int) -> list[Shape]:
    random = np.random.default_rng(number)

    def some(low: float, high: float, count: int) -> list[float]:
        return [round(value, 1) for value in random.uniform(low, high, count).tolist()]

    shapes: list[Shape] = []
    for _ in range(12):
        x, y, width, height = (int(value) for value in random.integers(0, 40, 4))
        shapes.append(Spot(x, y, int(random.choice([1, 3, 5]))))
        shapes.append(Box(x, y, width + 1, height + 1))
        shapes.append(Ellipse(*some(0, 45, 2), *some(0.8, 20, 2)))
        shapes.append(Line(*some(0, 46, 4)))
        corners = some(0, 60, 2 * int(random.integers(3, 7)))
        shapes.append(Polygon(tuple(zip(corners[::2], corners[1::2], strict=True))))
    return shapes


def plain(shape: Shape) -> dict[str, Any]:
    return json.loads(json.dumps({"shape": type(shape).__name__.lower(), **vars(shape)}))


def test_shapes_read_as_in_python(shown: Opened, flir: Path, celsius: np.ndarray) -> None:
    pictures = Pictures(isotherm.read(flir))
    shapes = random_shapes(7)
    measured = shown.js("(e, shapes) => shapes.map((shape) => e.session.measure(shape))", list(map(plain, shapes)))
    compared = 0
    for shape, found in zip(shapes, measured, strict=True):
        if found is None:
            continue
        reading = read_area(pictures, area_of(Marked("a", shape), celsius.shape))
        stats = reading.temperatures
        assert stats is not None
        assert found["count"] == reading.area_px, shape
        assert (found["min"], found["max"]) == (stats.min_c, stats.max_c)
        assert (tuple(found["minAt"]), tuple(found["maxAt"])) == (reading.min_at, reading.max_at)
        assert found["mean"] == pytest.approx(stats.mean_c, abs=1e-5)
        assert found["std"] == pytest.approx(stats.std_c, abs=1e-5)
        assert found["median"] == pytest.approx(reading.median_c, abs=1e-5)
        compared += 1
    assert compared > 50


def test_profiles_are_those_of_python(shown: Opened, celsius: np.ndarray) -> None:
    for line in (Line(3, 4, 60, 30), Line(20, 40, 20, 5), Line(1.4, 2.2, 33.3, 9.9)):
        values = shown.js("(e, line) => e.session.profile(line)", {"label": "l", **plain(line)})
        np.testing.assert_array_equal(np.float32(values), profile(celsius, line)[1])


def test_regions_are_drawn_with_the_pointer(shown: Opened, celsius: np.ndarray) -> None:
    shown.tool("Spot")
    shown.drag((40, 20), (40, 20))
    shown.tool("Box")
    shown.drag((30, 12), (10, 5))
    shown.tool("Ellipse")
    shown.drag((10, 28), (16, 38))
    shown.tool("Line")
    shown.drag((5, 40), (60, 44))
    shown.tool("Polygon")
    for corner in ((50, 2), (60, 2), (60, 12)):
        shown.page.mouse.click(*shown.place(*corner))
    shown.page.mouse.dblclick(*shown.place(50, 12))
    assert shown.regions() == [
        {"label": "s1", "shape": "spot", "x": 40, "y": 20, "size_px": 3},
        {"label": "b1", "shape": "box", "x": 10, "y": 5, "width": 21, "height": 8},
        {"label": "e1", "shape": "ellipse", "x": 13, "y": 33, "radius_x": 3.5, "radius_y": 5.5},
        {"label": "l1", "shape": "line", "x0": 5, "y0": 40, "x1": 60, "y1": 44},
        {"label": "p1", "shape": "polygon", "corners": [[50, 2], [60, 2], [60, 12], [50, 12]]},
    ]
    row = shown.view.locator("tr.numbers", has=shown.page.get_by_label("Name of region b1")).inner_text()
    assert f"{celsius[5:13, 10:31].max():.2f}" in row
    assert f"{celsius[5:13, 10:31].mean(dtype=np.float64):.2f}" in row
    profile_text = shown.view.get_by_role("region", name="Profile").inner_text()
    assert "Profile along l1" in profile_text
    shown.tool("Read")
    shown.drag((12, 6), (14, 9))
    assert shown.regions()[1] == {"label": "b1", "shape": "box", "x": 12, "y": 8, "width": 21, "height": 8}


def test_everything_works_from_the_keyboard(shown: Opened, celsius: np.ndarray) -> None:
    shown.stage.focus()
    shown.keys("m")
    y, x = divmod(int(celsius.argmax()), WIDTH)
    assert shown.reading().startswith(f"x {x}, y {y}: {celsius.max():.2f} °C")
    shown.keys("n")
    y, x = divmod(int(celsius.argmin()), WIDTH)
    assert shown.reading().startswith(f"x {x}, y {y}: {celsius.min():.2f} °C")
    shown.keys("c", "ArrowLeft", "Shift+ArrowUp", "s", "Enter")
    shown.keys("b", "Enter", "Shift+ArrowRight", "ArrowDown", " ")
    shown.keys("l", "Enter", "ArrowDown", "ArrowDown", "Enter")
    shown.keys("p", "Enter", "ArrowDown", "Enter", "ArrowLeft", "Enter", "Enter")
    assert shown.regions() == [
        {"label": "s1", "shape": "spot", "x": 31, "y": 14, "size_px": 3},
        {"label": "b1", "shape": "box", "x": 31, "y": 14, "width": 11, "height": 2},
        {"label": "l1", "shape": "line", "x0": 41, "y0": 15, "x1": 41, "y1": 17},
        {"label": "p1", "shape": "polygon", "corners": [[41, 17], [41, 18], [40, 18]]},
    ]
    shown.keys("Delete", "e", "Enter", "ArrowLeft", "Escape", "r")
    assert [region["label"] for region in shown.regions()] == ["s1", "b1", "l1"]
    shown.drawn()
    assert shown.view.get_by_role("button", name="Read").get_attribute("aria-pressed") == "true"
    # The cross never leaves the picture.
    shown.keys(*["Shift+ArrowRight"] * 8)
    assert shown.reading().startswith(f"x {WIDTH - 1}, y 18")


def test_palette_span_isotherm_and_unit(shown: Opened, celsius: np.ndarray) -> None:
    shown.view.get_by_label("Palette").select_option("lava")
    shown.view.get_by_label("From").fill("20")
    shown.view.get_by_label("to", exact=True).fill("60")
    shown.keys("Tab")
    inside = np.argwhere((celsius > 25) & (celsius < 55))[0]
    y, x = (int(value) for value in inside)
    step = int((celsius[y, x] - np.float32(20)) * np.float32(255 / 40))
    assert shown.colour(x, y) == pytest.approx(palette.table("lava")[step].tolist(), abs=3)
    shown.view.get_by_label("Isotherm").select_option("above")
    shown.view.get_by_label("over").fill("24")
    shown.keys("Tab")
    y, x = divmod(int(celsius.argmax()), WIDTH)
    assert shown.colour(x, y) == [64, 255, 96]
    assert f"{(celsius > 24).mean() * 100:.1f} % of the picture" in shown.text()
    shown.view.get_by_label("Unit").select_option("f")
    shown.page.mouse.move(*shown.place(x, y))
    assert f"{celsius.max() * 1.8 + 32:.2f} °F" in shown.reading()
    assert float(shown.view.get_by_label("From").input_value()) == 68
    shown.view.get_by_label("Unit").select_option("k")
    assert f"{celsius.max() + 273.15:.2f} K" in shown.reading()
    assert shown.js("e => e.session.sidecar().isotherms") == [">24"]


def test_differences(shown: Opened, celsius: np.ndarray) -> None:
    shown.stage.focus()
    shown.keys("m", "s", "Enter", "n", "Enter")
    shown.view.get_by_label("First region", exact=True).select_option("s1")
    assert shown.view.get_by_label("Statistic of the first region").input_value() == "mean"
    shown.view.get_by_label("Second region", exact=True).select_option("s2")
    # A spot is compared by its mean, as by isotherm measure, until something else is chosen.
    assert shown.view.get_by_label("Statistic of the second region").input_value() == "mean"
    shown.view.get_by_label("Statistic of the second region").select_option("max")
    shown.view.get_by_role("button", name="Add").click()
    hot, cold = (divmod(int(place), WIDTH) for place in (celsius.argmax(), celsius.argmin()))

    def square(y: int, x: int) -> np.ndarray:
        return celsius[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].astype(np.float64)

    difference = square(*hot).mean() - square(*cold).max()
    assert "class 1 by neta-similar: major discrepancy; repair immediately (if the two are similar" in shown.text()
    shown.view.get_by_label("Severity").select_option("neta-ambient")
    assert "neta-ambient is not applicable: it is for air around" in shown.text()
    shown.view.get_by_label("Severity").select_option("not judged")
    assert "neta-similar:" not in shown.view.locator("ul").inner_text()
    assert shown.view.locator(".delta").inner_text() == f"s1.mean − s2.max = {difference:.2f} K"
    name = shown.view.get_by_label("Name of region s1")
    name.fill("fuse")
    name.press("Tab")
    shown.view.get_by_label("Unit").select_option("f")
    assert shown.view.locator(".delta").inner_text() == f"fuse.mean − s2.max = {1.8 * difference:.2f} °F"
    other = shown.view.get_by_label("Name of region s2")
    other.fill("two words")
    other.press("Tab")
    assert "s2 keeps its name" in shown.text()
    shown.view.get_by_role("button", name="Remove fuse", exact=True).click()
    assert shown.js("e => e.session.sidecar().deltas") is None


def test_a_difference_is_judged_as_by_the_table(shown: Opened) -> None:
    tables = {name: load_table(name) for name in shown.js("e => e.session.data.severity.map(({id}) => id)")}
    assert {"neta-similar", "neta-ambient", "military", "tuv-sud"} <= set(tables)
    for name, table in tables.items():
        ends = [end for row in table.intervals for end in (row.low_c, row.high_c) if np.isfinite(end)]
        values = sorted({value for end in ends for value in (end - 0.01, end, end + 0.01)})
        kind = "ambient" if table.comparison == "ambient" else "similar"
        said = shown.page.evaluate(
            "([table, values, kind]) => values.map((value) =>"
            " customElements.get('thermal-view').verdict(table, value, kind))",
            [next(row for row in shown.js("e => e.session.data.severity") if row["id"] == name), values, kind],
        )
        for value, text in zip(values, said, strict=True):
            judged = table.judge(value)
            wanted = f"class {judged.grade} by {name}: {judged.action}" if judged.grade else f"no action by {name}"
            assert text.startswith(wanted), (name, value)
            assert ("at least" in text) == (table.min_load_percent is not None)


def test_the_saved_sidecar_is_read_by_every_command(
    shown: Opened, flir: Path, browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown.stage.focus()
    shown.keys("m", "s", "Enter", "n", "b", "Enter", "ArrowRight", "Enter")
    shown.view.get_by_label("First region", exact=True).select_option("s1")
    shown.view.get_by_label("Second region", exact=True).select_option("b1")
    shown.view.get_by_role("button", name="Add").click()
    with shown.page.expect_download() as download:
        shown.view.get_by_role("button", name="Save sidecar").click()
    assert download.value.suggested_filename == "IR_1.jpg.isotherm.json"
    copy = tmp_path / "IR_1.jpg"
    copy.write_bytes(flir.read_bytes())
    sidecar = tmp_path / "IR_1.jpg.isotherm.json"
    download.value.save_as(sidecar)
    assert parse_sidecar(sidecar.read_text(encoding="utf-8")).deltas == ("s1.mean-b1.max",)
    # A region with an emissivity of its own is measured with it in the page, too.
    held = json.loads(sidecar.read_text(encoding="utf-8"))
    held["regions"][0]["scene"] = {"emissivity": 0.6}
    held["deltas"].append("left-right(b1)")
    sidecar.write_text(json.dumps(held), encoding="utf-8")
    assert main(["view", str(copy), "-o", str(tmp_path / "again.html")]) == 0
    capsys.readouterr()
    again = Opened(browser, tmp_path / "again.html")
    assert again.regions() == held["regions"]
    assert again.js("e => e.session.sidecar()") == held
    x, y = held["regions"][0]["x"], held["regions"][0]["y"]
    hotter = isotherm.read(flir).edited(SceneEdit(emissivity=0.6)).celsius()[y - 1 : y + 2, x - 1 : x + 2].max()
    assert again.js("e => e.session.measure(e.session.find('s1')).max") == pytest.approx(float(hotter), abs=1e-3)
    assert "with emissivity 0.6" in again.text()
    assert again.complaints == []
    again.page.close()


def test_other_scene_parameters_give_the_temperatures_of_python(shown: Opened, flir: Path) -> None:
    thermogram = isotherm.read(flir)
    random = np.random.default_rng(11)
    for _ in range(8):
        scene = {
            "emissivity": random.uniform(0.1, 1),
            "reflected_c": random.uniform(-60, 80),
            "atmosphere_c": random.uniform(-40, 100),
            "humidity_percent": random.uniform(0, 100),
            "distance_m": random.uniform(0, 300),
            "window_transmission": random.uniform(0.5, 1),
            "window_c": random.uniform(-20, 60),
        }
        edit = SceneEdit(**scene)
        found = shown.js(
            """(e, scene) => { e.session.rescene(null, scene); return [...e.session.plane.values]; }""",
            {name: getattr(edit, name) for name in scene},
        )
        expected = thermogram.edited(edit).celsius().ravel()
        actual = np.float32([np.nan if value is None else value for value in found])
        np.testing.assert_allclose(actual, expected, atol=1e-3)
    # Taken back, it is the first picture, bit for bit.
    shown.js("e => e.session.rescene(null, null)")
    np.testing.assert_array_equal(
        np.float32(shown.js("e => [...e.session.plane.values]")), thermogram.celsius().ravel()
    )


def test_the_scene_is_changed_by_hand_for_the_picture_and_for_a_region(shown: Opened, flir: Path) -> None:
    thermogram = isotherm.read(flir)
    shown.stage.focus()
    shown.keys("m", "s", "Enter")
    before = float(shown.view.get_by_label("From").input_value())
    shown.view.get_by_label("Emissivity").fill("0.8")
    shown.keys("Tab")
    celsius = thermogram.edited(SceneEdit(emissivity=0.8)).celsius()
    # The uncertainty of the file's own scene is not stated for another one.
    assert shown.reading().endswith(f": {celsius.max():.2f} °C")
    assert float(shown.view.get_by_label("From").input_value()) != before
    assert shown.js("e => e.session.sidecar().scene") == {"emissivity": 0.8}
    table = shown.page.locator("tr[data-parameter=emissivity]")
    assert table.inner_text().split("\t") == ["emissivity", "0.8", "changed in this page", ""]
    row = next(row for row in materials().values() if row.emissivity < 0.5)
    shown.view.get_by_label("For", exact=True).select_option("s1")
    shown.view.get_by_label("Material").select_option(row.name)
    assert shown.regions()[0]["scene"] == {"emissivity": row.emissivity}
    assert "most of what the camera sees is reflected" in shown.text()
    # The coldest counts have no temperature at such an emissivity.
    hot = np.nanmax(thermogram.edited(SceneEdit(emissivity=row.emissivity)).celsius())
    assert shown.js("e => e.session.measure(e.session.find('s1')).max") == pytest.approx(float(hot), abs=1e-2)
    shown.view.get_by_label("For", exact=True).select_option("the picture")
    shown.view.get_by_label("Material").select_option(row.name)
    kept = shown.js("e => e.session.sidecar()")
    assert (kept["material"], kept["sigma"]) == (row.name, {"emissivity": row.sigma})
    assert parse_sidecar(json.dumps(kept)).edit == SceneEdit(emissivity=row.emissivity)
    shown.view.get_by_role("button", name="As before").click()
    assert {"scene", "sigma", "material"} & set(shown.js("e => e.session.sidecar()")) == set()
    assert "±" in shown.reading()
    # What is no emissivity is not taken.
    shown.view.get_by_label("Emissivity").fill("7")
    shown.keys("Tab")
    assert shown.view.get_by_label("Emissivity").input_value() == "0.95"
    assert "Emissivity is 0.01 to 1; 7 was not taken." in shown.text()
    assert table.inner_text().split("\t") == ["emissivity", "0.95", "file", "± 0.03"]


def test_axe_finds_nothing(browser: Browser, flir: Path, tmp_path: Path) -> None:
    main(["view", str(flir), "-o", str(tmp_path / "page.html")])
    for scheme in ("light", "dark"):
        opened = Opened(browser, tmp_path / "page.html", color_scheme=scheme)
        opened.stage.focus()
        opened.keys("m", "s", "Enter", "c", "l", "Enter", "ArrowRight", "Enter")
        opened.view.get_by_role("button", name="Add").click()
        opened.view.get_by_label("Isotherm").select_option("between")
        results = Axe().run(opened.page)
        assert results.violations_count == 0, results.generate_report()
        opened.page.close()


def with_photo() -> tuple[Thermogram, PlacedPhoto]:
    pixels = np.full((120, 160, 3), 60, np.uint8)
    pixels[30:90, 40:120] = 200
    thermogram = Thermogram(
        np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16), None, assumed_scene(), "x"
    )
    return thermogram, PlacedPhoto(pixels, centred((120, 160), (HEIGHT, WIDTH)), "photo a.jpg")


def test_the_photo_is_placed_and_moved_as_in_python(browser: Browser, tmp_path: Path) -> None:
    thermogram, photo = with_photo()
    opened = open_thermogram(browser, tmp_path, thermogram, Looks(photo=photo))
    before = opened.js("e => e.shadowRoot.querySelector('.marks').toDataURL()")
    opened.view.get_by_label("its edges over the thermal picture").check()
    opened.drawn()
    assert opened.js("e => e.shadowRoot.querySelector('.marks').toDataURL()") != before
    for label, value in (("Right px", "4"), ("Down px", "-2"), ("Size ×", "1.25")):
        opened.view.get_by_label(label).fill(value)
        opened.keys("Tab")
    opened.drawn()
    assert "--align 4,-2,1.25" in opened.view.get_by_role("region", name="Photo").inner_text()
    expected = Nudge(4, -2, 1.25).applied(photo.alignment, (HEIGHT, WIDTH))
    hand = opened.js("(e, hand) => e.placed(hand)", {"dx": 4, "dy": -2, "zoom": 1.25})
    for name in ("scale_x", "scale_y", "offset_x", "offset_y"):
        assert hand[name] == pytest.approx(getattr(expected, name))
    results = Axe().run(opened.page)
    assert results.violations_count == 0, results.generate_report()
    assert opened.complaints == []
    opened.page.close()


def test_a_picture_without_temperatures_says_so(browser: Browser, tmp_path: Path) -> None:
    colour = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colour[..., 0] = 200
    opened = open_thermogram(
        browser, tmp_path, Thermogram(np.full((HEIGHT, WIDTH), 60, np.uint8), None, assumed_scene(), "picture", colour)
    )
    assert "holds no temperatures" in opened.text()
    assert "°C" not in opened.text()
    assert opened.reading() == "x 32, y 24: 60"
    assert opened.colour(5, 5) == pytest.approx([200, 0, 0], abs=4)
    opened.view.get_by_label("Palette").select_option("grey")
    red, green, blue = opened.colour(5, 5)
    assert red == green == blue
    opened.page.close()


class Estimate:
    """A calibration whose temperatures are read from colours."""

    kind = "estimated"
    supports: frozenset[str] = frozenset()

    def kelvin(self, counts, scene):
        return (counts.astype(np.float32) + np.float32(290)).astype(np.float32)

    def describe(self):
        return {}


def test_estimated_temperatures_are_called_so(browser: Browser, tmp_path: Path) -> None:
    values = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    thermogram = Thermogram(values, Estimate(), assumed_scene(), "picture", notes=("end values as typed",))
    camera = CameraPalette("own", np.array([[0, 0, 0], [255, 0, 0]], np.uint8))
    opened = open_thermogram(browser, tmp_path, replace(thermogram, palette=camera), Looks(palette="camera"))
    text = opened.text()
    assert "estimated temperatures" in text
    assert "never measurements" in text
    assert "end values as typed" in text
    assert ": about 17." in opened.reading()
    assert opened.view.locator("td.max").first.inner_text() == "about 17.9"
    opened.stage.focus()
    opened.keys("m", "s", "Enter", "n", "s", "Enter")
    opened.view.get_by_role("button", name="Add").click()
    assert opened.view.locator(".delta").inner_text() == "s1.mean − s2.mean = about 1.0 K"
    assert opened.colour(WIDTH - 1, HEIGHT - 1) == [255, 0, 0]
    opened.page.close()


def test_names_of_strangers_stay_text(browser: Browser, tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script><!--<b>&amp;.npy"
    thermogram = with_photo()[0]
    page = tmp_path / "page.html"
    page.write_bytes(
        render_page(name, replace(thermogram, notes=(name,), regions=(Marked(name, Spot(3, 3)),)), Looks())
    )
    opened = Opened(browser, page)
    assert opened.page.inner_text("h1") == name
    assert opened.page.locator("b").count() == 0
    assert opened.complaints == []
    opened.page.close()


@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_is_not_wider_than_the_window(browser: Browser, flir: Path, tmp_path: Path, width: int) -> None:
    main(["view", str(flir), "-o", str(tmp_path / "page.html")])
    opened = Opened(browser, tmp_path / "page.html", viewport={"width": width, "height": 900})
    opened.stage.focus()
    opened.keys("m", "s", "Enter", "c", "l", "Enter", "ArrowRight", "Enter")
    opened.drawn()
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= width
    opened.page.close()


@pytest.mark.real_data
def test_a_real_picture_in_a_real_page(browser: Browser, data: Path, tmp_path: Path) -> None:
    source = data / "camera_files" / "thermal_parser" / "FLIR_T640.jpg"
    assert main(["view", str(source), "-o", str(tmp_path / "page.html")]) == 0
    opened = Opened(browser, tmp_path / "page.html")
    celsius = isotherm.read(source).celsius()
    for x, y in np.random.default_rng(3).integers(0, (640, 480), (10, 2)).tolist():
        opened.page.mouse.move(*opened.place(x, y))
        assert float(opened.reading().split(": ")[1].split()[0]) == pytest.approx(celsius[y, x], abs=0.01)
    # 400 kB for the page and its photo, beside the temperatures themselves.
    plane = opened.js("e => JSON.stringify(e.session.data.plane).length")
    assert (tmp_path / "page.html").stat().st_size - plane < 400_000
    assert opened.complaints == []
    opened.page.close()


@pytest.mark.parametrize(
    ("hot", "cold"), [((0, 0), (63, 47)), ((63, 47), (0, 0)), ((63, 0), (0, 47)), ((30, 0), (30, 47))]
)
def test_marks_at_the_edge_of_the_picture_are_seen_whole(
    browser: Browser, tmp_path: Path, hot: tuple[int, int], cold: tuple[int, int]
) -> None:
    celsius = np.full((HEIGHT, WIDTH), 20.0, np.float32)
    celsius[hot[1], hot[0]], celsius[cold[1], cold[0]] = 80.0, 5.0
    path = tmp_path / "edge.html"
    path.write_bytes(render_page("edge.csv", Thermogram(celsius, None, assumed_scene(), "csv"), Looks()))
    opened = Opened(browser, path)
    opened.drawn()
    # The text stands beside the triangle, 9 px from its middle.
    count = """(e, [x, y, ink]) => {
        const canvas = e.shadowRoot.querySelector(".marks"), scale = canvas.width / e.session.plane.width;
        const middle = Math.max(8, Math.min((x + 0.5) * scale, canvas.width - 8)), top = (y + 0.5) * scale;
        const { data } = canvas.getContext("2d").getImageData(middle - 7, top - 14, 14, 28);
        let found = 0;
        const near = (at) => ink.every((part, place) => Math.abs(data[at + place] - part) < 40);
        for (let at = 0; at < data.length; at += 4) found += near(at);
        return found;
    }"""
    for place, ink in ((hot, [255, 107, 107]), (cold, [107, 196, 255])):
        assert opened.js(count, [*place, ink]) > 35, (place, ink)
    opened.page.close()
