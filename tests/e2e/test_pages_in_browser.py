"""The pages in Chromium over a real server with a real worker: what a maintenance engineer does with them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from e2e_server import Watched, accessible, running, watched
from isotherm.workflows.train import TrainSettings
from isotherm.workflows.train import train as train_anomaly
from small_pictures import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium)")]
LONG_MS = 90_000
SMALL = TrainSettings(image_size=64)
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("served") / "data") as base:
        yield base


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def here(browser: Browser, server: str) -> Iterator[Watched]:
    with watched(browser, server) as found:
        yield found


def site_id_of(page: Page) -> str:
    found = re.search(r"/sites/([0-9a-f-]{36})", page.url)
    assert found is not None, page.url
    return found.group(1)


def make_site(here: Watched, name: str) -> str:
    page = here.open("/sites")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/data")
    return site_id_of(page)


def teach(page: Page, category: str, files: list[Path]) -> None:
    """Give images of one category on the page of a site's data."""
    page.get_by_label("Category", exact=True).fill(category)
    before = page.locator("#results > li").count()
    page.locator("input[type=file]").set_input_files(files)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("[data-summary]")).to_have_text(f"All {before + len(files)} done.")


def train(here: Watched, site: str) -> None:
    page = here.open(f"/sites/{site}/train")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url("**/train?job=*")
    page.get_by_role("button", name="Judge all images with it").wait_for(timeout=LONG_MS)


def inspect(here: Watched, site: str, files: list[Path]) -> Page:
    """Inspect images on the first page, and wait until the first of them is shown."""
    page = here.open(f"/?site={site}")
    page.locator("input[type=file]").set_input_files(files)
    expect(page.locator("[data-summary]")).to_have_text(re.compile(rf"All {len(files)} done"))
    page.locator("thermal-picture[ready]").wait_for()
    return page


def say(page: Page, category: str) -> None:
    page.locator("feedback-keys[ready]").wait_for()
    page.get_by_text("Something else").click()
    page.get_by_label("Name of the category").fill(category)
    page.get_by_role("button", name="It is this").click()
    expect(page.locator("[data-said]")).to_contain_text(f"it is {category}")


def results(page: Page) -> list[str]:
    """Return the addresses of the images that were just taken."""
    return [link.get_attribute("href") or "" for link in page.locator("#results a.go").all()]


@pytest.fixture(scope="module")
def taught(browser: Browser, server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a site with two categories and a first model that has judged all its images; returns its id."""
    folder = tmp_path_factory.mktemp("learnt")
    with watched(browser, server) as here:
        site = make_site(here, "Plate works")
        for kind in ("plain", "joint"):
            teach(here.page, kind, write(folder, kind, range(4)))
        train(here, site)
        here.page.get_by_role("button", name="Judge all images with it").click()
        here.page.wait_for_url("**/jobs/*")
        here.page.get_by_role("link", name="Look at the images").wait_for(timeout=LONG_MS)
    return site


def test_upload_verdict_feedback_training_better_verdict(here: Watched, taught: str, tmp_path: Path) -> None:
    site, stripes = taught, write(tmp_path, "stripes", range(5))
    page = inspect(here, site, stripes[:3])
    first, *others = results(page)
    here.open(first)
    assert "stripes" not in page.locator(".verdict").inner_text()
    say(page, "stripes")
    for image in others:
        here.open(image)
        page.locator("feedback-keys[ready]").wait_for()
        key = page.locator("button[name=category]", has_text="stripes").get_attribute("data-key") or ""
        page.keyboard.press(key)
        expect(page.locator("[data-said]")).to_contain_text("Kept: it is stripes")
        expect(page.locator("button[name=category][aria-pressed=true]")).to_contain_text("stripes")
    here.open(f"/sites/{site}")
    expect(page.get_by_text("3 corrections by people are waiting")).to_be_visible()
    train(here, site)

    page = inspect(here, site, stripes[4:])
    expect(page.locator(".verdict")).to_contain_text("stripes")
    here.open(first)
    expect(page.get_by_text("– learnt")).to_be_visible()
    here.open(f"/sites/{site}/models")
    page.get_by_role("button", name="Roll the classifier back to the one before").click()
    expect(page.get_by_text("Version 1 is at work again.")).to_be_visible()
    page.get_by_role("button", name="Compare A with B").click()
    expect(page.get_by_role("heading", name="Version 1 and version 2")).to_be_visible()


def test_what_is_normal_is_learnt_and_what_is_not_is_marked(here: Watched, tmp_path: Path) -> None:
    site = make_site(here, "Usual")
    teach(here.page, "plain", write(tmp_path, "plain", range(6)))
    page = here.open(f"/sites/{site}/train")
    page.locator("form[action$=train-anomaly] summary").click()
    page.get_by_label("Method", exact=True).last.select_option("statistics")
    page.get_by_role("button", name="Learn what is normal").click()
    page.wait_for_url("**/train?job=*")
    page.get_by_role("button", name="Judge all images with it").wait_for(timeout=LONG_MS)
    page = inspect(here, site, write(tmp_path, "joint", range(1)))
    expect(page.get_by_text("It stands out")).to_be_visible()
    heatmap = page.get_by_label("lay the heatmap of what is strange over the picture")
    expect(heatmap).to_be_checked()
    heatmap.uncheck()
    accessible(page)
    page = inspect(here, site, write(tmp_path, "plain", range(9, 10)))
    expect(page.get_by_text("As usual score")).to_be_visible()
    here.open(f"/images?site={site}&score=anomalous")
    expect(page.locator("li.tile")).to_have_count(1)


def test_keyboard_alone_from_upload_to_report(here: Watched, tmp_path: Path) -> None:
    make_site(here, "Keys")
    page = here.open("/sites")
    page.locator("[data-help]").wait_for()
    # In one message: the second key must come soon after the first, however busy the machine.
    page.keyboard.type("gi")
    page.wait_for_url(here.base + "/")
    page.locator("[data-help]").wait_for()
    tab_to(page, ".skip")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("u")
    chooser.value.set_files(write(tmp_path, "joint", range(2)))
    page.locator("thermal-picture[ready]").wait_for()
    expect(page.locator("[data-summary]")).to_have_text("All 2 done.")

    tab_to(page, "a.go")
    page.keyboard.press("Enter")
    page.locator("#shown thermal-picture[ready]").wait_for()
    # Keys that come before the page listens are heard by nobody.
    page.locator("feedback-keys[ready]").wait_for()
    page.keyboard.press("v")
    expect(page.locator("thermal-view .stage")).to_be_focused()
    hottest = reading(page)
    page.keyboard.press("n")
    expect(page.locator("thermal-view #reading")).not_to_have_text(hottest)
    page.keyboard.press("m")
    expect(page.locator("thermal-view #reading")).to_have_text(hottest)

    tab_to(page, "#shown input[name=category]")
    page.keyboard.type("loose joint")
    page.keyboard.press("Enter")
    expect(page.locator("[data-said]")).to_contain_text("Kept: it is loose joint")
    # Another key of its own takes it back, once the field has been left.
    page.keyboard.press("Tab")
    page.keyboard.press("z")
    expect(page.locator("[data-said]")).to_contain_text("Taken back")

    tab_to(page, "#shown [data-report]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/report.html")
    assert "joint" in page.inner_text("body")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"Tab does not come to {selector}")


def reading(page: Page) -> str:
    return page.locator("thermal-view #reading").inner_text()


def test_names_stay_text(here: Watched, tmp_path: Path) -> None:
    site = make_site(here, "Names & 'quotes'")
    hostile = "<img src=x onerror=alert(1)>&lt;b&gt;{{ 7*7 }}.csv"
    (file,) = write(tmp_path, "joint", range(1))
    dialogs: list[str] = []
    here.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page = here.open(f"/?site={site}")
    content = {"name": hostile, "mimeType": "text/csv", "buffer": file.read_bytes()}
    damaged = {"name": "<b>damaged</b>.csv", "mimeType": "text/csv", "buffer": b"no numbers"}
    page.locator("input[type=file]").set_input_files([content, damaged])
    expect(page.locator("[data-summary]")).to_have_text("All 2 done, 1 not taken.")
    expect(page.locator("#results")).to_contain_text(hostile)
    expect(page.locator("#results")).to_contain_text("<b>damaged</b>.csv")
    (image,) = results(page)
    here.open(image)
    page.locator("thermal-picture[ready]").wait_for()
    expect(page.get_by_role("heading", level=1)).to_have_text(hostile)
    here.open(f"/images?site={site}&name=%3Cimg")
    expect(page.locator(".tile")).to_contain_text(hostile)
    here.open(f"/images?site={site}&name=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    expect(page.get_by_role("heading", name="No image is like that")).to_be_visible()
    here.open("/audit")
    expect(page.get_by_text(hostile).first).to_be_visible()
    assert page.locator("main img[src=x], main b:text('damaged')").count() == 0
    assert dialogs == []


def test_every_form_works_without_scripts(browser: Browser, server: str, tmp_path: Path) -> None:
    with watched(browser, server, java_script_enabled=False) as here:
        site = make_site(here, "No scripts")
        page = here.page
        for kind in ("plain", "joint"):
            page.get_by_label("Category", exact=True).fill(kind)
            page.locator("input[type=file]").set_input_files(write(tmp_path, kind, range(2)))
            page.get_by_role("button", name="Add", exact=True).click()
            expect(page.get_by_role("status").first).to_contain_text("2 images were taken.")
        here.open(f"/?site={site}")
        files = write(tmp_path, "joint", range(5, 7))
        page.locator("input[type=file]").set_input_files(files)
        page.get_by_role("button", name="Inspect", exact=True).click()
        expect(page.get_by_role("heading", name="2 images taken")).to_be_visible()
        here.open(f"/?site={site}")
        page.locator("input[type=file]").set_input_files(files[:1])
        page.get_by_role("button", name="Inspect", exact=True).click()
        page.wait_for_url("**/images/*")
        expect(page.get_by_role("heading", name="Findings")).to_be_visible()
        page.locator("button[name=category]", has_text="joint").click()
        expect(page.get_by_role("status").first).to_contain_text("Kept: it is joint")
        page.get_by_role("button", name="Take it back").click()
        expect(page.get_by_role("status").first).to_contain_text("Taken back")
        page.get_by_label("Colours of the pages").select_option("dark")
        page.get_by_role("button", name="Set").click()
        assert page.locator("html").get_attribute("data-theme") == "dark"
        here.open(f"/sites/{site}/train")
        page.get_by_role("button", name="Train", exact=True).click()
        page.wait_for_url("**/train?job=*")
        expect(page.get_by_role("heading", name="Progress")).to_be_visible()


def pages_of(page: Page, base: str, site: str) -> list[str]:
    page.goto(f"{base}/images?site={site}")
    image = page.locator(".tile a").first.get_attribute("href") or ""
    page.goto(f"{base}/sites/{site}/models")
    model = page.get_by_role("link", name="Version 1").get_attribute("href") or ""
    page.goto(f"{base}/jobs")
    job = page.get_by_role("link", name="train").first.get_attribute("href") or ""
    parts = ("", "/data", "/train", "/models", "/threshold?at=0.9", "/settings")
    compared = f"/sites/{site}/compare?a={model.split('/')[-1]}&b={model.split('/')[-1]}"
    fixed = ["/", "/images", "/images?name=none-like-it", "/sites", "/common", "/jobs"]
    fixed += ["/tokens", "/audit", "/login", "/nothing"]
    return [*fixed, image, model, job, compared, *(f"/sites/{site}{part}" for part in parts)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault_and_nothing_is_wider_than_a_telephone(
    browser: Browser, server: str, taught: str, theme: str
) -> None:
    size = {"width": 390, "height": 844} if theme == "dark" else {"width": 1280, "height": 900}
    with watched(browser, server, color_scheme=theme, viewport=size) as here:
        for path in pages_of(here.page, server, taught):
            here.open(path)
            if here.page.locator("thermal-picture").count():
                here.page.locator("thermal-picture[ready]").wait_for()
            accessible(here.page)
            width = here.page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], f"{path} is {width} px wide"
        # A page that is not there is the one complaint of the browser.
        here.complaints[:] = [text for text in here.complaints if "404" not in text]


def test_a_list_of_jobs_follows_them(here: Watched, taught: str) -> None:
    page = here.open(f"/sites/{taught}/models")
    page.get_by_role("button", name="Judge all images with what is at work").click()
    page.wait_for_url("**/jobs/*")
    here.open(f"/jobs?site={taught}")
    expect(page.locator("tbody tr").first).to_contain_text("inspect")
    expect(page.locator("tbody tr").first.locator(".pill")).to_have_text("succeeded", timeout=LONG_MS)


def test_the_threshold_tool_shows_what_would_change(here: Watched, taught: str) -> None:
    page = here.open(f"/sites/{taught}/threshold")
    slide = page.locator("[data-slide]")
    expect(slide).to_be_visible()
    slide.focus()
    page.keyboard.press("End")
    shown = page.locator("#flip-title").inner_text()
    tried = page.locator("[data-tried] td").all_inner_texts()
    assert int(shown.split()[0].replace(",", "")) == int(tried[1]) > 0
    # The server counts the same.
    here.open(f"/sites/{taught}/threshold?at=1")
    expect(slide).to_be_visible()
    assert page.locator("#flip-title").inner_text() == shown
    assert page.locator("[data-tried] td").all_inner_texts() == tried
    page.locator("#at").fill("0.61")
    page.get_by_role("button", name="Keep 0.61").click()
    expect(page.get_by_text("Verdicts from 61% now.")).to_be_visible()


def test_a_model_from_elsewhere_gets_another_threshold(browser: Browser, server: str, tmp_path: Path) -> None:
    (tmp_path / "healthy").mkdir()
    write(tmp_path / "healthy", "plain", range(6))
    train_anomaly(tmp_path / "healthy", tmp_path / "model", method_name="statistics", settings=SMALL)
    size = {"width": 390, "height": 844}
    with watched(browser, server, viewport=size, color_scheme="dark") as here:
        site = make_site(here, "Given")
        teach(here.page, "joint", write(tmp_path, "joint", range(3)))
        page = here.open(f"/sites/{site}/models")
        page.locator("summary").get_by_text("Give it to this site").click()
        page.locator("#given-files").set_input_files(sorted((tmp_path / "model").iterdir()))
        page.get_by_role("button", name="Give it to this site").click()
        expect(page.get_by_text("Kept as version 1; it is not at work yet.")).to_be_visible(timeout=LONG_MS)
        accessible(page)
        page.get_by_role("button", name="Put to work").click()
        page.get_by_role("button", name="Judge all images with what is at work").click()
        page.get_by_role("link", name="Look at the images").wait_for(timeout=LONG_MS)
        page = here.open(f"/sites/{site}/score-threshold")
        slide = page.locator("[data-slide]")
        expect(slide).to_be_visible()
        slide.focus()
        now = float(page.locator("#at").input_value())
        page.keyboard.press("PageUp")
        assert float(page.locator("#at").input_value()) > now
        page.locator("#at").fill("1000000")
        shown, tried = page.locator("#flip-title"), page.locator("[data-tried] td")
        said = [shown.inner_text(), *tried.all_inner_texts()]
        assert said[:3] == ["3 verdicts would change", "0 of 3", "0 of 3"]
        accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        # The server counts the same.
        here.open(f"/sites/{site}/score-threshold?at={page.locator('#at').input_value()}")
        expect(slide).to_be_visible()
        assert [shown.inner_text(), *tried.all_inner_texts()] == said
        page.get_by_role("button", name="Keep").click()
        expect(page.get_by_text("Version 2 is at work: above")).to_be_visible()
        expect(page.get_by_text("3 images here were judged by another threshold")).to_be_visible()


def test_gallery_keys_help_and_colours(here: Watched, taught: str) -> None:
    page = here.open(f"/images?site={taught}")
    tiles = page.locator(".tile a")
    tiles.first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/images/*")
    page.locator("[data-help]").wait_for()
    name = page.get_by_role("heading", level=1).inner_text()
    page.keyboard.press("]")
    expect(page.get_by_role("heading", level=1)).not_to_have_text(name)
    page.locator("[data-help]").wait_for()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Colours of the pages").select_option("dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 21, 26)"
    page.wait_for_timeout(200)
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_a_refused_form_keeps_what_was_typed(here: Watched) -> None:
    site = make_site(here, "Forms")
    page = here.open(f"/sites/{site}/assets")
    page.get_by_label("Name", exact=True).fill("pump / 2")
    page.get_by_label("Place").fill("hall 3")
    page.get_by_label("Tag").fill("P-2")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text("must not hold any of")
    expect(page.get_by_label("Place")).to_have_value("hall 3")
    accessible(page)
    page.get_by_label("Name", exact=True).fill("pump 2")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/assets/*")
    expect(page.get_by_role("heading", name="pump 2")).to_be_visible()
    # The browser itself tells of the status, and of nothing else.
    assert [re.search(r"status of (\d+)", each)[1] for each in here.complaints] == ["422"]
    here.complaints.clear()
